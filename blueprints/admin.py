"""The database viewer's data (seed-notes 1.2). Reads only.

In    GET /api/admin/db/{notification-history,likes,comments,follows,stats}
Out   stores/viewer.py
"""

from datetime import UTC, datetime, timedelta

from flask import Blueprint, abort

from app.domain.events import iso
from app.stores.viewer import VIEWS, Viewer
from blueprints import parts
from blueprints.identity import operator
from blueprints.paging import next_cursor, paging
from blueprints.views import Json

blueprint = Blueprint("admin", __name__, url_prefix="/api/admin/db")
RECENT = timedelta(minutes=5)
_STATS = {
    "notifications": "notification-history",
    "likes": "likes",
    "comments": "comments",
    "follows": "follows",
}


@blueprint.get("/<name>")
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


@blueprint.get("/stats")
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
