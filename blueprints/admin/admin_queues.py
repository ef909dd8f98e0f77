"""The fallback queue and the dead letters: GET /api/admin/{fallback,dead-letters}; POST .../replay and
.../discard with ids. Administrators only; each change is written to the audit log.
"""

from typing import Any

from marshmallow import fields, validate

from app.operations.admin_queues import AdminQueues
from app.persistence.pages import Page
from blueprints.http.api_blueprint import ApiBlueprint
from blueprints.http.authority import Authority, requires
from blueprints.http.pagination import PageQuery, encode_cursor, value_of
from blueprints.http.request_auth import RequestAuth
from blueprints.http.response_schemas import ObjectSchema, PageResponse, ResponseSchema
from blueprints.http.schemas import RequestSchema, TextField
from blueprints.http.serializers import JsonObject


class IdField(TextField):
    """An id from a list response: a string, or a number for the fallback queue."""

    def openapi_schema(self) -> JsonObject:
        return {"type": ["string", "integer"]}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        return super()._deserialize(value, attr, data, **kwargs)


class QueueEntryIdsBody(RequestSchema):
    required_message = "ids required"
    ids = fields.List(
        IdField(validate=validate.Length(max=40)), required=True, validate=validate.Length(max=1000)
    )


class FallbackQuery(PageQuery):
    cursor_parsers = (value_of(int),)


class FallbackRowSchema(ObjectSchema):
    id = fields.Integer()
    eventId = fields.UUID(allow_none=True)
    shard = fields.Integer()
    seq = fields.Integer()
    topic = fields.String()
    status = fields.String(validate=validate.OneOf(["failed", "pending"]))
    retryCount = fields.Integer()
    lastError = fields.String(allow_none=True)
    createdAt = fields.DateTime()


class FallbackResponse(PageResponse):
    items = fields.List(fields.Nested(FallbackRowSchema))


class DeadLetterSchema(ObjectSchema):
    id = fields.UUID()
    origin = fields.String(metadata={"description": "a topic, a stream or the mailer"})
    position = fields.String()
    reason = fields.String()
    payload = fields.String(allow_none=True, metadata={"description": "the first 2,000 characters"})
    status = fields.String(validate=validate.OneOf(["waiting"]))
    createdAt = fields.DateTime()


class DeadLettersResponse(PageResponse):
    items = fields.List(fields.Nested(DeadLetterSchema))


class ChangedResponse(ResponseSchema):
    changed = fields.Integer()


def _page_response(entries: Page[JsonObject]) -> JsonObject:
    return {"success": True, "items": entries.items, "nextCursor": encode_cursor(entries.next_key)}


def _changed_response(changed_count: int) -> JsonObject:
    return {"success": True, "changed": changed_count}


def blueprint(request_auth: RequestAuth, admin_queues: AdminQueues) -> ApiBlueprint:
    routes = ApiBlueprint("admin_queues", __name__, url_prefix="/api/admin")

    @routes.get("/fallback")
    @requires(Authority.ADMIN, request_auth.require_admin)
    @routes.arguments(FallbackQuery, location="query")
    @routes.returns(FallbackResponse)
    def list_fallback(_: str, query: JsonObject) -> JsonObject:
        """Rows of the fallback queue that are not published yet, newest first."""
        return _page_response(admin_queues.list_fallback_rows(query["page"]))

    @routes.get("/dead-letters")
    @requires(Authority.ADMIN, request_auth.require_admin)
    @routes.arguments(PageQuery, location="query")
    @routes.returns(DeadLettersResponse)
    def list_dead_letters(_: str, query: JsonObject) -> JsonObject:
        """Dead letters that are not resolved yet, newest first."""
        return _page_response(admin_queues.list_dead_letters(query["page"]))

    @routes.post("/fallback/replay")
    @requires(Authority.ADMIN, request_auth.require_admin)
    @routes.arguments(QueueEntryIdsBody)
    @routes.returns(ChangedResponse)
    def replay_fallback(admin_id: str, body: JsonObject) -> JsonObject:
        """Try rows of the fallback queue again. Unknown ids change nothing."""
        return _changed_response(admin_queues.reset_fallback_retries(admin_id, body["ids"]))

    @routes.post("/fallback/discard")
    @requires(Authority.ADMIN, request_auth.require_admin)
    @routes.arguments(QueueEntryIdsBody)
    @routes.returns(ChangedResponse)
    def discard_fallback(admin_id: str, body: JsonObject) -> JsonObject:
        """Drop rows of the fallback queue."""
        return _changed_response(admin_queues.discard_fallback_rows(admin_id, body["ids"]))

    @routes.post("/dead-letters/replay")
    @requires(Authority.ADMIN, request_auth.require_admin)
    @routes.arguments(QueueEntryIdsBody)
    @routes.returns(ChangedResponse)
    def replay_dead_letters(admin_id: str, body: JsonObject) -> JsonObject:
        """Process dead letters again."""
        return _changed_response(admin_queues.replay_dead_letters(admin_id, body["ids"]))

    @routes.post("/dead-letters/discard")
    @requires(Authority.ADMIN, request_auth.require_admin)
    @routes.arguments(QueueEntryIdsBody)
    @routes.returns(ChangedResponse)
    def discard_dead_letters(admin_id: str, body: JsonObject) -> JsonObject:
        """Drop dead letters."""
        return _changed_response(admin_queues.discard_dead_letters(admin_id, body["ids"]))

    return routes
