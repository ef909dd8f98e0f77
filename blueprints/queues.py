"""The two queues, for an operator: look, send again, or give up. Each intervention is audited.

In    GET /api/admin/{fallback,dead-letters}; POST .../replay, .../discard {ids}
Out   stores/queues.py
Next  workers/bridge.py, which sends what was replayed
"""

from collections.abc import Callable

from flask import Blueprint

from app.stores.queues import Doing, Queues
from blueprints import parts
from blueprints.identity import administrator
from blueprints.paging import bad_cursor, next_cursor, paging
from blueprints.schemas import IdsBody, body
from blueprints.views import Json

blueprint = Blueprint("queues", __name__, url_prefix="/api/admin")
_IDS = IdsBody()


def _queues() -> Queues:
    limits = parts().settings.limits
    return Queues(parts().engine, limits.fallback_max_retries, limits.ingress_shards, parts().clock)


@blueprint.get("/fallback")
def fallback() -> Json:
    administrator()
    part = paging(50, 100)
    before = part.cursor[0] if part.cursor else None
    if before is not None and not isinstance(before, int):
        raise bad_cursor()
    found = _queues().fallback(part.limit + 1, before)
    return _shown(found, part.limit, lambda row: (row["id"],))


@blueprint.get("/dead-letters")
def dead_letters() -> Json:
    administrator()
    part = paging(50, 100)
    found = _queues().dead_letters(part.limit + 1, part.place)
    return _shown(found, part.limit, lambda row: (row["createdAt"], row["id"]))


def _shown(found: list[Json], limit: int, place: Callable[[Json], tuple[object, ...]]) -> Json:
    return {
        "success": True,
        "items": found[:limit],
        "nextCursor": next_cursor(found, limit, place),
    }


@blueprint.post("/fallback/replay")
def replay_fallback() -> Json:
    return _changed(Queues.replay_fallback)


@blueprint.post("/fallback/discard")
def discard_fallback() -> Json:
    return _changed(Queues.discard_fallback)


@blueprint.post("/dead-letters/replay")
def replay_letters() -> Json:
    return _changed(Queues.replay_letters)


@blueprint.post("/dead-letters/discard")
def discard_letters() -> Json:
    return _changed(Queues.discard_letters)


def _changed(change: Callable[[Queues, Doing], int]) -> Json:
    asking = administrator()
    ids = body(_IDS)["ids"]
    return {"success": True, "changed": change(_queues(), Doing(asking, tuple(ids)))}
