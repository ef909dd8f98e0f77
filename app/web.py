"""The web application: Flask, blueprints and sockets around the wired parts.

In    app/wsgi.py, tests
Out   a Flask application; Socket.IO sits in front of its wsgi_app
"""

import re
import time
from pathlib import Path
from typing import Any

import orjson
from flask import Flask, Request, Response, request
from flask.json.provider import JSONProvider
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from werkzeug.routing import Map, MapAdapter

import blueprints
from app import cors, stale
from app.accounts import Accounts, Desk
from app.credentials import Credentials
from app.devices import Devices
from app.domain.events import iso
from app.guard import Guard
from app.limits import Limits, Rates
from app.metrics import ANSWERS, Metrics
from app.passwords import Passwords
from app.probes import Probes
from app.revocations import Revocations
from app.settings import Web
from app.sockets import Sockets
from app.stores.heartbeats import Heartbeats
from app.stores.outgoing import OutgoingMessages
from app.stores.secrets import Secrets
from app.stores.sessions import Sessions
from app.stores.subjects import PERSON
from app.stores.users import Users
from app.tokens import Life, Tokens
from app.wiring import Parts, new_id
from blueprints.identity import correlation_id

ROOT = Path(__file__).resolve().parent.parent
MAX_BODY_BYTES = 1024 * 1024
_HOST = re.compile(r"[A-Za-z0-9.\-]+(:[0-9]{1,5})?|\[[0-9a-fA-F:]+\](:[0-9]{1,5})?")


class Json(JSONProvider):
    """orjson: times in the seed's form (milliseconds, Z), keys in the order they were written."""

    sort_keys = False

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        return _bytes(obj).decode()

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        return orjson.loads(s)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        obj = self._prepare_response_obj(args, kwargs)
        if stale.is_marked() and isinstance(obj, dict):
            obj = obj | {"stale": True}
        return Response(_bytes(obj), content_type="application/json")


def _bytes(obj: Any) -> bytes:
    return orjson.dumps(obj, default=_plain, option=orjson.OPT_PASSTHROUGH_DATETIME)


def _plain(value: Any) -> Any:
    if hasattr(value, "astimezone"):
        return iso(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


class PageSessions(SecureCookieSessionInterface):
    """The API knows no cookies: opening a session costs each request something, and a cookie that
    the API took would need a CSRF check there."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if request.path.startswith("/api/"):
            return None
        return super().open_session(app, request)


class Paths(Map):
    """No path with // leads anywhere. Werkzeug would redirect one to an address made with the
    caller's Host header, and take // at the beginning for /."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, merge_slashes=False)

    def bind_to_environ(
        self, environ: Any, server_name: str | None = None, subdomain: str | None = None
    ) -> MapAdapter:
        adapter = super().bind_to_environ(environ, server_name, subdomain)
        if adapter.path_info.startswith("//"):
            adapter.path_info = "/\0"  # matches no route
        return adapter


class Application(Flask):
    url_map_class: type[Map] = Paths


def create_app(parts: Parts) -> Flask:
    """Connects to nothing yet."""
    app = Application(
        "notifications",
        root_path=str(ROOT),
        template_folder="jinja",
        static_folder="jinja/static",
        static_url_path="/static",
    )
    _configure(app, parts.settings.web)
    _install(app, parts)
    with app.app_context():
        blueprints.register(app)
    app.after_request(_mark)
    if parts.settings.web.cors_origins:
        app.after_request(cors.answers(parts.settings.web.cors_origins))
    return app


def _configure(app: Flask, web: Web) -> None:
    app.json = Json(app)
    app.session_interface = PageSessions()
    app.config.update(
        SECRET_KEY=web.secret_key,
        MAX_CONTENT_LENGTH=MAX_BODY_BYTES,
        SESSION_COOKIE_NAME="session",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=not web.testing,
        PERMANENT_SESSION_LIFETIME=web.refresh_days * 24 * 3600,
    )


def _install(app: Flask, parts: Parts) -> None:
    """What blueprints find in app.extensions."""
    web = parts.settings.web
    app.extensions["parts"] = parts
    app.extensions["guard"] = Guard(parts.redis)
    app.extensions["probes"] = Probes(parts.settings.addresses, Heartbeats(parts.redis).breakers)
    desk = _desk(parts)
    app.extensions["limits"] = desk.limits
    app.extensions["revocations"] = desk.revocations
    app.extensions["accounts"] = Accounts(desk)
    app.extensions["credentials"] = Credentials(desk, Secrets(parts.urgent), web.secret_key)
    life = Life(web.jwt_secret_key, web.access_minutes)
    tokens = Tokens(app, life, parts.clock, desk.revocations)
    app.extensions["tokens"] = tokens
    sockets = Sockets(app, parts, tokens)
    app.extensions["sockets"] = sockets
    app.extensions["connected_users"] = sockets.people
    shards = range(parts.settings.limits.ingress_shards + 1)
    messages = OutgoingMessages(parts.engine)
    app.extensions["metrics"] = Metrics(parts.redis, shards, sockets.people, messages)


def _desk(parts: Parts) -> Desk:
    web, sessions = parts.settings.web, Sessions(parts.engine)
    rates = Rates(
        web.rate_limit_enabled, web.rate_limit_login, web.rate_limit_register, web.rate_limit_write
    )
    return Desk(
        users=Users(parts.engine),
        sessions=sessions,
        passwords=Passwords(),
        revocations=Revocations(sessions, web.access_minutes),
        devices=Devices(web.secret_key),
        limits=Limits(rates, parts.settings.addresses.redis_url, time.monotonic),
        raise_event=lambda event: parts.actions.raise_event(event),
        born=lambda user_id: parts.memberships.warming.born(PERSON, user_id, user_id),
        new_id=new_id,
        refresh_days=web.refresh_days,
    )


def _mark(answer: Response) -> Response:
    """The only hook of every request; the hot path pays for each line."""
    headers = answer.headers
    ANSWERS[answer.status_code] += 1
    headers["X-Correlation-Id"] = correlation_id()
    headers["X-Content-Type-Options"] = "nosniff"
    kind = answer.mimetype
    if kind == "application/json":
        headers.setdefault("Cache-Control", "no-store")
    elif kind == "text/html":
        headers["Content-Security-Policy"] = _policy(request.host)
        headers["Referrer-Policy"] = "same-origin"
        headers["X-Frame-Options"] = "DENY"
        headers["Cache-Control"] = "no-store"
    return answer


def _policy(host: str) -> str:
    # 'self' does not cover sockets in every browser. Only a host that is one goes into the header.
    here = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
    return (
        "default-src 'self'; img-src 'self' https: data:; "
        f"connect-src 'self'{here}; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; "
        "object-src 'none'"
    )
