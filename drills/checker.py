"""The checker: the ledger of the clients against what is there, in sentences. Pure.

In    drills/ledger.py, drills/evidence.py
Out   faults per invariant; none: the promises held

Each function is one invariant; tests/drills cook a violation of each.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import linear_regression

from drills import hearing, reading
from drills.evidence import Evidence
from drills.ledger import OK, PUT_OFF, REFUSED, UNKNOWN, Ledger
from drills.words import comments, criticals, wishes

NEEDED = ("like", "unlike", "comment", "otp", "read")
BUSY_SECONDS, BUSY_SHARE = 1.0, 0.01
RARE_SHARE = 0.02
RUNNING = 409
"""An Idempotency-Key whose first request still runs: come back later, nothing happened."""


@dataclass(frozen=True)
class Bounds:
    """What a drill allows. Seconds already contain the slack of the machine."""

    longest: float
    critical_p99: float
    may_put_off: frozenset[str] = frozenset()
    """Kinds of request that may be told "later" meanwhile."""
    rarely: frozenset[str] = frozenset()
    """Those of them for which a way remains: only a few, caught at the moment of the fault."""
    may_cut: bool = False
    may_reload: bool = False
    """Clients may be told to load afresh (the history was lost)."""
    may_lose: int = 0
    """Acknowledged words that may be gone: only where the promise itself says so (FLUSHALL)."""
    memory_mb: float = 600.0
    slope_mb: float = float("inf")
    poison: frozenset[tuple[str, str]] = frozenset()
    push_back: float = 5.0
    returns: tuple[float, ...] = ()
    """When Redis came back; live push is back that many seconds later at most."""
    normal_after: float = float("inf")
    """Seconds after the last return from which no answer may be stale, nor slow as in an outage."""


@dataclass
class Found:
    """What the checker says. `lost` and `doubled` count; `faults` say which."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    faults: dict[str, list[str]] = field(default_factory=dict)

    def holds(self, may_lose: int) -> bool:
        return len(self.lost) <= may_lose and not self.doubled and not self.faults


def check(ledger: Ledger, evidence: Evidence, bounds: Bounds) -> Found:
    found = Found()
    for judge in (wishes, comments, criticals):
        lost, doubled = judge(ledger, evidence)
        found.lost += lost
        found.doubled += doubled
    found.lost += logged(evidence)
    invariants: dict[str, Callable[[], list[str]]] = {
        "load": lambda: load(ledger),
        "answers": lambda: answers(ledger, bounds),
        "put off": lambda: put_off(ledger, bounds),
        "longest answer": lambda: longest(ledger, bounds),
        "never backwards": lambda: reading.counts_never_fall(ledger),
        "own writes": lambda: reading.own_writes(ledger),
        "sockets": lambda: hearing.faults(ledger, evidence, bounds.may_reload),
        "critical in time": lambda: hearing.critical_late(ledger, evidence, bounds.critical_p99),
        "live push": lambda: hearing.push_late(ledger, bounds.returns, bounds.push_back),
        "normal operation": lambda: reading.normal_late(
            ledger, bounds.returns, bounds.normal_after
        ),
        "tables": lambda: evidence.books,
        "counts": lambda: same_counts(evidence),
        "dead letters": lambda: dead_letters(evidence, bounds),
        "figures": lambda: figures(evidence),
        "memory": lambda: memory(evidence, bounds),
    }
    found.faults = {name: said for name, judge in invariants.items() if (said := judge())}
    return found


def load(ledger: Ledger) -> list[str]:
    """A drill in which nobody did anything shows nothing."""
    done = {kind: sum(one.outcome == OK for one in ledger.of(kind)) for kind in NEEDED}
    return [f"only {many} of {kind} were acknowledged" for kind, many in done.items() if many < 5]


