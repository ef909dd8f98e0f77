"""The state of the pipeline and the steps of one event: GET /api/admin/pipeline, /api/admin/events and
/api/admin/trace/:eventId. Administrators only.
"""

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime

from flask import Blueprint

from app.domain.errors import Rejected
from app.operations.health.checks import LOOPS_STAGE, is_alive
from app.operations.health.report import Health
from app.operations.health.stages import list_stages
from app.operations.trace import EventTraces
from blueprints.http.ids import parse_uuid
from blueprints.http.pagination import parse_int_arg
from blueprints.http.request_auth import RequestAuth
from blueprints.http.serializers import JsonObject

EVENT_NOT_FOUND = Rejected("Event not found", "event_not_found", 404)


def blueprint(
    request_auth: RequestAuth,
    health: Health,
    event_traces: EventTraces,
    now: Callable[[], float],
) -> Blueprint:
    routes = Blueprint("pipeline", __name__, url_prefix="/api/admin")

    @routes.get("/pipeline")
    def get_pipeline() -> JsonObject:
        """Heartbeat ages and circuit breakers are by loop:pid. `missingLoops`: no process runs them."""
        request_auth.require_admin()
        report = health.report(
            [
                health.pipeline,
                health.windows,
                health.heartbeats,
                health.tables,
                health.fan_outs,
                health.failover,
                health.kafka,
            ]
        )
        missing_loops = [result.check for result in report.problems if result.stage == LOOPS_STAGE]
        return {
            "success": True,
            "stages": list_stages(health, report),
            "workers": {
                item.name: item.age_seconds
                for item in report.get(health.heartbeats) or ()
                if is_alive(item) or item.loop in missing_loops
            },
            "missingLoops": missing_loops,
            "breakers": health.breaker_states(report),
            "fanOuts": report.get(health.fan_outs) or [],
            "problems": [asdict(result) for result in report.problems],
            "unavailable": report.unavailable,
            "timestamp": datetime.fromtimestamp(now(), UTC),
        }

    @routes.get("/events")
    def list_recent_events() -> JsonObject:
        """The newest events that a worker has processed, with their progress."""
        request_auth.require_admin()
        statuses = event_traces.list_recently_moved(parse_int_arg("limit", 20, 50))
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
