"""Findings: what a reading of a stage means, and what to do about it. Pure.

In    app/checkup.py, which asks the stages
Out   app/diagnose.py, which shows them
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from app.domain.loops import LOOPS, READERS, beats_of

INGRESS_PATIENCE = 5.0
OUTBOX_PATIENCE = 5.0
FALLBACK_PATIENCE = 60.0
"""Longer than the breaker stays open, and the backlog drains from its oldest row."""
GATE_PATIENCE = 60.0
"""The way back takes seconds once all services answer."""
FLUSH_PATIENCE = 15.0
"""A flusher that died keeps its claim for 6 s; then another one closes the window."""
MAIL_PATIENCE = 60.0
"""A claim of a mailer that died runs out by then."""
BEAT_PATIENCE = 15.0


KEEPS = {
    "maxmemory-policy": ("noeviction", "it may throw away likes that nobody wrote down yet"),
    "appendonly": ("yes", "a restart loses what the bridge has not moved"),
    "appendfsync": ("always", "a crash loses what was accepted in the last second"),
}
"""Redis's settings, what they must be, and what happens otherwise."""


class Level(StrEnum):
    OK = "ok"
    NOTE = "note"
    """Nothing is broken, but a person should know."""
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    stage: str
    what: str
    reading: str
    level: Level = Level.OK
    advice: str = ""


def start(process: str) -> str:
    return f"Start it: python -m workers {process} (make run starts them all)."


def away(stage: str, reason: str, remedy: str) -> Finding:
    return Finding(stage, "answers", reason, Level.WRONG, remedy)


