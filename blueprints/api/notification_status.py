"""Status of notifications: read, unread, archived, deleted, snoozed and seen, for one row or for all
(/api/notifications/*).
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from marshmallow import fields, validate
from sqlalchemy import RowMapping

from app.domain.errors import define_rejection
from app.social.notification_status import (
    ARCHIVE,
    DELETE,
    MARK_UNREAD,
    UNARCHIVE,
    NotificationStatusStore,
    StatusTransition,
)
from blueprints.api.notifications import (
    FORBIDDEN_MESSAGE,
    MISSING_TOKEN_MESSAGE,
    NotificationSerializer,
)
from blueprints.http.api_blueprint import ApiBlueprint
from blueprints.http.authority import Authority, requires, requires_path_user
from blueprints.http.ids import parse_uuid
from blueprints.http.request_auth import RequestAuth
from blueprints.http.response_schemas import MessageResponse, NotificationSchema, ResponseSchema
from blueprints.http.schemas import RequestSchema
from blueprints.http.serializers import JsonObject

DELETE_FORBIDDEN = define_rejection("Forbidden: Cannot delete another user's notification", "forbidden", 403)


class ReadAllBody(RequestSchema):
    is_body_optional = True
    upTo = fields.Integer(
        strict=True,
        allow_none=True,
        validate=validate.Range(min=0),
        metadata={"description": "a `seq`: later notifications stay as they are"},
    )


class UndoReadAllBody(RequestSchema):
    required_message = "readAt required"
    readAt = fields.AwareDateTime(required=True, format="iso", default_timezone=UTC)


class SnoozeBody(RequestSchema):
    required_message = "until required"
    until = fields.AwareDateTime(
        required=True,
        format="iso",
        default_timezone=UTC,
        metadata={"description": "when it returns: at least a minute and at most a year ahead"},
    )


class NotificationResponse(ResponseSchema):
    notification = fields.Nested(NotificationSchema)


class UpdatedCountResponse(ResponseSchema):
    updatedCount = fields.Integer()


class ReadAllResponse(UpdatedCountResponse):
    readAt = fields.DateTime(allow_none=True)


def blueprint(
    request_auth: RequestAuth,
    status_store: NotificationStatusStore,
    notification_serializer: NotificationSerializer,
    now: Callable[[], float],
) -> ApiBlueprint:
    routes = ApiBlueprint("notification_status", __name__, url_prefix="/api/notifications")
    require_user = partial(request_auth.current_user_id, MISSING_TOKEN_MESSAGE)

    @routes.patch("/<notification_id>/read")
    @requires(Authority.OWNER, require_user)
    @routes.returns(NotificationResponse, errors=(404,))
    def mark_read(recipient_id: str, notification_id: str) -> JsonObject:
        """Mark a notification as read."""
        return _notification_response(status_store.mark_read(recipient_id, parse_uuid(notification_id)))

    @routes.patch("/<notification_id>/unread")
    @requires(Authority.OWNER, require_user)
    @routes.returns(NotificationResponse, errors=(404,))
    def mark_unread(recipient_id: str, notification_id: str) -> JsonObject:
        """Mark a notification as unread."""
        return _change_status(recipient_id, notification_id, MARK_UNREAD)

    @routes.patch("/<notification_id>/archive")
    @requires(Authority.OWNER, require_user)
    @routes.returns(NotificationResponse, errors=(404,))
    def archive_notification(recipient_id: str, notification_id: str) -> JsonObject:
        """Hide a notification from the list and the unread count."""
        return _change_status(recipient_id, notification_id, ARCHIVE)

    @routes.patch("/<notification_id>/unarchive")
    @requires(Authority.OWNER, require_user)
    @routes.returns(NotificationResponse, errors=(404,))
    def unarchive_notification(recipient_id: str, notification_id: str) -> JsonObject:
        """Show an archived notification again."""
        return _change_status(recipient_id, notification_id, UNARCHIVE)

    def _change_status(recipient_id: str, notification_id: str, change: StatusTransition) -> JsonObject:
        return _notification_response(
            status_store.apply_status_change(recipient_id, parse_uuid(notification_id), change)
        )

    def _notification_response(row: RowMapping) -> JsonObject:
        return {"success": True, "notification": notification_serializer.notifications_json([row])[0]}

    @routes.post("/<notification_id>/snooze")
    @requires(Authority.OWNER, require_user)
    @routes.arguments(SnoozeBody)
    @routes.returns(NotificationResponse, errors=(404,))
    def snooze_notification(recipient_id: str, body: JsonObject, notification_id: str) -> JsonObject:
        """Hide a notification from the list and the unread count until a time; then it returns as unread."""
        current_time = datetime.fromtimestamp(now(), UTC)
        return _notification_response(
            status_store.snooze(recipient_id, parse_uuid(notification_id), body["until"], current_time)
        )

    @routes.delete("/<notification_id>/snooze")
    @requires(Authority.OWNER, require_user)
    @routes.returns(NotificationResponse, errors=(404,))
    def cancel_snooze(recipient_id: str, notification_id: str) -> JsonObject:
        """Return a snoozed notification to the list now, as it was."""
        return _notification_response(status_store.cancel_snooze(recipient_id, parse_uuid(notification_id)))

    @routes.delete("/<notification_id>")
    @requires(Authority.OWNER, require_user)
    @routes.returns(MessageResponse, errors=(404,))
    def delete_notification(recipient_id: str, notification_id: str) -> JsonObject:
        """Delete a notification."""
        status_store.apply_status_change(recipient_id, parse_uuid(notification_id), DELETE, DELETE_FORBIDDEN)
        return {"success": True, "message": "Notification deleted"}

    @routes.patch("/<user_id>/seen")
    @requires_path_user(request_auth.require_self, FORBIDDEN_MESSAGE)
    @routes.arguments(ReadAllBody)
    @routes.returns(UpdatedCountResponse)
    def mark_all_seen(recipient_id: str, body: JsonObject) -> JsonObject:
        """Mark all notifications as seen."""
        return {
            "success": True,
            "updatedCount": status_store.mark_all_seen(recipient_id, body.get("upTo")),
        }

    @routes.patch("/<user_id>/read-all")
    @requires_path_user(request_auth.require_self, FORBIDDEN_MESSAGE)
    @routes.arguments(ReadAllBody)
    @routes.returns(ReadAllResponse)
    def mark_all_read(recipient_id: str, body: JsonObject) -> JsonObject:
        """Mark all notifications as read."""
        read_result = status_store.mark_all_read(recipient_id, body.get("upTo"))
        return {
            "success": True,
            "updatedCount": read_result.changed_count,
            "readAt": read_result.changed_at,
        }

    @routes.patch("/<user_id>/unread-all")
    @requires_path_user(request_auth.require_self, FORBIDDEN_MESSAGE)
    @routes.arguments(UndoReadAllBody)
    @routes.returns(UpdatedCountResponse)
    def undo_mark_all_read(recipient_id: str, body: JsonObject) -> JsonObject:
        """Undo one `read-all`, identified by the `readAt` of its response."""
        return {
            "success": True,
            "updatedCount": status_store.undo_mark_all_read(recipient_id, body["readAt"]),
        }

    return routes
