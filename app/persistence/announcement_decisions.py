"""Decides for each written event whether it is announced and as which kind; names the outcome of the others.

Pure functions over events and a AnnouncementContext, used by app/persistence/event_writer.py.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from app.domain.causes import event_variants_to_announce, event_variants_to_retract
from app.domain.events import COMMENT_KINDS, UNGROUPED_KINDS, Event, Kind
from app.domain.grouping import ActorChange, AnnounceWhen, GroupKey, GroupPlan
from app.domain.preferences import Suppress, SuppressionReason
from app.persistence.batch_writes import KINDS_WITH_ROWS
from app.persistence.recipients import AnnouncementContext
from app.persistence.suppressed_events import SuppressedEvent

_SUPPRESSED_OUTCOMES = frozenset({"self", "muted", "blocked", "preference", "expired"})
"""Outcomes of events that are not announced to their recipient."""
_QUOTABLE_KINDS = COMMENT_KINDS | {Kind.BELL_POST, Kind.MENTION}


class AnnouncementDecision(NamedTuple):
    """The coded outcome of an event, and the events that go into groups. An active event has at most one;
    a retraction has one per kind under which the event may have been announced."""

    outcome: str
    group_events: tuple[Event, ...] = ()


def decide_announcement(
    event: Event,
    existing_recipients: Collection[str],
    announcement_context: AnnouncementContext,
    previous_kind: Kind | None,
) -> AnnouncementDecision:
    """`previous_kind`: the kind under which the same event was announced before, if it was."""
    suppression = _suppression_outcome_except_preferences(event, existing_recipients, announcement_context)
    if suppression is not None:
        return AnnouncementDecision(suppression)
    if not event.active:
        # Retractions ignore preferences: the actor leaves every group that may hold the event.
        return AnnouncementDecision("retracted", tuple(event_variants_to_retract(event)))
    for candidate in event_variants_to_announce(event):
        if _is_candidate_allowed(candidate, announcement_context, previous_kind):
            return AnnouncementDecision("delivered", (candidate,))
    return AnnouncementDecision(SuppressionReason.PREFERENCE.value)


def _is_candidate_allowed(
    candidate: Event, announcement_context: AnnouncementContext, previous_kind: Kind | None
) -> bool:
    """A repeated event keeps its kind. Otherwise at least one channel must be enabled for the kind."""
    if previous_kind is not None:
        return candidate.kind is previous_kind
    decision = announcement_context.delivery_decision(candidate.kind, candidate.recipient_id)
    return not isinstance(decision, Suppress)


def _suppression_outcome_except_preferences(
    event: Event, existing_recipients: Collection[str], announcement_context: AnnouncementContext
) -> str | None:
    """The outcome of an event that is not announced for reasons other than channel preferences."""
    if event.recipient_id not in existing_recipients:
        return "expired"
    if event.kind in UNGROUPED_KINDS:
        return None
    if event.kind not in KINDS_WITH_ROWS and event.actor_id not in announcement_context.actors_by_id:
        return "expired"
    if event.actor_id == event.recipient_id:
        return SuppressionReason.SELF.value
    if not event.active:
        return None  # retractions ignore mutes and blocks
    suppression_reason = announcement_context.suppression_reason(event)
    return suppression_reason.value if suppression_reason else None


def iter_suppressed_events(
    events: Iterable[Event],
    outcome_by_event: Mapping[str, str],
    retracted_events: Iterable[Event],
    plan_by_group: Mapping[GroupKey, GroupPlan],
) -> Iterator[SuppressedEvent]:
    """The events that are not announced, and those retracted before they were announced.

    `retracted_events`: retractions written before the event that they retract.
    """
    retracted_event_ids = {event.event_id for event in retracted_events}
    announced_groups = {key for key, plan in plan_by_group.items() if plan.planned_client_events}
    for event in events:
        outcome = outcome_by_event[event.event_id]
        is_unannounced_retraction = outcome == "retracted" and (
            event.event_id in retracted_event_ids
            or not any(
                group_key_of(candidate) in announced_groups for candidate in event_variants_to_retract(event)
            )
        )
        if is_unannounced_retraction or outcome in _SUPPRESSED_OUTCOMES:
            yield SuppressedEvent(event, outcome)


def group_key_of(event: Event) -> GroupKey:
    return GroupKey(event.recipient_id, event.kind, event.group_object_id)


def needs_actor_profile(event: Event, announce_when: AnnounceWhen) -> bool:
    """Whether the actor's row must be read: the announcement names the actor, or no row of the event
    proves that the actor exists."""
    return announce_when is AnnounceWhen.NOW or event.kind not in KINDS_WITH_ROWS or event.mentions_recipient


def effective_announce_when(event: Event, requested: AnnounceWhen) -> AnnounceWhen:
    """A comment that is announced as a mention does not wait for a window."""
    is_mention = event.mentions_recipient and event.kind not in COMMENT_KINDS
    return AnnounceWhen.NOW if is_mention else requested


def deactivate_follow_if_blocked(event: Event, blocked_event_ids: Collection[str]) -> Event:
    """Turns a follow that a block forbids into an inactive row. The row keeps the seq, so that a late copy
    is not newer and readers of pending follows see the event as written."""
    return replace(event, active=False) if event.event_id in blocked_event_ids else event


def actor_change_of(
    event: Event, announce_when: AnnounceWhen, remaining_seqs: Mapping[str, tuple[int, ...]]
) -> ActorChange:
    quotable_text = event.metadata.get("content") if event.kind in COMMENT_KINDS else event.message
    has_quote = event.kind in _QUOTABLE_KINDS
    return ActorChange(
        actor_id=event.actor_id or "",
        seq=event.seq,
        active=event.active,
        is_follower=event.is_follower,
        announce_when=announce_when,
        event_id=event.event_id,
        text=str(quotable_text) if has_quote and quotable_text else None,
        remaining_comment_seqs=remaining_seqs.get(event.event_id, ()) if event.kind in COMMENT_KINDS else (),
    )
