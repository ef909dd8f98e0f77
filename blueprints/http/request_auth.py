"""Authentication and authorization of API requests.

Reads the Authorization header of the current request. Returns user ids, or raises Rejected
(401, 403, 429).
"""

import time

import gevent
from flask import request

from app.accounts.access_tokens import AccessTokens, Claims
from app.accounts.rate_limits import RateLimits
from app.domain.errors import Rejected, Unavailable
from app.social.users import Users
from blueprints.http.ids import parse_uuid

MISSING_TOKEN_MESSAGE = "No token provided"  # noqa: S105 - a message
ROLE_LOOKUP_TIMEOUT_SECONDS = 1.5
ADMIN_ROLE_CACHE_SECONDS = 600.0
"""How long a confirmed administrator keeps read access while PostgreSQL is unavailable."""
_READ_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class RequestAuth:
    def __init__(
        self, access_tokens: AccessTokens, rate_limits: RateLimits, user_store: Users, is_testing: bool
    ) -> None:
        self._access_tokens = access_tokens
        self._rate_limits = rate_limits
        self._user_store = user_store
        self._is_testing = is_testing
        self._admin_confirmed_at: dict[str, float] = {}

    def current_user_id(self, missing_message: str = MISSING_TOKEN_MESSAGE) -> str:
        """The id of the signed-in user. Raises Rejected (401, 429)."""
        return self.current_claims(missing_message).user_id

    def current_claims(self, missing_message: str = MISSING_TOKEN_MESSAGE) -> Claims:
        """The claims of the access token. A write request counts towards the user's rate limit.
        Raises Rejected (401, 429)."""
        environ = request.environ
        header = environ.get("HTTP_AUTHORIZATION", "")
        if not header.startswith("Bearer "):
            raise Rejected(missing_message, "no_token", 401)
        token_claims = self._access_tokens.verify(header[7:].strip())
        if environ["REQUEST_METHOD"] not in _READ_METHODS:
            self._rate_limits.count_write_request(token_claims.user_id)
        return token_claims

    def optional_user_id(self) -> str | None:
        """The signed-in user, or None without a valid token: for routes that are open to all."""
        try:
            return self.current_user_id()
        except Rejected:
            return None

    def require_self(self, user_id: str, forbidden_message: str) -> str:
        """The signed-in user, who must be the user of the path. Raises Rejected (400, 401, 403)."""
        current_id = self.current_user_id("Authorization required. Please provide a valid token.")
        if current_id != parse_uuid(user_id):
            raise Rejected(forbidden_message, "forbidden", 403)
        return current_id

    def require_admin_or_testing(self) -> str:
        """An administrator; in testing mode any signed-in user."""
        return self.current_user_id() if self._is_testing else self.require_admin()

    def require_admin(self) -> str:
        """An administrator, in every mode. Raises Rejected (401, 403), Unavailable."""
        user_id = self.current_user_id()
        if not self._is_admin(user_id):
            raise Rejected("Administrators only", "forbidden", 403)
        return user_id

    def _is_admin(self, user_id: str) -> bool:
        """Read from PostgreSQL each time, so that a withdrawn role does not survive in a token.
        While PostgreSQL is unavailable, users confirmed within ADMIN_ROLE_CACHE_SECONDS may read
        but not write."""
        try:
            with gevent.Timeout(
                ROLE_LOOKUP_TIMEOUT_SECONDS, Unavailable("PostgreSQL did not return a role in time")
            ):
                account = self._user_store.find_account_by_id(user_id)
        except Unavailable:
            if request.method in _READ_METHODS and self._was_admin_recently(user_id):
                return True
            raise
        self._admin_confirmed_at.pop(user_id, None)
        if account is None or account.role != "admin":
            return False
        self._admin_confirmed_at[user_id] = time.monotonic()
        return True

    def _was_admin_recently(self, user_id: str) -> bool:
        confirmed_at = self._admin_confirmed_at.get(user_id, -ADMIN_ROLE_CACHE_SECONDS)
        return time.monotonic() - confirmed_at < ADMIN_ROLE_CACHE_SECONDS
