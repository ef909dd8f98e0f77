"""Storms: GET, POST /api/test/storms; GET, DELETE /api/test/storms/:id. Administrators in testing mode only.

A storm runs in a process of its own (app/devtools/storm/storms.py); these routes read its files.
"""

from typing import Any

from marshmallow import fields, validate

from app.devtools.storm.comparison import PIPELINE, ROW_PER_LIKE
from app.devtools.storm.options import MAX_LIKES, MAX_POSTS, MAX_RATE_PER_SECOND, MIN_LIKES, StormOptions
from app.devtools.storm.storms import CANCELLED, DONE, FAILED, INTERRUPTED, RUNNING, Storms
from blueprints.http.api_blueprint import ApiBlueprint
from blueprints.http.authority import Authority, requires
from blueprints.http.request_auth import RequestAuth
from blueprints.http.response_schemas import ObjectSchema, ResponseSchema
from blueprints.http.schemas import RequestSchema
from blueprints.http.serializers import JsonObject

MAX_SKIPPED_SAMPLES = 100_000
MAX_ID_LENGTH = 36
_STATES = [RUNNING, DONE, CANCELLED, FAILED, INTERRUPTED]
_WAYS = [ROW_PER_LIKE, PIPELINE]


class StormBody(RequestSchema):
    likes = fields.Integer(strict=True, load_default=10_000, validate=validate.Range(MIN_LIKES, MAX_LIKES))
    people = fields.Integer(
        strict=True,
        load_default=None,
        allow_none=True,
        validate=validate.Range(1, MAX_LIKES),
        metadata={"description": "who like; null: as many as likes"},
    )
    posts = fields.Integer(strict=True, load_default=1, validate=validate.Range(1, MAX_POSTS))
    rate = fields.Float(
        load_default=300.0,
        validate=validate.Range(0, MAX_RATE_PER_SECOND, min_inclusive=False),
        metadata={"description": "requests per second"},
    )
    comments = fields.Boolean(load_default=False, metadata={"description": "one comment per 20 likes"})
    closeWindows = fields.Boolean(
        load_default=True, metadata={"description": "close the author's windows when all likes are in them"}
    )
    pipelineFirst = fields.Boolean(
        load_default=False, metadata={"description": "run the pipeline before one row per like"}
    )


class StormQuery(RequestSchema):
    after = fields.Integer(
        load_default=0,
        validate=validate.Range(0, MAX_SKIPPED_SAMPLES),
        metadata={"description": "how many samples are known already"},
    )


class StormsQuery(StormQuery):
    shown = fields.String(
        load_default="",
        validate=validate.Length(max=MAX_ID_LENGTH),
        metadata={"description": "id of the storm that the client shows; without it, or deleted: the newest"},
    )


class StormOptionsSchema(ObjectSchema):
    likes = fields.Integer()
    people = fields.Integer()
    posts = fields.Integer()
    rate = fields.Float()
    comments = fields.Boolean()
    closeWindows = fields.Boolean()
    pipelineFirst = fields.Boolean()


class LedgerSchema(ObjectSchema):
    accepted = fields.Integer(metadata={"description": "answered 2xx"})
    written = fields.Integer(metadata={"description": "rows of likes and comments"})
    announced = fields.Integer(allow_none=True)
    lost = fields.Integer(allow_none=True)
    doubled = fields.Integer(allow_none=True)
    problems = fields.List(fields.String())


class WaySchema(ObjectSchema):
    figures = fields.Dict(fields.String(), fields.Float(allow_none=True))
    ledger = fields.Nested(LedgerSchema)
    messageCount = fields.Integer(metadata={"description": "announcements to the author"})
    messages = fields.List(fields.String(), metadata={"description": "the first and the last of them"})


class ComparisonSchema(ObjectSchema):
    name = fields.String()
    label = fields.String()
    unit = fields.String()
    rowPerLike = fields.Float(allow_none=True)
    pipeline = fields.Float(allow_none=True)
    better = fields.String(allow_none=True, validate=validate.OneOf([*_WAYS, "equal"]))


