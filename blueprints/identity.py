"""Who is asking, and may they? And the small things that every request carries.

In    the Authorization header; path ids; trace headers
Out   ids that are safe to use, or Rejected (400, 401, 403)
"""

import os
import re
import time

import gevent
from flask import Response, after_this_request, current_app, request

from app.accounts import Signed
from app.addresses import address_of
from app.devices import MAX_AGE_SECONDS
from app.domain.errors import Rejected, Unavailable
from app.domain.text import truncate
from app.logs import CORRELATION, TRACE
from app.stores.sessions import Place
from app.stores.users import Users
from app.tokens import Claims
from blueprints import limits, parts, tokens

NO_TOKEN = "No token provided"  # noqa: S105 - a sentence
DEVICE_COOKIE = "device"
ROLE_SECONDS = 1.5
REMEMBERED = 600.0
"""How long an administrator may look on while PostgreSQL is away."""
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_CORRELATION = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_READS = frozenset({"GET", "HEAD", "OPTIONS"})


def person(absent: str = NO_TOKEN) -> str:
    """The id of the signed-in user. Raises Rejected (401, 429)."""
    return claims(absent).user_id


def claims(absent: str = NO_TOKEN) -> Claims:
    """What their token says. Each write counts towards their limit. Raises Rejected (401, 429)."""
    environ = request.environ
    header = environ.get("HTTP_AUTHORIZATION", "")
    if not header.startswith("Bearer "):
        raise Rejected(absent, "no_token", 401)
    found = tokens().read(header[7:].strip())
    if environ["REQUEST_METHOD"] not in _READS:
        limits().write(found.user_id)
    return found


def place() -> Place:
    """Where the request comes from."""
    environ = request.environ
    forwarded = environ.get("HTTP_X_FORWARDED_FOR", "")
    trusted = parts().settings.web.trusted_proxies
    address = address_of(request.remote_addr or "unknown", forwarded, trusted)
    return Place(
        address, environ.get("HTTP_USER_AGENT", ""), request.cookies.get(DEVICE_COOKIE, "")
    )


def remember_device(signed: Signed) -> None:
    """The answer to this request carries the cookie by which the device is known again."""
    secure = not parts().settings.web.testing

    def keep(answer: Response) -> Response:
        answer.set_cookie(
            DEVICE_COOKIE,
            signed.device,
            max_age=MAX_AGE_SECONDS,
            httponly=True,
            samesite="Lax",
            secure=secure,
        )
        return answer

    after_this_request(keep)


def viewer() -> str | None:
    """The signed-in user, or None: where reading is free, a bad token is no token."""
    try:
        return person()
    except Rejected:
        return None


def owner(user_id: str, refusal: str) -> str:
    """The signed-in user, who must be the one of the path."""
    wanted = uuid_of(user_id) if _UUID.fullmatch(user_id.lower()) else None
    asking = person("Authorization required. Please provide a valid token.")
    if wanted is None:
        raise _not_an_id(user_id)
    if asking != wanted:
        raise Rejected(refusal, "forbidden", 403)
    return asking


def operator() -> str:
    """An administrator; in testing mode anybody who is signed in (contract 6.12)."""
    return person() if parts().settings.web.testing else administrator()


def administrator() -> str:
    """An administrator, in whatever mode. Raises Rejected (401, 403), Unavailable."""
    user_id = person()
    if not _is_administrator(user_id):
        raise Rejected("Administrators only", "forbidden", 403)
    return user_id


def _is_administrator(user_id: str) -> bool:
    """Looked up each time: a role that was taken away must not live on in a token. While PostgreSQL
    is away nobody can take it away: then who had it lately may go on looking, not doing."""
    known: dict[str, float] = current_app.extensions.setdefault("administrators", {})
    try:
        with gevent.Timeout(ROLE_SECONDS, Unavailable("PostgreSQL did not tell a role in time")):
            account = Users(parts().engine).by_id(user_id)
    except Unavailable:
        looking = request.method in _READS
        if looking and time.monotonic() - known.get(user_id, -REMEMBERED) < REMEMBERED:
            return True
        raise
    known.pop(user_id, None)
    if account is None or account.role != "admin":
        return False
    known[user_id] = time.monotonic()
    return True


def uuid_of(value: str) -> str:
    """An id of a path or query. Raises Rejected (400)."""
    if _UUID.fullmatch(value):
        return value
    lower = value.lower()
    if _UUID.fullmatch(lower):
        return lower
    raise _not_an_id(value)


def _not_an_id(value: str) -> Rejected:
    return Rejected(f"Not a valid id: {truncate(value, 60)}", "bad_id", 400)


def correlation_id() -> str:
    """The request's own if it is a sane one, else a new one; the same for the whole request."""
    environ = request.environ
    kept: str | None = environ.get(CORRELATION)
    if kept is None:
        given = environ.get("HTTP_X_CORRELATION_ID", "")
        kept = given if _CORRELATION.fullmatch(given) else _new_id()
        environ[CORRELATION] = kept
    return kept


def _new_id() -> str:
    raw = os.urandom(16).hex()
    return f"{raw[:8]}-{raw[8:12]}-{raw[12:16]}-{raw[16:20]}-{raw[20:]}"


def traceparent() -> str:
    """W3C trace context of this request; a new trace takes the correlation id, so that one leads to
    the other in the logs."""
    environ = request.environ
    kept: str | None = environ.get(TRACE)
    if kept is None:
        given: str = environ.get("HTTP_TRACEPARENT", "")
        kept = environ[TRACE] = given if _TRACEPARENT.fullmatch(given) else _new_trace()
    return kept


def _new_trace() -> str:
    found = correlation_id()
    trace = found.replace("-", "") if _UUID.fullmatch(found) else os.urandom(16).hex()
    return f"00-{trace}-{os.urandom(8).hex()}-01"
