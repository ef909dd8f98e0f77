"""Error handlers: maps every exception that leaves a view to a response.

JSON clients get {"success": false, "error", "code"[, "details"]}, browsers an error page. Responses
never contain stack traces, SQL or file paths, and never name an internal service; logs do.
"""

import logging

from flask import Flask, Response, jsonify, make_response, render_template, request
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from app.accounts.rate_limits import RateLimited
from app.clients import circuit_breaker
from app.domain.errors import Rejected, Unavailable
from app.trace_context import get_or_create_correlation_id
from blueprints.http.schemas import ValidationFailed

log = logging.getLogger(__name__)
RETRY_AFTER_SECONDS = "1"
UNAVAILABLE_MESSAGE = "Temporarily unavailable, please retry"
_CODES_WITH_PUBLIC_MESSAGE = frozenset({"busy", "too_many_waiting", "infra_slow", "infra_failed"})
"""Unavailable errors with these codes name no internal service (infra_*: testing mode only)."""
_MESSAGE_AND_CODE_BY_STATUS = {
    404: ("Not found", "not_found"),
    405: ("Method not allowed", "method_not_allowed"),
    408: ("The request body took too long", "too_slow"),
    413: ("The request is too large", "too_large"),
    415: ("The body must be JSON", "not_json"),
}


def register_error_handlers(app: Flask) -> None:
    app.register_error_handler(Rejected, _handle_rejected)
    app.register_error_handler(Unavailable, _handle_unavailable)
    app.register_error_handler(CSRFError, _handle_csrf_error)
    app.register_error_handler(HTTPException, _handle_http_exception)
    for error_class in (OperationalError, InterfaceError, PoolTimeout):
        app.register_error_handler(error_class, _handle_database_unavailable)
    app.register_error_handler(Exception, _handle_unexpected)


def _handle_rejected(error: Rejected) -> Response:
    details = error.details if isinstance(error, ValidationFailed) else None
    if isinstance(error, RateLimited):
        return _handle_rate_limited(error)
    return _error_response(str(error), error.code, error.status, details)


def _handle_rate_limited(error: RateLimited) -> Response:
    # The seed's client reads the seconds from the body.
    response = _error_response(
        str(error), error.code, 429, extra_fields={"retryAfter": error.retry_after_seconds}
    )
    response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response


def _handle_unavailable(error: Unavailable) -> Response:
    log.warning(
        "A request was refused as unavailable: %s",
        error,
        extra={
            "event": "request_unavailable",
            "code": error.code,
            "correlation_id": get_or_create_correlation_id(),
        },
    )
    message = str(error) if error.code in _CODES_WITH_PUBLIC_MESSAGE else UNAVAILABLE_MESSAGE
    response = _error_response(message, error.code, 503)
    response.headers["Retry-After"] = RETRY_AFTER_SECONDS
    return response


def _handle_csrf_error(error: CSRFError) -> Response:
    return _error_response("This form is too old; please load the page again", "csrf", 403)


def _handle_database_unavailable(error: Exception) -> Response:
    circuit_breaker.POSTGRES.outage.record_failure(f"A request failed: {type(error).__name__}")
    return _handle_unavailable(Unavailable("PostgreSQL did not answer in time", "postgres_unavailable"))


def _handle_http_exception(error: HTTPException) -> Response:
    if error.response is not None or (error.code or 500) < 400:
        return make_response(error.get_response())
    status = error.code or 500
    message, code = _MESSAGE_AND_CODE_BY_STATUS.get(
        status, (error.name, error.name.lower().replace(" ", "_"))
    )
    response = _error_response(message, code, status)
    if status == 405:
        response.headers["Allow"] = error.get_response().headers.get("Allow", "")
    return response


def _handle_unexpected(error: Exception) -> Response:
    log.error(
        "A request failed: %s",
        type(error).__name__,
        exc_info=error,
        extra={"event": "request_failed", "correlation_id": get_or_create_correlation_id()},
    )
    return _error_response("An unexpected error occurred", "internal", 500)


def _error_response(
    message: str,
    code: str,
    status: int,
    details: dict[str, list[str]] | None = None,
    extra_fields: dict[str, object] | None = None,
) -> Response:
    if _prefers_html():
        return make_response(render_template("error.html", message=message, status=status), status)
    body: dict[str, object] = {"success": False, "error": message, "code": code}
    if details:
        body["details"] = details
    body |= extra_fields or {}
    return make_response(jsonify(body), status)


def _prefers_html() -> bool:
    if request.path.split("/", 2)[1] in ("api", "socket.io"):
        return False
    return request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html"
