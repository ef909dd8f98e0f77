"""What a user was not told: GET /api/notifications/:userId/suppressed. The page /notifications/not-told shows
the same.

Four lists: events that ended without an announcement, notifications that quiet hours hold, those that the
user snoozed, and windows that are still open. A window is looked up by the id of its post, so those of
replies, which are gathered by comment, are not listed.
"""

from collections.abc import Sequence

from marshmallow import fields
from sqlalchemy import RowMapping

from app.clients import stale_reads
from app.domain.events import Kind
from app.domain.grouping import GroupKey
from app.domain.notification_reasons import not_told_text
from app.operations.open_windows import OpenWindow, OpenWindows
from app.persistence.pages import PageRequest
from app.social.posts import Post, PostReader
from app.social.suppressed_events import SuppressedEntry, SuppressedEventStore, SuppressedFilter
from app.social.users import Users, UserSummary
from blueprints.api.notifications import FORBIDDEN_MESSAGE, NotificationSerializer
from blueprints.http.api_blueprint import ApiBlueprint
from blueprints.http.authority import requires_path_user
from blueprints.http.pagination import HtmlPageQuery, IntegerParam, PageQuery, encode_cursor, value_of
from blueprints.http.query_fields import IdParam
from blueprints.http.request_auth import RequestAuth
from blueprints.http.response_schemas import (
    NotificationSchema,
    ObjectSchema,
    PageResponse,
    UserSummarySchema,
)
from blueprints.http.serializers import JsonObject, user_summaries_json

MAX_ENTRIES = 50
MAX_NAMED_PEOPLE = 3
MAX_POSTS_WITH_WINDOWS = 20
"""Without a post, the windows of the user's newest posts are looked up."""
_KINDS_GATHERED_BY_POST = (Kind.LIKE, Kind.COMMENT, Kind.POST_SHARE)


class SuppressedQuery(PageQuery):
    cursor_parsers = (value_of(int),)
    limit = IntegerParam(MAX_ENTRIES, MAX_ENTRIES)
    actorId = IdParam(metadata={"description": "only what this person did"})
    postId = IdParam(metadata={"description": "only about this post"})


class SuppressedEntrySchema(ObjectSchema):
    id = fields.Integer()
    type = fields.Enum(Kind, by_value=True)
    reason = fields.String(metadata={"example": "muted"})
    reasonText = fields.String(metadata={"example": "You muted the person or the post."})
    at = fields.DateTime(metadata={"description": "when the first of the events happened"})
    count = fields.Integer(metadata={"description": "number of events"})
    postId = fields.UUID(allow_none=True)
    postCaption = fields.String(allow_none=True)
    people = fields.List(
        fields.Nested(UserSummarySchema), metadata={"description": "some of those who did it"}
    )


class WaitingWindowSchema(ObjectSchema):
    type = fields.Enum(Kind, by_value=True)
    postId = fields.UUID()
    count = fields.Integer()
    dueAt = fields.DateTime()


class HeldNotificationSchema(ObjectSchema):
    notification = fields.Nested(NotificationSchema)
    until = fields.DateTime()


class SuppressedResponse(PageResponse):
    entries = fields.List(
        fields.Nested(SuppressedEntrySchema),
        metadata={"description": "may be fewer than `limit` although there is a next page"},
    )
    held = fields.List(
        fields.Nested(HeldNotificationSchema),
        metadata={"description": "held by quiet hours; first page only"},
    )
    snoozed = fields.List(
        fields.Nested(HeldNotificationSchema),
        metadata={"description": "snoozed by the user; first page only"},
    )
    waiting = fields.List(
        fields.Nested(WaitingWindowSchema),
        metadata={
            "description": "gathered, and told when the window closes; first page only. Without comments if "
            "a person is given, and without replies"
        },
    )


class SuppressedPageQuery(HtmlPageQuery):
    """Of the page."""

    cursor_parsers = SuppressedQuery.cursor_parsers
    limit = IntegerParam(MAX_ENTRIES, MAX_ENTRIES)