def answers(ledger: Ledger, bounds: Bounds) -> list[str]:
    """Every refusal in our words, with when to come again; and only where it is allowed.

    A machine on which our own timer is late by a second is too slow for some requests as well.
    """
    out, stray = [], []
    for one in ledger.attempts:
        what = f"{one.kind} by {one.actor}: {one.status} {one.code}"
        if one.status in (429, 503) and not (one.code and one.retry_after):
            out.append(f"{what} without code or Retry-After")
        elif one.status >= 500 and one.status != 503:
            out.append(what)
        elif one.outcome == PUT_OFF and one.kind not in bounds.may_put_off:
            stray.append(f"{what} though nothing it needs was away")
        elif one.outcome == REFUSED and one.status not in (0, RUNNING):
            out.append(f"{what} though it was in order")
        elif one.outcome == UNKNOWN and one.status == 0 and not bounds.may_cut:
            out.append(f"{what}: cut or timed out")
    busy = ledger.lateness > BUSY_SECONDS and len(stray) <= BUSY_SHARE * len(ledger.attempts)
    return out if busy else out + stray


def put_off(ledger: Ledger, bounds: Bounds) -> list[str]:
    """Where a way remains, it is taken: nearly nobody is told to come later."""
    asked = [one for one in ledger.attempts if one.kind in bounds.rarely]
    later = [one for one in asked if one.outcome == PUT_OFF]
    if len(later) <= RARE_SHARE * len(asked):
        return []
    codes = ", ".join(sorted({one.code or "no code" for one in later}))
    return [f"{len(later)} of {len(asked)} were put off though a way remains: {codes}"]


def longest(ledger: Ledger, bounds: Bounds) -> list[str]:
    """No request hangs."""
    late = [one for one in ledger.attempts if one.answered and one.seconds > bounds.longest]
    return [
        f"{one.kind} took {one.seconds:.1f} s ({one.status or 'no answer'}), "
        f"more than {bounds.longest:.1f}"
        for one in late
    ]


def logged(evidence: Evidence) -> list[str]:
    """Every frame that went out is in the delivery log."""
    missing = evidence.frames - evidence.logged
    return [f"frame {seq} of {who} is not in the delivery log" for who, seq in sorted(missing)]


def same_counts(evidence: Evidence) -> list[str]:
    """What the API says of each post is what its rows come to, from every process."""
    out = []
    for post, rows in evidence.counts.items():
        for server, shown in enumerate(evidence.shown):
            if shown.get(post) != rows:
                out.append(f"post {post}: web {server + 1} shows {shown.get(post)}, rows {rows}")
    return out


def dead_letters(evidence: Evidence, bounds: Bounds) -> list[str]:
    """The poison that was put in, exactly."""
    return [
        *(f"{one} is not among the dead letters" for one in bounds.poison - evidence.dead_letters),
        *(f"{one} is a dead letter" for one in evidence.dead_letters - bounds.poison),
    ]


def figures(evidence: Evidence) -> list[str]:
    """in = out + held + failed in every stage; at rest nothing is held."""
    out = []
    for stage in evidence.stages:
        parts = (stage["in"], stage["out"], stage["held"], stage["failed"])
        if None in parts or stage["in"] != stage["out"] + stage["held"] + stage["failed"]:
            out.append(
                "{}: in {} is not out {} + held {} + failed {}".format(stage["name"], *parts)
            )
        elif stage["held"]:
            out.append(f"{stage['name']} holds {stage['held']} at rest")
    return out


def memory(evidence: Evidence, bounds: Bounds) -> list[str]:
    out = []
    for name, seen in evidence.memory.items():
        if max(seen, default=0) > bounds.memory_mb:
            out.append(f"{name} came to {max(seen):.0f} MB, more than {bounds.memory_mb:.0f}")
        rise = slope(seen)
        if rise is not None and rise > bounds.slope_mb:
            out.append(f"{name} grows by {rise:.1f} MB a minute, more than {bounds.slope_mb:.1f}")
    return out


def slope(seen: list[float]) -> float | None:
    """MB per minute over the last stretch without a restart, its first third left out: a process
    that has just begun fills its caches. One sample a second; None if the stretch is short."""
    begin = 0
    for at, (before, now) in enumerate(pairwise(seen), 1):
        begin = at if now < before * 0.8 else begin
    stretch = seen[begin:]
    stretch = stretch[len(stretch) // 3 :]
    return linear_regression(range(len(stretch)), stretch).slope * 60 if len(stretch) > 60 else None
