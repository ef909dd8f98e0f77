"""The pipeline as it is now, and the way of one event. Administrators only.

In    GET /api/admin/pipeline, /api/admin/events, /api/admin/trace/:eventId
Out   app/stage_report.py, stores/progress.py, stores/traces.py
"""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import cast

import gevent
from flask import Blueprint, current_app

from app import breakers
from app.domain.errors import Rejected, Unavailable
from app.offsets import Place, offsets
from app.stage_report import StageReport
from app.stores.heartbeats import Heartbeats
from app.stores.progress import Watch
from app.stores.traces import Traces
from blueprints import parts
from blueprints.identity import administrator, uuid_of
from blueprints.paging import number
from blueprints.views import Json

blueprint = Blueprint("pipeline", __name__, url_prefix="/api/admin")
UNKNOWN = Rejected("Event not found", "event_not_found", 404)
KAFKA_SECONDS = 1.5
FRESH_SECONDS = 2.0


class Lags:
    """Kafka's offsets, asked at most every two seconds however many dashboards are open."""

    def __init__(self, ask: Callable[[], Sequence[Place]]) -> None:
        self._ask = ask
        self._known: Sequence[Place] = ()
        self._until = 0.0

    def __call__(self) -> Sequence[Place]:
        """Raises Unavailable."""
        if time.monotonic() >= self._until:
            with gevent.Timeout(KAFKA_SECONDS, Unavailable("Kafka did not answer in time")):
                self._known = self._ask()
            self._until = time.monotonic() + FRESH_SECONDS
        return self._known


@blueprint.get("/pipeline")
def pipeline() -> Json:
    administrator()
    stages, away = report().stages()
    return {
        "success": True,
        "stages": [one.shown() for one in stages],
        **_heartbeats(),
        "unavailable": away,
        "timestamp": datetime.fromtimestamp(parts().clock(), UTC),
    }


def report() -> StageReport:
    limits = parts().settings.limits
    shards = range(limits.ingress_shards + 1)
    return StageReport(parts().redis, parts().engine, shards, limits.fallback_max_retries, _lags())


def _lags() -> Lags:
    known = current_app.extensions.get("lags")
    if known is None:
        servers = parts().settings.addresses.kafka_bootstrap_servers
        known = current_app.extensions["lags"] = Lags(lambda: offsets(servers))
    return cast("Lags", known)


def _heartbeats() -> Json:
    """Ages and breakers by loop:pid, and the loops that no process runs. Empty without Redis."""
    here, beats = {"web": breakers.states()}, Heartbeats(parts().redis)
    try:
        return {
            "workers": beats.ages(),
            "silentLoops": beats.silent(),
            "breakers": {**here, **beats.breakers()},
        }
    except Unavailable:
        return {"workers": {}, "silentLoops": [], "breakers": here}


@blueprint.get("/events")
def events() -> Json:
    """The newest that a worker has moved, and how far they are: something to click on."""
    administrator()
    found = Watch(parts().redis, parts().engine).newest(number("limit", 20, 50))
    return {"success": True, "items": [one.shown() for one in found]}


@blueprint.get("/trace/<event_id>")
def trace(event_id: str) -> Json:
    administrator()
    wanted = uuid_of(event_id)
    steps = Traces(parts().redis, parts().engine).of(wanted)
    if not steps:
        raise UNKNOWN
    return {"success": True, "eventId": wanted, "steps": steps}
