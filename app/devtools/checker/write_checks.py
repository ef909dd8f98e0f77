"""Compares acknowledged writes with stored rows. Pure functions; each returns lost and unexpected ones."""

from dataclasses import dataclass, field

from app.devtools.checker.request_log import (
    ACKNOWLEDGED,
    DESIRED_ACTIVE_BY_KIND,
    REFUSED,
    RETRY_LATER,
    UNKNOWN_OUTCOME,
    WRITE_KINDS,
    RequestAttempt,
    RequestLog,
)

MembershipStates = dict[tuple[str, str], bool]
"""(object id, user id) -> active."""
LostAndUnexpected = tuple[list[str], list[str]]
"""Descriptions of lost writes and of unexpected rows."""


@dataclass
class StoredWrites:
    """What is stored of the writes that were requested."""

    memberships_by_table: dict[str, MembershipStates] = field(default_factory=dict)
    comment_texts: list[str] = field(default_factory=list)
    """Each is a unique marker."""
    otp_ids_by_user: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """User id -> (notification id, event id) of each code."""


def compute_possible_states(attempts: list[RequestAttempt]) -> set[bool]:
    """The states that a membership may have after these attempts, in order."""
    states = {False}
    for attempt in attempts:
        if attempt.outcome == ACKNOWLEDGED:
            states = {DESIRED_ACTIVE_BY_KIND[attempt.request_kind]}
        elif attempt.outcome in (UNKNOWN_OUTCOME, RETRY_LATER):
            states = states | {DESIRED_ACTIVE_BY_KIND[attempt.request_kind]}
    return states


def check_memberships(request_log: RequestLog, stored: StoredWrites) -> LostAndUnexpected:
    """Each like and follow has the state of its last acknowledged request; no other rows exist."""
    lost, unexpected = [], []
    for kinds, table in ((("like", "unlike"), "likes"), (("follow", "unfollow"), "follows")):
        attempts_by_pair: dict[tuple[str, str], list[RequestAttempt]] = {}
        for attempt in request_log.attempts_of(*kinds):
            attempts_by_pair.setdefault((attempt.object_id, attempt.actor_id), []).append(attempt)
        stored_states = stored.memberships_by_table.get(table, {})
        for pair, attempts in attempts_by_pair.items():
            is_active = stored_states.get(pair, False)
            if is_active not in compute_possible_states(attempts):
                lost.append(f"{table} {pair} is {is_active}: {_format_attempts(attempts)}")
        unexpected += [
            f"{table} {pair} was never requested" for pair in stored_states if pair not in attempts_by_pair
        ]
    return lost, unexpected


def check_comments(request_log: RequestLog, stored: StoredWrites) -> LostAndUnexpected:
    """An acknowledged comment is stored once, one with an unknown outcome at most once, no other is."""
    lost, unexpected = [], []
    stored_counts: dict[str, int] = {}
    for marker in stored.comment_texts:
        stored_counts[marker] = stored_counts.get(marker, 0) + 1
    operations = request_log.attempts_by_operation("comment")
    attempts_by_marker = {attempts[0].object_id.split()[1]: attempts for attempts in operations.values()}
    for marker, attempts in attempts_by_marker.items():
        count = stored_counts.pop(marker, 0)
        outcomes = [attempt.outcome for attempt in attempts]
        if ACKNOWLEDGED in outcomes and count == 0:
            lost.append(f"comment {marker}: {_format_attempts(attempts)}")
        if count > 1 or (count and set(outcomes) == {REFUSED}):
            unexpected.append(f"comment {marker} is stored {count} times: {_format_attempts(attempts)}")
    return lost, unexpected + [f"comment {marker} was never sent" for marker in stored_counts]


def check_otp_requests(request_log: RequestLog, stored: StoredWrites) -> LostAndUnexpected:
    """Per user: at least as many codes as were acknowledged, at most as many as were requested."""
    lost, unexpected = [], []
    user_ids = {attempt.actor_id for attempt in request_log.attempts_of("otp")} | set(stored.otp_ids_by_user)
    for user_id in user_ids:
        attempts = [attempt for attempt in request_log.attempts_of("otp") if attempt.actor_id == user_id]
        acknowledged_count = sum(attempt.outcome == ACKNOWLEDGED for attempt in attempts)
        max_count = sum(attempt.outcome != REFUSED for attempt in attempts)
        stored_count = len(stored.otp_ids_by_user.get(user_id, []))
        if stored_count < acknowledged_count:
            lost += [f"{acknowledged_count - stored_count} codes of {user_id}"] * (
                acknowledged_count - stored_count
            )
        if stored_count > max_count:
            unexpected.append(f"{user_id} requested {max_count} codes and got {stored_count}")
    return lost, unexpected


def count_outcomes(request_log: RequestLog) -> dict[str, int]:
    """Write operations by outcome."""
    outcomes = [
        ACKNOWLEDGED if any(attempt.outcome == ACKNOWLEDGED for attempt in attempts) else attempts[-1].outcome
        for attempts in request_log.attempts_by_operation(*WRITE_KINDS).values()
    ]
    return {
        "acknowledged": outcomes.count(ACKNOWLEDGED),
        "refused": outcomes.count(REFUSED) + outcomes.count(RETRY_LATER),
        "unknown": outcomes.count(UNKNOWN_OUTCOME),
    }


def _format_attempts(attempts: list[RequestAttempt]) -> str:
    return ", ".join(
        f"{attempt.request_kind} {attempt.outcome} {attempt.sent_at:.3f}-{attempt.answered_at:.3f}"
        for attempt in attempts[-4:]
    )
