"""Decides for the recipients of a page of a fan-out who is notified, and how.

In: an event and recipients, locked by fan_out_pages.py. Out: RecipientDecisions. SQL groups the recipients
by mutes, blocks and preferences; the functions that decide and render every other notification are called
once per group, not per recipient.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain
from typing import Any

from sqlalchemy import Connection, text

from app.domain.events import UNGROUPED_KINDS, Event
from app.domain.preferences import NotificationPreferences, Suppress, SuppressionReason
from app.persistence.client_event_payloads import build_first_announcement
from app.persistence.fan_outs import MANY_RECIPIENTS
from app.persistence.recipients import AnnouncementContext, load_announcement_context


@dataclass(slots=True)
class RecipientDecisions:
    """`variants` has the content of each distinct decision, `variant_numbers` the index of one for each of
    `delivered_ids`; `suppressed_ids` has the others by reason."""

    delivered_ids: list[str] = field(default_factory=list)
    variant_numbers: list[int] = field(default_factory=list)
    variants: list[dict[str, object]] = field(default_factory=list)
    suppressed_ids: dict[str, list[str]] = field(default_factory=dict)

    def all_ids(self) -> Iterator[str]:
        return chain(self.delivered_ids, *self.suppressed_ids.values())

    def add_delivered(self, user_ids: Sequence[str], variant: dict[str, object]) -> None:
        self.variant_numbers += [len(self.variants)] * len(user_ids)
        self.delivered_ids += user_ids
        self.variants.append(variant)


def decide_for_recipients(
    conn: Connection, event: Event, recipient_ids: Sequence[str], now: datetime
) -> RecipientDecisions:
    context = load_announcement_context(conn, [event], [event], [], now)
    decisions = RecipientDecisions()
    for reason, *preference_values, user_ids in conn.execute(
        _GROUP_BY_REASON_AND_PREFERENCES, _reason_params(event, recipient_ids)
    ):
        preferences = {MANY_RECIPIENTS: _to_preferences(event, preference_values)}
        group_context = replace(context, preferences=preferences, decision_cache={})
        decision = group_context.delivery_decision(event.kind, MANY_RECIPIENTS)
        if reason is None and isinstance(decision, Suppress):
            reason = SuppressionReason.PREFERENCE.value
        if reason is None:
            decisions.add_delivered(user_ids, _build_variant(event, group_context))
        else:
            decisions.suppressed_ids.setdefault(reason, []).extend(user_ids)
    return decisions


def _reason_params(event: Event, recipient_ids: Sequence[str]) -> dict[str, object]:
    return {
        "ids": list(recipient_ids),
        "type": event.kind.value,
        # Mutes and blocks do not apply to news of the service.
        "actor": None if event.kind in UNGROUPED_KINDS else event.actor_id,
        "object": None if event.kind in UNGROUPED_KINDS else event.object_id,
    }


def _to_preferences(event: Event, values: Sequence[Any]) -> NotificationPreferences:
    """The preferences of a group of recipients; those without a row have the defaults."""
    *switches, kind_switches = values
    if switches[0] is None:
        return NotificationPreferences()
    channel_matrix = {event.kind.value: kind_switches or {}}
    return replace(NotificationPreferences(*switches), channel_matrix=channel_matrix)


def _build_variant(event: Event, context: AnnouncementContext) -> dict[str, object]:
    """The columns of the row and the client event for recipients with the same decision. What differs, the
    row id and client_seq, is added by the statement that inserts them."""
    announcement = build_first_announcement(event, MANY_RECIPIENTS, context)
    return {
        "columns": announcement.row.columns(),
        "clientEvent": announcement.event_name,
        "payload": announcement.payload,
    }


# The columns of preferences are in the order of NotificationPreferences.
_GROUP_BY_REASON_AND_PREFERENCES = text("""
    select reason, push_enabled, email_enabled, sms_enabled, activity, social, marketing, dnd_enabled,
        dnd_start_time, dnd_end_time, timezone, kind_switches, array_agg(user_id)
    from (
        select u.id::text as user_id,
            case when u.id = cast(:actor as uuid) then 'self'
                when exists (select from blocks b where b.user_id = u.id and b.blocked_user_id = :actor)
                    or exists (select from blocks b where b.user_id = :actor and b.blocked_user_id = u.id)
                    then 'blocked'
                when exists (select from mutes m where m.user_id = u.id and m.muted_user_id = :actor)
                    or exists (select from mutes m where m.user_id = u.id and m.muted_post_id = :object)
                    then 'muted' end as reason,
            p.push_enabled, p.email_enabled, p.sms_enabled, p.activity, p.social, p.marketing, p.dnd_enabled,
            p.dnd_start_time, p.dnd_end_time, p.timezone, p.matrix->:type as kind_switches
        from unnest(cast(:ids as uuid[])) as u (id)
        left join notification_preferences p on p.user_id = u.id) recipients
    group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
""")
