"""Loads what decides about announcements: mutes, blocks and preferences of recipients, profiles of actors.

In: events of a transaction and their recipients. Out: a AnnouncementContext, read in one statement.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Any

from sqlalchemy import Connection, text

from app.domain.events import Event, Kind
from app.domain.preferences import (
    DeliveryDecision,
    NotificationPreferences,
    SuppressionReason,
    decide_delivery,
)
from app.persistence.groups import ActorProfile

_SELECT_RECIPIENT_CONTEXT = text("""
    select
        (select jsonb_agg(jsonb_build_array(id, coalesce(nullif(name, ''), username), avatar_url,
            is_verified, username))
            from users where id = any(cast(:actors as uuid[]))),
        (select jsonb_agg(jsonb_build_array(user_id, push_enabled, email_enabled, sms_enabled,
            activity, social, marketing, dnd_enabled, dnd_start_time, dnd_end_time, timezone,
            matrix))
            from notification_preferences where user_id = any(cast(:recipients as uuid[]))),
        (select jsonb_agg(jsonb_build_array(user_id, coalesce(muted_user_id, muted_post_id)))
            from mutes where user_id = any(cast(:recipients as uuid[]))),
        (select jsonb_agg(jsonb_build_array(user_id, blocked_user_id))
            from blocks where user_id = any(cast(:recipients as uuid[]))
            or blocked_user_id = any(cast(:recipients as uuid[]))),
        (select jsonb_agg(jsonb_build_array(id, image_url, left(caption, 200)))
            from posts where id = any(cast(:objects as uuid[])))
""")
"""One round trip, because each adds to the latency of an instant announcement."""


@dataclass(slots=True)
class AnnouncementContext:
    now: datetime
    actors_by_id: dict[str, ActorProfile] = field(default_factory=dict)
    preferences: dict[str, NotificationPreferences] = field(default_factory=dict)
    muted_pairs: set[tuple[str, str]] = field(default_factory=set)
    blocked_pairs: set[tuple[str, str]] = field(default_factory=set)
    post_image_urls: dict[str, str | None] = field(default_factory=dict)
    post_captions: dict[str, str | None] = field(default_factory=dict)
    """The beginning of each; None for a post that is only a picture."""
    decision_cache: dict[tuple[Kind, str], DeliveryDecision] = field(default_factory=dict)

    def delivery_decision(self, kind: Kind, recipient_id: str) -> DeliveryDecision:
        cached = self.decision_cache.get((kind, recipient_id))
        if cached is None:
            preferences = self.preferences.get(recipient_id, NotificationPreferences())
            cached = self.decision_cache[kind, recipient_id] = decide_delivery(kind, preferences, self.now)
        return cached

    def suppression_reason(self, event: Event) -> SuppressionReason | None:
        """Blocked either way, or the actor or the post is muted."""
        recipient_id, actor_id = event.recipient_id, str(event.actor_id)
        if (recipient_id, actor_id) in self.blocked_pairs:
            return SuppressionReason.BLOCKED
        post_id = event.metadata.get("postId") or event.object_id
        matching_mutes = {(recipient_id, actor_id), (recipient_id, str(post_id))} & self.muted_pairs
        return SuppressionReason.MUTED if matching_mutes else None


def load_announcement_context(
    conn: Connection,
    events: Sequence[Event],
    events_naming_actors: Sequence[Event],
    recipient_ids: Iterable[str],
    now: datetime,
) -> AnnouncementContext:
    """The context as of this transaction. `events_naming_actors`: the events whose actors' profiles are
    needed."""
    params = {
        "actors": sorted({event.actor_id for event in events_naming_actors if event.actor_id}),
        "recipients": sorted(recipient_ids),
        "objects": sorted({event.object_id for event in events if event.object_id}),
    }
    aggregates = [rows or [] for rows in conn.execute(_SELECT_RECIPIENT_CONTEXT, params).one()]
    actor_rows, preference_rows, mute_rows, block_rows, post_rows = aggregates
    return AnnouncementContext(
        now,
        actors_by_id={row[0]: ActorProfile(*row) for row in actor_rows},
        preferences={row[0]: _preferences_from_row(row[1:]) for row in preference_rows},
        muted_pairs={(user_id, muted_id) for user_id, muted_id in mute_rows},
        blocked_pairs={
            pair
            for blocker_id, blocked_id in block_rows
            for pair in ((blocker_id, blocked_id), (blocked_id, blocker_id))
        },
        post_image_urls={row[0]: row[1] for row in post_rows},
        post_captions={row[0]: row[2] for row in post_rows},
    )


def _preferences_from_row(row: Sequence[Any]) -> NotificationPreferences:
    values = list(row)
    # JSON has times of day as text. Null: the user removed the time.
    values[7:9] = [time_text and time.fromisoformat(time_text) for time_text in values[7:9]]
    return NotificationPreferences(*values)
