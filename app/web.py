"""The Flask application: JSON, sessions, URL map and headers of every response.

Socket.IO sits in front of its wsgi_app (app/delivery/sockets.py).
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from flask import Flask, Request, Response, request
from flask.json.provider import JSONProvider
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_cors import CORS
from werkzeug.routing import Map, MapAdapter

from app.bootstrap import SharedServices
from app.clients import stale_reads
from app.delivery.local_sockets import LocalSockets
from app.domain.events import to_iso_utc
from app.operations.metrics import RESPONSES
from app.settings import WebSettings
from app.trace_context import get_or_create_correlation_id
from app.web_services import WebServices, build_web_services

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PROJECT_ROOT = Path(__file__).resolve().parent.parent
MAX_BODY_BYTES = 1024 * 1024
PREFLIGHT_MAX_AGE_SECONDS = 600
_HOST = re.compile(r"[A-Za-z0-9.\-]+(:[0-9]{1,5})?|\[[0-9a-fA-F:]+\](:[0-9]{1,5})?")


class JsonResponse(Response):
    """A complete body, with the headers as they are. Werkzeug would copy and search them, and wrap the
    body."""

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "HEAD" or self.status_code in (204, 304):
            return super().__call__(environ, start_response)
        start_response(self.status, self.headers.to_wsgi_list())
        return self.iter_encoded()


class OrjsonProvider(JSONProvider):
    """orjson, with times as in the seed (milliseconds, Z) and keys in insertion order."""

    sort_keys = False

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        return _dump_json(obj).decode()

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        return orjson.loads(s)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        obj = self._prepare_response_obj(args, kwargs)
        if stale_reads.is_response_stale() and isinstance(obj, dict):
            obj = obj | {"stale": True}
        return JsonResponse(_dump_json(obj), content_type="application/json")


def _dump_json(obj: Any) -> bytes:
    return orjson.dumps(obj, default=_json_default, option=orjson.OPT_PASSTHROUGH_DATETIME)


def _json_default(value: Any) -> Any:
    if hasattr(value, "astimezone"):
        return to_iso_utc(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


class PageOnlySessionInterface(SecureCookieSessionInterface):
    """No session for the API: opening one takes time, and an API that accepts cookies would need
    CSRF checks."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if request.path.startswith("/api/"):
            return None
        return super().open_session(app, request)


class StrictUrlMap(Map):
    """Paths with // match no route. Werkzeug would redirect them to an address made from the
    request's Host header, and treat a leading // as /."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, merge_slashes=False)

    def bind_to_environ(
        self, environ: Any, server_name: str | None = None, subdomain: str | None = None
    ) -> MapAdapter:
        adapter = super().bind_to_environ(environ, server_name, subdomain)
        if adapter.path_info.startswith("//"):
            adapter.path_info = "/\0"  # matches no route
        return adapter


class FlaskApplication(Flask):
    url_map_class: type[Map] = StrictUrlMap

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """No view or hook is a coroutine; Flask would ask inspect about each of them in each request."""
        return func


@dataclass(frozen=True)
class WebApplication:
    flask_app: Flask
    web_services: WebServices


def create_app(
    services: SharedServices,
    local_sockets: LocalSockets,
    register_blueprints: Callable[[Flask, WebServices], None],
) -> WebApplication:
    """Connects to nothing. `register_blueprints` comes from blueprints/registration.py, which this
    package does not import."""
    app = FlaskApplication(
        "notifications",
        root_path=str(PROJECT_ROOT),
        template_folder="jinja",
        static_folder="jinja/static",
        static_url_path="/static",
    )
    _configure_flask(app, services.settings.web)
    web_services = build_web_services(services, app, local_sockets)
    app.extensions["sockets"] = web_services.socket_server  # for app/gunicorn_worker.py
    register_blueprints(app, web_services)
    app.after_request(_add_headers_and_count_response)
    if services.settings.web.cors_origins:
        _allow_other_origins(app, services.settings.web.cors_origins)
    return WebApplication(app, web_services)


def _configure_flask(app: Flask, web_settings: WebSettings) -> None:
    app.json = OrjsonProvider(app)
    app.session_interface = PageOnlySessionInterface()
    app.config.update(
        SECRET_KEY=web_settings.secret_key,
        MAX_CONTENT_LENGTH=MAX_BODY_BYTES,
        SESSION_COOKIE_NAME="session",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=not web_settings.is_testing,
        PERMANENT_SESSION_LIFETIME=web_settings.refresh_token_days * 24 * 3600,
    )


def _allow_other_origins(app: Flask, origins: tuple[str, ...]) -> None:
    """Without credentials: the API uses no cookies, and a page on another origin sends its token itself."""
    CORS(
        app,
        # As patterns: the library would take the brackets of an IPv6 address for one.
        origins=[re.compile(re.escape(origin) + r"\Z") for origin in origins],
        methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "X-Correlation-Id", "Traceparent"],
        expose_headers=["X-Correlation-Id", "X-Event-Id", "Retry-After"],
        max_age=PREFLIGHT_MAX_AGE_SECONDS,
        always_send=False,
        intercept_exceptions=False,  # every exception has a handler (blueprints/http/errors.py)
    )


def _add_headers_and_count_response(response: Response) -> Response:
    """Runs after every request, also in the hot path."""
    headers = response.headers
    RESPONSES[response.status_code] += 1
    # add() does not look for an earlier value: no view sets these headers.
    headers.add("X-Correlation-Id", get_or_create_correlation_id())
    headers.add("X-Content-Type-Options", "nosniff")
    if isinstance(response, JsonResponse):
        headers.add("Cache-Control", "no-store")
    elif response.mimetype == "application/json":
        headers.setdefault("Cache-Control", "no-store")
    elif response.mimetype == "text/html":
        headers["Content-Security-Policy"] = _content_security_policy(request.host)
        headers["Referrer-Policy"] = "same-origin"
        headers["X-Frame-Options"] = "DENY"
        headers["Cache-Control"] = "no-store"
    return response


def _content_security_policy(host: str) -> str:
    # 'self' does not cover WebSockets in every browser. Only a well-formed host goes into the header.
    socket_sources = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
    return (
        "default-src 'self'; img-src 'self' https: data:; "
        f"connect-src 'self'{socket_sources}; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; "
        "object-src 'none'"
    )
