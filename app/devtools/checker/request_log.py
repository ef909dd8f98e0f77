"""The log of the simulated clients: each request before it is sent, its response, and socket events.

A file of JSON lines, appended to by the load generators of the drills and of the storm. Outcomes:
`acknowledged` (2xx); `refused` (4xx or connection refused: no effect); `retry later` (429 or 503: takes
effect at most once); `unknown` (5xx, connection lost or timed out: the same).
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REQUEST_LOG_NAME = "requests.jsonl"
ACKNOWLEDGED, REFUSED, RETRY_LATER, UNKNOWN_OUTCOME = "acknowledged", "refused", "retry later", "unknown"
ENTRY_TYPE_FIELD = "entry"
"""Values: request, response, client_event, join, timer_delay. Other fields are those of the classes."""
DESIRED_ACTIVE_BY_KIND = {"like": True, "unlike": False, "follow": True, "unfollow": False}
WRITE_KINDS = (*DESIRED_ACTIVE_BY_KIND, "comment", "otp")


def outcome_of_status(status: int) -> str:
    """The outcome of a response. Part of a request may have taken effect before a 5xx other than 503."""
    if status < 300:
        return ACKNOWLEDGED
    if status in (429, 503):
        return RETRY_LATER
    return UNKNOWN_OUTCOME if status >= 500 else REFUSED


@dataclass(slots=True)
class RequestAttempt:
    """One request. Retries of an operation share `operation_id`."""

    operation_id: int
    attempt_number: int
    request_kind: str
    actor_id: str
    object_id: str
    sent_at: float
    has_idempotency_key: bool = False
    """It had an Idempotency-Key, so that a retry is safe."""
    outcome: str = UNKNOWN_OUTCOME
    """Unknown until a response is logged."""
    answered_at: float = 0.0
    status: int = 0
    code: str | None = None
    retry_after: str | None = None
    server_index: int = 0
    response_fields: dict[str, Any] = field(default_factory=dict)
    """count, active, comments, id, stale: the fields of the body that are checked."""

    @property
    def latency_seconds(self) -> float:
        return self.answered_at - self.sent_at


@dataclass(frozen=True, slots=True)
class ReceivedClientEvent:
    """An event that a socket received: pushed (`is_live`), or listed as missed in the response to a join."""

    user_id: str
    received_at: float
    event_name: str
    notification_id: str | None
    client_seq: int | None
    version: int | None
    notification_type: str | None
    is_live: bool
    unread_count: int | None = None


@dataclass(frozen=True, slots=True)
class RoomJoin:
    user_id: str
    joined_at: float
    epoch: str | None
    client_seq: int | None
    is_recovered: bool
    is_first_join: bool


@dataclass(slots=True)
class RequestLog:
    attempts: list[RequestAttempt] = field(default_factory=list)
    client_events: list[ReceivedClientEvent] = field(default_factory=list)
    joins: list[RoomJoin] = field(default_factory=list)
    max_timer_delay_seconds: float = 0.0
    """The largest delay of the clients' own timer: caused by the machine, not by the product."""

    def attempts_of(self, *request_kinds: str) -> list[RequestAttempt]:
        return [attempt for attempt in self.attempts if attempt.request_kind in request_kinds]

    def attempts_by_operation(self, *request_kinds: str) -> dict[int, list[RequestAttempt]]:
        """operation_id -> its attempts in order."""
        attempts_by_operation_id: dict[int, list[RequestAttempt]] = {}
        for attempt in self.attempts_of(*request_kinds):
            attempts_by_operation_id.setdefault(attempt.operation_id, []).append(attempt)
        return attempts_by_operation_id


def read_request_log(path: Path) -> RequestLog:
    with path.open() as lines:
        return parse_request_log(lines)


def parse_request_log(lines: Iterable[str]) -> RequestLog:
    """Ignores an incomplete last line."""
    request_log = RequestLog()
    unanswered: dict[tuple[int, int], RequestAttempt] = {}
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        _add_entry(request_log, unanswered, entry.pop(ENTRY_TYPE_FIELD), entry)
    return request_log


def _add_entry(
    request_log: RequestLog,
    unanswered: dict[tuple[int, int], RequestAttempt],
    entry_type: str,
    entry: dict[str, Any],
) -> None:
    match entry_type:
        case "request":
            attempt = RequestAttempt(**entry)
            unanswered[attempt.operation_id, attempt.attempt_number] = attempt
            request_log.attempts.append(attempt)
        case "response":
            attempt = unanswered[entry.pop("operation_id"), entry.pop("attempt_number")]
            for name, value in entry.items():
                setattr(attempt, name, value)
        case "client_event":
            request_log.client_events.append(ReceivedClientEvent(**entry))
        case "join":
            request_log.joins.append(RoomJoin(**entry))
        case "timer_delay":
            request_log.max_timer_delay_seconds = max(
                request_log.max_timer_delay_seconds, float(entry["seconds"])
            )
