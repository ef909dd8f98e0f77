"""Searches events and notifications by person, post, kind and time: GET /api/admin/events and
/api/admin/notifications. Administrators only.
"""

from collections.abc import Sequence
from datetime import UTC

from marshmallow import fields, validate

from app.domain.events import Kind
from app.operations.activity_filter import ActivityFilter
from app.operations.event_search import EventSearch, FoundEvent
from app.operations.notification_search import NOTIFICATION_STATES, NotificationSearch
from app.operations.trace import EventTraceReader
from app.persistence.pages import PageRequest, cut_page
from app.social.posts import PostReader
from app.social.users import Users, UserSummary
from blueprints.http.api_blueprint import ApiBlueprint
from blueprints.http.authority import Authority, requires
from blueprints.http.ids import is_uuid, parse_uuid
from blueprints.http.pagination import IntegerParam, PageQuery, encode_cursor, value_of
from blueprints.http.query_fields import ChoiceParam, IdParam
from blueprints.http.request_auth import RequestAuth
from blueprints.http.response_schemas import EventProgressSchema, ObjectSchema, PageResponse
from blueprints.http.serializers import JsonObject

MAX_CAPTION_PREVIEW = 80


class ActivityQuery(PageQuery):
    """What to search for; without any of these the newest are listed."""

    limit = IntegerParam(20, 50)
    person = fields.String(
        validate=validate.Length(max=100),
        metadata={"description": "user name or id of the actor or the recipient", "example": "ann"},
    )
    postId = IdParam()
    type = ChoiceParam([kind.value for kind in Kind])
    from_ = fields.AwareDateTime(data_key="from", default_timezone=UTC)
    to = fields.AwareDateTime(default_timezone=UTC, metadata={"description": "exclusive"})


class EventsQuery(ActivityQuery):
    cursor_parsers = (value_of(str),)


class NotificationsQuery(ActivityQuery):
    cursor_parsers = (parse_uuid,)


class PersonSchema(ObjectSchema):
    id = fields.UUID()
    username = fields.String(allow_none=True, metadata={"description": "null for a deleted account"})
    name = fields.String(allow_none=True)


class PostPreviewSchema(ObjectSchema):
    id = fields.UUID()
    caption = fields.String(allow_none=True, metadata={"description": "its beginning"})


class AdminEventSchema(EventProgressSchema):
    acceptedAt = fields.DateTime()
    actor = fields.Nested(PersonSchema, allow_none=True)
    recipient = fields.Nested(PersonSchema, allow_none=True)
    post = fields.Nested(PostPreviewSchema, allow_none=True)


class AdminEventsResponse(PageResponse):
    items = fields.List(
        fields.Nested(AdminEventSchema),
        metadata={"description": "may be fewer than `limit` although there is a next page"},
    )


class AdminNotificationSchema(ObjectSchema):
    id = fields.UUID()
    type = fields.Enum(Kind, by_value=True)
    state = fields.String(validate=validate.OneOf(NOTIFICATION_STATES))
    message = fields.String(metadata={"example": "Ann Lee and 3 others liked your post"})
    recipient = fields.Nested(PersonSchema)
    post = fields.Nested(PostPreviewSchema, allow_none=True)
    actorCount = fields.Integer()
    isRead = fields.Boolean()
    eventId = fields.UUID(allow_none=True, metadata={"description": "its newest event, for the trace"})
    createdAt = fields.DateTime()
    updatedAt = fields.DateTime()


class AdminNotificationsResponse(PageResponse):
    items = fields.List(fields.Nested(AdminNotificationSchema))


def _person_json(user_id: str | None, users_by_id: dict[str, UserSummary]) -> JsonObject | None:
    if user_id is None:
        return None
    user = users_by_id.get(user_id)
    return {
        "id": user_id,
        "username": user.username if user else None,
        "name": user.name if user else None,
    }


def blueprint(
    request_auth: RequestAuth,
    event_search: EventSearch,
    event_traces: EventTraceReader,
    notification_search: NotificationSearch,
    user_store: Users,
    post_store: PostReader,
) -> ApiBlueprint:
    routes = ApiBlueprint("activity_search", __name__, url_prefix="/api/admin")

    @routes.get("/events")
    @requires(Authority.ADMIN, request_auth.require_admin)
    @routes.arguments(EventsQuery, location="query")
    @routes.returns(AdminEventsResponse, errors=(404,))
    def search_events(_: str, query: JsonObject) -> JsonObject:
        """Events that a worker has seen within 24 hours, newest first, with their progress.

        Also those that were merged, muted or withdrawn. One request reads 5,000 traces; `nextCursor`
        continues there.
        """
        page: PageRequest = query["page"]
        found = event_search.find(
            _filter_from(query), page.limit, page.after_key[0] if page.after_key else None
        )
        return {
            "success": True,
            "items": _events_json(found.events),
            "nextCursor": encode_cursor((found.last_read_name,) if found.last_read_name else None),
        }

    @routes.get("/notifications")
    @requires(Authority.ADMIN, request_auth.require_admin)
    @routes.arguments(NotificationsQuery, location="query")
    @routes.returns(AdminNotificationsResponse, errors=(404,))
    def search_notifications(_: str, query: JsonObject) -> JsonObject:
        """Notifications of all users, newest first, also archived and removed ones.

        Answers 400 `search_too_broad` if it takes longer than 1.5 seconds.
        """
        page: PageRequest = query["page"]
        before_id = page.after_key[0] if page.after_key else None
        rows = notification_search.find(_filter_from(query), page.limit + 1, before_id)
        found = cut_page(rows, page.limit, lambda row: (row["id"],))
        return {"success": True, "items": found.items, "nextCursor": encode_cursor(found.next_key)}

    def _filter_from(query: JsonObject) -> ActivityFilter:
        """Raises Rejected (404) for a user name that nobody has."""
        kind, person = query.get("type"), query.get("person")
        if person and not is_uuid(person):
            person = user_store.get_id_by_username(person.removeprefix("@"))
        return ActivityFilter(
            person_id=person.lower() if person else None,
            post_id=query.get("postId"),
            kind=Kind(kind) if kind else None,
            since=query.get("from_"),
            until=query.get("to"),
        )

    def _events_json(events: Sequence[FoundEvent]) -> list[JsonObject]:
        if not events:
            return []
        groups = [event.group for event in events]
        user_ids = {group[name] for group in groups for name in ("actor", "recipient") if name in group}
        users_by_id = user_store.get_summaries(sorted(user_ids))
        object_ids = sorted({group["object"] for group in groups if "object" in group})
        captions = {post.id: post.caption for post in post_store.get_by_ids(object_ids)}
        return [
            progress.to_dict()
            | {
                "acceptedAt": event.accepted_at,
                "actor": _person_json(event.group.get("actor"), users_by_id),
                "recipient": _person_json(event.group.get("recipient"), users_by_id),
                "post": _post_json(event.group.get("object"), captions),
            }
            for event, progress in zip(
                events, event_traces.read_progress([event.event_id for event in events]), strict=True
            )
        ]

    return routes


def _post_json(object_id: str | None, captions: dict[str, str | None]) -> JsonObject | None:
    if object_id not in captions:
        return None
    caption = captions[object_id]
    return {"id": object_id, "caption": caption and caption[:MAX_CAPTION_PREVIEW]}