class SuppressedEventViews:
    """What a user was not told, as the API and the page show it."""

    def __init__(
        self,
        store: SuppressedEventStore,
        open_windows: OpenWindows,
        user_store: Users,
        post_store: PostReader,
        notification_serializer: NotificationSerializer,
    ) -> None:
        self._store = store
        self._open_windows = open_windows
        self._users = user_store
        self._posts = post_store
        self._notification_serializer = notification_serializer

    def load(self, recipient_id: str, filters: SuppressedFilter, page: PageRequest) -> JsonObject:
        """The body of the response."""
        before_id = page.after_key[0] if page.after_key else None
        found = self._store.list_newest(recipient_id, filters, page.limit, before_id)
        body: JsonObject = {
            "entries": self._entries_json(found.entries, recipient_id, filters),
            "held": [],
            "snoozed": [],
            "waiting": [],
            "nextCursor": encode_cursor(None if found.next_before_id is None else (found.next_before_id,)),
        }
        if before_id is None:
            held_rows = self._store.list_held(recipient_id, filters)
            body["held"] = self._waiting_rows_json(held_rows, "deferred_until")
            snoozed_rows = self._store.list_snoozed(recipient_id, filters)
            body["snoozed"] = self._waiting_rows_json(snoozed_rows, "snoozed_until")
            body["waiting"] = self._open_windows_json(recipient_id, filters)
        return body

    def _entries_json(
        self, entries: Sequence[SuppressedEntry], recipient_id: str, filters: SuppressedFilter
    ) -> list[JsonObject]:
        actor_ids = {actor_id for entry in entries for actor_id in _named_actor_ids(entry, filters)}
        user_by_id = self._users.get_summaries(sorted(actor_ids))
        post_ids = sorted({entry.post_id for entry in entries if entry.post_id})
        post_by_id = {post.id: post for post in self._posts.get_by_ids(post_ids, recipient_id)}
        return [
            _entry_json(
                entry,
                [user_by_id[id_] for id_ in _named_actor_ids(entry, filters) if id_ in user_by_id],
                post_by_id.get(entry.post_id or ""),
            )
            for entry in entries
        ]

    def _waiting_rows_json(self, rows: list[RowMapping], until_column: str) -> list[JsonObject]:
        notifications = self._notification_serializer.notifications_json(rows)
        return [
            {"notification": notification, "until": row[until_column]}
            for row, notification in zip(rows, notifications, strict=True)
        ]

    def _open_windows_json(self, recipient_id: str, filters: SuppressedFilter) -> list[JsonObject]:
        post_ids = [filters.post_id] if filters.post_id else self._newest_post_ids(recipient_id)
        groups = [
            GroupKey(recipient_id, kind, post_id) for post_id in post_ids for kind in _KINDS_GATHERED_BY_POST
        ]
        windows: list[OpenWindow] = []
        with stale_reads.mark_stale_if_redis_unavailable():
            windows = self._open_windows.list_of_groups(groups, filters.actor_id)
        return [
            {
                "type": window.kind,
                "postId": window.object_id,
                "count": window.gathered_count,
                "dueAt": window.due_at,
            }
            for window in windows
        ]

    def _newest_post_ids(self, recipient_id: str) -> list[str]:
        newest_posts = self._posts.list_newest(recipient_id, PageRequest(MAX_POSTS_WITH_WINDOWS))
        return [post.id for post in newest_posts.items]


def _named_actor_ids(entry: SuppressedEntry, filters: SuppressedFilter) -> list[str]:
    """The person who was asked for comes first, also if the entry does not name them."""
    asked_for = [filters.actor_id] if filters.actor_id else []
    return list(dict.fromkeys([*asked_for, *entry.actor_ids]))[:MAX_NAMED_PEOPLE]


def _entry_json(entry: SuppressedEntry, people: Sequence[UserSummary], post: Post | None) -> JsonObject:
    return {
        "id": entry.id,
        "type": entry.kind.value,
        "reason": entry.outcome,
        "reasonText": not_told_text(entry.outcome),
        "at": entry.occurred_at,
        "count": entry.event_count,
        "postId": post.id if post else None,
        "postCaption": post.caption if post else None,
        "people": user_summaries_json(people),
    }


def blueprint(request_auth: RequestAuth, views: SuppressedEventViews) -> ApiBlueprint:
    routes = ApiBlueprint("suppressed", __name__, url_prefix="/api/notifications")

    @routes.get("/<user_id>/suppressed")
    @requires_path_user(request_auth.require_self, FORBIDDEN_MESSAGE)
    @routes.arguments(SuppressedQuery, location="query")
    @routes.returns(SuppressedResponse)
    def list_suppressed(recipient_id: str, query: JsonObject) -> JsonObject:
        """What a user was not told, newest first, with the reason."""
        filters = SuppressedFilter(query.get("actorId"), query.get("postId"))
        return {"success": True} | views.load(recipient_id, filters, query["page"])

    return routes
