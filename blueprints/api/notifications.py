"""Notifications: the list, the unread count, and the actors of a group (/api/notifications/*).

Changes of status are in blueprints/api/notification_status.py, explanations in explain.py.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from marshmallow import fields
from sqlalchemy import RowMapping

from app.domain.errors import define_rejection
from app.domain.events import Kind, Priority
from app.domain.notification_reasons import LocalClock, reason_lines
from app.domain.preferences import time_zone_or_utc
from app.domain.windows import AggregationRules
from app.persistence.pages import PageRequest
from app.persistence.serializer import notification_json
from app.social.notifications import NOT_FOUND, NotificationFilter, Notifications
from blueprints.api.explain import (
    ExplanationQuery,
    ExplanationResponse,
    explanation_json,
    notification_facts,
)
from blueprints.http.api_blueprint import ApiBlueprint
from blueprints.http.authority import Authority, requires, requires_path_user
from blueprints.http.ids import parse_uuid
from blueprints.http.pagination import (
    IntegerParam,
    PageQuery,
    encode_cursor,
    pagination_totals,
    value_of,
)
from blueprints.http.query_fields import ChoiceParam
from blueprints.http.request_auth import RequestAuth
from blueprints.http.response_schemas import (
    NotificationSchema,
    ObjectSchema,
    PageResponse,
    PaginationSchema,
    ResponseSchema,
    UserSummarySchema,
)
from blueprints.http.serializers import JsonObject, user_summaries_json

FORBIDDEN_MESSAGE = "Forbidden: You can only access your own resources"
MISSING_TOKEN_MESSAGE = "Authorization required. Please provide a valid token."  # noqa: S105 - a message
NOT_OWNER = define_rejection(FORBIDDEN_MESSAGE, "forbidden", 403)


class ActorsQuery(PageQuery):
    cursor_parsers = (value_of(bool), value_of(int), parse_uuid)
    limit = IntegerParam(20, 100)


class NotificationsQuery(PageQuery):
    limit = IntegerParam(20, 100)
    unreadOnly = ChoiceParam(("true", "false"))
    snoozed = ChoiceParam(("true", "false"))
    priority = ChoiceParam([priority.value for priority in Priority])
    type = ChoiceParam([kind.value for kind in Kind])


class NotificationPaginationSchema(PaginationSchema):
    hasMore = fields.Boolean()


class NotificationsResponse(PageResponse):
    optional_fields = PageResponse.optional_fields | {"pagination"}
    notifications = fields.List(fields.Nested(NotificationSchema))
    pagination = fields.Nested(NotificationPaginationSchema, metadata={"description": "without cursor"})


class UnreadBreakdownSchema(ObjectSchema):
    critical = fields.Integer()
    high = fields.Integer()
    low = fields.Integer()


class UnreadCountResponse(ResponseSchema):
    count = fields.Integer()
    breakdown = fields.Nested(UnreadBreakdownSchema)
    version = fields.Integer(metadata={"description": "a lower one is older"})


class CountsSchema(ObjectSchema):
    count = fields.Integer()
    unread = fields.Integer()


class KindCountsSchema(CountsSchema):
    type = fields.Enum(Kind, by_value=True)
    latest = fields.DateTime(metadata={"description": "the last change"})


class GroupedResponse(ResponseSchema):
    grouped = fields.Dict(fields.String(), fields.List(fields.Nested(NotificationSchema)))
    stats = fields.List(fields.Nested(KindCountsSchema))


class TotalsResponse(ResponseSchema):
    types = fields.Dict(fields.String(), fields.Nested(CountsSchema))
    version = fields.Integer()


class ActorsResponse(PageResponse):
    actors = fields.List(fields.Nested(UserSummarySchema))


class NotificationSerializer:
    def __init__(self, notification_store: Notifications) -> None:
        self._notification_store = notification_store

    def notifications_json(self, notification_rows: list[RowMapping]) -> list[JsonObject]:
        """Rows as the list shows them, each with its latest actors."""
        actors_by_notification = self._notification_store.get_first_actors(
            [row["id"] for row in notification_rows]
        )
        return [notification_json(row, actors_by_notification[row["id"]]) for row in notification_rows]


def blueprint(
    request_auth: RequestAuth,
    notification_store: Notifications,
    notification_serializer: NotificationSerializer,
    rules: AggregationRules,
    now: Callable[[], float],
) -> ApiBlueprint:
    routes = ApiBlueprint("notifications", __name__, url_prefix="/api/notifications")
    require_user = partial(request_auth.current_user_id, MISSING_TOKEN_MESSAGE)

    @routes.get("/<user_id>")
    @requires_path_user(request_auth.require_self, FORBIDDEN_MESSAGE)
    @routes.arguments(NotificationsQuery, location="query")
    @routes.returns(NotificationsResponse)
    def list_notifications(recipient_id: str, query: JsonObject) -> JsonObject:
        """The notifications of a user, last changed first; with `snoozed=true` those that are snoozed."""
        page: PageRequest = query["page"]
        notification_filter = NotificationFilter(
            query.get("unreadOnly") == "true",
            query.get("priority"),
            query.get("type"),
            query.get("snoozed") == "true",
        )
        rows = notification_store.list_newest(recipient_id, notification_filter, page)
        payload: JsonObject = {
            "success": True,
            "notifications": notification_serializer.notifications_json(rows.items),
        }
        if page.after_key is None:
            counted_rows = notification_store.count_matching(recipient_id, notification_filter)
            has_more = {"hasMore": rows.next_key is not None}
            payload["pagination"] = pagination_totals(page, counted_rows) | has_more
        payload["nextCursor"] = encode_cursor(rows.next_key)
        return payload

    @routes.get("/<user_id>/unread-count")
    @requires_path_user(request_auth.require_self, FORBIDDEN_MESSAGE)
    @routes.returns(UnreadCountResponse)
    def get_unread_count(recipient_id: str) -> JsonObject:
        """The number of unread notifications, also by priority."""
        unread = notification_store.count_unread(recipient_id)
        breakdown = {name.lower(): count for name, count in unread.by_priority.items()}
        return {
            "success": True,
            "count": unread.count,
            "breakdown": breakdown,
            "version": unread.version,
        }

    @routes.get("/<user_id>/grouped")
    @requires_path_user(request_auth.require_self, FORBIDDEN_MESSAGE)
    @routes.returns(GroupedResponse)
    def list_grouped(recipient_id: str) -> JsonObject:
        """The newest notifications by type, and counts per type."""
        by_kind: dict[str, list[JsonObject]] = {}
        for row in notification_serializer.notifications_json(
            notification_store.list_newest_groups(recipient_id)
        ):
            by_kind.setdefault(row["type"], []).append(row)
        stats = [dict(kind_stats) for kind_stats in notification_store.count_by_kind(recipient_id)]
        return {"success": True, "grouped": by_kind, "stats": stats}

    @routes.get("/<user_id>/totals")
    @requires_path_user(request_auth.require_self, FORBIDDEN_MESSAGE)
    @routes.returns(TotalsResponse)
    def get_totals(recipient_id: str) -> JsonObject:
        """Row counts per type, all and unread; `version` as in unread-count."""
        # Read first: a change in between is reported again rather than missed.
        version = notification_store.count_unread(recipient_id).version
        by_kind = {
            kind_stats["type"]: {"count": kind_stats["count"], "unread": kind_stats["unread"]}
            for kind_stats in notification_store.count_by_kind(recipient_id)
        }
        return {"success": True, "types": by_kind, "version": version}

    @routes.get("/<notification_id>/why")
    @requires(Authority.OWNER, require_user)
    @routes.arguments(ExplanationQuery, location="query")
    @routes.returns(ExplanationResponse, errors=(404,))
    def explain_notification(viewer_id: str, query: JsonObject, notification_id: str) -> JsonObject:
        """Why a notification came, in at most six sentences; the decisions and the steps with their times."""
        explanation = notification_store.explain_notification(
            parse_uuid(notification_id), rules.window_seconds
        )
        if explanation is None:
            raise NOT_FOUND
        if explanation.row["user_id"] != viewer_id:
            raise NOT_OWNER
        clock = LocalClock(time_zone_or_utc(query["timeZone"]), datetime.fromtimestamp(now(), UTC))
        return {"success": True} | explanation_json(
            explanation,
            notification_serializer.notifications_json([explanation.row])[0]["message"],
            reason_lines(notification_facts(explanation), rules, clock),
        )

    @routes.get("/<notification_id>/actors")
    @requires(Authority.OWNER, require_user)
    @routes.arguments(ActorsQuery, location="query")
    @routes.returns(ActorsResponse, errors=(404,))
    def list_actors(viewer_id: str, query: JsonObject, notification_id: str) -> JsonObject:
        """All actors of a notification: followers first, then the newest."""
        page: PageRequest = query["page"]
        parsed_id = parse_uuid(notification_id)
        if notification_store.get_recipient_id(parsed_id) != viewer_id:
            raise NOT_OWNER
        actors = notification_store.list_group_actors(parsed_id, page)
        return {
            "success": True,
            "actors": user_summaries_json(actors.items),
            "nextCursor": encode_cursor(actors.next_key),
        }

    return routes
