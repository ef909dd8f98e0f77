"""Checks of what sockets received: every client event once, in order, codes in time. Pure functions."""

from app.devtools.checker.request_log import (
    ACKNOWLEDGED,
    ReceivedClientEvent,
    RequestAttempt,
    RequestLog,
    RoomJoin,
)
from drills.final_state import FinalState, extract_uuid7_ms

CLOCK_TOLERANCE_MS = 20
MAX_MISSED_CLIENT_EVENTS = 300
"""Part of the socket protocol: a client that missed more has to reload."""


def check_sockets(request_log: RequestLog, final_state: FinalState, may_require_reload: bool) -> list[str]:
    violations = []
    for user_id, last_client_seq in final_state.last_client_seq_by_user.items():
        client_events = [event for event in request_log.client_events if event.user_id == user_id]
        joins = [join for join in request_log.joins if join.user_id == user_id and join.epoch]
        if not joins:
            violations.append(f"{user_id} never joined")
            continue
        reload_joins = [join for join in joins if not join.is_recovered and not join.is_first_join]
        reload_seqs = [join.client_seq or 0 for join in reload_joins]
        needless_reload_seqs = [
            join.client_seq
            for join in reload_joins
            if _count_missed(join, client_events) <= MAX_MISSED_CLIENT_EVENTS
        ]
        if needless_reload_seqs and not may_require_reload:
            violations.append(f"{user_id} had to reload at {needless_reload_seqs}")
        first_seq = max([joins[0].client_seq or 0, *reload_seqs])
        sequenced_events = [event for event in client_events if event.client_seq is not None]
        violations += _check_no_gaps(user_id, sequenced_events, first_seq, last_client_seq)
        violations += _check_one_seq_per_version(user_id, sequenced_events)
        violations += _check_order(user_id, sequenced_events, reloaded=bool(reload_seqs))
        violations += _check_unread_count_order(user_id, client_events)
    return violations


def _count_missed(join: RoomJoin, client_events: list[ReceivedClientEvent]) -> int:
    received_seqs = [
        client_event.client_seq or 0
        for client_event in client_events
        if client_event.received_at <= join.joined_at
    ]
    return (join.client_seq or 0) - max(received_seqs, default=0)


def _check_no_gaps(
    user_id: str, client_events: list[ReceivedClientEvent], first_seq: int, last_client_seq: int
) -> list[str]:
    received_seqs = {client_event.client_seq for client_event in client_events}
    missing = [seq for seq in range(first_seq + 1, last_client_seq + 1) if seq not in received_seqs]
    unknown_seqs = sorted(seq for seq in received_seqs if seq is not None and seq > last_client_seq)
    violations = (
        [f"{user_id} did not receive {missing[:10]} ({len(missing)} of {last_client_seq})"] if missing else []
    )
    return violations + ([f"{user_id} received unknown numbers {unknown_seqs}"] if unknown_seqs else [])


def _check_one_seq_per_version(user_id: str, client_events: list[ReceivedClientEvent]) -> list[str]:
    """A redelivery has the same id and version; no version has two numbers."""
    violations = []
    by_seq: dict[int | None, tuple[str, str | None, int | None]] = {}
    by_version: dict[tuple[str | None, int | None], int | None] = {}
    for client_event in client_events:
        identity = (client_event.event_name, client_event.notification_id, client_event.version)
        if by_seq.setdefault(client_event.client_seq, identity) != identity:
            violations.append(
                f"{user_id}: number {client_event.client_seq} was "
                f"{by_seq[client_event.client_seq]} and {identity}"
            )
        first_seq = by_version.setdefault(
            (client_event.notification_id, client_event.version), client_event.client_seq
        )
        if first_seq != client_event.client_seq:
            violations.append(f"{user_id}: {identity} had numbers {first_seq} and {client_event.client_seq}")
    return violations


def _check_order(user_id: str, client_events: list[ReceivedClientEvent], reloaded: bool) -> list[str]:
    """A page ignores numbers below the highest it has, so a late event is a lost one."""
    if reloaded:
        return []
    violations, highest_seq, received_seqs = [], 0, set()
    for client_event in client_events:
        seq = client_event.client_seq or 0
        if seq not in received_seqs and seq < highest_seq:
            violations.append(f"{user_id} first received {seq} after {highest_seq}")
        received_seqs.add(seq)
        highest_seq = max(highest_seq, seq)
    return violations


