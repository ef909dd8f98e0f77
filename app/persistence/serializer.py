"""The JSON shapes of a notification: stored in the outbox, sent to sockets, and in REST responses.

In: rows of `notifications`; payloads of `outbox` and records of ready-notifications. A stored payload has
kind, actor ids, count and quote but no name. Names are looked up when a notification is read, so that no
queue or history contains a former name; this adds message, actorId, actorName, actorAvatar and actors.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, text

from app.clients.postgres import autocommit_engine, translate_errors
from app.domain.errors import Poisoned
from app.domain.events import UNGROUPED_KINDS, Kind, canonical_uuid, to_iso_utc
from app.domain.grouping import ClientEventType
from app.domain.messages import (
    group_notification_text,
    single_actor_notification_text,
    split_first_sentence,
)
from app.persistence.groups import DISPLAY_NAME_SQL, ActorProfile

Json = dict[str, Any]
NotificationColumns = Mapping[str, Any] | RowMapping
"""A row of `notifications`, by column names."""
REMOVED_ACCOUNT_NAME = "Someone"
_ACTOR_IDS_FIELD = "aggregatedActors"
_INTERNAL_FIELDS = frozenset({"quote", "instant"})


@dataclass(frozen=True, slots=True)
class RenderContext:
    """Current profiles and quotes. A deleted notification has no entry in `quote_by_notification`."""

    users_by_id: Mapping[str, ActorProfile] = field(default_factory=dict)
    quote_by_notification: Mapping[str, str | None] = field(default_factory=dict)


def build_payload(
    event_type: ClientEventType,
    row: NotificationColumns,
    actor_ids: Sequence[str],
    actor_count: int,
    newly_announced_count: int,
) -> Json:
    """A client event about a row as the outbox stores it (docs/socket-api.md). `actor_ids`: the first actors
    of the row; `actor_count`: how many this event announces."""
    if event_type is ClientEventType.REMOVED:
        return {"id": row["id"], "version": row["version"], "seq": row["client_seq"]}
    # What is announced has not been seen yet.
    seen_at = None if event_type is ClientEventType.ANNOUNCED else row["seen_at"]
    return {
        "id": row["id"],
        "type": row["type"],
        "priority": row["priority"],
        "title": row["title"],
        "message": row["message"],
        "actorId": row["actor_id"],
        "imageUrl": row["image_url"],
        "targetType": row["target_type"],
        "targetId": row["target_id"],
        "timestamp": to_iso_utc(row["updated_at"]),
        "isRead": row["is_read"],
        "seenAt": to_iso_utc(seen_at) if seen_at else None,
        "version": row["version"],
        "seq": row["client_seq"],
        "generation": row["generation"],
        "group": {"title": row["title"], "count": row["actor_count"], "quote": row["quote"]},
        "metadata": {
            **row["metadata"],
            "isAggregated": actor_count > 1,
            "aggregatedCount": actor_count,
            "newCount": newly_announced_count,
            "aggregatedActors": list(actor_ids),
            "channels": list(row["channels"]),
        },
    }


def notification_json(row: NotificationColumns, actors: Sequence[ActorProfile]) -> Json:
    """A row in a REST response: the seed's fields in the seed's order, then those that were added."""
    rendered = message_and_actor_fields(
        Kind(row["type"]), actors, row["actor_count"], row["quote"], row["message"]
    )
    return {
        "id": row["id"],
        "userId": row["user_id"],
        "type": row["type"],
        "priority": row["priority"],
        "actorId": rendered["actorId"],
        "actorName": rendered["actorName"],
        "actorAvatar": rendered["actorAvatar"],
        "isAggregated": row["actor_count"] > 1,
        "aggregatedCount": max(1, row["actor_count"]),
        "title": row["title"],
        "message": rendered["message"],
        "imageUrl": row["image_url"],
        "targetType": row["target_type"],
        "targetId": row["target_id"],
        "isRead": row["is_read"],
        "channels": row["channels"],
        "metadata": row["metadata"],
        "createdAt": row["created_at"],
        "version": row["version"],
        "generation": row["generation"],
        "seq": row["client_seq"],
        "actors": rendered["actors"],
        "seenAt": row["seen_at"],
        "readAt": row["read_at"],
        "archivedAt": row["archived_at"],
        "updatedAt": row["updated_at"],
        "snoozedUntil": row["snoozed_until"],
        **list_lines(Kind(row["type"]), rendered, row["actor_count"], row["quote"], row["metadata"]),
        # Fields of the seed's full row that its list does not have.
        "aggregatedIds": [actor.id for actor in actors],
        "deliveryStatus": "HELD" if row["deferred_until"] else "SENT",
    }


def message_text(kind: Kind, first_actor_name: str | None, actor_count: int, quote: str | None) -> str:
    """The text of a notification with so many actors. `first_actor_name` is None if that account was
    deleted."""
    name = first_actor_name or REMOVED_ACCOUNT_NAME
    return (
        single_actor_notification_text(kind, name, quote)
        if actor_count <= 1
        else group_notification_text(kind, name, actor_count - 1)
    )


def list_lines(
    kind: Kind,
    rendered_fields: Json,
    actor_count: int,
    quote: str | None,
    metadata: Mapping[str, Any],
) -> Json:
    """The two lines of a notification in a list: what happened, and the text that it is about: the quote of a
    single actor, the user name of a single follower, else the object's own text. `rendered_fields`: of
    message_and_actor_fields()."""
    if kind in UNGROUPED_KINDS:
        summary, detail = split_first_sentence(rendered_fields["message"] or "")
        return {"summary": summary, "detail": detail}
    name = rendered_fields["actorName"] or REMOVED_ACCOUNT_NAME
    summary = group_notification_text(kind, name, actor_count - 1)
    if kind is Kind.FOLLOW and actor_count == 1 and rendered_fields["actors"]:
        return {"summary": summary, "detail": f"@{rendered_fields['actors'][0]['username']}"}
    return {"summary": summary, "detail": quote or metadata.get("objectText")}


def message_and_actor_fields(
    kind: Kind,
    actors: Sequence[ActorProfile],
    actor_count: int,
    quote: str | None,
    stored_message: str | None,
) -> Json:
    """The fields that name users. `actors` in ACTOR_ORDER_SQL; `stored_message`: the text of a standalone
    notification, which has no actors."""
    first_actor = _first_actor_fields(actors[0] if actors else None)
    return first_actor | {
        "message": stored_message
        if kind in UNGROUPED_KINDS
        else message_text(kind, first_actor["actorName"], actor_count, quote),
        "actors": [_actor_preview(actor) for actor in actors],
    }


def _first_actor_fields(actor: ActorProfile | None) -> Json:
    return {
        "actorId": actor.id if actor else None,
        "actorName": actor.name if actor else None,
        "actorAvatar": actor.avatar_url if actor else None,
    }


def _actor_preview(actor: ActorProfile) -> Json:
    return {
        "id": actor.id,
        "name": actor.name,
        "username": actor.username,
        "avatarUrl": actor.avatar_url,
    }


def render_payload(payload: Json, context: RenderContext) -> Json:
    """A stored payload with names. Payloads without actors (unread counts, removals) are returned unchanged.

    Only payloads of standalone notifications have a stored message. In the others `group` has the row's
    title, count and quote; an `instant` one also has the `quote` of its one actor.
    """
    if not _has_actor_list(payload):
        return payload
    kind, group = Kind(payload["type"]), payload["group"]
    actors = [
        context.users_by_id[actor_id]
        for actor_id in payload["metadata"][_ACTOR_IDS_FIELD]
        if actor_id in context.users_by_id
    ]
    quote = _quote_if_current(group["quote"], payload["id"], context)
    rendered_fields = message_and_actor_fields(kind, actors, group["count"], quote, payload.get("message"))
    rendered = {
        name: value for name, value in payload.items() if name not in _INTERNAL_FIELDS
    } | rendered_fields
    rendered["group"] = {
        "title": group["title"],
        "message": rendered_fields["message"],
        **list_lines(kind, rendered_fields, group["count"], quote, payload["metadata"]),
    }
    if not payload.get("instant"):
        return rendered
    actor = _first_actor_fields(context.users_by_id.get(payload["actorId"]))
    quote = _quote_if_current(payload["quote"], payload["id"], context)
    return rendered | actor | {"message": message_text(kind, actor["actorName"], 1, quote)}


def _has_actor_list(payload: Mapping[str, Any]) -> bool:
    metadata = payload.get("metadata")
    return isinstance(metadata, dict) and _ACTOR_IDS_FIELD in metadata and "group" in payload


def _quote_if_current(quote: str | None, notification_id: str, context: RenderContext) -> str | None:
    """The quote, or None if the notification was deleted or has another quote now."""
    if quote is None or notification_id not in context.quote_by_notification:
        return None
    return quote if context.quote_by_notification[notification_id] in (None, quote) else None


def validate_renderable_payload(payload: Json) -> None:
    """Raises Poisoned for a payload that render_payloads() could not render."""
    if not _has_actor_list(payload):
        return
    try:
        for value in [payload["id"], *_referenced_user_ids(payload)]:
            canonical_uuid(value, "an id")  # ids go into a query
        render_payload(payload, RenderContext())
        quotes = _stored_quotes(payload)
    except (KeyError, TypeError, AttributeError, ValueError) as exc:
        raise Poisoned(f"its names cannot be looked up: {type(exc).__name__}") from exc
    if not all(isinstance(quote, str) for quote in quotes):
        raise Poisoned("quote is not a text")


def render_payloads(conn: Connection, payloads: Sequence[Json]) -> list[Json]:
    """Stored payloads with current names. One statement for all; none if no payload lists actors."""
    payloads_with_actors = [payload for payload in payloads if _has_actor_list(payload)]
    user_ids = {user_id for payload in payloads_with_actors for user_id in _referenced_user_ids(payload)}
    quoted_ids = {str(payload["id"]) for payload in payloads_with_actors if _stored_quotes(payload)}
    context = _fetch_render_context(conn, user_ids, quoted_ids) if user_ids else RenderContext()
    return [render_payload(payload, context) for payload in payloads]


def _stored_quotes(payload: Mapping[str, Any]) -> list[Any]:
    return [quote for quote in (payload.get("quote"), payload["group"]["quote"]) if quote is not None]


def _referenced_user_ids(payload: Mapping[str, Any]) -> Iterable[str]:
    return {*payload["metadata"][_ACTOR_IDS_FIELD], *filter(None, [payload.get("actorId")])}


def _fetch_render_context(
    conn: Connection, user_ids: Iterable[str], notification_ids: Iterable[str]
) -> RenderContext:
    params = {"user_ids": sorted(user_ids), "notification_ids": sorted(notification_ids)}
    users, quotes = conn.execute(_SELECT_CONTEXT, params).one()
    return RenderContext({row[0]: ActorProfile(*row) for row in users or []}, quotes or {})


class NotificationRenderer:
    """Renders payloads that come from Kafka."""

    def __init__(self, engine: Engine) -> None:
        self._engine = autocommit_engine(engine)

    def render_payloads(self, payloads: Sequence[Json]) -> list[Json]:
        """Raises Unavailable if a payload names users and PostgreSQL is unavailable."""
        if not any(needs_user_lookup(payload) for payload in payloads):
            return [render_payload(payload, RenderContext()) for payload in payloads]
        with translate_errors("look up names"), self._engine.connect() as conn:
            return render_payloads(conn, payloads)


def needs_user_lookup(payload: Mapping[str, Any]) -> bool:
    """Whether rendering the payload needs a query."""
    return _has_actor_list(payload) and any(_referenced_user_ids(payload))


_SELECT_CONTEXT = text(f"""
    select
        (select jsonb_agg(jsonb_build_array(u.id, {DISPLAY_NAME_SQL}, u.avatar_url, u.is_verified,
            u.username)) from users u where u.id = any(cast(:user_ids as uuid[]))),
        (select jsonb_object_agg(n.id::text, n.quote) from notifications n
            where n.id = any(cast(:notification_ids as uuid[])) and n.removed_at is null)
""")  # noqa: S608 - constants only
