"""Compares the clients' request log with the final state. Pure functions.

Returns violations per invariant. Each function checks one invariant; tests/drills has a violation of each.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import linear_regression

from app.devtools.checker.request_log import ACKNOWLEDGED, REFUSED, RETRY_LATER, UNKNOWN_OUTCOME, RequestLog
from app.devtools.checker.write_checks import check_comments, check_memberships, check_otp_requests
from drills import read_checks, socket_checks
from drills.final_state import FinalState

REQUIRED_KINDS = ("like", "unlike", "comment", "otp", "read")
BUSY_MACHINE_DELAY_SECONDS, MAX_UNEXPLAINED_SHARE = 1.0, 0.01
MAX_RARE_RETRY_LATER_SHARE = 0.02
REQUEST_IN_PROGRESS_STATUS = 409
"""The first request with this Idempotency-Key is still running; this one had no effect."""


@dataclass(frozen=True)
class CheckLimits:
    """What a drill allows. Time limits include the slack for a busy machine."""

    max_response_seconds: float
    max_critical_p99_seconds: float
    retry_later_kinds: frozenset[str] = frozenset()
    """Kinds of request that may be answered 429 or 503."""
    rare_retry_later_kinds: frozenset[str] = frozenset()
    """Those of them that have an alternative path: only a small share may be answered 503."""
    may_drop_connections: bool = False
    may_require_reload: bool = False
    """Clients may have to reload, because the event history was lost."""
    max_lost_writes: int = 0
    """Acknowledged writes that may be lost: only where the guarantee says so (FLUSHALL)."""
    max_memory_mb: float = 600.0
    max_memory_growth_mb_per_minute: float = float("inf")
    expected_dead_letters: frozenset[tuple[str, str]] = frozenset()
    unawaited_loops: frozenset[str] = frozenset()
    """Worker loops that may have a backlog at the end."""
    max_push_recovery_seconds: float = 5.0
    redis_recovery_times: tuple[float, ...] = ()
    """Unix times at which Redis was available again."""
    max_recovery_seconds: float = float("inf")
    """After the last recovery; later no response may be stale, nor slow as during the outage."""


@dataclass
class CheckReport:
    """`lost` and `unexpected` describe writes; `violations` are the other invariants, by name."""

    lost: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    violations: dict[str, list[str]] = field(default_factory=dict)

    def passed(self, max_lost_writes: int) -> bool:
        return len(self.lost) <= max_lost_writes and not self.unexpected and not self.violations


def check_run(request_log: RequestLog, final_state: FinalState, limits: CheckLimits) -> CheckReport:
    report = CheckReport()
    for check_function in (check_memberships, check_comments, check_otp_requests):
        lost, unexpected = check_function(request_log, final_state)
        report.lost += lost
        report.unexpected += unexpected
    report.lost += check_delivery_log(final_state)
    checks: dict[str, Callable[[], list[str]]] = {
        "load": lambda: check_load(request_log),
        "responses": lambda: check_responses(request_log, limits),
        "alternative path": lambda: check_rare_retry_later(request_log, limits),
        "response time": lambda: check_response_times(request_log, limits),
        "monotonic counts": lambda: read_checks.check_counts_never_decrease(request_log),
        "read your writes": lambda: read_checks.check_read_your_writes(request_log),
        "sockets": lambda: socket_checks.check_sockets(request_log, final_state, limits.may_require_reload),
        "critical delivery": lambda: socket_checks.check_critical_delivery(
            request_log, final_state, limits.max_critical_p99_seconds
        ),
        "live push": lambda: socket_checks.check_push_recovery(
            request_log, limits.redis_recovery_times, limits.max_push_recovery_seconds
        ),
        "normal operation": lambda: read_checks.check_recovery(
            request_log, limits.redis_recovery_times, limits.max_recovery_seconds
        ),
        "tables": lambda: final_state.store_violations,
        "counts": lambda: check_api_counts(final_state),
        "dead letters": lambda: check_dead_letters(final_state, limits),
        "stage totals": lambda: check_stage_totals(final_state, limits),
        "memory": lambda: check_memory(final_state, limits),
    }
    report.violations = {name: violations for name, check in checks.items() if (violations := check())}
    return report


def check_load(request_log: RequestLog) -> list[str]:
    """A drill without load proves nothing."""
    acknowledged_counts = {
        kind: sum(attempt.outcome == ACKNOWLEDGED for attempt in request_log.attempts_of(kind))
        for kind in REQUIRED_KINDS
    }
    return [
        f"only {count} of {kind} were acknowledged"
        for kind, count in acknowledged_counts.items()
        if count < 5
    ]


def check_responses(request_log: RequestLog, limits: CheckLimits) -> list[str]:
    """Every 429 and 503 has a code and Retry-After, and is allowed for its kind; there are no other errors.

    A machine on which the clients' own timer is late by a second may delay some requests as well.
    """
    violations, unexplained = [], []
    for attempt in request_log.attempts:
        description = f"{attempt.request_kind} by {attempt.actor_id}: {attempt.status} {attempt.code}"
        if attempt.status in (429, 503) and not (attempt.code and attempt.retry_after):
            violations.append(f"{description} without code or Retry-After")
        elif attempt.status >= 500 and attempt.status != 503:
            violations.append(description)
        elif attempt.outcome == RETRY_LATER and attempt.request_kind not in limits.retry_later_kinds:
            unexplained.append(f"{description} although nothing it needs was unavailable")
        elif attempt.outcome == REFUSED and attempt.status not in (0, REQUEST_IN_PROGRESS_STATUS):
            violations.append(f"{description} although the request was valid")
        elif attempt.outcome == UNKNOWN_OUTCOME and attempt.status == 0 and not limits.may_drop_connections:
            violations.append(f"{description}: connection lost or timed out")
    machine_is_busy = request_log.max_timer_delay_seconds > BUSY_MACHINE_DELAY_SECONDS and len(
        unexplained
    ) <= MAX_UNEXPLAINED_SHARE * len(request_log.attempts)
    return violations if machine_is_busy else violations + unexplained


def check_rare_retry_later(request_log: RequestLog, limits: CheckLimits) -> list[str]:
    """Where an alternative path exists it is used: very few requests are answered 503."""
    attempts = [
        attempt for attempt in request_log.attempts if attempt.request_kind in limits.rare_retry_later_kinds
    ]
    deferred = [attempt for attempt in attempts if attempt.outcome == RETRY_LATER]
    if len(deferred) <= MAX_RARE_RETRY_LATER_SHARE * len(attempts):
        return []
    codes = ", ".join(sorted({attempt.code or "no code" for attempt in deferred}))
    return [f"{len(deferred)} of {len(attempts)} had to retry although an alternative path exists: {codes}"]


def check_response_times(request_log: RequestLog, limits: CheckLimits) -> list[str]:
    """No request exceeds the time limit."""
    slow_attempts = [
        attempt
        for attempt in request_log.attempts
        if attempt.answered_at and attempt.latency_seconds > limits.max_response_seconds
    ]
    return [
        f"{attempt.request_kind} took {attempt.latency_seconds:.1f} s ({attempt.status or 'no response'}), "
        f"more than {limits.max_response_seconds:.1f}"
        for attempt in slow_attempts
    ]


def check_delivery_log(final_state: FinalState) -> list[str]:
    """Every client event that was sent is in the delivery log."""
    missing = final_state.sent_client_events - final_state.logged_client_events
    return [
        f"client event {client_seq} of {user_id} is not in the delivery log"
        for user_id, client_seq in sorted(missing)
    ]


def check_api_counts(final_state: FinalState) -> list[str]:
    """Both web processes show the counts of the rows."""
    violations = []
    for post_id, row_counts in final_state.row_counts_by_post.items():
        for server, api_counts in enumerate(final_state.api_counts_by_server):
            if api_counts.get(post_id) != row_counts:
                violations.append(
                    f"post {post_id}: web {server + 1} shows {api_counts.get(post_id)}, rows {row_counts}"
                )
    return violations


def check_dead_letters(final_state: FinalState, limits: CheckLimits) -> list[str]:
    """The dead letters are exactly the injected invalid records."""
    return [
        *(
            f"{dead_letter} is not among the dead letters"
            for dead_letter in limits.expected_dead_letters - final_state.dead_letters
        ),
        *(
            f"{dead_letter} is a dead letter"
            for dead_letter in final_state.dead_letters - limits.expected_dead_letters
        ),
    ]


def check_stage_totals(final_state: FinalState, limits: CheckLimits) -> list[str]:
    """in = out + held + failed in every stage; at quiescence nothing is held, but by unawaited loops."""
    violations = []
    for stage in final_state.pipeline_stages:
        totals = (stage["in"], stage["out"], stage["held"], stage["failed"])
        if None in totals or stage["in"] != stage["out"] + stage["held"] + stage["failed"]:
            violations.append("{}: in {} is not out {} + held {} + failed {}".format(stage["name"], *totals))
        elif stage["held"] and stage["name"] not in limits.unawaited_loops:
            violations.append(f"{stage['name']} holds {stage['held']} at quiescence")
    return violations


def check_memory(final_state: FinalState, limits: CheckLimits) -> list[str]:
    violations = []
    for name, samples_mb in final_state.memory_samples_mb.items():
        if max(samples_mb, default=0) > limits.max_memory_mb:
            violations.append(
                f"{name} reached {max(samples_mb):.0f} MB, more than {limits.max_memory_mb:.0f}"
            )
        growth = estimate_memory_growth(samples_mb)
        if growth is not None and growth > limits.max_memory_growth_mb_per_minute:
            violations.append(
                f"{name} grows by {growth:.1f} MB per minute, "
                f"more than {limits.max_memory_growth_mb_per_minute:.1f}"
            )
    return violations


def estimate_memory_growth(samples_mb: list[float]) -> float | None:
    """MB per minute since the last restart, without the first third, in which caches fill.

    One sample per second; None if there are too few.
    """
    segment_start = 0
    for index, (previous, current) in enumerate(pairwise(samples_mb), 1):
        segment_start = index if current < previous * 0.8 else segment_start
    segment = samples_mb[segment_start:]
    segment = segment[len(segment) // 3 :]
    return linear_regression(range(len(segment)), segment).slope * 60 if len(segment) > 60 else None