def age(seconds: float) -> str:
    """`4 s`, `3 min`, `2 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def waiting(finding: Finding, count: int, oldest_seconds: float | None, patience: float) -> Finding:
    """`finding` says which heap and, as its advice, what to do when its oldest waits too long."""
    if not count or oldest_seconds is None:
        return Finding(finding.stage, finding.what, f"{count:,}")
    late = oldest_seconds > patience
    return Finding(
        finding.stage,
        finding.what,
        f"{count:,}, the oldest for {age(oldest_seconds)}",
        Level.WRONG if late else Level.OK,
        finding.advice if late else "",
    )


def redis_keeps(config: Mapping[str, str]) -> list[Finding]:
    """Whether this Redis keeps what it has answered for."""
    found = []
    for name, (right, otherwise) in KEEPS.items():
        value = config.get(name, "?")
        if value == right:
            found.append(Finding("redis", name, value))
        else:
            advice = f"Set it to {right}, or {otherwise}."
            found.append(Finding("redis", name, value, Level.WRONG, advice))
    return found


def redis_writes(status: str) -> Finding:
    """The append-only file's last write, in Redis's own word."""
    if status == "ok":
        return Finding("redis", "last write to disk", status)
    advice = "The append-only file cannot be written: look at Redis's log and the disk."
    return Finding("redis", "last write to disk", status, Level.WRONG, advice)


def windows(names_due: Iterable[tuple[str, int]], now_ms: int) -> Finding:
    """Open windows, and whether the first of them should be closed by now."""
    known = [(name, due) for name, due in names_due if due]  # 0: written early, about to go
    closing = sum(name.startswith("closing:") for name, _ in known)
    opened = len(known) - closing
    if not known:
        return Finding("windows", "open", "0")
    first = (min(due for _, due in known) - now_ms) / 1000
    reading = f"{opened:,} open, {closing:,} closing, "
    if first < -FLUSH_PATIENCE:
        reading += f"the first is overdue by {age(-first)}"
        return Finding("windows", "open", reading, Level.WRONG, start("flusher"))
    reading += f"the first is due in {age(max(0.0, first))}"
    return Finding("windows", "open", reading)


def heartbeats(ages: Mapping[str, float]) -> list[Finding]:
    """One finding per loop. `ages`: seconds since the last beat by `loop:pid`.

    A process that ended leaves its last beat for a minute, so the youngest counts.
    """
    found = []
    for loop in LOOPS.values():
        beats = beats_of(loop, ages)
        alive = {pid: seconds for pid, seconds in beats.items() if seconds <= BEAT_PATIENCE}
        if alive:
            reading = ", ".join(f"pid {pid}: {age(alive[pid])} ago" for pid in sorted(alive))
            found.append(Finding("workers", loop.name, reading))
        else:
            last = f"last beat {age(min(beats.values()))} ago" if beats else "no heartbeat"
            found.append(Finding("workers", loop.name, last, Level.WRONG, start(loop.process)))
    return found


def migrated(current: str | None, head: str | None) -> Finding:
    if current == head:
        return Finding("postgres", "migration", str(current))
    reading = f"{current or 'no tables yet'}, the code wants {head}"
    return Finding("postgres", "migration", reading, Level.WRONG, "Run make migrate.")


def fallback_failed(failed: int) -> Finding:
    if not failed:
        return Finding("fallback", "failed", "0")
    advice = "They wait for a person: table kafka_fallback_queue, column last_error."
    return Finding("fallback", "failed", f"{failed:,}", Level.WRONG, advice)


def gate(state: str | None, seconds: float, reason: str) -> Finding:
    """Closed for a moment it is on the way back; for longer, something keeps words under way."""
    if state is None or state == "open":
        return Finding("gate", "words", "by way of Redis" if state else "never opened yet")
    reading = f"past Redis for {age(seconds)}: {reason}"
    if seconds < GATE_PATIENCE:
        return Finding("gate", "words", reading, Level.NOTE, "It opens by itself; ask again soon.")
    advice = "Redis, Kafka, a lane or a window keeps it closed: see those. " + start("flusher")
    return Finding("gate", "words", reading, Level.WRONG, advice)


def dead_letters(count: int, newest_reason: str | None) -> Finding:
    """They delay nobody, so they are a note; a person should still read why."""
    if not count:
        return Finding("dead letters", "waiting", "0")
    reading = f"{count:,}, the newest: {newest_reason}"
    return Finding(
        "dead letters", "waiting", reading, Level.NOTE, "Read their reasons: table dead_letters."
    )


def mail(waiting: int, overdue: float, deferred: int, error: str | None) -> Finding:
    """Messages that wait to be sent. `overdue`: seconds that one which nothing holds back is due;
    `error`: what the oldest deferred one was told."""
    reading = f"{waiting:,} waiting, {deferred:,} of them deferred or not reached"
    if error:
        reading += f"; the oldest: {error}"
    if overdue > MAIL_PATIENCE:
        advice = "If the mail server and the SMS webhook answer, the mailer does not turn. "
        advice += start("deliverer")
        reading += f"; one is overdue by {age(overdue)}"
        return Finding("mail", "outgoing messages", reading, Level.WRONG, advice)
    if deferred:
        advice = "The mail server or the SMS webhook refuses them for now; they are tried again."
        return Finding("mail", "outgoing messages", reading, Level.NOTE, advice)
    return Finding("mail", "outgoing messages", reading)


def topics(present: Iterable[str], wanted: Iterable[str]) -> Finding:
    missing = sorted(set(wanted) - set(present))
    if not missing:
        return Finding("kafka", "topics", "all there")
    advice = "Each worker but the bridge makes them before its first step; see why none could."
    return Finding("kafka", "topics", f"missing: {', '.join(missing)}", Level.WRONG, advice)


def group(name: str, state: str, members: int, lag: int | None) -> Finding:
    """A consumer group. A lane's lag counts what open windows still hold, so it is no fault."""
    shown = "?" if lag is None else f"{lag:,}"
    reading = f"{state}, {members} member{'' if members == 1 else 's'}, lag {shown}"
    if members and state == "Stable":
        return Finding("kafka", name, reading)
    if members:
        return Finding("kafka", name, reading, Level.NOTE, "It is rebalancing; ask again soon.")
    return Finding("kafka", name, reading, Level.WRONG, start(READERS[name].process))