class SampleSchema(ObjectSchema):
    way = fields.String(validate=validate.OneOf(_WAYS))
    second = fields.Integer(metadata={"description": "since the first request of this way"})
    offered = fields.Integer()
    answered = fields.Integer()
    accepted = fields.Integer()
    answerP99Ms = fields.Float(allow_none=True, metadata={"description": "of the last second"})
    readerP99Ms = fields.Float(allow_none=True)
    written = fields.Integer(allow_none=True)
    announced = fields.Integer(allow_none=True)
    doubled = fields.Integer(allow_none=True)
    queued = fields.Integer(allow_none=True, metadata={"description": "in the fallback queue"})
    lockWaiters = fields.Integer(metadata={"description": "sessions of PostgreSQL"})


class StormSummarySchema(ObjectSchema):
    id = fields.UUID()
    createdAt = fields.DateTime()
    options = fields.Nested(StormOptionsSchema)
    state = fields.String(validate=validate.OneOf(_STATES))
    phase = fields.String()
    ways = fields.Dict(fields.String(), fields.Nested(WaySchema))
    comparison = fields.List(fields.Nested(ComparisonSchema))
    remarks = fields.List(fields.String())
    error = fields.String(allow_none=True)


class StormSchema(StormSummarySchema):
    samples = fields.List(fields.Nested(SampleSchema))


class StormsResponse(ResponseSchema):
    storms = fields.List(fields.Nested(StormSummarySchema))
    shown = fields.Nested(
        StormSchema, allow_none=True, metadata={"description": "with samples; null: there is no storm"}
    )


class StormResponse(ResponseSchema):
    storm = fields.Nested(StormSchema)


class StartedStormResponse(ResponseSchema):
    id = fields.UUID()


class EndedStormResponse(ResponseSchema):
    cancelled = fields.Boolean(metadata={"description": "it was running; false: it is deleted"})


def _storm_json(state: dict[str, Any]) -> JsonObject:
    options = dict(state["options"])
    options["comments"] = options.pop("with_comments")
    options["closeWindows"] = options.pop("close_windows")
    options["pipelineFirst"] = options.pop("pipeline_first", False)  # not in older storms
    return state | {"options": options}


def _options(body: JsonObject) -> StormOptions:
    """Raises Rejected (400)."""
    return StormOptions(
        likes=body["likes"],
        people=body["people"] or body["likes"],
        posts=body["posts"],
        rate=body["rate"],
        with_comments=body["comments"],
        close_windows=body["closeWindows"],
        pipeline_first=body["pipelineFirst"],
    )


def blueprint(request_auth: RequestAuth, storms: Storms) -> ApiBlueprint:
    routes = ApiBlueprint("storms", __name__, url_prefix="/api/test/storms")

    @routes.get("")
    @requires(Authority.ADMIN, request_auth.require_admin)
    @routes.arguments(StormsQuery, location="query")
    @routes.returns(StormsResponse)
    def list_storms(_: str, query: JsonObject) -> JsonObject:
        """The storms that are kept, newest first, and the samples of one of them: one request shows a page
        all that is new, because each takes a second and more while PostgreSQL does not answer."""
        states = storms.list_newest()
        shown = storms.find_shown(states, query["shown"], query["after"])
        return {
            "success": True,
            "storms": [_storm_json(state) for state in states],
            "shown": _storm_json(shown) if shown else None,
        }

    @routes.post("")
    @requires(Authority.ADMIN, request_auth.require_admin)
    @routes.arguments(StormBody)
    @routes.returns(StartedStormResponse, 202, errors=(409,))
    def start_storm(_: str, body: JsonObject) -> tuple[JsonObject, int]:
        """Start a storm: the same likes as one row per like, then through the pipeline. One at a time."""
        return {"success": True, "id": storms.start(_options(body))}, 202

    @routes.get("/<storm_id>")
    @requires(Authority.ADMIN, request_auth.require_admin)
    @routes.arguments(StormQuery, location="query")
    @routes.returns(StormResponse, errors=(404,))
    def get_storm(_: str, query: JsonObject, storm_id: str) -> JsonObject:
        """One storm: its state, its figures once they are known, and samples of each second."""
        return {"success": True, "storm": _storm_json(storms.get(storm_id, query["after"]))}

    @routes.delete("/<storm_id>")
    @requires(Authority.ADMIN, request_auth.require_admin)
    @routes.returns(EndedStormResponse, errors=(404,))
    def end_storm(_: str, storm_id: str) -> JsonObject:
        """Cancel a storm that runs, or delete one that has ended."""
        return {"success": True, "cancelled": storms.cancel_or_delete(storm_id)}

    return routes
