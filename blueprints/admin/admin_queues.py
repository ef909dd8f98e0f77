"""The fallback queue and the dead letters: GET /api/admin/{fallback,dead-letters}; POST .../replay and
.../discard with ids. Administrators only; each change is written to the audit log.
"""

from collections.abc import Callable

from flask import Blueprint

from app.operations.admin_queues import AdminQueues, AdminSelection
from blueprints.http.pagination import invalid_cursor, next_cursor, parse_page_params
from blueprints.http.request_auth import RequestAuth
from blueprints.http.schemas import QueueEntryIdsBody, parse_json_body
from blueprints.http.serializers import JsonObject

_IDS_SCHEMA = QueueEntryIdsBody()


def _page_response(
    entries: list[JsonObject], limit: int, cursor_key_of: Callable[[JsonObject], tuple[object, ...]]
) -> JsonObject:
    return {
        "success": True,
        "items": entries[:limit],
        "nextCursor": next_cursor(entries, limit, cursor_key_of),
    }


def blueprint(request_auth: RequestAuth, admin_queues: AdminQueues) -> Blueprint:
    routes = Blueprint("admin_queues", __name__, url_prefix="/api/admin")

    @routes.get("/fallback")
    def list_fallback() -> JsonObject:
        request_auth.require_admin()
        page_params = parse_page_params(50, 100)
        before_id = page_params.cursor_values[0] if page_params.cursor_values else None
        if before_id is not None and not isinstance(before_id, int):
            raise invalid_cursor()
        entries = admin_queues.list_fallback_rows(page_params.limit + 1, before_id)
        return _page_response(entries, page_params.limit, lambda row: (row["id"],))

    @routes.get("/dead-letters")
    def list_dead_letters() -> JsonObject:
        request_auth.require_admin()
        page_params = parse_page_params(50, 100)
        entries = admin_queues.list_dead_letters(page_params.limit + 1, page_params.cursor_key)
        return _page_response(entries, page_params.limit, lambda row: (row["createdAt"], row["id"]))

    @routes.post("/fallback/replay")
    def replay_fallback() -> JsonObject:
        return _apply_admin_action(AdminQueues.reset_fallback_retries)

    @routes.post("/fallback/discard")
    def discard_fallback() -> JsonObject:
        return _apply_admin_action(AdminQueues.discard_fallback_rows)

    @routes.post("/dead-letters/replay")
    def replay_dead_letters() -> JsonObject:
        return _apply_admin_action(AdminQueues.replay_dead_letters)

    @routes.post("/dead-letters/discard")
    def discard_dead_letters() -> JsonObject:
        return _apply_admin_action(AdminQueues.discard_dead_letters)

    def _apply_admin_action(operation: Callable[[AdminQueues, AdminSelection], int]) -> JsonObject:
        admin_id = request_auth.require_admin()
        ids = parse_json_body(_IDS_SCHEMA)["ids"]
        return {
            "success": True,
            "changed": operation(admin_queues, AdminSelection(admin_id, tuple(ids))),
        }

    return routes
