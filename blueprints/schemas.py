"""What a request may say. marshmallow checks; the seed's sentences are kept.

In    JSON bodies and forms
Out   checked dictionaries, or Invalid (400) with details per field
"""

import re
from collections.abc import Mapping
from datetime import UTC
from typing import Any, ClassVar

import orjson
from flask import request
from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

from app.domain.errors import Rejected
from app.domain.events import Kind
from app.domain.text import (
    TextError,
    check_line,
    check_paragraphs,
    is_email,
    normalize,
    opaque_password,
)
from app.switches import Verb

MAX_CAPTION = 2_200
MAX_COMMENT = 1_000
MAX_NAME = 50
MAX_URL = 2_048
MAX_PASSWORD_BYTES = 1_024
MAX_TYPED_PASSWORD = 4 * MAX_PASSWORD_BYTES
"""Code points as typed: one character of the normal form may be typed as several."""
MAX_DEPTH = 20
# Brackets and quotes; an escaped quote or backslash is passed over.
_STRUCTURE = re.compile(rb'\\.|[\[\]{}"]', re.DOTALL)
_USERNAME = re.compile(r"[a-zA-Z0-9_]{3,30}")
_PASSWORD_RULES = (
    (lambda word: len(word) >= 8, "Password must be at least 8 characters"),
    (re.compile("[A-Z]").search, "Password must contain at least one uppercase letter"),
    (re.compile("[a-z]").search, "Password must contain at least one lowercase letter"),
    (re.compile("[0-9]").search, "Password must contain at least one number"),
)


class Invalid(Rejected):
    """The request says something it may not; `details` says it per field."""

    def __init__(self, sentence: str, details: dict[str, list[str]]) -> None:
        super().__init__(sentence, "invalid", 400)
        self.details = details


class Text(fields.String):
    """A text of any number of lines, in normal form: what validators count is what is stored."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        found = normalize(super()._deserialize(value, attr, data, **kwargs))
        try:
            self._check(found)
        except TextError as fault:
            raise ValidationError(str(fault)) from fault
        return found

    def _check(self, text: str) -> None:
        check_paragraphs(text)


class Line(Text):
    """A name, title or other text of one line."""

    def _check(self, text: str) -> None:
        check_line(text)


class Password(fields.String):
    """A password to compare: not changed here, because one that cannot be anybody's is a wrong
    one and nothing else (app/passwords.py)."""


class NewPassword(Password):
    """A password to set, as it will be compared."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        found = super()._deserialize(value, attr, data, **kwargs)
        if len(found) > MAX_TYPED_PASSWORD:
            raise ValidationError(f"Password must be at most {MAX_PASSWORD_BYTES} bytes")
        try:
            return opaque_password(found)
        except TextError as fault:
            raise ValidationError(str(fault)) from fault


class Metadata(fields.Dict):
    """A JSON object whose texts, at any depth, are in normal form."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        found = super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call]
        return _normalized(found)


def _normalized(value: Any) -> Any:
    """JSON of at most MAX_DEPTH levels. Raises ValidationError."""
    if isinstance(value, dict):
        return {_normalized(name): _normalized(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_normalized(one) for one in value]
    return Text().deserialize(value) if isinstance(value, str) else value


class Body(Schema):
    """Unknown fields are ignored: the seed's client sends more than it needs to."""

    class Meta:
        unknown = EXCLUDE

    needed: ClassVar[str | None] = None
    """The sentence for a missing or empty required field."""


def check(schema: Body, given: Mapping[str, Any]) -> dict[str, Any]:
    """Raises Invalid. Its sentence is the schema's own when something needed is missing."""
    required = [name for name, field in schema.fields.items() if field.required]
    empty = [name for name in required if given.get(name) in (None, "")]
    if empty and schema.needed:
        raise Invalid(schema.needed, {name: ["Missing or empty"] for name in empty})
    try:
        found: dict[str, Any] = schema.load(given)
    except ValidationError as fault:
        details = {
            name: lines if isinstance(lines, list) else [str(lines)]
            for name, lines in _messages(fault).items()
        }
        raise Invalid(_sentence(details), details) from fault
    return found


def _messages(fault: ValidationError) -> dict[str, Any]:
    found: dict[str, Any] = fault.normalized_messages()  # type: ignore[no-untyped-call]
    return found


def _sentence(details: dict[str, list[str]]) -> str:
    name, lines = next(iter(details.items()))
    sentence = ". ".join(str(line) for line in lines)
    # Our own sentences name their subject; marshmallow's ("Not a valid string.") do not.
    ours = sentence.split(" ")[0] not in ("Not", "Must", "Missing", "Field", "Longer", "Shorter")
    return sentence if ours else f"{name}: {sentence}"


