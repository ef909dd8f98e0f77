"""Operations: open windows, and what was delivered to whom. Administrators only.

In    GET /api/admin/windows, POST /api/admin/windows/flush, GET /api/admin/delivery-log
Out   stores/open_windows.py, stores/delivery_log.py
"""

from functools import lru_cache
from typing import Any

import gevent
from flask import Blueprint, request

from app import stale
from app.domain.errors import Rejected, Unavailable
from app.domain.events import iso
from app.stores.audits import Audits
from app.stores.delivery_log import DeliveryLog, dynamodb
from app.stores.open_windows import OpenWindow, OpenWindows
from blueprints import parts
from blueprints.identity import administrator, uuid_of
from blueprints.paging import bad_cursor, next_cursor, paging
from blueprints.views import Json

blueprint = Blueprint("operations", __name__, url_prefix="/api/admin")
LOG_SECONDS = 1.8


@blueprint.get("/windows")
def windows() -> Json:
    administrator()
    part = paging(50, 100)
    place, store = _place(part.cursor), OpenWindows(parts().redis)
    found: list[OpenWindow] = []
    with stale.unless_away():
        found = store.listed(part.limit + 1, place)
    return {
        "success": True,
        "items": [_window(one) for one in found[: part.limit]],
        "nextCursor": next_cursor(found, part.limit, lambda one: (one.due_ms, one.name)),
    }


def _place(cursor: list[Any] | None) -> tuple[float, str] | None:
    if cursor is None:
        return None
    if len(cursor) != 2 or not isinstance(cursor[0], int) or not isinstance(cursor[1], str):
        raise bad_cursor()
    return float(cursor[0]), cursor[1]


def _window(one: OpenWindow) -> Json:
    return {
        "name": one.name,
        "recipient": one.recipient_id,
        "type": one.kind,
        "object": one.object_id,
        "count": one.waiting,
        "dueAt": one.due_at,
        "closing": one.closing,
    }


@blueprint.post("/windows/flush")
def flush() -> Json:
    """They fall due now; the flusher closes them within its next step or two."""
    asking = administrator()
    flushed = OpenWindows(parts().redis).flush()
    Audits(parts().engine).note(asking, "windows.flush", f"{flushed} windows")
    return {"success": True, "flushed": flushed}


@blueprint.get("/delivery-log")
def delivery_log() -> Json:
    administrator()
    given = request.args.get("userId")
    if given is None:
        raise Rejected("userId required", "invalid", 400)
    user_id, part = uuid_of(given), paging(50, 100)
    place = part.place
    after = (iso(place[0]), place[1]) if place else None
    # A frozen DynamoDB must not hold a request longer than any other service may.
    with gevent.Timeout(LOG_SECONDS, Unavailable("DynamoDB did not answer in time")):
        found = _log().of_user(user_id, part.limit + 1, after)
    return {
        "success": True,
        "entries": [_entry(one) for one in found[: part.limit]],
        "nextCursor": next_cursor(found, part.limit, lambda one: (one["createdAt"], one["id"])),
    }


def _log() -> DeliveryLog:
    addresses = parts().settings.addresses
    return _opened(addresses.dynamodb_endpoint_url, addresses.aws_region)


@lru_cache(4)
def _opened(endpoint: str | None, region: str) -> DeliveryLog:
    """At the first question: few web processes are ever asked, and boto3 takes half a second."""
    return DeliveryLog(dynamodb(endpoint, region))


def _entry(one: dict[str, Any]) -> Json:
    """Numbers and lists as JSON has them; when it is forgotten is nobody's business."""
    shown = {name: value for name, value in one.items() if name != "expiresAt"}
    shown["version"], shown["seq"] = int(one["version"]), int(one["seq"])
    shown["channels"] = [next(iter(channel.values())) for channel in one["channels"]]
    return shown
