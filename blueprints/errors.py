"""The one table: what went wrong -> what the caller is told. Never a stack, SQL or a path.

In    every exception that leaves a view
Out   {"success": false, "error", "code"[, "details"]}; a page for who asked for a page
"""

import logging

from flask import Flask, Response, jsonify, make_response, render_template, request
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from app import breakers
from app.domain.errors import Rejected, Unavailable
from app.limits import TooMany
from blueprints.identity import correlation_id
from blueprints.schemas import Invalid

log = logging.getLogger(__name__)
RETRY_AFTER_SECONDS = "1"
_SENTENCES = {
    404: ("Not found", "not_found"),
    405: ("Method not allowed", "method_not_allowed"),
    408: ("The request's body took too long", "too_slow"),
    413: ("The request is too large", "too_large"),
    415: ("The body must be JSON", "not_json"),
}


def register(app: Flask) -> None:
    app.register_error_handler(Rejected, _rejected)
    app.register_error_handler(Unavailable, _unavailable)
    app.register_error_handler(HTTPException, _http)
    for fault in (OperationalError, InterfaceError, PoolTimeout):
        app.register_error_handler(fault, _database_away)
    app.register_error_handler(Exception, _unforeseen)


def _rejected(fault: Rejected) -> Response:
    details = fault.details if isinstance(fault, Invalid) else None
    if isinstance(fault, TooMany):
        return _too_many(fault)
    return _answer(str(fault), fault.code, fault.status, details)


def _too_many(fault: TooMany) -> Response:
    # The seed's client reads the seconds from the body.
    answer = _answer(str(fault), fault.code, 429, more={"retryAfter": fault.retry_after})
    answer.headers["Retry-After"] = str(fault.retry_after)
    return answer


def _unavailable(fault: Unavailable) -> Response:
    log.warning("Refused for now: %s", fault, extra={"correlation_id": correlation_id()})
    answer = _answer(str(fault), fault.code, 503)
    answer.headers["Retry-After"] = RETRY_AFTER_SECONDS
    return answer


def _database_away(fault: Exception) -> Response:
    breakers.POSTGRES.outage.failed(f"A request failed: {type(fault).__name__}")
    return _unavailable(Unavailable("PostgreSQL did not answer in time", "postgres_unavailable"))


def _http(fault: HTTPException) -> Response:
    if fault.response is not None or (fault.code or 500) < 400:
        return make_response(fault.get_response())
    status = fault.code or 500
    sentence, code = _SENTENCES.get(status, (fault.name, fault.name.lower().replace(" ", "_")))
    answer = _answer(sentence, code, status)
    if status == 405:
        answer.headers["Allow"] = fault.get_response().headers.get("Allow", "")
    return answer


def _unforeseen(fault: Exception) -> Response:
    log.error(
        "A request failed: %s",
        type(fault).__name__,
        exc_info=fault,
        extra={"correlation_id": correlation_id()},
    )
    return _answer("An unexpected error occurred", "internal", 500)


def _answer(
    sentence: str,
    code: str,
    status: int,
    details: dict[str, list[str]] | None = None,
    more: dict[str, object] | None = None,
) -> Response:
    if _wants_a_page():
        return make_response(
            render_template("error.html", sentence=sentence, status=status), status
        )
    body: dict[str, object] = {"success": False, "error": sentence, "code": code}
    if details:
        body["details"] = details
    body |= more or {}
    return make_response(jsonify(body), status)


def _wants_a_page() -> bool:
    if request.path.split("/", 2)[1] in ("api", "socket.io"):
        return False
    return request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html"
