"""E-mails and text messages: GET /api/admin/mail. Administrators only."""

from marshmallow import fields, validate

from app.domain.events import Kind
from app.operations.mail_list import MAIL_STATUSES, MailList
from app.persistence.pages import PageRequest, cut_page
from blueprints.http.api_blueprint import ApiBlueprint
from blueprints.http.authority import Authority, requires
from blueprints.http.pagination import PageQuery, encode_cursor, value_of
from blueprints.http.query_fields import ChoiceParam
from blueprints.http.request_auth import RequestAuth
from blueprints.http.response_schemas import ObjectSchema, PageResponse
from blueprints.http.serializers import JsonObject


class MailQuery(PageQuery):
    cursor_parsers = (value_of(int),)
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
        page: PageRequest = query["page"]
        before_id = page.after_key[0] if page.after_key else None
        rows = mail_list.list_newest(page.limit + 1, before_id, query.get("status"))
        messages = cut_page(rows, page.limit, lambda message: (message["id"],))
        return {"success": True, "items": messages.items, "nextCursor": encode_cursor(messages.next_key)}

    return routes
