"""Notifications: the list, the unread count, and the actors of a group (/api/notifications/*).

Changes of status are in blueprints/api/notification_status.py, explanations in explain.py.
"""

from datetime import datetime

from flask import Blueprint, request
from sqlalchemy import RowMapping

from app.domain.errors import Rejected
from app.domain.events import Kind, Priority
from app.persistence.serializer import notification_json
from app.social.notifications import NOT_FOUND, GroupActorView, NotificationFilter, Notifications
from blueprints.api.explain import explanation_json
from blueprints.http.ids import parse_uuid
from blueprints.http.pagination import PageParams, invalid_cursor, next_cursor, parse_page_params
from blueprints.http.request_auth import RequestAuth
from blueprints.http.serializers import JsonObject, user_summary_json

FORBIDDEN_MESSAGE = "Forbidden: You can only access your own resources"
MISSING_TOKEN_MESSAGE = "Authorization required. Please provide a valid token."  # noqa: S105 - a message
NOT_OWNER = Rejected(FORBIDDEN_MESSAGE, "forbidden", 403)


def notification_cursor_key(row: RowMapping) -> tuple[datetime, str]:
    return row["updated_at"], row["id"]


def _parse_filter() -> NotificationFilter:
    unread_only = _parse_choice("unreadOnly", ("true", "false")) == "true"
    priority = _parse_choice("priority", tuple(priority_value.value for priority_value in Priority))
    return NotificationFilter(
        unread_only, priority, _parse_choice("type", tuple(kind.value for kind in Kind))
    )


def _parse_choice(arg_name: str, allowed: tuple[str, ...]) -> str | None:
    value = request.args.get(arg_name)
    if value is not None and value not in allowed:
        raise Rejected(f"{arg_name} must be one of {', '.join(allowed)}", "invalid", 400)
    return value


def _actor_cursor_key(actor: GroupActorView) -> tuple[bool, int, str]:
    return actor.is_follower, actor.seq, actor.user.id


def _parse_actor_cursor(page_params: PageParams) -> tuple[bool, int, str] | None:
    if page_params.cursor_values is None:
        return None
    match page_params.cursor_values:
        case [bool(follower), int(seq), str(last)]:
            return follower, seq, parse_uuid(last)
    raise invalid_cursor()


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
) -> Blueprint:
    routes = Blueprint("notifications", __name__, url_prefix="/api/notifications")

    @routes.get("/<user_id>")
    def list_notifications(user_id: str) -> JsonObject:
        recipient_id = request_auth.require_self(user_id, FORBIDDEN_MESSAGE)
        page_params, notification_filter = parse_page_params(20, 100), _parse_filter()
        page_rows = notification_store.list_newest(
            recipient_id, notification_filter, page_params.page_request
        )
        payload: JsonObject = {
            "success": True,
            "notifications": notification_serializer.notifications_json(page_rows[: page_params.limit]),
        }
        if page_params.cursor_values is None:
            pagination = page_params.pagination_totals(
                notification_store.count_matching(recipient_id, notification_filter)
            )
            payload["pagination"] = pagination | {"hasMore": len(page_rows) > page_params.limit}
        payload["nextCursor"] = next_cursor(page_rows, page_params.limit, notification_cursor_key)
        return payload

    @routes.get("/<user_id>/unread-count")
    def get_unread_count(user_id: str) -> JsonObject:
        unread = notification_store.count_unread(request_auth.require_self(user_id, FORBIDDEN_MESSAGE))
        breakdown = {name.lower(): count for name, count in unread.by_priority.items()}
        return {
            "success": True,
            "count": unread.count,
            "breakdown": breakdown,
            "version": unread.version,
        }

    @routes.get("/<user_id>/grouped")
    def list_grouped(user_id: str) -> JsonObject:
        recipient_id = request_auth.require_self(user_id, FORBIDDEN_MESSAGE)
        by_kind: dict[str, list[JsonObject]] = {}
        for row in notification_serializer.notifications_json(
            notification_store.list_newest_groups(recipient_id)
        ):
            by_kind.setdefault(row["type"], []).append(row)
        stats = [dict(kind_stats) for kind_stats in notification_store.count_by_kind(recipient_id)]
        return {"success": True, "grouped": by_kind, "stats": stats}

    @routes.get("/<user_id>/totals")
    def get_totals(user_id: str) -> JsonObject:
        """Row counts per type, all and unread; `version` as in unread-count."""
        recipient_id = request_auth.require_self(user_id, FORBIDDEN_MESSAGE)
        # Read first: a change in between is reported again rather than missed.
        version = notification_store.count_unread(recipient_id).version
        by_kind = {
            kind_stats["type"]: {"count": kind_stats["count"], "unread": kind_stats["unread"]}
            for kind_stats in notification_store.count_by_kind(recipient_id)
        }
        return {"success": True, "types": by_kind, "version": version}

    @routes.get("/<notification_id>/why")
    def explain_notification(notification_id: str) -> JsonObject:
        viewer_id, parsed_id = (
            request_auth.current_user_id(MISSING_TOKEN_MESSAGE),
            parse_uuid(notification_id),
        )
        explanation = notification_store.explain_notification(parsed_id)
        if explanation is None:
            raise NOT_FOUND
        if explanation.row["user_id"] != viewer_id:
            raise NOT_OWNER
        return {"success": True} | explanation_json(
            explanation, notification_serializer.notifications_json([explanation.row])[0]["message"]
        )

    @routes.get("/<notification_id>/actors")
    def list_actors(notification_id: str) -> JsonObject:
        viewer_id, page_params = (
            request_auth.current_user_id(MISSING_TOKEN_MESSAGE),
            parse_page_params(20, 100),
        )
        parsed_id = parse_uuid(notification_id)
        if notification_store.get_recipient_id(parsed_id) != viewer_id:
            raise NOT_OWNER
        actor_rows = notification_store.list_group_actors(
            parsed_id, page_params.limit + 1, _parse_actor_cursor(page_params)
        )
        return {
            "success": True,
            "actors": [user_summary_json(actor.user) for actor in actor_rows[: page_params.limit]],
            "nextCursor": next_cursor(actor_rows, page_params.limit, _actor_cursor_key),
        }

    return routes
