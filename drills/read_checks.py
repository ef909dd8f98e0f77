"""Checks of what clients read: their own writes at once, monotonic counts, recovery. Pure functions."""

import math
from bisect import bisect_left
from statistics import median

from app.devtools.checker.request_log import (
    ACKNOWLEDGED,
    DESIRED_ACTIVE_BY_KIND,
    RETRY_LATER,
    UNKNOWN_OUTCOME,
    RequestAttempt,
    RequestLog,
)

MAX_SLOWDOWN_FACTOR, SLOWDOWN_TOLERANCE_SECONDS = 3.0, 0.05
"""Limit for writes after an outage: factor times the latency before it, plus the tolerance."""


def check_counts_never_decrease(request_log: RequestLog) -> list[str]:
    """Of two reads of a post, the later one may show a lower count only by the unlikes in between.

    A request takes effect somewhere between being sent and being answered. An unlike whose outcome is
    unknown may take effect at any later time.
    """
    violations = []
    for post_id in {attempt.object_id for attempt in request_log.attempts_of("like", "unlike", "read")}:
        violations += _check_like_count(
            post_id, [attempt for attempt in request_log.attempts if attempt.object_id == post_id]
        )
    for post_id in {attempt.object_id for attempt in request_log.attempts_of("read")}:
        violations += _check_comment_count(
            post_id, [read for read in request_log.attempts_of("read") if read.object_id == post_id]
        )
    return violations


def _check_like_count(post_id: str, attempts: list[RequestAttempt]) -> list[str]:
    unlikes = [attempt for attempt in attempts if attempt.request_kind == "unlike"]
    unlikes_sent_at = sorted(unlike.sent_at for unlike in unlikes)
    unlikes_acknowledged_at = sorted(
        unlike.answered_at for unlike in unlikes if unlike.outcome == ACKNOWLEDGED
    )
    reads = [attempt for attempt in attempts if _has_fresh_value(attempt, "count")]
    reads_by_end = sorted(reads, key=lambda read: read.answered_at)
    violations, highest_count, next_ended = [], -1, 0
    # Each read is compared with the highest count of the reads that had ended when it was sent. The unlikes
    # that a count certainly includes are added to it, so that only later ones can explain a lower count.
    for read in sorted(reads, key=lambda read: read.sent_at):
        while next_ended < len(reads_by_end) and reads_by_end[next_ended].answered_at < read.sent_at:
            earlier_read = reads_by_end[next_ended]
            highest_count = max(
                highest_count,
                earlier_read.response_fields["count"]
                + _count_before(unlikes_acknowledged_at, earlier_read.sent_at),
            )
            next_ended += 1
        if read.response_fields["count"] + _count_before(unlikes_sent_at, read.answered_at) < highest_count:
            violations.append(
                f"likes of {post_id} decreased to {read.response_fields['count']} at {read.answered_at:.3f}"
            )
    return violations


def _check_comment_count(post_id: str, read_attempts: list[RequestAttempt]) -> list[str]:
    """No comment is deleted in a drill."""
    violations, highest_count, next_ended = [], -1, 0
    reads = [attempt for attempt in read_attempts if _has_fresh_value(attempt, "comments")]
    reads_by_end = sorted(reads, key=lambda read: read.answered_at)
    for read in sorted(reads, key=lambda read: read.sent_at):
        while next_ended < len(reads_by_end) and reads_by_end[next_ended].answered_at < read.sent_at:
            highest_count = max(highest_count, reads_by_end[next_ended].response_fields["comments"])
            next_ended += 1
        if read.response_fields["comments"] < highest_count:
            violations.append(
                f"comments of {post_id} decreased from {highest_count} to {read.response_fields['comments']}"
            )
    return violations


def check_read_your_writes(request_log: RequestLog) -> list[str]:
    """A user's read shows their last write, whichever process answers."""
    violations = []
    possible_states: dict[tuple[str, str], set[bool]] = {}
    for attempt in request_log.attempts_of("like", "unlike", "read"):
        pair = (attempt.object_id, attempt.actor_id)
        expected = possible_states.get(pair, {False})
        if attempt.request_kind != "read":
            desired_active = DESIRED_ACTIVE_BY_KIND[attempt.request_kind]
            if attempt.outcome == ACKNOWLEDGED:
                possible_states[pair] = {desired_active}
            elif attempt.outcome in (UNKNOWN_OUTCOME, RETRY_LATER):
                possible_states[pair] = expected | {desired_active}
        elif _has_fresh_value(attempt, "active") and attempt.response_fields["active"] not in expected:
            violations.append(
                f"{attempt.actor_id} read {attempt.response_fields['active']} of {attempt.object_id}"
            )
    return violations


def measure_recovery(request_log: RequestLog, recovered_at: float) -> float:
    """Seconds from a recovery of Redis until the last stale response; 0 if there was none."""
    last_stale_at = max(
        (attempt.answered_at for attempt in request_log.attempts if _is_stale(attempt)),
        default=recovered_at,
    )
    return max(0.0, last_stale_at - recovered_at)


def check_recovery(
    request_log: RequestLog, recovery_times: tuple[float, ...], max_recovery_seconds: float
) -> list[str]:
    """After the last recovery no response is stale, and writes take about as long as before the outage."""
    if not recovery_times or math.isinf(max_recovery_seconds):
        return []
    recovery_seconds = measure_recovery(request_log, recovery_times[-1])
    violations = (
        [f"a response was stale {recovery_seconds:.1f} s after the recovery of Redis"]
        if recovery_seconds > max_recovery_seconds
        else []
    )
    outage_started_at = min(
        (attempt.sent_at for attempt in request_log.attempts if _is_stale(attempt)),
        default=recovery_times[-1],
    )
    latency_before = compute_median_like_seconds(request_log, 0.0, outage_started_at)
    latency_after = compute_median_like_seconds(
        request_log, recovery_times[-1] + max_recovery_seconds, math.inf
    )
    if latency_after > MAX_SLOWDOWN_FACTOR * latency_before + SLOWDOWN_TOLERANCE_SECONDS:
        violations.append(
            f"writes take {latency_after * 1000:.0f} ms, before the outage {latency_before * 1000:.0f} ms"
        )
    return violations


def compute_median_like_seconds(request_log: RequestLog, start_at: float, end_at: float) -> float:
    """Median latency of the likes sent in that time; 0 if there were none."""
    likes = [
        attempt
        for attempt in request_log.attempts_of("like")
        if attempt.outcome == ACKNOWLEDGED and start_at <= attempt.sent_at < end_at
    ]
    return median(like.latency_seconds for like in likes) if likes else 0.0


def _is_stale(attempt: RequestAttempt) -> bool:
    return bool(attempt.response_fields.get("stale"))


def _has_fresh_value(attempt: RequestAttempt, field_name: str) -> bool:
    """Responses marked stale are not checked."""
    return (
        attempt.outcome == ACKNOWLEDGED
        and field_name in attempt.response_fields
        and not attempt.response_fields.get("stale")
    )


def _count_before(times: list[float], limit: float) -> int:
    return bisect_left(times, limit)
