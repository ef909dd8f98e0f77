"""Work after a transaction of the event writer: store rejected events as dead letters, determine the outcome
of each event, and remove pending comments, follows and likes whose rows exist.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from app.aggregation.windows import WindowStateLost
from app.domain.event_status import GATHERED_OUTCOME
from app.domain.events import COMMENT_KINDS, Event, Kind
from app.domain.windows import WindowDecision
from app.ingest.comments import Comments
from app.messaging.dead_letters import DeadLetter, DeadLetterQueue
from app.messaging.publisher import event_to_record
from app.persistence.event_writer import BatchOutcome
from app.persistence.pending_follows import PendingFollows
from app.persistence.written_memberships import (
    MembershipRow,
    WrittenMembership,
    WrittenMemberships,
    written_memberships,
)

MAX_REMOVED_PER_CALL = 500
MAX_REMEMBERED = 100_000


def pending_comment_keys(events: Iterable[Event]) -> list[tuple[str, str]]:
    """(post_id, comment_id) of the comments among these events."""
    return [
        (str(event.metadata["postId"]), event.window_entry_key)
        for event in events
        if event.kind in COMMENT_KINDS
    ]


class PendingEntryCleanup:
    """Comments, follows and likes whose rows exist, while Redis may still list them as pending.

    An offset may be marked applied only after `remove_written_from_pending`: a process that dies in between
    then leaves the event to be read again, and its successor removes the pending entry.
    """

    def __init__(self) -> None:
        self._comment_keys: dict[tuple[str, str], None] = {}
        self._seq_by_follow: dict[tuple[str, str], int] = {}
        self._memberships: list[WrittenMembership] = []
        self._is_overflowed = False

    def add_persisted_events(
        self, events: Iterable[Event], was_active_by_row: Mapping[MembershipRow, bool]
    ) -> None:
        """Adds the events of a committed transaction. Failover writes left nothing pending in Redis; if one
        also went through Redis, that copy arrives separately."""
        redis_events = [event for event in events if not event.bypassed_redis]
        self._comment_keys |= dict.fromkeys(pending_comment_keys(redis_events))
        for event in redis_events:
            if event.kind is Kind.FOLLOW:
                follow_key = str(event.actor_id), event.recipient_id
                self._seq_by_follow[follow_key] = max(event.seq, self._seq_by_follow.get(follow_key, 0))
        self._memberships += written_memberships(redis_events, was_active_by_row)
        if len(self._comment_keys) + len(self._memberships) > MAX_REMEMBERED:
            self._is_overflowed = True
            self._memberships.clear()
            self._comment_keys.clear()
            self._seq_by_follow.clear()

    def remove_written_from_pending(
        self, comments: Comments, pending_follows: PendingFollows, memberships: WrittenMemberships
    ) -> None:
        """Raises Unavailable and keeps the rest. Raises WindowStateLost when there were too many to
        remember: then everything not committed must be read again, now that Redis responds."""
        while comment_keys := list(islice(self._comment_keys, MAX_REMOVED_PER_CALL)):
            comments.remove_written_from_pending(comment_keys)
            for comment_key in comment_keys:
                del self._comment_keys[comment_key]
        while follow_seqs := dict(islice(self._seq_by_follow.items(), MAX_REMOVED_PER_CALL)):
            pending_follows.remove_written_follows(follow_seqs)
            for follow_key in follow_seqs:
                del self._seq_by_follow[follow_key]
        while page := self._memberships[:MAX_REMOVED_PER_CALL]:
            memberships.settle(page)
            del self._memberships[:MAX_REMOVED_PER_CALL]
        if self._is_overflowed:
            self._is_overflowed = False
            raise WindowStateLost


def dead_letter_rejected_events(write_outcome: BatchOutcome, dead_letters: DeadLetterQueue) -> None:
    for event, reason in write_outcome.rejected_events:
        record = event_to_record(event)
        dead_letters.store_and_publish(
            DeadLetter(record.topic, f"event:{event.event_id}", reason, record.value)
        )


def event_outcomes(
    events: Sequence[tuple[int, Event]],
    decisions: Sequence[WindowDecision],
    write_outcome: BatchOutcome,
) -> list[str]:
    """The outcome of each event, in order. The final outcome of a gathered event is set at settling."""
    pairs = zip(events, decisions, strict=True)
    return [_event_outcome(event, decision, write_outcome) for (_, event), decision in pairs]


def _event_outcome(event: Event, decision: WindowDecision, write_outcome: BatchOutcome) -> str:
    """An event that mentions its recipient may have a final outcome before its window closes."""
    written_outcome = write_outcome.outcomes.get(event.event_id)
    if decision is WindowDecision.INSTANT and written_outcome is not None:
        return written_outcome
    is_waiting = written_outcome is None or (
        written_outcome == "delivered" and event.event_id not in write_outcome.announced_as
    )
    if decision is WindowDecision.GATHERED and is_waiting:
        return GATHERED_OUTCOME
    return written_outcome or "merged"


def trace_details_by_event(
    events: Sequence[tuple[int, Event]], outcome_names: Sequence[str], write_outcome: BatchOutcome
) -> dict[str, str]:
    """Trace details by event id: the outcome, and the keys of its rows."""
    announced_events = [write_outcome.announced_as.get(event.event_id, event) for _, event in events]
    return {
        event.event_id: f"{outcome} {event.seq} {event.recipient_id} {event.kind.value} "
        f"{event.group_object_id} {event.actor_id or '-'}"
        for event, outcome in zip(announced_events, outcome_names, strict=True)
    }
