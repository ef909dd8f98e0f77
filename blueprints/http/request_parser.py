"""Reads bodies and queries for the `arguments` of routes, with the errors of this API."""

import re
from typing import Any, NoReturn

import orjson
from flask import Request
from marshmallow import Schema, ValidationError, missing
from webargs.flaskparser import FlaskParser

from app.domain.errors import Rejected
from blueprints.http.schemas import RequestSchema, validation_failed

MAX_JSON_DEPTH = 20
# Brackets and quotes; escaped characters are skipped.
_JSON_STRUCTURE_PATTERN = re.compile(rb'\\.|[\[\]{}"]', re.DOTALL)


class RequestParser(FlaskParser):
    DEFAULT_VALIDATION_STATUS = 400

    def load_json(self, req: Request, schema: Schema) -> Any:
        """A JSON object, whatever the content type. Raises Rejected (400)."""
        raw = req.get_data()
        if not raw and isinstance(schema, RequestSchema) and schema.is_body_optional:
            return missing
        try:
            data = orjson.loads(raw) if _is_within_max_depth(raw) else None
        except orjson.JSONDecodeError as error:
            raise Rejected("The body must be JSON", "not_json", 400) from error
        if not isinstance(data, dict):
            raise Rejected("The body must be a JSON object", "not_json", 400)
        return data

    def handle_error(self, error: ValidationError, *_: Any, **__: Any) -> NoReturn:
        """`error.messages_dict` has one key, the location."""
        (messages,) = error.messages_dict.values()
        raise validation_failed(messages) from error


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
