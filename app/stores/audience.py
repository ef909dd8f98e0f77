"""Who is told: mutes, blocks and preferences of the recipients, and the names of the actors."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Any

from sqlalchemy import Connection, text

from app.domain.events import Event, Kind
from app.domain.preferences import Decision, Preferences, Reason, decide
from app.stores.groups import Person

_ASKED = text("""
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
        (select jsonb_agg(jsonb_build_array(id, image_url))
            from posts where id = any(cast(:objects as uuid[])) and image_url is not null)
""")
"""All in one round trip: a toast waits for each."""


@dataclass(slots=True)
class Audience:
    now: datetime
    people: dict[str, Person] = field(default_factory=dict)
    preferences: dict[str, Preferences] = field(default_factory=dict)
    mutes: set[tuple[str, str]] = field(default_factory=set)
    blocks: set[tuple[str, str]] = field(default_factory=set)
    images: dict[str, str] = field(default_factory=dict)
    decided: dict[tuple[Kind, str], Decision] = field(default_factory=dict)

    def decision(self, kind: Kind, recipient_id: str) -> Decision:
        known = self.decided.get((kind, recipient_id))
        if known is None:
            chosen = self.preferences.get(recipient_id, Preferences())
            known = self.decided[kind, recipient_id] = decide(kind, chosen, self.now)
        return known

    def silenced(self, event: Event) -> Reason | None:
        """Blocked either way, or the actor or the post is muted."""
        recipient, actor = event.recipient_id, str(event.actor_id)
        if (recipient, actor) in self.blocks:
            return Reason.BLOCKED
        post = event.metadata.get("postId") or event.object_id
        muted = {(recipient, actor), (recipient, str(post))} & self.mutes
        return Reason.MUTED if muted else None


def audience(
    sql: Connection,
    events: Sequence[Event],
    named: Sequence[Event],
    recipients: Iterable[str],
    now: datetime,
) -> Audience:
    """What the tables say at the moment of telling. `named`: whose actors must be known by name."""
    asked = {
        "actors": sorted({event.actor_id for event in named if event.actor_id}),
        "recipients": sorted(recipients),
        "objects": sorted({event.object_id for event in events if event.object_id}),
    }
    found = [rows or [] for rows in sql.execute(_ASKED, asked).one()]
    people, preferences, mutes, blocks, images = found
    return Audience(
        now,
        people={row[0]: Person(*row) for row in people},
        preferences={row[0]: _preferences(row[1:]) for row in preferences},
        mutes={(user, muted) for user, muted in mutes},
        blocks={pair for one, other in blocks for pair in ((one, other), (other, one))},
        images=dict(images),
    )


def _preferences(row: Sequence[Any]) -> Preferences:
    values = list(row)
    # JSON has no times of day; null: emptied.
    values[7:9] = [one and time.fromisoformat(one) for one in values[7:9]]
    return Preferences(*values)
