"""marshmallow schemas of request bodies and forms, with the error messages of the seed.

Validation returns a dictionary or raises ValidationFailed (400) with details per field.
"""

import re
from collections.abc import Mapping
from datetime import UTC
from typing import Any, ClassVar

import orjson
from flask import request
from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate, validates_schema

from app.devtools.service_control import ServiceCommand
from app.domain.errors import Rejected
from app.domain.events import FAN_OUT_KINDS, Kind
from app.domain.text import (
    InvalidText,
    is_email,
    normalize_password,
    normalize_text,
    validate_multiline_text,
    validate_single_line_text,
)

MAX_CAPTION_LENGTH = 2_200
MAX_COMMENT_LENGTH = 1_000
MAX_NAME_LENGTH = 50
MAX_TARGET_COUNT = 10_000
"""Recipients of one event; about half of the largest request body."""
MAX_URL_LENGTH = 2_048
MAX_PASSWORD_BYTES = 1_024
MAX_RAW_PASSWORD_LENGTH = 4 * MAX_PASSWORD_BYTES
"""Code points before normalization: one normalized character may be typed as several."""
MAX_JSON_DEPTH = 20
# Brackets and quotes; escaped characters are skipped.
_JSON_STRUCTURE_PATTERN = re.compile(rb'\\.|[\[\]{}"]', re.DOTALL)
_USERNAME_PATTERN = re.compile(r"[a-zA-Z0-9_]{3,30}")
_PASSWORD_RULES = (
    (lambda password: len(password) >= 8, "Password must be at least 8 characters"),
    (re.compile("[A-Z]").search, "Password must contain at least one uppercase letter"),
    (re.compile("[a-z]").search, "Password must contain at least one lowercase letter"),
    (re.compile("[0-9]").search, "Password must contain at least one number"),
)


class ValidationFailed(Rejected):
    """Invalid input; `details` has the messages per field."""

    def __init__(self, message: str, details: dict[str, list[str]]) -> None:
        super().__init__(message, "invalid", 400)
        self.details = details


class TextField(fields.String):
    """A text of any number of lines, normalized before the validators run."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = normalize_text(super()._deserialize(value, attr, data, **kwargs))
        try:
            self._validate_text(text)
        except InvalidText as error:
            raise ValidationError(str(error)) from error
        return text

    def _validate_text(self, text: str) -> None:
        validate_multiline_text(text)


class SingleLineField(TextField):
    """A name, title or other text of one line."""

    def _validate_text(self, text: str) -> None:
        validate_single_line_text(text)


class PasswordField(fields.String):
    """A password to verify. Not normalized here: one that cannot be normalized is just wrong
    (app/accounts/passwords.py)."""


class NewPasswordField(PasswordField):
    """A new password, normalized."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        password = super()._deserialize(value, attr, data, **kwargs)
        if len(password) > MAX_RAW_PASSWORD_LENGTH:
            raise ValidationError(f"Password must be at most {MAX_PASSWORD_BYTES} bytes")
        try:
            return normalize_password(password)
        except InvalidText as error:
            raise ValidationError(str(error)) from error


class MetadataField(fields.Dict):
    """A JSON object whose strings are normalized at any depth."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        metadata = super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call]
        return _normalize_json(metadata)


def _normalize_json(value: Any) -> Any:
    """`value` has at most MAX_JSON_DEPTH levels. Raises ValidationError."""
    if isinstance(value, dict):
        return {_normalize_json(name): _normalize_json(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_normalize_json(item) for item in value]
    return TextField().deserialize(value) if isinstance(value, str) else value


class RequestSchema(Schema):
    """Unknown fields are ignored: the seed's client sends some."""

    class Meta:
        unknown = EXCLUDE

    required_message: ClassVar[str | None] = None
    """The error message for a missing or empty required field."""


def validate_data(schema: RequestSchema, data: Mapping[str, Any]) -> dict[str, Any]:
    """Raises ValidationFailed, with the schema's own message when a required field is missing."""
    required = [name for name, field in schema.fields.items() if field.required]
    empty = [name for name in required if data.get(name) in (None, "")]
    if empty and schema.required_message:
        raise ValidationFailed(schema.required_message, {name: ["Missing or empty"] for name in empty})
    try:
        validated: dict[str, Any] = schema.load(data)
    except ValidationError as error:
        details = {
            name: messages if isinstance(messages, list) else [str(messages)]
            for name, messages in _error_messages(error).items()
        }
        raise ValidationFailed(_first_error_message(details), details) from error
    return validated


def _error_messages(error: ValidationError) -> dict[str, Any]:
    messages: dict[str, Any] = error.normalized_messages()  # type: ignore[no-untyped-call]
    return messages


def _first_error_message(details: dict[str, list[str]]) -> str:
    name, messages = next(iter(details.items()))
    message = ". ".join(str(part) for part in messages)
    # Our own messages name the field; marshmallow's ("Not a valid string.") do not.
    names_subject = message.split(" ")[0] not in (
        "Not",
        "Must",
        "Missing",
        "Field",
        "Longer",
        "Shorter",
    )
    return message if names_subject else f"{name}: {message}"


def parse_json_body(schema: RequestSchema, optional: bool = False) -> dict[str, Any]:
    """The validated JSON body of the request. Raises Rejected (400)."""
    raw = request.get_data(cache=False)
    if not raw and optional:
        return validate_data(schema, {})
    try:
        data = orjson.loads(raw) if _is_within_max_depth(raw) else None
    except orjson.JSONDecodeError as error:
        raise Rejected("The body must be JSON", "not_json", 400) from error
    if not isinstance(data, dict):
        raise Rejected("The body must be a JSON object", "not_json", 400)
    return validate_data(schema, data)


