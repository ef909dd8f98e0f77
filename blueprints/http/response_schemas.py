"""marshmallow schemas that describe responses, shared by several routes.

For the OpenAPI document only: views return dictionaries (serializers.py), which orjson writes as they are.
Tests compare the responses of all routes with their schemas.
"""

from typing import Any, ClassVar

from marshmallow import EXCLUDE, Schema, fields, validate

from app.domain.events import Kind, Priority
from app.persistence.bounded_counts import MAX_LISTED_ROWS


class ObjectSchema(Schema):
    """A JSON object. All its fields are present, except `optional_fields`. Later versions may add some."""

    class Meta:
        unknown = EXCLUDE

    optional_fields: ClassVar[frozenset[str]] = frozenset()

    def on_bind_field(self, field_name: str, field_obj: fields.Field) -> None:  # type: ignore[type-arg]
        field_obj.required = field_name not in self.optional_fields

    def __deepcopy__(self, _: dict[int, Any]) -> "ObjectSchema":
        """flask-smorest copies the description of a route several times."""
        return self


class ResponseSchema(ObjectSchema):
    optional_fields = frozenset({"stale"})
    success = fields.Boolean(validate=validate.OneOf([True]))
    stale = fields.Boolean(
        validate=validate.OneOf([True]),
        metadata={"description": "counts may lag, because a service is unavailable or being rebuilt"},
    )


class PageResponse(ResponseSchema):
    nextCursor = fields.String(allow_none=True, metadata={"description": "null on the last page"})


class MessageResponse(ResponseSchema):
    message = fields.String()


class ErrorSchema(ObjectSchema):
    optional_fields = frozenset({"details", "retryAfter"})
    success = fields.Boolean(validate=validate.OneOf([False]))
    error = fields.String(metadata={"description": "message for people"})
    code = fields.String(metadata={"description": "code for programs", "example": "invalid"})
    details = fields.Dict(
        fields.String(), fields.List(fields.String()), metadata={"description": "messages per field"}
    )
    retryAfter = fields.Integer(metadata={"description": "seconds, with 429"})


class UserSchema(ObjectSchema):
    """A user's own account, without the e-mail address."""

    id = fields.UUID()
    username = fields.String(metadata={"example": "ann"})
    name = fields.String(allow_none=True, metadata={"example": "Ann Lee"})
    bio = fields.String(allow_none=True)
    avatarUrl = fields.String(allow_none=True)
    createdAt = fields.DateTime()


class AccountSchema(UserSchema):
    email = fields.String(metadata={"example": "ann@example.org"})


class UserSummarySchema(ObjectSchema):
    id = fields.UUID()
    username = fields.String(metadata={"example": "ann"})
    name = fields.String(allow_none=True, metadata={"example": "Ann Lee"})
    avatarUrl = fields.String(allow_none=True)


class UsersResponse(PageResponse):
    users = fields.List(fields.Nested(UserSummarySchema))


class PostCountsSchema(ObjectSchema):
    likes = fields.Integer()
    comments = fields.Integer()


class NewPostSchema(ObjectSchema):
    id = fields.UUID()
    userId = fields.UUID()
    caption = fields.String(allow_none=True, metadata={"example": "Hello"})
    imageUrl = fields.String(allow_none=True)
    createdAt = fields.DateTime()
    updatedAt = fields.DateTime()
    user = fields.Nested(UserSummarySchema)
    _count = fields.Nested(PostCountsSchema)
    likesCount = fields.Integer()
    commentsCount = fields.Integer()


class PostSchema(NewPostSchema):
    isLiked = fields.Boolean(metadata={"description": "by the signed-in user"})


class PaginationSchema(ObjectSchema):
    page = fields.Integer()
    limit = fields.Integer()
    total = fields.Integer(metadata={"description": f"at most {MAX_LISTED_ROWS:,}"})
    totalPages = fields.Integer()
    totalIsExact = fields.Boolean(metadata={"description": "false when there are more rows"})


class EventStepSchema(ObjectSchema):
    name = fields.String(metadata={"example": "published"})
    at = fields.DateTime()


class EventProgressSchema(ObjectSchema):
    eventId = fields.UUID()
    type = fields.Enum(Kind, by_value=True, allow_none=True)
    status = fields.String()
    outcome = fields.String(allow_none=True)
    instant = fields.Boolean(
        allow_none=True, metadata={"description": "announced at once; null if not decided yet"}
    )
    dueAt = fields.DateTime(allow_none=True)
    steps = fields.List(fields.Nested(EventStepSchema))


class NotificationSchema(ObjectSchema):
    id = fields.UUID()
    userId = fields.UUID()
    type = fields.Enum(Kind, by_value=True)
    priority = fields.Enum(Priority, by_value=True)
    actorId = fields.UUID(allow_none=True)
    actorName = fields.String(allow_none=True)
    actorAvatar = fields.String(allow_none=True)
    isAggregated = fields.Boolean()
    aggregatedCount = fields.Integer(metadata={"description": "number of actors, at least 1"})
    title = fields.String()
    message = fields.String(metadata={"example": "Ann Lee and 3 others liked your post"})
    imageUrl = fields.String(allow_none=True)
    targetType = fields.String(allow_none=True, metadata={"example": "POST"})
    targetId = fields.UUID(allow_none=True)
    isRead = fields.Boolean()
    channels = fields.List(fields.String(metadata={"example": "PUSH"}))
    metadata = fields.Dict(allow_none=True)
    createdAt = fields.DateTime()
    version = fields.Integer()
    generation = fields.Integer()
    seq = fields.Integer(metadata={"description": "orders the messages to this user"})
    actors = fields.List(fields.Nested(UserSummarySchema), metadata={"description": "the newest"})
    seenAt = fields.DateTime(allow_none=True)
    readAt = fields.DateTime(allow_none=True)
    snoozedUntil = fields.DateTime(allow_none=True, metadata={"description": "not in the list until then"})
    summary = fields.String(metadata={"description": "what happened, without the quote"})
    detail = fields.String(allow_none=True, metadata={"description": "the quote, or the text of the post"})
    archivedAt = fields.DateTime(allow_none=True)
    updatedAt = fields.DateTime()
    aggregatedIds = fields.List(fields.UUID(), metadata={"description": "the ids of `actors`"})
    deliveryStatus = fields.String(validate=validate.OneOf(["SENT", "HELD"]))
