"""Status of notifications: read, unread, archived, deleted and seen, for one row or for all
(/api/notifications/*).
"""

from flask import Blueprint

from app.domain.errors import Rejected
from app.social.notification_status import (
    ARCHIVE,
    DELETE,
    MARK_UNREAD,
    UNARCHIVE,
    NotificationStatusStore,
    StatusChange,
)
from blueprints.api.notifications import (
    FORBIDDEN_MESSAGE,
    MISSING_TOKEN_MESSAGE,
    NotificationSerializer,
)
from blueprints.http.ids import parse_uuid
from blueprints.http.request_auth import RequestAuth
from blueprints.http.schemas import ReadAllBody, UndoReadAllBody, parse_json_body
from blueprints.http.serializers import JsonObject

DELETE_FORBIDDEN = Rejected("Forbidden: Cannot delete another user's notification", "forbidden", 403)
_READ_ALL_SCHEMA, _UNREAD_ALL_SCHEMA = ReadAllBody(), UndoReadAllBody()


def blueprint(
    request_auth: RequestAuth,
    status_store: NotificationStatusStore,
    notification_serializer: NotificationSerializer,
) -> Blueprint:
    routes = Blueprint("notification_status", __name__, url_prefix="/api/notifications")

    @routes.patch("/<notification_id>/read")
    def mark_read(notification_id: str) -> JsonObject:
        recipient_id = request_auth.current_user_id(MISSING_TOKEN_MESSAGE)
        notification = status_store.mark_read(recipient_id, parse_uuid(notification_id))
        return {
            "success": True,
            "notification": notification_serializer.notifications_json([notification])[0],
        }

    @routes.patch("/<notification_id>/unread")
    def mark_unread(notification_id: str) -> JsonObject:
        return _change_status(notification_id, MARK_UNREAD)

    @routes.patch("/<notification_id>/archive")
    def archive_notification(notification_id: str) -> JsonObject:
        return _change_status(notification_id, ARCHIVE)

    @routes.patch("/<notification_id>/unarchive")
    def unarchive_notification(notification_id: str) -> JsonObject:
        return _change_status(notification_id, UNARCHIVE)

    def _change_status(notification_id: str, change: StatusChange) -> JsonObject:
        notification = status_store.apply_status_change(
            request_auth.current_user_id(MISSING_TOKEN_MESSAGE), parse_uuid(notification_id), change
        )
        return {
            "success": True,
            "notification": notification_serializer.notifications_json([notification])[0],
        }

    @routes.delete("/<notification_id>")
    def delete_notification(notification_id: str) -> JsonObject:
        recipient_id, parsed_id = (
            request_auth.current_user_id(MISSING_TOKEN_MESSAGE),
            parse_uuid(notification_id),
        )
        status_store.apply_status_change(recipient_id, parsed_id, DELETE, DELETE_FORBIDDEN)
        return {"success": True, "message": "Notification deleted"}

    @routes.patch("/<user_id>/seen")
    def mark_all_seen(user_id: str) -> JsonObject:
        recipient_id = request_auth.require_self(user_id, FORBIDDEN_MESSAGE)
        max_seq = parse_json_body(_READ_ALL_SCHEMA, optional=True).get("upTo")
        return {
            "success": True,
            "updatedCount": status_store.mark_all_seen(recipient_id, max_seq),
        }

    @routes.patch("/<user_id>/read-all")
    def mark_all_read(user_id: str) -> JsonObject:
        recipient_id = request_auth.require_self(user_id, FORBIDDEN_MESSAGE)
        max_seq = parse_json_body(_READ_ALL_SCHEMA, optional=True).get("upTo")
        read_result = status_store.mark_all_read(recipient_id, max_seq)
        return {
            "success": True,
            "updatedCount": read_result.changed_count,
            "readAt": read_result.changed_at,
        }

    @routes.patch("/<user_id>/unread-all")
    def undo_mark_all_read(user_id: str) -> JsonObject:
        """Undoes one `read-all`, identified by the `readAt` of its response."""
        recipient_id = request_auth.require_self(user_id, FORBIDDEN_MESSAGE)
        read_at = parse_json_body(_UNREAD_ALL_SCHEMA)["readAt"]
        return {
            "success": True,
            "updatedCount": status_store.undo_mark_all_read(recipient_id, read_at),
        }

    return routes
