"""The state of the pipeline and the steps of one event: GET /api/admin/pipeline, /api/admin/events and
/api/admin/trace/:eventId. Administrators only.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from flask import Blueprint

from app.clients import circuit_breaker
from app.domain.errors import Rejected, Unavailable
from app.operations.event_tracker import EventTracker
from app.operations.heartbeats import Heartbeats
from app.operations.pipeline_report import PipelineReport
from app.operations.trace import EventTraces
from blueprints.http.ids import parse_uuid
from blueprints.http.pagination import parse_int_arg
from blueprints.http.request_auth import RequestAuth
from blueprints.http.serializers import JsonObject

EVENT_NOT_FOUND = Rejected("Event not found", "event_not_found", 404)


def blueprint(
    request_auth: RequestAuth,
    pipeline_report: PipelineReport,
    heartbeats: Heartbeats,
    event_tracker: EventTracker,
    event_traces: EventTraces,
    now: Callable[[], float],
) -> Blueprint:
    routes = Blueprint("pipeline", __name__, url_prefix="/api/admin")

    @routes.get("/pipeline")
    def get_pipeline() -> JsonObject:
        request_auth.require_admin()
        stages, unavailable = pipeline_report.read_stages()
        return {
            "success": True,
            "stages": [stage.to_dict() for stage in stages],
            **_heartbeats_json(),
            "fanOuts": pipeline_report.list_fan_outs(),
            "unavailable": unavailable,
            "timestamp": datetime.fromtimestamp(now(), UTC),
        }

    def _heartbeats_json() -> JsonObject:
        """Heartbeat ages and circuit breakers by loop:pid, and loops that no process runs. Without
        Redis only the breakers of this process."""
        local_breakers = {"web": circuit_breaker.breaker_states()}
        try:
            return {
                "workers": heartbeats.ages_seconds(),
                "missingLoops": heartbeats.missing_loops(),
                "breakers": {**local_breakers, **heartbeats.breaker_states_by_worker()},
            }
        except Unavailable:
            return {"workers": {}, "missingLoops": [], "breakers": local_breakers}

    @routes.get("/events")
    def list_recent_events() -> JsonObject:
        """The newest events that a worker has processed, with their progress."""
        request_auth.require_admin()
        statuses = event_tracker.list_recently_moved(parse_int_arg("limit", 20, 50))
        return {"success": True, "items": [status.to_dict() for status in statuses]}

    @routes.get("/trace/<event_id>")
    def get_trace(event_id: str) -> JsonObject:
        request_auth.require_admin()
        parsed_id = parse_uuid(event_id)
        steps = event_traces.list_steps(parsed_id)
        if not steps:
            raise EVENT_NOT_FOUND
        return {"success": True, "eventId": parsed_id, "steps": steps}

    return routes
