"""Access tokens: issued and verified by flask-jwt-extended, with a cache of verified claims.

Used by blueprints/http/request_auth.py and app/delivery/sockets.py. Output: Claims, or Rejected with 401. The
signature is checked once per token (measured: about 150 us, too much for each like); expiry and session
are checked on each use. The cache is bounded and holds claims only.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from flask import Flask
from flask_jwt_extended import JWTManager, create_access_token, decode_token
from flask_jwt_extended.exceptions import JWTExtendedException
from jwt import PyJWTError

from app.accounts.revocations import RevocationCache
from app.domain.events import CANONICAL_UUID
from app.settings import WebSettings
from app.social.users import INVALID_TOKEN

MAX_CACHED_TOKENS = 20_000
MAX_TOKEN_LENGTH = 4_096


class Claims(NamedTuple):
    user_id: str
    expires_at: float
    jti: str
    session_id: str | None = None
    """None: the token was made from the secret alone, without a log-in."""


class AccessTokens:
    """issue() and verify() need the Flask application context."""

    def __init__(
        self,
        app: Flask,
        web_settings: WebSettings,
        now: Callable[[], float],
        revocations: RevocationCache,
    ) -> None:
        app.config["JWT_SECRET_KEY"] = web_settings.jwt_secret_key
        app.config["JWT_ALGORITHM"] = "HS256"
        app.config["JWT_COOKIE_CSRF_PROTECT"] = False  # tokens are never sent in cookies
        app.config["JWT_ACCESS_TOKEN_EXPIRES"] = timedelta(minutes=web_settings.access_token_minutes)
        JWTManager(app)
        self._now = now
        self._is_session_revoked = revocations.is_session_or_user_revoked
        # Errors are not cached, so invalid tokens cannot evict valid ones.
        self._decode_cached: Callable[[str], Claims] = lru_cache(MAX_CACHED_TOKENS)(_decode_claims)

    def issue(self, user_id: str, session_id: str) -> str:
        return str(create_access_token(user_id, additional_claims={"sid": session_id}))

    def verify(self, token: str) -> Claims:
        """The claims of a valid token. Raises Rejected (401)."""
        claims = self._decode_cached(token)
        if self.is_expired_or_revoked(claims):
            raise INVALID_TOKEN
        return claims

    def is_expired_or_revoked(self, claims: Claims) -> bool:
        """Whether the token expired or was revoked. Also used for sockets, which may outlive their token."""
        return claims.expires_at <= self._now() or self.is_session_or_user_revoked(claims)

    def is_session_or_user_revoked(self, claims: Claims) -> bool:
        """Whether the session ended or the account was deleted; expiry alone does not count."""
        return self._is_session_revoked(claims.session_id, claims.user_id)


def _decode_claims(token: str) -> Claims:
    if len(token) > MAX_TOKEN_LENGTH:
        raise INVALID_TOKEN
    try:
        payload: dict[str, Any] = decode_token(token)
    except (PyJWTError, JWTExtendedException, ValueError, TypeError) as exc:
        raise INVALID_TOKEN from exc
    user_id, expires_at, jti = payload.get("sub"), payload.get("exp"), payload.get("jti")
    is_well_formed = isinstance(user_id, str) and CANONICAL_UUID.fullmatch(user_id) and isinstance(jti, str)
    if not is_well_formed or payload.get("type") != "access" or not isinstance(expires_at, int | float):
        raise INVALID_TOKEN
    session_id = payload.get("sid")
    if session_id is not None and not isinstance(session_id, str):
        raise INVALID_TOKEN
    return Claims(str(user_id), float(expires_at), str(jti), session_id)
