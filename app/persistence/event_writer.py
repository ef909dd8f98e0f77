"""The event writer: one transaction turns a batch of events into rows, groups, counters and outbox rows.

In: batches of workers/aggregator.py (announced now) and workers/flusher.py (windows that close).
Out: PostgreSQL tables likes, follows, comments, notifications, notification_actors and outbox, which
app/messaging/outbox_relay.py publishes.

Everything is derived from the rows that really changed in the same transaction. A repeated, late or
duplicated batch therefore changes nothing and announces nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DataError, IntegrityError

from app.clients.gevent_setup import iterate_cooperatively
from app.clients.postgres import translate_errors
from app.domain.clock import TimeAndIdSource
from app.domain.events import UNGROUPED_KINDS, Event, Kind
from app.domain.group_planning import group_lock_order, plan_group_changes, plan_ungrouped_notification
from app.domain.grouping import ActorChange, AnnounceWhen, Group, GroupKey, GroupPlan, GroupPlanContext
from app.domain.preferences import SuppressionReason
from app.persistence import clear_watermarks, groups
from app.persistence.announcement_decisions import (
    actor_change_of,
    deactivate_follow_if_blocked,
    decide_announcement,
    effective_announce_when,
    group_key_of,
    iter_suppressed_events,
    needs_actor_profile,
)
from app.persistence.batch_writes import write_event_rows
from app.persistence.blocks import find_blocked_follow_event_ids
from app.persistence.critical_notify import CriticalClientEvent
from app.persistence.outbox_writer import AnnouncementBatch, write_announcements
from app.persistence.pending_cache_updates import RedisUpdateQueue
from app.persistence.previous_announcements import load_previously_announced_kinds
from app.persistence.recipients import AnnouncementContext, load_announcement_context
from app.persistence.remaining_comments import load_remaining_comment_seqs
from app.persistence.suppressed_events import SuppressedEvent, insert_suppressed_outbox_rows
from app.persistence.written_memberships import MembershipRow


class EventToWrite(NamedTuple):
    """An event and when it is announced."""

    event: Event
    announce_when: AnnounceWhen


@dataclass(frozen=True, slots=True)
class EventBatch:
    """The input of one transaction. `closing_groups`: groups whose window ends with this batch.
    `pushes_by_notify`: web processes learn of its client events by NOTIFY, not only of critical ones."""

    items: tuple[EventToWrite, ...]
    closing_groups: frozenset[GroupKey] = frozenset()
    pushes_by_notify: bool = False


@dataclass(slots=True)
class BatchOutcome:
    """The result of a batch: the coded outcome of each event by its id."""

    outcomes: dict[str, str] = field(default_factory=dict)
    rejected_events: list[tuple[Event, str]] = field(default_factory=list)
    """Events whose data PostgreSQL rejected, each with the reason."""
    announced_as: dict[str, Event] = field(default_factory=dict)
    """By event id: the event as it was announced, where its kind differs from the original."""
    client_event_count: int = 0
    critical_events: tuple[CriticalClientEvent, ...] = ()
    expired_events: tuple[Event, ...] = ()
    """Events of this transaction that were left out because their post or user no longer exists."""
    was_active_by_row: dict[MembershipRow, bool] = field(default_factory=dict)
    """The state of each written like and follow before this transaction."""


class EventWriter:
    def __init__(
        self,
        engine: Engine,
        group_max_hours: float,
        clock: TimeAndIdSource,
        redis_updates: RedisUpdateQueue | None = None,
    ) -> None:
        self._engine = engine
        self._max_group_age = timedelta(hours=group_max_hours)
        self._clock = clock
        self._redis_updates = redis_updates

    def write(self, batch: EventBatch, retry_on_conflict: bool = True) -> BatchOutcome:
        """Writes the whole batch or nothing. Raises Unavailable when PostgreSQL is unavailable.

        A batch whose data PostgreSQL rejects is bisected until the bad event is alone; that event is
        reported in `rejected_events` and the others are written.
        """
        if not batch.items and not batch.closing_groups:
            return BatchOutcome()
        try:
            with translate_errors("write the batch"), self._engine.begin() as conn:
                outcome = self.write_in_transaction(conn, batch)
        except IntegrityError as exc:
            # A user or post may have been deleted between the check and the write: retry once.
            return self.write(batch, False) if retry_on_conflict else self._bisect_rejected_batch(batch, exc)
        except (DataError, UnicodeEncodeError, ValueError) as exc:
            return self._bisect_rejected_batch(batch, exc)
        if self._redis_updates:
            self._redis_updates.update_after_write(
                outcome.expired_events, [item.event for item in batch.items]
            )
        return outcome

    def _bisect_rejected_batch(self, batch: EventBatch, exc: Exception) -> BatchOutcome:
        if not batch.items:
            raise exc
        if len(batch.items) == 1:
            event = batch.items[0].event
            reason = f"refused by PostgreSQL: {type(exc).__name__}"
            with translate_errors("log a rejected event"), self._engine.begin() as conn:
                insert_suppressed_outbox_rows(conn, [SuppressedEvent(event, "failed")])
            return BatchOutcome({event.event_id: "failed"}, [(event, reason)])
        midpoint = len(batch.items) // 2
        first_half = self.write(EventBatch(batch.items[:midpoint]))
        second_half = self.write(EventBatch(batch.items[midpoint:], batch.closing_groups))
        return BatchOutcome(
            first_half.outcomes | second_half.outcomes,
            first_half.rejected_events + second_half.rejected_events,
            first_half.announced_as | second_half.announced_as,
            first_half.client_event_count + second_half.client_event_count,
            first_half.critical_events + second_half.critical_events,
            was_active_by_row=first_half.was_active_by_row | second_half.was_active_by_row,
        )

    def write_in_transaction(self, conn: Connection, batch: EventBatch) -> BatchOutcome:
        """Writes in the transaction of the caller. Raises what PostgreSQL raises."""
        clear_watermark, outcome = clear_watermarks.lock_shared_and_read_watermark(conn), BatchOutcome()
        cleared_events = [item.event for item in batch.items if item.event.seq <= clear_watermark]
        batch = EventBatch(
            tuple(item for item in batch.items if item.event.seq > clear_watermark),
            batch.closing_groups,
            batch.pushes_by_notify,
        )
        recipient_ids = {item.event.recipient_id for item in batch.items}
        recipient_ids |= {key.recipient_id for key in batch.closing_groups}
        existing_recipients = groups.lock_recipients(conn, recipient_ids)
        blocked_event_ids = find_blocked_follow_event_ids(conn, [item.event for item in batch.items])
        row_changes = write_event_rows(
            conn, [deactivate_follow_if_blocked(item.event, blocked_event_ids) for item in batch.items]
        )
        outcome.expired_events = row_changes.expired_events
        outcome.was_active_by_row = dict(row_changes.was_active_by_row)
        outcome.outcomes = {item.event.event_id: "merged" for item in batch.items}
        outcome.outcomes |= {event.event_id: "expired" for event in row_changes.expired_events}
        outcome.outcomes |= {event.event_id: "retracted" for event in row_changes.retracted_events}
        announce_when_by_event = {item.event.event_id: item.announce_when for item in batch.items}
        now = datetime.fromtimestamp(self._clock.now(), UTC)
        events_naming_actors = [
            event
            for event in row_changes.changed_events
            if needs_actor_profile(event, announce_when_by_event[event.event_id])
        ]
        announcement_context = load_announcement_context(
            conn, row_changes.changed_events, events_naming_actors, existing_recipients, now
        )
        previous_kinds = load_previously_announced_kinds(conn, row_changes.changed_events)
        announced_events = self._select_events_and_store_outcomes(
            row_changes.changed_events,
            existing_recipients,
            announcement_context,
            previous_kinds,
            outcome,
        )
        closing_groups = {key for key in batch.closing_groups if key.recipient_id in existing_recipients}
        plan_by_group = self._plan_and_write_groups(
            conn, announced_events, announce_when_by_event, closing_groups
        )
        outcome.outcomes |= {event.event_id: "expired" for event in cleared_events}
        outcome.outcomes |= dict.fromkeys(blocked_event_ids, SuppressionReason.BLOCKED.value)
        insert_suppressed_outbox_rows(
            conn,
            iter_suppressed_events(
                [*cleared_events, *(item.event for item in batch.items)],
                outcome.outcomes,
                row_changes.retracted_events,
                plan_by_group,
            ),
        )
        write_result = write_announcements(
            conn,
            AnnouncementBatch(
                plan_by_group,
                announced_events,
                announcement_context,
                batch.pushes_by_notify,
            ),
        )
        outcome.client_event_count = write_result.client_event_count
        outcome.critical_events = write_result.critical_events
        return outcome

    def _select_events_and_store_outcomes(
        self,
        changed_events: Sequence[Event],
        existing_recipients: set[str],
        announcement_context: AnnouncementContext,
        previous_kinds: Mapping[str, Kind],
        outcome: BatchOutcome,
    ) -> list[Event]:
        """The events that go into groups. Stores the outcome of every changed event in `outcome`."""
        announced_events: list[Event] = []
        for event in changed_events:
            decision = decide_announcement(
                event, existing_recipients, announcement_context, previous_kinds.get(event.event_id)
            )
            outcome.outcomes[event.event_id] = decision.outcome
            if event.active and decision.group_events and decision.group_events[0].kind is not event.kind:
                outcome.announced_as[event.event_id] = decision.group_events[0]
            announced_events += decision.group_events
        return announced_events

    def _plan_and_write_groups(
        self,
        conn: Connection,
        announced_events: Sequence[Event],
        announce_when_by_event: dict[str, AnnounceWhen],
        closing_groups: set[GroupKey],
    ) -> dict[GroupKey, GroupPlan]:
        changes_by_group: dict[GroupKey, list[ActorChange]] = {key: [] for key in closing_groups}
        remaining_seqs = load_remaining_comment_seqs(conn, announced_events)
        for event in iterate_cooperatively(announced_events):
            announce_when = effective_announce_when(event, announce_when_by_event[event.event_id])
            change = actor_change_of(event, announce_when, remaining_seqs)
            changes_by_group.setdefault(group_key_of(event), []).append(change)
        keys = group_lock_order(changes_by_group)
        actor_ids_by_group = {
            key: dict.fromkeys(change.actor_id for change in changes_by_group[key] if change.actor_id)
            for key in keys
        }
        groups_by_key = groups.load_groups(conn, keys, actor_ids_by_group)
        ids_with_unannounced = {
            generation.id
            for group in groups_by_key.values()
            for generation in group.generations.values()
            if generation.unannounced_count
        }
        plan_by_group = {
            key: self._plan_group(groups_by_key[key], changes_by_group[key], key in closing_groups)
            for key in keys
        }
        plan_by_group = {
            key: plan
            for key, plan in plan_by_group.items()
            if plan.changed_generations or plan.changed_actors
        }
        fully_announced_ids = [
            generation_id
            for plan in plan_by_group.values()
            for generation_id in plan.fully_announced_generation_ids
            if generation_id in ids_with_unannounced
        ]
        groups.write_group_changes(conn, plan_by_group, fully_announced_ids)
        return plan_by_group

    def _plan_group(self, group: Group, changes: list[ActorChange], is_closing: bool) -> GroupPlan:
        now = datetime.fromtimestamp(self._clock.now(), UTC)
        plan_context = GroupPlanContext(now, self._max_group_age, self._clock.new_id())
        if group.group_key.kind in UNGROUPED_KINDS:
            return plan_ungrouped_notification(group, changes[0].event_id, plan_context)
        return plan_group_changes(group, changes, is_closing, plan_context)
