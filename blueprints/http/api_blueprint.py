"""The blueprint of API routes. flask-smorest derives the OpenAPI document from them.

A view is decorated, from the top: route, `requires` (authority.py), `arguments` (body or query, validated
and passed to the view), `returns` (schemas of the responses). Its docstring is the summary.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar

from flask_smorest.blueprint import Blueprint
from marshmallow import Schema

from blueprints.http.request_parser import RequestParser
from blueprints.http.schemas import RequestSchema
from blueprints.http.toggle_methods import SWITCH_METHODS, TOGGLE_METHODS

Result = TypeVar("Result")
View = TypeVar("View", bound=Callable[..., Any])


def add_documentation(view: View, **fields: Any) -> View:
    """Adds fields to the OpenAPI operation of the view."""
    return _keep_notes(view, Blueprint.doc(**fields))


def _keep_notes(view: View, *decorators: Callable[[Any], Any]) -> View:
    """Keeps what decorators of flask-smorest note about the view, without the call that each of them would
    add to every request."""
    for decorator in decorators:
        vars(view)["_apidoc"] = vars(decorator(view))["_apidoc"]
    return view


class ApiBlueprint(Blueprint):
    ARGUMENTS_PARSER = RequestParser()

    def __init__(self, name: str, import_name: str, url_prefix: str | None = None) -> None:
        super().__init__(name, import_name, url_prefix=url_prefix)

    def toggle(self, rule: str) -> Callable[[View], View]:
        """A route that switches a state (toggle_methods.py)."""
        return self.switch(rule, TOGGLE_METHODS)

    def switch(self, rule: str, methods: tuple[str, ...] = SWITCH_METHODS) -> Callable[[View], View]:
        """The same without POST."""
        decorate: Callable[[View], View] = self.route(rule, methods=methods)
        return decorate

    def arguments(  # type: ignore[override]  # fewer options
        self, schema: type[RequestSchema], *, location: str = "json"
    ) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
        """Passes the validated body (or `location="query"`) to the view, after other positional arguments.
        Raises Rejected (400)."""
        describe = super().arguments(schema, location=location, required=not schema.is_body_optional)
        parse = self.ARGUMENTS_PARSER.use_args(schema(), location=location)

        def decorate(view: Callable[..., Result]) -> Callable[..., Result]:
            parsed: Callable[..., Result] = parse(view)
            return _keep_notes(parsed, describe)

        return decorate

    def returns(
        self,
        schema: type[Schema] | dict[str, Any],
        status: int = 200,
        *,
        errors: tuple[int, ...] = (),
        headers: Mapping[str, str] | None = None,
        content_type: str | None = None,
        description: str = "Done",
    ) -> Callable[[View], View]:
        """Documents a response, and errors that do not follow from authority, path and arguments. `headers`:
        the description of each header that the view adds.

        The schema is not applied: views return dictionaries, and orjson writes them as they are. That they
        match is checked by tests/integration/http/test_authorization.py.
        """
        success = self.alt_response(
            status,
            schema=schema,
            description=description,
            content_type=content_type,
            headers=headers
            and {name: {"description": text, "schema": {"type": "string"}} for name, text in headers.items()},
        )
        error_responses = [self.alt_response(error, HTTPStatus(error).name) for error in errors]
        return lambda view: _keep_notes(view, success, *error_responses)
