"""E-mails and text messages: GET /api/admin/mail. Administrators only."""

from marshmallow import fields, validate

from app.domain.events import Kind
from app.operations.mail_list import MAIL_STATUSES, MailList
from blueprints.http.api_blueprint import ApiBlueprint
from blueprints.http.authority import Authority, requires
from blueprints.http.pagination import PageParams, PageQuery, invalid_cursor, next_cursor
from blueprints.http.query_fields import ChoiceParam
from blueprints.http.request_auth import RequestAuth
from blueprints.http.response_schemas import ObjectSchema, PageResponse
from blueprints.http.serializers import JsonObject


class MailQuery(PageQuery):
    status = ChoiceParam(MAIL_STATUSES)


class MessageSchema(ObjectSchema):
    id = fields.Integer()
    recipientId = fields.UUID()
    recipientName = fields.String()
    channel = fields.String(metadata={"example": "EMAIL"})
    type = fields.Enum(Kind, by_value=True)
    critical = fields.Boolean()
    status = fields.String(validate=validate.OneOf(MAIL_STATUSES))
    attempts = fields.Integer()
    lastError = fields.String(allow_none=True)
    createdAt = fields.DateTime()
    dueAt = fields.DateTime(metadata={"description": "the next attempt"})
    endedAt = fields.DateTime(allow_none=True)


class MessagesResponse(PageResponse):
    items = fields.List(fields.Nested(MessageSchema))


def blueprint(request_auth: RequestAuth, mail_list: MailList) -> ApiBlueprint:
    routes = ApiBlueprint("mail", __name__, url_prefix="/api/admin")

    @routes.get("/mail")
    @requires(Authority.ADMIN, request_auth.require_admin)
    @routes.arguments(MailQuery, location="query")
    @routes.returns(MessagesResponse)
    def list_mail(_: str, query: JsonObject) -> JsonObject:
        """E-mails and text messages, newest first, without addresses and texts."""
        page_params: PageParams = query["page"]
        before_id = page_params.cursor_values[0] if page_params.cursor_values else None
        if before_id is not None and type(before_id) is not int:
            raise invalid_cursor()
        messages = mail_list.list_newest(page_params.limit + 1, before_id, query.get("status"))
        return {
            "success": True,
            "items": messages[: page_params.limit],
            "nextCursor": next_cursor(messages, page_params.limit, lambda message: (message["id"],)),
        }

    return routes
