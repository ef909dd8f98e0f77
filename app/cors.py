"""CORS response headers for the origins in CORS_ORIGINS. Not installed when there are none.

Without credentials: the API uses no cookies, and a page on another origin sends its token itself.
"""

from collections.abc import Callable

from flask import Response, request

ALLOWED_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
ALLOWED_HEADERS = "Authorization, Content-Type, Idempotency-Key, X-Correlation-Id, Traceparent"
EXPOSED_HEADERS = "X-Correlation-Id, Retry-After"
PREFLIGHT_MAX_AGE_SECONDS = "600"


def cors_response_hook(origins: tuple[str, ...]) -> Callable[[Response], Response]:
    allowed_origins = frozenset(origins)

    def allow(response: Response) -> Response:
        response.vary.add("Origin")
        origin = request.environ.get("HTTP_ORIGIN")
        if origin not in allowed_origins:
            return response
        headers = response.headers
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
        if request.method == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in request.environ:
            headers["Access-Control-Allow-Methods"] = ALLOWED_METHODS
            headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
            headers["Access-Control-Max-Age"] = PREFLIGHT_MAX_AGE_SECONDS
        return response

    return allow
