"""Notification rows as they read after the current transaction: text, actors, target, channels.

In: group plans, the events of the transaction and an AnnouncementContext. Out: NotificationRow objects with
columns that app/persistence/outbox_writer.py stores and app/persistence/serializer.py reads.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from app.domain.events import COMMENT_KINDS, UNGROUPED_KINDS, Event, Kind
from app.domain.grouping import GroupGeneration, GroupKey, GroupPlan
from app.domain.messages import actorless_notification_text, default_notification_title
from app.domain.preferences import SendAfterQuietHours, SendNow
from app.domain.redaction import get_encrypted_body
from app.domain.routing import priority_of
from app.domain.text import truncate_graphemes
from app.persistence.groups import ActorProfile, load_first_actors
from app.persistence.recipients import AnnouncementContext
from app.persistence.remaining_comments import CommentQuote, load_latest_quotes

_KINDS_ABOUT_OWN_POSTS = frozenset({Kind.LIKE, Kind.COMMENT, Kind.POST_SHARE})
_STORED_METADATA_KEYS = frozenset({"postUrl", "commentId"})
"""Keys of an event's metadata that its row and its client events keep."""


@dataclass(slots=True)
class NotificationRow:
    """A notification row as it reads after this transaction."""

    group_key: GroupKey
    generation: GroupGeneration
    latest_actors: list[tuple[ActorProfile, bool]]
    event_text: str | None
    newest_event: Event | None
    """The newest event of this transaction that adds to the row. None when actors only left; then
    `generation` alone has what the row is about."""
    announcement_context: AnnouncementContext
    quoted_comment: CommentQuote | None = None
    """For rows about comments: the comment of the actor named first."""
    client_seq: int = 0

    @property
    def kind(self) -> Kind:
        return self.group_key.kind

    @property
    def priority(self) -> str:
        is_follower = bool(self.latest_actors and self.latest_actors[0][1])
        return priority_of(self.kind, is_follower).value

    @property
    def standalone_message(self) -> str:
        """The stored text of a standalone notification. Texts that name actors are rendered when read."""
        if self.kind not in UNGROUPED_KINDS:
            return ""
        return (self.newest_event and self.newest_event.message) or actorless_notification_text(self.kind)

    @property
    def quote(self) -> str | None:
        comment_text = self.quoted_comment.content if self.quoted_comment else self.event_text
        return truncate_graphemes(comment_text) if comment_text and self.generation.actor_count == 1 else None

    @property
    def title(self) -> str:
        return (self.newest_event and self.newest_event.title) or default_notification_title(
            self.kind, self.generation.actor_count
        )

    @property
    def delivery_decision(self) -> SendNow | SendAfterQuietHours:
        decision = self.announcement_context.delivery_decision(self.kind, self.group_key.recipient_id)
        return decision if isinstance(decision, SendNow | SendAfterQuietHours) else SendNow(())

    @property
    def target_id(self) -> str | None:
        """The object that the row links to: the group's object, or the one that a critical event names."""
        if self.kind not in UNGROUPED_KINDS:
            return self.group_key.object_id
        return self.newest_event.object_id if self.newest_event else self.generation.stored_fields.object_id

    @property
    def is_empty_group(self) -> bool:
        return self.generation.actor_count == 0 and self.kind not in UNGROUPED_KINDS

    @property
    def encrypted_body(self) -> str | None:
        """The encrypted code or reset token of the newest event. It is stored in the outbox only."""
        return get_encrypted_body(self.newest_event.metadata) if self.newest_event else None

    @property
    def metadata(self) -> dict[str, object]:
        """The stored metadata, updated by the newest event."""
        merged = dict(self.generation.stored_fields.metadata)
        if self.newest_event:
            merged |= {
                name: value
                for name, value in self.newest_event.metadata.items()
                if name in _STORED_METADATA_KEYS and value
            }
        captions = self.announcement_context.post_captions
        if self.kind in _KINDS_ABOUT_OWN_POSTS and self.group_key.object_id in captions:
            merged["objectText"] = truncate_graphemes(captions[self.group_key.object_id] or "A picture")
        if self.quoted_comment:
            merged["commentId"] = self.quoted_comment.comment_id
        if self.kind is Kind.FOLLOW:
            merged["isVerified"] = bool(self.latest_actors and self.latest_actors[0][0].is_verified)
        return merged

    def columns(self) -> dict[str, Any]:
        """The columns of the row after this transaction."""
        first_actor = self.latest_actors[0][0] if self.latest_actors else None
        decision, event, stored = self.delivery_decision, self.newest_event, self.generation.stored_fields
        now = self.announcement_context.now
        image_url = (event and event.image_url) or self.announcement_context.post_image_urls.get(
            self.group_key.object_id
        )
        return {
            "id": self.generation.id,
            "type": self.kind.value,
            "generation": self.generation.generation_number,
            "version": self.generation.version,
            "client_seq": self.client_seq,
            "priority": self.priority,
            "actor_id": first_actor.id if first_actor else None,
            "actor_count": self.generation.actor_count,
            "unannounced_count": self.generation.unannounced_count,
            "title": self.title,
            "message": self.standalone_message,
            "quote": self.quote,
            "image_url": image_url or stored.image_url,
            "target_type": event.object_type_or_default if event else stored.object_type,
            "target_id": self.target_id,
            "channels": [channel.value for channel in decision.channels],
            "metadata": self.metadata,
            "is_read": self.generation.is_closed,
            "seen_at": stored.seen_at,
            "deferred_until": decision.deliver_at if isinstance(decision, SendAfterQuietHours) else None,
            "removed_at": now if self.is_empty_group else None,
            "updated_at": now,
        }


def build_notification_rows(
    conn: Connection,
    plan_by_group: Mapping[GroupKey, GroupPlan],
    events: Iterable[Event],
    announcement_context: AnnouncementContext,
) -> Iterator[NotificationRow]:
    """One row per changed generation of the plans, with its current actors and quote from the tables."""
    changed_generations = [
        (key, plan, generation)
        for key, plan in plan_by_group.items()
        for generation in plan.changed_generations.values()
    ]
    latest_actors_by_id = load_first_actors(conn, [generation.id for _, _, generation in changed_generations])
    quoted_comments = load_latest_quotes(
        conn,
        {
            generation.id: latest_actors_by_id[generation.id][0][0].id
            for key, _, generation in changed_generations
            if key.kind in COMMENT_KINDS and latest_actors_by_id[generation.id]
        },
    )
    newest_event_by_group = {
        GroupKey(event.recipient_id, event.kind, event.group_object_id): event
        for event in events
        if event.active
    }
    for group_key, plan, generation in changed_generations:
        yield NotificationRow(
            group_key,
            generation,
            latest_actors_by_id[generation.id],
            plan.text_by_generation.get(generation.id),
            newest_event_by_group.get(group_key),
            announcement_context,
            quoted_comments.get(generation.id),
        )
