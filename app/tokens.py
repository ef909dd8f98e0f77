"""Access tokens: who is asking. Made and checked by flask-jwt-extended, remembered here.

In    blueprints/identity.py, app/sockets.py
Out   Claims, or Rejected with 401

A token's signature is checked once; its expiry and its session are looked at on each use. The check
costs 150 us, which a like cannot afford (field notes 4); what is remembered is bounded and holds
claims only.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from flask import Flask
from flask_jwt_extended import JWTManager, create_access_token, decode_token
from flask_jwt_extended.exceptions import JWTExtendedException
from jwt import PyJWTError

from app.domain.errors import Rejected
from app.revocations import Revocations

REMEMBERED = 20_000
MAX_TOKEN = 4_096
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Claims(NamedTuple):
    user_id: str
    expires_at: float
    jti: str
    session_id: str | None = None
    """None: a token that was made from the secret alone, by no log-in."""


def invalid() -> Rejected:
    return Rejected("Invalid or expired token", "invalid_token", 401)


@dataclass(frozen=True, slots=True)
class Life:
    """What tokens are signed with, and how long they live."""

    secret: str
    minutes: float


class Tokens:
    """mint for log-in, read for everything else; both need the application's context."""

    def __init__(
        self, app: Flask, life: Life, now: Callable[[], float], revocations: Revocations
    ) -> None:
        app.config["JWT_SECRET_KEY"] = life.secret
        app.config["JWT_ALGORITHM"] = "HS256"
        app.config["JWT_COOKIE_CSRF_PROTECT"] = False  # our tokens never travel in cookies
        app.config["JWT_ACCESS_TOKEN_EXPIRES"] = timedelta(minutes=life.minutes)
        JWTManager(app)
        self._now = now
        self._over = revocations.over
        # Faults are not remembered, so junk cannot push good tokens out.
        self._verify: Callable[[str], Claims] = lru_cache(REMEMBERED)(_verify)

    def mint(self, user_id: str, session_id: str) -> str:
        return str(create_access_token(user_id, additional_claims={"sid": session_id}))

    def read(self, raw: str) -> Claims:
        """Who the token speaks for. Raises Rejected (401)."""
        claims = self._verify(raw)
        if self.over(claims):
            raise invalid()
        return claims

    def over(self, claims: Claims) -> bool:
        """Whether the token has run out or was revoked; for sockets, which outlive their token."""
        return claims.expires_at <= self._now() or self.revoked(claims)

    def revoked(self, claims: Claims) -> bool:
        """Whether the session ended or the account is gone, and not only the token's time."""
        return self._over(claims.session_id, claims.user_id)


def _verify(raw: str) -> Claims:
    if len(raw) > MAX_TOKEN:
        raise invalid()
    try:
        found: dict[str, Any] = decode_token(raw)
    except (PyJWTError, JWTExtendedException, ValueError, TypeError) as fault:
        raise invalid() from fault
    user_id, expires_at, jti = found.get("sub"), found.get("exp"), found.get("jti")
    known = isinstance(user_id, str) and _UUID.fullmatch(user_id) and isinstance(jti, str)
    if not known or found.get("type") != "access" or not isinstance(expires_at, int | float):
        raise invalid()
    session_id = found.get("sid")
    if session_id is not None and not isinstance(session_id, str):
        raise invalid()
    return Claims(str(user_id), float(expires_at), str(jti), session_id)


def clock() -> float:
    return time.time()
