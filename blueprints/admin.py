"""The database viewer's data and the numbers of the dashboard (seed-notes 1.2).

In    GET /api/admin/db/{notification-history,likes,comments,follows,stats,pending};
      GET /api/admin/stats; DELETE /api/admin/db/clear
Out   stores/viewer.py and stores/pending.py (read), stores/clearing.py
"""

from datetime import UTC, datetime, timedelta

from flask import Blueprint, abort, request

from app.domain.errors import Rejected
from app.domain.events import iso
from app.stores.clearing import Clearing
from app.stores.pending import Pending
from app.stores.viewer import VIEWS, Viewer
from blueprints import parts
from blueprints.identity import administrator, operator
from blueprints.paging import next_cursor, number, paging
from blueprints.views import Json

blueprint = Blueprint("admin", __name__, url_prefix="/api/admin")
RECENT = timedelta(minutes=5)
_STATS = {
    "notifications": "notification-history",
    "likes": "likes",
    "comments": "comments",
    "follows": "follows",
}


@blueprint.get("/stats")
def dashboard() -> Json:
    """Exactly what the seed's dashboard reads."""
    administrator()
    viewer = Viewer(parts().engine)
    pending, failed = viewer.fallback(parts().settings.limits.fallback_max_retries)
    return {
        "success": True,
        "stats": {
            "users": viewer.users(),
            "notifications": {"total": viewer.count(VIEWS["notification-history"])},
            "system": {"fallbackQueue": {"pending": pending, "failed": failed}},
        },
    }


@blueprint.get("/db/<name>")
def table(name: str) -> Json:
    operator()
    view = VIEWS.get(name)
    if view is None:
        abort(404)
    part = paging(50, 100)
    viewer = Viewer(parts().engine)
    found = viewer.newest(view, part.slice)
    return {
        "success": True,
        "data": found[: part.limit],
        "total": viewer.count(view),
        "timestamp": _now(),
        "nextCursor": next_cursor(found, part.limit, lambda row: (row["createdAt"], row["id"])),
    }


@blueprint.get("/db/pending")
def pending() -> Json:
    """What is accepted and not written yet, of one of the four tables."""
    operator()
    table, limit = request.args.get("table", "likes"), number("limit", 50, 100)
    if table not in VIEWS:
        raise Rejected(f"table must be one of {', '.join(VIEWS)}", "invalid", 400)
    shards = range(parts().settings.limits.ingress_shards + 1)
    rows = Pending(parts().redis, parts().engine, shards).of(table, limit)
    return {"success": True, "data": rows, "timestamp": _now()}


@blueprint.delete("/db/clear")
def clear() -> Json:
    """All of everybody, and nothing comes back (stores/clearing.py)."""
    asking = operator()
    shards = parts().settings.limits.ingress_shards
    Clearing(parts().engine, parts().redis, shards).clear(asking)
    return {"success": True, "message": "All test data cleared", "timestamp": _now()}


@blueprint.get("/db/stats")
def stats() -> Json:
    operator()
    viewer = Viewer(parts().engine)
    since = datetime.fromtimestamp(parts().clock(), UTC) - RECENT
    return {
        "success": True,
        "data": {
            "total": {name: viewer.count(VIEWS[view]) for name, view in _STATS.items()},
            "recent": {name: viewer.count(VIEWS[view], since) for name, view in _STATS.items()},
        },
        "timestamp": _now(),
    }


def _now() -> str:
    return iso(datetime.fromtimestamp(parts().clock(), UTC))
