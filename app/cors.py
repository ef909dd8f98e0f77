"""CORS: which other origins' pages may read our answers. Installed only where some are named.

In    CORS_ORIGINS
Out   Access-Control-* headers

Without credentials: the API knows no cookies, and a page elsewhere carries its token itself.
"""

from collections.abc import Callable

from flask import Response, request

METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
HEADERS = "Authorization, Content-Type, Idempotency-Key, X-Correlation-Id, Traceparent"
SHOWN = "X-Correlation-Id, Retry-After"
REMEMBERED_SECONDS = "600"


def answers(origins: tuple[str, ...]) -> Callable[[Response], Response]:
    allowed = frozenset(origins)

    def allow(answer: Response) -> Response:
        answer.vary.add("Origin")
        origin = request.environ.get("HTTP_ORIGIN")
        if origin not in allowed:
            return answer
        headers = answer.headers
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = SHOWN
        if request.method == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in request.environ:
            headers["Access-Control-Allow-Methods"] = METHODS
            headers["Access-Control-Allow-Headers"] = HEADERS
            headers["Access-Control-Max-Age"] = REMEMBERED_SECONDS
        return answer

    return allow
