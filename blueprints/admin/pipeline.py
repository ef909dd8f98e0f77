"""The state of the pipeline, its history and the steps of one event: GET /api/admin/pipeline,
/api/admin/pipeline/history and /api/admin/trace/:eventId. Administrators only.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from marshmallow import INCLUDE, fields

from app.clients import stale_reads
from app.domain.errors import define_rejection
from app.domain.events import Kind
from app.operations.health.checks import LOOPS_STAGE, is_alive
from app.operations.health.report import Health
from app.operations.health.results import CheckLevel, CheckResult
from app.operations.health.stages import list_stages
from app.operations.pipeline_history import SAMPLE_INTERVAL_SECONDS, PipelineHistory, PipelineSample
from app.operations.trace import EventTraceReader
from blueprints.http.api_blueprint import ApiBlueprint
from blueprints.http.authority import Authority, requires
from blueprints.http.ids import parse_uuid
from blueprints.http.request_auth import RequestAuth
from blueprints.http.response_schemas import ObjectSchema, ResponseSchema
from blueprints.http.serializers import JsonObject

EVENT_NOT_FOUND = define_rejection("Event not found", "event_not_found", 404)


class StageSchema(ObjectSchema):
    name = fields.String()
    in_ = fields.Integer(data_key="in", allow_none=True)
    out = fields.Integer(allow_none=True)
    held = fields.Integer(allow_none=True)
    failed = fields.Integer(allow_none=True)
    lag = fields.Integer(allow_none=True)
    oldestAgeSeconds = fields.Float(allow_none=True)
    outcomes = fields.Dict(fields.String(), fields.Integer())
    level = fields.Enum(CheckLevel, by_value=True)


class FanOutSchema(ObjectSchema):
    id = fields.UUID()
    type = fields.Enum(Kind, by_value=True)
    audience = fields.String()
    actorId = fields.UUID(allow_none=True)
    objectId = fields.UUID(allow_none=True)
    recipientCount = fields.Integer(allow_none=True)
    processedCount = fields.Integer()
    outcomes = fields.Dict(fields.String(), fields.Integer())
    createdAt = fields.DateTime()
    finishedAt = fields.DateTime(allow_none=True)


class ProblemSchema(ObjectSchema):
    stage = fields.String()
    check = fields.String()
    value = fields.String(metadata={"description": "what was measured"})
    level = fields.Enum(CheckLevel, by_value=True)
    hint = fields.String(metadata={"description": "what to do"})


class PipelineResponse(ResponseSchema):
    stages = fields.List(fields.Nested(StageSchema))
    workers = fields.Dict(
        fields.String(),
        fields.Float(),
        metadata={"description": "age of heartbeats in seconds, by loop:pid"},
    )
    missingLoops = fields.List(fields.String())
    breakers = fields.Dict(fields.String(), fields.Dict(fields.String(), fields.String()))
    fanOuts = fields.List(fields.Nested(FanOutSchema))
    problems = fields.List(fields.Nested(ProblemSchema))
    unavailable = fields.Dict(fields.String(), fields.String(), metadata={"description": "reason by service"})
    timestamp = fields.DateTime()


class StageSampleSchema(ObjectSchema):
    out = fields.Integer(allow_none=True)
    held = fields.Integer(allow_none=True)
    lag = fields.Integer(allow_none=True)
    failed = fields.Integer(allow_none=True)


class PipelineSampleSchema(ObjectSchema):
    at = fields.DateTime()
    stages = fields.Dict(fields.String(), fields.Nested(StageSampleSchema))


class PipelineHistoryResponse(ResponseSchema):
    intervalSeconds = fields.Integer(metadata={"example": SAMPLE_INTERVAL_SECONDS})
    samples = fields.List(
        fields.Nested(PipelineSampleSchema),
        metadata={"description": "oldest first; empty, with stale, while Redis is unavailable"},
    )


class TraceStepSchema(ObjectSchema):
    class Meta:
        unknown = INCLUDE

    name = fields.String(metadata={"example": "published"})
    at = fields.DateTime()


class TraceResponse(ResponseSchema):
    eventId = fields.UUID()
    steps = fields.List(fields.Nested(TraceStepSchema))


def _problem_json(result: CheckResult) -> JsonObject:
    return {
        "stage": result.stage,
        "check": result.check,
        "value": result.value,
        "level": result.level,
        "hint": result.hint,
    }


def blueprint(
    request_auth: RequestAuth,
    health: Health,
    event_traces: EventTraceReader,
    pipeline_history: PipelineHistory,
    now: Callable[[], float],
) -> ApiBlueprint:
    routes = ApiBlueprint("pipeline", __name__, url_prefix="/api/admin")

    @routes.get("/pipeline")
    @requires(Authority.ADMIN, request_auth.require_admin)
    @routes.returns(PipelineResponse)
    def get_pipeline(_: str) -> JsonObject:
        """Figures of each stage, heartbeats, circuit breakers and fan-outs.

        Heartbeat ages and circuit breakers are by loop:pid. `missingLoops`: no process runs them.
        """
        report = health.report(
            [
                health.pipeline,
                health.windows,
                health.heartbeats,
                health.tables,
                health.finished_fallback,
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
            "problems": [_problem_json(result) for result in report.problems],
            "unavailable": report.unavailable,
            "timestamp": datetime.fromtimestamp(now(), UTC),
        }

    @routes.get("/pipeline/history")
    @requires(Authority.ADMIN, request_auth.require_admin)
    @routes.returns(PipelineHistoryResponse)
    def get_pipeline_history(_: str) -> JsonObject:
        """Figures of each stage in the last fifteen minutes.

        `out` and `failed` are counters since the start, so a rate is the difference of two samples.
        """
        samples: list[PipelineSample] = []
        with stale_reads.mark_stale_if_redis_unavailable():
            samples = pipeline_history.list_samples()
        return {
            "success": True,
            "intervalSeconds": SAMPLE_INTERVAL_SECONDS,
            "samples": [{"at": sample.at, "stages": sample.figures_by_stage} for sample in samples],
        }

    @routes.get("/trace/<event_id>")
    @requires(Authority.ADMIN, request_auth.require_admin)
    @routes.returns(TraceResponse, errors=(404,))
    def get_trace(_: str, event_id: str) -> JsonObject:
        """The steps of one event with their times."""
        parsed_id = parse_uuid(event_id)
        steps = event_traces.list_steps(parsed_id)
        if not steps:
            raise EVENT_NOT_FOUND
        return {"success": True, "eventId": parsed_id, "steps": steps}

    return routes
