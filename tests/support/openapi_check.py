"""Compares responses with the OpenAPI document."""

from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from werkzeug.test import TestResponse

from tests.support.api_routes import ApiRoute, openapi_document


def schema_violations(route: ApiRoute, response: TestResponse) -> list[str]:
    """How a response differs from its schema; fields that the schema does not have count as well."""
    document = openapi_document()
    described = route.operation["responses"].get(str(response.status_code))
    if described is None:
        return [f"status {response.status_code} is not documented"]
    if "$ref" in described:
        described = document["components"]["responses"][described["$ref"].rpartition("/")[2]]
    media_type = described["content"].get(response.mimetype)
    if media_type is None:
        return [f"content type {response.mimetype} is not documented"]
    if response.mimetype != "application/json":
        return []
    components = _without_unknown_fields(document["components"])
    validator = Draft202012Validator(
        media_type["schema"] | {"components": components}, format_checker=FormatChecker()
    )
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(response.json)]


def _without_unknown_fields(node: Any) -> Any:
    """The schemas, forbidding fields that they do not have."""
    if isinstance(node, list):
        return [_without_unknown_fields(item) for item in node]
    if not isinstance(node, dict):
        return node
    strict = {name: _without_unknown_fields(value) for name, value in node.items()}
    if isinstance(node.get("properties"), dict) and node.get("type") == "object":
        strict.setdefault("additionalProperties", False)
    return strict
