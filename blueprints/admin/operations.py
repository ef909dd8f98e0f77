"""Open windows and the delivery log: GET /api/admin/windows, POST /api/admin/windows/flush, GET
/api/admin/delivery-log. Administrators only.
"""

from collections.abc import Callable
from typing import Any

import gevent
from flask import Blueprint, request

from app.clients import stale_reads
from app.domain.errors import Rejected, Unavailable
from app.domain.events import to_iso_utc
from app.operations.audit_log import AuditLog
from app.operations.open_windows import OpenWindow, OpenWindows
from app.persistence.delivery_log import DeliveryLog
from blueprints.http.ids import parse_uuid
from blueprints.http.pagination import invalid_cursor, next_cursor, parse_page_params
from blueprints.http.request_auth import RequestAuth
from blueprints.http.serializers import JsonObject

DELIVERY_LOG_TIMEOUT_SECONDS = 1.8


def _parse_window_cursor(cursor: list[Any] | None) -> tuple[float, str] | None:
    if cursor is None:
        return None
    if len(cursor) != 2 or not isinstance(cursor[0], int) or not isinstance(cursor[1], str):
        raise invalid_cursor()
    return float(cursor[0]), cursor[1]


def _window_json(window: OpenWindow) -> JsonObject:
    return {
        "name": window.name,
        "recipient": window.recipient_id,
        "type": window.kind,
        "object": window.object_id,
        "count": window.gathered_count,
        "dueAt": window.due_at,
        "closing": window.is_claimed,
    }


def _entry_json(entry: dict[str, Any]) -> JsonObject:
    """Converts DynamoDB numbers and lists to JSON; leaves out the expiry time."""
    payload = {name: value for name, value in entry.items() if name != "expiresAt"}
    payload["version"], payload["seq"] = int(entry["version"]), int(entry["seq"])
    payload["channels"] = [next(iter(channel.values())) for channel in entry["channels"]]
    return payload


def blueprint(
    request_auth: RequestAuth,
    open_windows: OpenWindows,
    audit_log: AuditLog,
    open_delivery_log: Callable[[], DeliveryLog],
) -> Blueprint:
    routes = Blueprint("operations", __name__, url_prefix="/api/admin")

    @routes.get("/windows")
    def list_windows() -> JsonObject:
        request_auth.require_admin()
        page_params = parse_page_params(50, 100)
        cursor_key = _parse_window_cursor(page_params.cursor_values)
        windows: list[OpenWindow] = []
        with stale_reads.mark_stale_if_redis_unavailable():
            windows = open_windows.list_by_due(page_params.limit + 1, cursor_key)
        return {
            "success": True,
            "items": [_window_json(window) for window in windows[: page_params.limit]],
            "nextCursor": next_cursor(
                windows, page_params.limit, lambda window: (window.due_ms, window.name)
            ),
        }

    @routes.post("/windows/flush")
    def flush_windows() -> JsonObject:
        """Makes all open windows due; the flusher closes them in its next step or two."""
        admin_id = request_auth.require_admin()
        flushed = open_windows.make_all_due()
        audit_log.record(admin_id, "windows.flush", f"{flushed} windows")
        return {"success": True, "flushed": flushed}

    @routes.get("/delivery-log")
    def listopen_delivery_log() -> JsonObject:
        request_auth.require_admin()
        raw_user_id = request.args.get("userId")
        if raw_user_id is None:
            raise Rejected("userId required", "invalid", 400)
        user_id, page_params = parse_uuid(raw_user_id), parse_page_params(50, 100)
        cursor_key = page_params.cursor_key
        after = (to_iso_utc(cursor_key[0]), cursor_key[1]) if cursor_key else None
        # A frozen DynamoDB must not block a request longer than other services may.
        with gevent.Timeout(DELIVERY_LOG_TIMEOUT_SECONDS, Unavailable("DynamoDB did not answer in time")):
            entries = open_delivery_log().list_by_user(user_id, page_params.limit + 1, after)
        return {
            "success": True,
            "entries": [_entry_json(entry) for entry in entries[: page_params.limit]],
            "nextCursor": next_cursor(
                entries, page_params.limit, lambda entry: (entry["createdAt"], entry["id"])
            ),
        }

    return routes