def body(schema: Body, optional: bool = False) -> dict[str, Any]:
    """The checked JSON body of the request."""
    raw = request.get_data(cache=False)
    if not raw and optional:
        return check(schema, {})
    try:
        given = orjson.loads(raw) if _is_shallow(raw) else None
    except orjson.JSONDecodeError as fault:
        raise Rejected("The body must be JSON", "not_json", 400) from fault
    if not isinstance(given, dict):
        raise Rejected("The body must be a JSON object", "not_json", 400)
    return check(schema, given)


def _is_shallow(raw: bytes) -> bool:
    """Nothing of ours nests deeper; what does costs whoever walks through it."""
    if raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return True
    depth, text = 0, False
    for letter in _STRUCTURE.findall(raw):
        if letter == b'"':
            text = not text
        elif not text:
            depth += 1 if letter in b"[{" else -1
            if depth > MAX_DEPTH:
                return False
    return True


def email_form(value: str) -> None:
    if not is_email(value):
        raise ValidationError("Invalid email format")


def _username(value: str) -> None:
    if not _USERNAME.fullmatch(value):
        raise ValidationError(
            "Username must be 3-30 characters and contain only letters, numbers, and underscores"
        )


def password_rules(value: str) -> None:
    broken = [sentence for rule, sentence in _PASSWORD_RULES if not rule(value)]
    if len(value.encode()) > MAX_PASSWORD_BYTES:
        broken.append(f"Password must be at most {MAX_PASSWORD_BYTES} bytes")
    if broken:
        raise ValidationError(broken)


def _https(value: str) -> None:
    if value and not (value.startswith("https://") and re.fullmatch(r"\S+", value)):
        raise ValidationError("imageUrl must be an https address")


class RegisterBody(Body):
    needed = "Email, username, and password are required"
    email = Line(required=True, validate=email_form)
    username = Line(required=True, validate=_username)
    password = NewPassword(required=True, validate=password_rules)
    name = Line(allow_none=True, validate=validate.Length(max=MAX_NAME))


class LoginBody(Body):
    needed = "Email and password are required"
    email = Line(required=True, validate=email_form)
    password = Password(required=True, validate=validate.Length(max=MAX_TYPED_PASSWORD))


class PostBody(Body):
    caption = Text(allow_none=True, validate=validate.Length(max=MAX_CAPTION))
    imageUrl = Line(allow_none=True, validate=[validate.Length(max=MAX_URL), _https])


class CommentBody(Body):
    needed = "PostId and content required"
    postId = fields.UUID(required=True)
    content = Text(required=True, validate=validate.Length(max=MAX_COMMENT))


class ReplyBody(Body):
    needed = "Content required"
    content = Text(required=True, validate=validate.Length(max=MAX_COMMENT))


class ReadAllBody(Body):
    upTo = fields.Integer(strict=True, allow_none=True, validate=validate.Range(min=0))


class UnreadAllBody(Body):
    needed = "readAt required"
    readAt = fields.AwareDateTime(required=True, format="iso", default_timezone=UTC)


class EventBody(Body):
    needed = "Missing required fields"
    type = Text(required=True, validate=validate.OneOf([kind.value for kind in Kind]))
    targetId = fields.UUID(required=True)
    actorId = fields.UUID(allow_none=True)
    targetType = Line(allow_none=True, validate=validate.Length(max=20))
    targetEntityId = fields.UUID(allow_none=True)
    title = Line(allow_none=True, validate=validate.Length(max=200))
    message = Text(allow_none=True, validate=validate.Length(max=MAX_CAPTION))
    metadata = Metadata(keys=Text(), allow_none=True)


class SimulateBody(Body):
    needed = "postId and targetUserId are required"
    postId = fields.UUID(required=True)
    targetUserId = fields.UUID(required=True)
    count = fields.Integer(strict=True, load_default=5, validate=validate.Range(min=1))
    simulationType = Text(
        load_default="mixed", validate=validate.OneOf(["mixed", "followers", "non-followers"])
    )


class SimulateFollowsBody(Body):
    needed = "targetUserId is required"
    targetUserId = fields.UUID(required=True)
    count = fields.Integer(strict=True, load_default=5, validate=validate.Range(min=1))


class DemoBody(Body):
    needed = "type required"
    type = Text(required=True, validate=validate.OneOf(["like", "comment", "follow", "otp"]))


class SwitchBody(Body):
    needed = "verb required"
    verb = Text(required=True, validate=validate.OneOf([one.value for one in Verb]))


class Id(Text):
    """An id as a list showed it: a text, or a number of the fallback queue."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        return super()._deserialize(value, attr, data, **kwargs)


class IdsBody(Body):
    needed = "ids required"
    ids = fields.List(
        Id(validate=validate.Length(max=40)), required=True, validate=validate.Length(max=1000)
    )
