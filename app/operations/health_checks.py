"""Health checks: what a measured value means, and a hint on what to do. No I/O.

Input: values read by app/operations/health.py. Output: CheckResult, shown by app/operations/diagnose.py.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app.clients.redis_server_check import too_old_message
from app.domain.worker_loops import LOOP_BY_CONSUMER_GROUP, WORKER_LOOPS, heartbeat_ages_by_pid

INGRESS_MAX_AGE_SECONDS = 5.0
OUTBOX_MAX_AGE_SECONDS = 5.0
FALLBACK_MAX_AGE_SECONDS = 60.0
"""Longer than a breaker stays open; the queue drains from its oldest row."""
FAILOVER_MAX_AGE_SECONDS = 60.0
"""A failback takes seconds once all services respond."""
FLUSH_MAX_DELAY_SECONDS = 15.0
"""The claim of a dead flusher expires after 6 s; then another flusher closes the window."""
MAIL_MAX_DELAY_SECONDS = 60.0
"""The claim of a dead mailer has expired by then."""
HEARTBEAT_MAX_AGE_SECONDS = 15.0
RETENTION_MAX_AGE_SECONDS = 2 * 24 * 3600.0
"""Longer than a round takes; a nightly purge is often enough."""


REQUIRED_REDIS_CONFIG = {
    "maxmemory-policy": ("noeviction", "it may evict likes that are not persisted yet"),
    "appendonly": ("yes", "a restart loses events that the bridge has not moved"),
    "appendfsync": ("always", "a crash loses events accepted in the last second"),
}
"""Required Redis settings, and what happens otherwise."""


class CheckLevel(StrEnum):
    OK = "ok"
    WARNING = "warning"
    """Nothing is broken, but someone should look."""
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class CheckResult:
    stage: str
    check: str
    value: str
    level: CheckLevel = CheckLevel.OK
    hint: str = ""


def worker_start_hint(process: str) -> str:
    return f"Start it: python -m workers {process} (make run starts them all)."


def unreachable_result(stage: str, reason: str, hint: str) -> CheckResult:
    return CheckResult(stage, "responds", reason, CheckLevel.ERROR, hint)


def format_age(seconds: float) -> str:
    """`4 s`, `3 min`, `2 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def evaluate_backlog(
    result: CheckResult, count: int, oldest_seconds: float | None, max_age_seconds: float
) -> CheckResult:
    """`result` names the backlog; its hint is used when the oldest item waits too long."""
    if not count or oldest_seconds is None:
        return CheckResult(result.stage, result.check, f"{count:,}")
    is_overdue = oldest_seconds > max_age_seconds
    return CheckResult(
        result.stage,
        result.check,
        f"{count:,}, oldest {format_age(oldest_seconds)}",
        CheckLevel.ERROR if is_overdue else CheckLevel.OK,
        result.hint if is_overdue else "",
    )


def evaluate_redis_config(config: Mapping[str, str]) -> list[CheckResult]:
    """Whether Redis persists what it has acknowledged."""
    results = []
    for name, (required_value, consequence) in REQUIRED_REDIS_CONFIG.items():
        value = config.get(name, "?")
        if value == required_value:
            results.append(CheckResult("redis", name, value))
        else:
            hint = f"Set it to {required_value}, or {consequence}."
            results.append(CheckResult("redis", name, value, CheckLevel.ERROR, hint))
    return results


def evaluate_redis_version(info: Mapping[str, Any]) -> CheckResult:
    """From the section "server" of INFO."""
    name, version = (
        ("Valkey", info["valkey_version"]) if "valkey_version" in info else ("Redis", info["redis_version"])
    )
    problem = too_old_message(info)
    level = CheckLevel.ERROR if problem else CheckLevel.OK
    return CheckResult("redis", "version", f"{name} {version}", level, problem or "")


def evaluate_redis_disk_write(status: str) -> CheckResult:
    """The status of the last write of the append-only file, as Redis reports it."""
    if status == "ok":
        return CheckResult("redis", "last write to disk", status)
    hint = "The append-only file cannot be written: see the log of Redis and the disk."
    return CheckResult("redis", "last write to disk", status, CheckLevel.ERROR, hint)


def evaluate_windows(windows_with_due_ms: Iterable[tuple[str, int]], now_ms: int) -> CheckResult:
    """Open windows, and whether the first of them is overdue."""
    due_by_window = [
        (window_name, due_ms) for window_name, due_ms in windows_with_due_ms if due_ms
    ]  # 0: flushed early, will be removed
    closing_count = sum(name.startswith("closing:") for name, _ in due_by_window)
    open_count = len(due_by_window) - closing_count
    if not due_by_window:
        return CheckResult("windows", "open", "0")
    first_due_in_seconds = (min(due for _, due in due_by_window) - now_ms) / 1000
    value = f"{open_count:,} open, {closing_count:,} closing, "
    if first_due_in_seconds < -FLUSH_MAX_DELAY_SECONDS:
        value += f"the first is overdue by {format_age(-first_due_in_seconds)}"
        return CheckResult("windows", "open", value, CheckLevel.ERROR, worker_start_hint("flusher"))
    value += f"the first is due in {format_age(max(0.0, first_due_in_seconds))}"
    return CheckResult("windows", "open", value)


def evaluate_heartbeats(age_by_worker: Mapping[str, float]) -> list[CheckResult]:
    """One result per loop. `age_by_worker`: seconds since the last heartbeat, by `loop:pid`.

    The last heartbeat of an ended process stays for a minute, so the youngest one counts.
    """
    results = []
    for loop in WORKER_LOOPS.values():
        age_by_pid = heartbeat_ages_by_pid(loop, age_by_worker)
        alive_age_by_pid = {
            pid: seconds for pid, seconds in age_by_pid.items() if seconds <= HEARTBEAT_MAX_AGE_SECONDS
        }
        if alive_age_by_pid:
            value = ", ".join(
                f"pid {pid}: {format_age(alive_age_by_pid[pid])} ago" for pid in sorted(alive_age_by_pid)
            )
            results.append(CheckResult("workers", loop.name, value))
        else:
            last_heartbeat = (
                f"last heartbeat {format_age(min(age_by_pid.values()))} ago" if age_by_pid else "no heartbeat"
            )
            results.append(
                CheckResult(
                    "workers", loop.name, last_heartbeat, CheckLevel.ERROR, worker_start_hint(loop.process)
                )
            )
    return results


def evaluate_migration(current_revision: str | None, head_revision: str | None) -> CheckResult:
    if current_revision == head_revision:
        return CheckResult("postgres", "migration", str(current_revision))
    value = f"{current_revision or 'no tables yet'}, the code needs {head_revision}"
    return CheckResult("postgres", "migration", value, CheckLevel.ERROR, "Run make migrate.")


def evaluate_fallback_failures(failed_count: int) -> CheckResult:
    if not failed_count:
        return CheckResult("fallback", "failed", "0")
    hint = "They need an administrator: table kafka_fallback_queue, column last_error."
    return CheckResult("fallback", "failed", f"{failed_count:,}", CheckLevel.ERROR, hint)


def evaluate_redis_failover(state: str | None, seconds: float, reason: str) -> CheckResult:
    """A short failover ends by itself; in a long one some writes are not applied."""
    if state is None or state == "normal":
        return CheckResult("redis failover", "writes", "through Redis" if state else "never enabled yet")
    value = f"bypass Redis for {format_age(seconds)}: {reason}"
    if seconds < FAILOVER_MAX_AGE_SECONDS:
        return CheckResult(
            "redis failover", "writes", value, CheckLevel.WARNING, "It ends by itself; check again soon."
        )
    hint = "Redis, Kafka, a priority topic or a window delays the failback: see those. " + worker_start_hint(
        "flusher"
    )
    return CheckResult("redis failover", "writes", value, CheckLevel.ERROR, hint)


def evaluate_dead_letters(count: int, newest_reason: str | None) -> CheckResult:
    """A warning only: they delay nothing, but someone should read the reasons."""
    if not count:
        return CheckResult("dead letters", "waiting", "0")
    value = f"{count:,}, newest: {newest_reason}"
    return CheckResult(
        "dead letters", "waiting", value, CheckLevel.WARNING, "See their reasons: table dead_letters."
    )


def evaluate_mail_backlog(
    waiting_count: int, overdue_seconds: float, deferred_count: int, oldest_error: str | None
) -> CheckResult:
    """Messages not sent yet. `overdue_seconds`: how long one that is not blocked by an earlier one has been
    due; `oldest_error`: the error of the oldest deferred one."""
    value = f"{waiting_count:,} waiting, {deferred_count:,} of them deferred or not attempted"
    if oldest_error:
        value += f"; oldest: {oldest_error}"
    if overdue_seconds > MAIL_MAX_DELAY_SECONDS:
        hint = "If the mail server and the SMS webhook respond, the mailer is not running. "
        hint += worker_start_hint("deliverer")
        value += f"; one is overdue by {format_age(overdue_seconds)}"
        return CheckResult("mail", "outgoing messages", value, CheckLevel.ERROR, hint)
    if deferred_count:
        hint = "The mail server or the SMS webhook defers them; they are retried."
        return CheckResult("mail", "outgoing messages", value, CheckLevel.WARNING, hint)
    return CheckResult("mail", "outgoing messages", value)


def evaluate_retention(deleted_count: int, completed_seconds_ago: float | None) -> CheckResult:
    """`completed_seconds_ago` of the category that was completed first; None: one never was."""
    value = f"{deleted_count:,} rows deleted, "
    if completed_seconds_ago is None:
        return CheckResult("retention", "last round", value + "not completed yet")
    value += f"completed {format_age(completed_seconds_ago)} ago"
    if completed_seconds_ago <= RETENTION_MAX_AGE_SECONDS:
        return CheckResult("retention", "last round", value)
    hint = "Start it: python -m workers flusher, with RETENTION_INTERVAL_SECONDS above 0."
    return CheckResult("retention", "last round", value, CheckLevel.WARNING, hint)


def evaluate_topics(existing_topics: Iterable[str], required_topics: Iterable[str]) -> CheckResult:
    missing_topics = sorted(set(required_topics) - set(existing_topics))
    if not missing_topics:
        return CheckResult("kafka", "topics", "all present")
    hint = "Each worker except the bridge creates them before its first step; see the logs."
    return CheckResult("kafka", "topics", f"missing: {', '.join(missing_topics)}", CheckLevel.ERROR, hint)


def evaluate_consumer_group(name: str, state: str, member_count: int, lag: int | None) -> CheckResult:
    """State of a consumer group. Lag is no error: in priority topics it includes events in open windows."""
    lag_text = "?" if lag is None else f"{lag:,}"
    value = f"{state}, {member_count} member{'' if member_count == 1 else 's'}, lag {lag_text}"
    if member_count and state == "Stable":
        return CheckResult("kafka", name, value)
    if member_count:
        return CheckResult("kafka", name, value, CheckLevel.WARNING, "It is rebalancing; check again soon.")
    return CheckResult(
        "kafka", name, value, CheckLevel.ERROR, worker_start_hint(LOOP_BY_CONSUMER_GROUP[name].process)
    )
