"""Alive (health) and able to take writes (ready).

In    GET /health, /ready
Out   app/probes.py
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import cast

from flask import Blueprint, current_app

from app.domain.errors import Unavailable
from app.domain.events import iso
from app.probes import DOWN, UP, Finding, Probes
from blueprints import parts
from blueprints.views import Json

blueprint = Blueprint("health", __name__)
_BEGAN = time.monotonic()


@blueprint.get("/health")
def health() -> Json:
    """A superset of what the seed's four services answered. Needs no service: `database` says
    whether PostgreSQL answers, and the status is 200 either way."""
    people = cast("Callable[[], int]", current_app.extensions["connected_users"])
    return {
        "status": "healthy",
        "service": "notifications",
        "timestamp": iso(datetime.fromtimestamp(parts().clock(), UTC)),
        "database": _probes().database(),
        "connectedUsers": people(),
        "uptime": round(time.monotonic() - _BEGAN, 3),
    }


@blueprint.get("/ready")
def ready() -> tuple[Json, int]:
    """Writes go by way of Redis, or past it while it is away; never through one that forgets."""
    found = _probes().look()
    past_it = found["redis"].state == DOWN and found["postgres"].state == UP
    takes_writes = found["redis"].state == UP or past_it
    answer = {
        "success": takes_writes,
        "status": "ready" if takes_writes else "not ready",
        "dependencies": {name: _finding(one) for name, one in found.items()},
        "gate": _gate() if found["postgres"].state == UP else None,
    }
    return answer, 200 if takes_writes else 503


def _gate() -> Json | None:
    """Whether words go by way of Redis, and what its last emptying cost."""
    try:
        found = parts().gate.state()
    except Unavailable:
        return None
    lost = found.lost
    if lost is not None:
        lost = lost | {"at": iso(datetime.fromtimestamp(lost["at"], UTC))}
    return {"state": found.state, "reason": found.reason, "lost": lost}


def _finding(one: Finding) -> Json:
    shown: Json = {"state": one.state, "latencyMs": one.latency_ms, "breaker": one.breaker}
    return shown | ({"reason": one.reason} if one.reason else {})


def _probes() -> Probes:
    return cast("Probes", current_app.extensions["probes"])