def _is_within_max_depth(raw: bytes) -> bool:
    """Checked before parsing: deeply nested JSON is expensive to process, and none is needed."""
    if raw.count(b"[") + raw.count(b"{") <= MAX_JSON_DEPTH:
        return True
    depth, in_string = 0, False
    for token in _JSON_STRUCTURE_PATTERN.findall(raw):
        if token == b'"':
            in_string = not in_string
        elif not in_string:
            depth += 1 if token in b"[{" else -1
            if depth > MAX_JSON_DEPTH:
                return False
    return True


def validate_email(value: str) -> None:
    if not is_email(value):
        raise ValidationError("Invalid email format")


def _validate_username(value: str) -> None:
    if not _USERNAME_PATTERN.fullmatch(value):
        raise ValidationError(
            "Username must be 3-30 characters and contain only letters, numbers, and underscores"
        )


def validate_password(value: str) -> None:
    violations = [message for rule, message in _PASSWORD_RULES if not rule(value)]
    if len(value.encode()) > MAX_PASSWORD_BYTES:
        violations.append(f"Password must be at most {MAX_PASSWORD_BYTES} bytes")
    if violations:
        raise ValidationError(violations)


def _validate_https_url(value: str) -> None:
    if value and not (value.startswith("https://") and re.fullmatch(r"\S+", value)):
        raise ValidationError("imageUrl must be an https address")


class RegisterBody(RequestSchema):
    required_message = "Email, username, and password are required"
    email = SingleLineField(required=True, validate=validate_email)
    username = SingleLineField(required=True, validate=_validate_username)
    password = NewPasswordField(required=True, validate=validate_password)
    name = SingleLineField(allow_none=True, validate=validate.Length(max=MAX_NAME_LENGTH))


class LoginBody(RequestSchema):
    required_message = "Email and password are required"
    email = SingleLineField(required=True, validate=validate_email)
    password = PasswordField(required=True, validate=validate.Length(max=MAX_RAW_PASSWORD_LENGTH))


class PostBody(RequestSchema):
    caption = TextField(allow_none=True, validate=validate.Length(max=MAX_CAPTION_LENGTH))
    imageUrl = SingleLineField(
        allow_none=True, validate=[validate.Length(max=MAX_URL_LENGTH), _validate_https_url]
    )


class CommentBody(RequestSchema):
    required_message = "PostId and content required"
    postId = fields.UUID(required=True)
    content = TextField(required=True, validate=validate.Length(max=MAX_COMMENT_LENGTH))


class ReplyBody(RequestSchema):
    required_message = "Content required"
    content = TextField(required=True, validate=validate.Length(max=MAX_COMMENT_LENGTH))


class ReadAllBody(RequestSchema):
    upTo = fields.Integer(strict=True, allow_none=True, validate=validate.Range(min=0))


class UndoReadAllBody(RequestSchema):
    required_message = "readAt required"
    readAt = fields.AwareDateTime(required=True, format="iso", default_timezone=UTC)


class EventBody(RequestSchema):
    required_message: ClassVar[str] = "Missing required fields"
    type = TextField(required=True, validate=validate.OneOf([kind.value for kind in Kind]))
    targetId = fields.UUID(allow_none=True)
    targetIds = fields.List(
        fields.UUID(), allow_none=True, validate=validate.Length(min=1, max=MAX_TARGET_COUNT)
    )
    actorId = fields.UUID(allow_none=True)
    targetType = SingleLineField(allow_none=True, validate=validate.Length(max=20))
    targetEntityId = fields.UUID(allow_none=True)
    title = SingleLineField(allow_none=True, validate=validate.Length(max=200))
    message = TextField(allow_none=True, validate=validate.Length(max=MAX_CAPTION_LENGTH))
    metadata = MetadataField(keys=TextField(), allow_none=True)

    @validates_schema
    def validate_targets(self, data: dict[str, Any], **_: object) -> None:
        """One target, or a list of them for the kinds that a fan-out announces."""
        target_ids = data.get("targetIds")
        if data.get("targetId") is None and target_ids is None:
            raise ValidationFailed(self.required_message, {"targetId": ["Missing or empty"]})
        if data.get("targetId") is not None and target_ids is not None:
            raise ValidationError("Only one of targetId and targetIds is allowed", "targetIds")
        if target_ids is not None and data.get("type") not in FAN_OUT_KINDS:
            kinds = ", ".join(sorted(FAN_OUT_KINDS))
            raise ValidationError(f"targetIds is for the types {kinds}", "targetIds")


class SimulatePostActivityBody(RequestSchema):
    required_message = "postId and targetUserId are required"
    postId = fields.UUID(required=True)
    targetUserId = fields.UUID(required=True)
    count = fields.Integer(strict=True, load_default=5, validate=validate.Range(min=1))
    simulationType = TextField(
        load_default="mixed", validate=validate.OneOf(["mixed", "followers", "non-followers"])
    )


class SimulateFollowsBody(RequestSchema):
    required_message = "targetUserId is required"
    targetUserId = fields.UUID(required=True)
    count = fields.Integer(strict=True, load_default=5, validate=validate.Range(min=1))


class DemoEventBody(RequestSchema):
    required_message = "type required"
    type = TextField(required=True, validate=validate.OneOf(["like", "comment", "follow", "otp"]))


class ServiceCommandBody(RequestSchema):
    required_message = "verb required"
    verb = TextField(required=True, validate=validate.OneOf([command.value for command in ServiceCommand]))


class IdField(TextField):
    """An id from a list response: a string, or a number for the fallback queue."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        return super()._deserialize(value, attr, data, **kwargs)


class QueueEntryIdsBody(RequestSchema):
    required_message = "ids required"
    ids = fields.List(
        IdField(validate=validate.Length(max=40)), required=True, validate=validate.Length(max=1000)
    )
