"""Fields and base class of the marshmallow schemas that validate request bodies, queries and forms, with the
error messages of the seed.

The schemas are beside their routes. Validation returns a dictionary or raises ValidationFailed (400) with
details per field.
"""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from marshmallow import EXCLUDE, Schema, ValidationError, fields, missing, pre_load

from app.domain.errors import Rejected
from app.domain.text import (
    InvalidText,
    is_email,
    normalize_password,
    normalize_text,
    validate_multiline_text,
    validate_single_line_text,
)

MAX_CAPTION_LENGTH = 2_200
MAX_NAME_LENGTH = 50
MAX_URL_LENGTH = 2_048
MAX_PASSWORD_BYTES = 1_024
MAX_RAW_PASSWORD_LENGTH = 4 * MAX_PASSWORD_BYTES
"""Code points before normalization: one normalized character may be typed as several."""
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
    """A JSON object whose strings are normalized at any depth. RequestParser limits the depth."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        metadata = super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call]
        return _normalize_json(metadata)


def _normalize_json(value: Any) -> Any:
    """Raises ValidationError."""
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
    is_body_optional: ClassVar[bool] = False
    """The body may be missing; it counts as an empty object then."""

    @pre_load
    def require_values(self, data: Mapping[str, Any], **_: object) -> Mapping[str, Any]:
        if not self.required_message:
            return data
        required = [name for name, field in self.fields.items() if field.required]
        empty = [name for name in required if data.get(name) in (None, "", missing)]
        if empty:
            raise ValidationFailed(self.required_message, {name: ["Missing or empty"] for name in empty})
        return data


def validate_data(schema: RequestSchema, data: Mapping[str, Any]) -> dict[str, Any]:
    """The validated fields of a form. Raises ValidationFailed."""
    try:
        validated: dict[str, Any] = schema.load(data)
    except ValidationError as error:
        raise validation_failed(error.messages_dict) from error
    return validated


def validation_failed(messages_by_field: Mapping[str, Any]) -> ValidationFailed:
    """`messages_by_field` as in marshmallow's ValidationError."""
    details = {
        name: messages if isinstance(messages, list) else [str(messages)]
        for name, messages in messages_by_field.items()
    }
    return ValidationFailed(_first_error_message(details), details)


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


def validate_email(value: str) -> None:
    if not is_email(value):
        raise ValidationError("Invalid email format")


def validate_password(value: str) -> None:
    violations = [message for rule, message in _PASSWORD_RULES if not rule(value)]
    if len(value.encode()) > MAX_PASSWORD_BYTES:
        violations.append(f"Password must be at most {MAX_PASSWORD_BYTES} bytes")
    if violations:
        raise ValidationError(violations)