def _check_unread_count_order(user_id: str, client_events: list[ReceivedClientEvent]) -> list[str]:
    violations, highest_version = [], -1
    for client_event in client_events:
        if client_event.event_name == "unread_count" and client_event.version is not None:
            if client_event.version < highest_version:
                violations.append(
                    f"{user_id}: unread count version {client_event.version} arrived after {highest_version}"
                )
            highest_version = max(highest_version, client_event.version)
    return violations


def measure_otp_delivery(request_log: RequestLog, final_state: FinalState) -> list[float | None]:
    """Per acknowledged code: seconds from the request to its arrival; None if it did not arrive.

    Codes without a row are not included: check_otp_requests counts them as lost.
    """
    received_at: dict[tuple[str, str | None], float] = {}
    for client_event in request_log.client_events:
        key = (client_event.user_id, client_event.notification_id)
        received_at[key] = min(client_event.received_at, received_at.get(key, client_event.received_at))
    delays: list[float | None] = []
    for attempt in request_log.attempts_of("otp"):
        if attempt.outcome == ACKNOWLEDGED and (ids := _find_otp_ids(attempt, final_state)):
            arrival_times = [
                received_at[attempt.actor_id, object_id]
                for object_id in ids
                if (attempt.actor_id, object_id) in received_at
            ]
            delays.append(min(arrival_times) - attempt.sent_at if arrival_times else None)
    return delays


def _find_otp_ids(attempt: RequestAttempt, final_state: FinalState) -> list[str]:
    """The ids of the row and the event of this request, found by the time in the event's UUIDv7."""
    earliest_ms, latest_ms = (
        attempt.sent_at * 1000 - CLOCK_TOLERANCE_MS,
        attempt.answered_at * 1000 + CLOCK_TOLERANCE_MS,
    )
    return [
        object_id
        for notification_id, event_id in final_state.otp_ids_by_user.get(attempt.actor_id, [])
        if earliest_ms <= extract_uuid7_ms(event_id) <= latest_ms
        for object_id in (notification_id, event_id)
    ]


def measure_push_recovery(request_log: RequestLog, recovered_at: float) -> float | None:
    """Seconds from a recovery of Redis to the first live event; None if none arrived.

    Users with codes are left out: critical delivery does not need Redis.
    """
    otp_user_ids = {attempt.actor_id for attempt in request_log.attempts_of("otp")}
    live_received_at = (
        event.received_at
        for event in request_log.client_events
        if event.is_live and event.user_id not in otp_user_ids
    )
    first_received_at = min((time for time in live_received_at if time > recovered_at), default=None)
    return None if first_received_at is None else first_received_at - recovered_at


def check_push_recovery(
    request_log: RequestLog, recovery_times: tuple[float, ...], max_seconds: float
) -> list[str]:
    """Live push resumes soon after the last recovery."""
    if not recovery_times:
        return []
    recovery_seconds = measure_push_recovery(request_log, recovery_times[-1])
    if recovery_seconds is None:
        return ["no live event arrived after the recovery of Redis"]
    return [f"live push resumed after {recovery_seconds:.1f} s, more than {max_seconds:.1f}"] * (
        recovery_seconds > max_seconds
    )


def p99(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))] if values else 0.0


def check_critical_delivery(
    request_log: RequestLog, final_state: FinalState, max_p99_seconds: float
) -> list[str]:
    delays = measure_otp_delivery(request_log, final_state)
    undelivered_count = delays.count(None)
    violations = (
        [f"{undelivered_count} acknowledged codes did not reach their socket"] if undelivered_count else []
    )
    p99_seconds = p99([delay for delay in delays if delay is not None])
    return (
        [*violations, f"p99 of codes is {p99_seconds:.2f} s, more than {max_p99_seconds:.1f}"]
        if p99_seconds > max_p99_seconds
        else violations
    )
