"""Open windows and the delivery log: GET /api/admin/windows, POST /api/admin/windows/flush, GET
/api/admin/delivery-log. Administrators only.
"""

from collections.abc import Callable, Iterable
from typing import Any

import gevent
from marshmallow import fields

from app.clients import stale_reads
from app.domain.errors import Unavailable
from app.domain.events import Kind, Priority, to_iso_utc
from app.operations.audit_log import AuditLog
from app.operations.open_windows import OpenWindow, OpenWindows
from app.persistence.delivery_log import DeliveryLog
from app.persistence.pages import PageRequest, cut_page
from blueprints.http.api_blueprint import ApiBlueprint
from blueprints.http.authority import Authority, requires
from blueprints.http.pagination import PageQuery, encode_cursor, value_of
from blueprints.http.query_fields import IdParam
from blueprints.http.request_auth import RequestAuth
from blueprints.http.response_schemas import ObjectSchema, PageResponse, ResponseSchema
from blueprints.http.serializers import JsonObject

DELIVERY_LOG_TIMEOUT_SECONDS = 1.8


class DeliveryLogQuery(PageQuery):
    required_message = "userId required"
    userId = IdParam(required=True)


class WindowsQuery(PageQuery):
    cursor_parsers = (value_of(int), value_of(str))


class WindowSchema(ObjectSchema):
    name = fields.String()
    recipient = fields.UUID()
    type = fields.Enum(Kind, by_value=True)
    object = fields.String(metadata={"description": "the id of what the window is about"})
    count = fields.Integer(metadata={"description": "gathered events"})
    dueAt = fields.DateTime()
    closing = fields.Boolean()


class WindowsResponse(PageResponse):
    items = fields.List(fields.Nested(WindowSchema))
    names = fields.Dict(
        fields.UUID(), fields.String(), metadata={"description": "of recipients and objects, by id"}
    )


class FlushedResponse(ResponseSchema):
    flushed = fields.Integer(metadata={"description": "windows"})


class DeliveryLogEntrySchema(ObjectSchema):
    id = fields.UUID()
    createdAt = fields.DateTime()
    userId = fields.UUID()
    priority = fields.Enum(Priority, by_value=True)
    notificationId = fields.String()
    type = fields.String(metadata={"description": "of the event, or of the message to the client"})
    clientEvent = fields.String()
    status = fields.String(metadata={"example": "SENT"})
    count = fields.String()
    version = fields.Integer()
    seq = fields.Integer()
    channels = fields.List(fields.String())


class DeliveryLogResponse(PageResponse):
    entries = fields.List(fields.Nested(DeliveryLogEntrySchema))


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
    find_names_by_ids: Callable[[Iterable[str]], dict[str, str]],
    audit_log: AuditLog,
    open_delivery_log: Callable[[], DeliveryLog],
) -> ApiBlueprint:
    routes = ApiBlueprint("operations", __name__, url_prefix="/api/admin")

    @routes.get("/windows")
    @requires(Authority.ADMIN, request_auth.require_admin)
    @routes.arguments(WindowsQuery, location="query")
    @routes.returns(WindowsResponse)
    def list_windows(_: str, query: JsonObject) -> JsonObject:
        """Open windows, by due time."""
        page: PageRequest = query["page"]
        rows: list[OpenWindow] = []
        with stale_reads.mark_stale_if_redis_unavailable():
            rows = open_windows.list_by_due(page.limit + 1, page.after_key)
        windows = cut_page(rows, page.limit, lambda window: (window.due_ms, window.name))
        ids = [id for window in windows.items for id in (window.recipient_id, window.object_id)]
        return {
            "success": True,
            "items": [_window_json(window) for window in windows.items],
            "names": find_names_by_ids(ids),
            "nextCursor": encode_cursor(windows.next_key),
        }

    @routes.post("/windows/flush")
    @requires(Authority.ADMIN, request_auth.require_admin)
    @routes.returns(FlushedResponse)
    def flush_windows(admin_id: str) -> JsonObject:
        """Make all open windows due. The flusher closes them in its next step or two."""
        flushed = open_windows.make_all_due()
        audit_log.record(admin_id, "windows.flush", f"{flushed} windows")
        return {"success": True, "flushed": flushed}

    @routes.get("/delivery-log")
    @requires(Authority.ADMIN, request_auth.require_admin)
    @routes.arguments(DeliveryLogQuery, location="query")
    @routes.returns(DeliveryLogResponse)
    def list_delivery_log(_: str, query: JsonObject) -> JsonObject:
        """The delivery log of a user, newest first."""
        page: PageRequest = query["page"]
        after = (to_iso_utc(page.after_key[0]), page.after_key[1]) if page.after_key else None
        # A frozen DynamoDB must not block a request longer than other services may.
        with gevent.Timeout(DELIVERY_LOG_TIMEOUT_SECONDS, Unavailable("DynamoDB did not answer in time")):
            rows = open_delivery_log().list_by_user(query["userId"], page.limit + 1, after)
        entries = cut_page(rows, page.limit, lambda entry: (entry["createdAt"], entry["id"]))
        return {
            "success": True,
            "entries": [_entry_json(entry) for entry in entries.items],
            "nextCursor": encode_cursor(entries.next_key),
        }

    return routes
