"""Data of the database viewer and figures of the dashboard.

GET /api/admin/stats; GET /api/admin/db/{notification-history,likes,comments,follows,stats,pending}; DELETE
/api/admin/db/clear.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from flask import Blueprint, abort, request

from app.domain.errors import Rejected
from app.domain.events import to_iso_utc
from app.messaging.fallback_queue import FallbackQueue
from app.operations.data_wipe import EventDataWipe
from app.operations.database_viewer import TABLE_VIEWS, DatabaseViewer
from app.operations.in_flight_events import InFlightEvents
from blueprints.http.pagination import next_cursor, parse_int_arg, parse_page_params
from blueprints.http.request_auth import RequestAuth
from blueprints.http.serializers import JsonObject

RECENT_PERIOD = timedelta(minutes=5)
_TABLE_BY_STAT = {
    "notifications": "notification-history",
    "likes": "likes",
    "comments": "comments",
    "follows": "follows",
}


def blueprint(
    request_auth: RequestAuth,
    database_viewer: DatabaseViewer,
    in_flight_events: InFlightEvents,
    data_wipe: EventDataWipe,
    fallback_queue: FallbackQueue,
    now: Callable[[], float],
) -> Blueprint:
    routes = Blueprint("database_viewer", __name__, url_prefix="/api/admin")

    @routes.get("/stats")
    def get_dashboard_stats() -> JsonObject:
        """Exactly the figures that the seed's dashboard reads."""
        request_auth.require_admin()
        pending_count, failed_count = fallback_queue.count_pending_and_failed()
        return {
            "success": True,
            "stats": {
                "users": database_viewer.count_users(),
                "notifications": {"total": database_viewer.count_rows(TABLE_VIEWS["notification-history"])},
                "system": {"fallbackQueue": {"pending": pending_count, "failed": failed_count}},
            },
        }

    @routes.get("/db/<name>")
    def list_table_rows(name: str) -> JsonObject:
        request_auth.require_admin_or_testing()
        table_view = TABLE_VIEWS.get(name)
        if table_view is None:
            abort(404)
        page_params = parse_page_params(50, 100)
        rows = database_viewer.list_newest_rows(table_view, page_params.page_request)
        return {
            "success": True,
            "data": rows[: page_params.limit],
            "total": database_viewer.count_rows(table_view),
            "timestamp": _now_iso(),
            "nextCursor": next_cursor(rows, page_params.limit, lambda row: (row["createdAt"], row["id"])),
        }

    @routes.get("/db/pending")
    def list_pending_writes() -> JsonObject:
        """Events of one of the four tables that are accepted but not written yet."""
        request_auth.require_admin_or_testing()
        table_name, limit = request.args.get("table", "likes"), parse_int_arg("limit", 50, 100)
        if table_name not in TABLE_VIEWS:
            raise Rejected(f"table must be one of {', '.join(TABLE_VIEWS)}", "invalid", 400)
        rows = in_flight_events.list_for_table(table_name, limit)
        return {"success": True, "data": rows, "timestamp": _now_iso()}

    @routes.delete("/db/clear")
    def clear_all_data() -> JsonObject:
        """Deletes the data of all users, including events in flight (app/operations/data_wipe.py)."""
        admin_id = request_auth.require_admin_or_testing()
        data_wipe.wipe(admin_id)
        return {"success": True, "message": "All test data cleared", "timestamp": _now_iso()}

    @routes.get("/db/stats")
    def get_database_stats() -> JsonObject:
        request_auth.require_admin_or_testing()
        recent_since = datetime.fromtimestamp(now(), UTC) - RECENT_PERIOD
        return {
            "success": True,
            "data": {
                "total": {
                    name: database_viewer.count_rows(TABLE_VIEWS[view_name])
                    for name, view_name in _TABLE_BY_STAT.items()
                },
                "recent": {
                    name: database_viewer.count_recent_rows(TABLE_VIEWS[view], recent_since)
                    for name, view in _TABLE_BY_STAT.items()
                },
            },
            "timestamp": _now_iso(),
        }

    def _now_iso() -> str:
        return to_iso_utc(datetime.fromtimestamp(now(), UTC))

    return routes
