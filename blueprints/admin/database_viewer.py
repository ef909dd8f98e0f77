"""Data of the database viewer and figures of the dashboard.

GET /api/admin/stats; GET /api/admin/db/{notification-history,likes,comments,follows,stats,pending}; DELETE
/api/admin/db/clear.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import abort
from marshmallow import fields

from app.domain.events import to_iso_utc
from app.messaging.fallback_queue import FallbackQueue
from app.operations.data_wipe import EventDataWipe
from app.operations.database_viewer import TABLE_VIEWS, DatabaseViewer
from app.operations.in_flight_events import InFlightEvents
from app.persistence.pages import PageRequest
from blueprints.http.api_blueprint import ApiBlueprint
from blueprints.http.authority import Authority, requires
from blueprints.http.ids import parse_uuid
from blueprints.http.pagination import INVALID_CURSOR, IntegerParam, PageQuery, encode_cursor, time_value
from blueprints.http.query_fields import ChoiceParam
from blueprints.http.request_auth import RequestAuth
from blueprints.http.response_schemas import MessageResponse, ObjectSchema, PageResponse, ResponseSchema
from blueprints.http.schemas import RequestSchema
from blueprints.http.serializers import JsonObject

RECENT_PERIOD = timedelta(minutes=5)
ID_COLUMNS = ("userId", "postId", "followerId", "followingId")
_TABLE_PARAMETER = {"name": "name", "in": "path", "schema": {"enum": list(TABLE_VIEWS)}}
_TABLE_BY_STAT = {
    "notifications": "notification-history",
    "likes": "likes",
    "comments": "comments",
    "follows": "follows",
}


def ids_value(value: Any) -> str:
    """The id of a row: one id, or two joined by a colon, as its table has it."""
    return ":".join(parse_uuid(row_id) for row_id in value.split(":"))


class TableRowsQuery(PageQuery):
    cursor_parsers = (time_value, ids_value)


class PendingQuery(RequestSchema):
    table = ChoiceParam(list(TABLE_VIEWS), load_default="likes")
    limit = IntegerParam(50, 100)


class RowTotalSchema(ObjectSchema):
    total = fields.Integer()


class FallbackCountsSchema(ObjectSchema):
    pending = fields.Integer()
    failed = fields.Integer()


class SystemStatsSchema(ObjectSchema):
    fallbackQueue = fields.Nested(FallbackCountsSchema)


class DashboardStatsSchema(ObjectSchema):
    users = fields.Integer()
    notifications = fields.Nested(RowTotalSchema)
    system = fields.Nested(SystemStatsSchema)


class DashboardStatsResponse(ResponseSchema):
    stats = fields.Nested(DashboardStatsSchema)


class RowsResponse(ResponseSchema):
    data = fields.List(fields.Dict(metadata={"description": "a row, by column"}))
    names = fields.Dict(
        fields.UUID(), fields.String(), metadata={"description": "of the users and posts in the rows, by id"}
    )
    timestamp = fields.DateTime()


class TableRowsResponse(RowsResponse, PageResponse):
    total = fields.Integer()


class TableCountsSchema(ObjectSchema):
    notifications = fields.Integer()
    likes = fields.Integer()
    comments = fields.Integer()
    follows = fields.Integer()


class DatabaseCountsSchema(ObjectSchema):
    total = fields.Nested(TableCountsSchema)
    recent = fields.Nested(TableCountsSchema)


class DatabaseStatsResponse(ResponseSchema):
    data = fields.Nested(DatabaseCountsSchema)
    timestamp = fields.DateTime()


class ClearedResponse(MessageResponse):
    timestamp = fields.DateTime()


def blueprint(
    request_auth: RequestAuth,
    database_viewer: DatabaseViewer,
    in_flight_events: InFlightEvents,
    data_wipe: EventDataWipe,
    fallback_queue: FallbackQueue,
    now: Callable[[], float],
) -> ApiBlueprint:
    routes = ApiBlueprint("database_viewer", __name__, url_prefix="/api/admin")

    @routes.get("/stats")
    @requires(Authority.ADMIN, request_auth.require_admin)
    @routes.returns(DashboardStatsResponse)
    def get_dashboard_stats(_: str) -> JsonObject:
        """Exactly the figures that the seed's dashboard reads."""
        pending_count, failed_count = fallback_queue.count_pending_and_failed()
        return {
            "success": True,
            "stats": {
                "users": database_viewer.count_users(),
                "notifications": {"total": database_viewer.count_rows(TABLE_VIEWS["notification-history"])},
                "system": {"fallbackQueue": {"pending": pending_count, "failed": failed_count}},
            },
        }

    @routes.get("/db/<name>", parameters=[_TABLE_PARAMETER])
    @requires(Authority.OPERATOR, request_auth.require_admin_or_testing)
    @routes.arguments(TableRowsQuery, location="query")
    @routes.returns(TableRowsResponse, errors=(404,))
    def list_table_rows(_: str, query: JsonObject, name: str) -> JsonObject:
        """The newest rows of a table."""
        table_view = TABLE_VIEWS.get(name)
        if table_view is None:
            abort(404)
        page: PageRequest = query["page"]
        if page.after_key is not None and page.after_key[1].count(":") != table_view.has_two_ids:
            raise INVALID_CURSOR
        rows = database_viewer.list_newest_rows(table_view, page)
        return {
            "success": True,
            "data": rows.items,
            "total": database_viewer.count_rows(table_view),
            "names": _names_in(rows.items),
            "timestamp": _now_iso(),
            "nextCursor": encode_cursor(rows.next_key),
        }

    @routes.get("/db/pending")
    @requires(Authority.OPERATOR, request_auth.require_admin_or_testing)
    @routes.arguments(PendingQuery, location="query")
    @routes.returns(RowsResponse)
    def list_pending_writes(_: str, query: JsonObject) -> JsonObject:
        """Events of one of the four tables that are accepted but not written yet."""
        rows = in_flight_events.list_for_table(query["table"], query["limit"])
        return {"success": True, "data": rows, "names": _names_in(rows), "timestamp": _now_iso()}

    def _names_in(rows: Sequence[JsonObject]) -> dict[str, str]:
        return database_viewer.find_names_by_ids(row.get(column) for row in rows for column in ID_COLUMNS)

    @routes.delete("/db/clear")
    @requires(Authority.OPERATOR, request_auth.require_admin_or_testing)
    @routes.returns(ClearedResponse)
    def clear_all_data(admin_id: str) -> JsonObject:
        """Delete the data of all users, including events in flight."""
        data_wipe.wipe(admin_id)
        return {"success": True, "message": "All test data cleared", "timestamp": _now_iso()}

    @routes.get("/db/stats")
    @requires(Authority.OPERATOR, request_auth.require_admin_or_testing)
    @routes.returns(DatabaseStatsResponse)
    def get_database_stats(_: str) -> JsonObject:
        """How many rows the four tables have, and how many of the last minutes."""
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
