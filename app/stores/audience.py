"""Who is told: mutes, blocks and preferences of the recipients, and the names of the actors."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, text

from app.domain.events import Event, Kind
from app.domain.preferences import Decision, Preferences, Reason, decide
from app.stores.groups import Person, people

_PREFERENCES = text(
    "select user_id::text, push_enabled, email_enabled, sms_enabled, activity, social, marketing, "
    "dnd_enabled, dnd_start_time, dnd_end_time, timezone, matrix "
    "from notification_preferences where user_id = any(cast(:ids as uuid[]))"
)
_MUTES = text(
    "select user_id::text, coalesce(muted_user_id, muted_post_id)::text "
    "from mutes where user_id = any(cast(:ids as uuid[]))"
)
_BLOCKS = text(
    "select user_id::text, blocked_user_id::text from blocks "
    "where user_id = any(cast(:ids as uuid[])) "
    "union all select blocked_user_id::text, user_id::text from blocks "
    "where blocked_user_id = any(cast(:ids as uuid[]))"
)
_IMAGES = text(
    "select id::text, image_url from posts where id = any(cast(:ids as uuid[])) "
    "and image_url is not null"
)


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
    who = Audience(now)
    ids = {"ids": sorted(recipients)}
    who.people = people(sql, [event.actor_id for event in named if event.actor_id])
    who.preferences = {row[0]: Preferences(*row[1:]) for row in sql.execute(_PREFERENCES, ids)}
    who.mutes = {(row[0], row[1]) for row in sql.execute(_MUTES, ids)}
    who.blocks = {(row[0], row[1]) for row in sql.execute(_BLOCKS, ids)}
    objects = sorted({event.object_id for event in events if event.object_id})
    who.images = {row[0]: row[1] for row in sql.execute(_IMAGES, {"ids": objects})}
    return who
