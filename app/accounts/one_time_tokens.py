"""One-time tokens: password reset tokens and log-in codes, stored as hashes, valid once and for minutes.

Used by app/accounts/credentials.py. Tables: one_time_tokens and users (a new password revokes all sessions).
"""

from sqlalchemy import Connection, Engine, text

from app.accounts.sessions import hash_token, revoke_all_sessions_in_transaction
from app.clients.postgres import translate_errors
from app.domain.events import Kind
from app.domain.mail_policy import RESET_TOKEN_TTL_MINUTES
from app.domain.redaction import LOGIN_CODE_VALID_MINUTES

MAX_CODE_ATTEMPTS = 5


class OneTimeTokens:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def save_reset_token(self, user_id: str, token: str) -> None:
        """Replaces earlier tokens of the user."""
        with translate_errors("store a reset token"), self._engine.begin() as conn:
            _replace_token(conn, user_id, "password_reset", hash_token(token), RESET_TOKEN_TTL_MINUTES)

    def save_login_code(self, user_id: str, code_hash: str) -> None:
        with translate_errors("store a code"), self._engine.begin() as conn:
            _replace_token(conn, user_id, "otp", code_hash, LOGIN_CODE_VALID_MINUTES)

    def find_reset_token_owner(self, token: str) -> str | None:
        """The user of a valid token."""
        with translate_errors("look up a reset token"), self._engine.connect() as conn:
            return conn.execute(_RESET_TOKEN_OWNER, {"hash": hash_token(token)}).scalar()

    def reset_password_and_revoke_sessions(self, token: str, password_hash: str) -> list[str] | None:
        """Uses the token to set a password; returns revoked session ids, None for an invalid token."""
        with translate_errors("reset a password"), self._engine.begin() as conn:
            user_id = conn.execute(_USE_RESET_TOKEN, {"hash": hash_token(token)}).scalar()
            if user_id is None:
                return None
            conn.execute(_SET_PASSWORD, {"user": user_id, "hash": password_hash})
            _delete_tokens_and_encrypted_bodies(conn, str(user_id), "otp")
            _clear_encrypted_outbox_bodies(conn, str(user_id), "password_reset")
            return revoke_all_sessions_in_transaction(conn, str(user_id))

    def change_password_and_revoke_sessions(
        self, user_id: str, old_hash: str, new_hash: str, except_session_id: str | None
    ) -> list[str] | None:
        """Replaces the password that was verified; returns revoked session ids. None: another request
        changed it first."""
        with translate_errors("change a password"), self._engine.begin() as conn:
            params = {"user": user_id, "old": old_hash, "hash": new_hash}
            if conn.execute(_CHANGE_PASSWORD, params).rowcount != 1:
                return None
            _delete_tokens_and_encrypted_bodies(conn, user_id, "password_reset")
            return revoke_all_sessions_in_transaction(conn, user_id, except_session_id)

    def verify_and_use_login_code(self, user_id: str, code_hash: str) -> bool:
        """Whether the code is correct. Each attempt is counted before the comparison, under the row's
        lock, so that concurrent requests cannot exceed the limit."""
        with translate_errors("check a code"), self._engine.begin() as conn:
            stored = conn.execute(_COUNT_ATTEMPT, {"user": user_id, "most": MAX_CODE_ATTEMPTS}).one_or_none()
            if stored is None or stored.token_hash != code_hash:
                return False
            conn.execute(_MARK_USED, {"id": stored.id})
            _clear_encrypted_outbox_bodies(conn, user_id, "otp")
            return True


def _replace_token(conn: Connection, user_id: str, purpose: str, secret_hash: str, ttl_minutes: int) -> None:
    # Serialized, so that two concurrent requests do not leave two valid tokens. An advisory lock, because
    # the event writer may hold the user's row lock for long, and a code cannot wait.
    conn.execute(_LOCK_USER_TOKENS, {"user": user_id})
    _delete_tokens_and_encrypted_bodies(conn, user_id, purpose)
    params = {"user": user_id, "purpose": purpose, "hash": secret_hash, "minutes": ttl_minutes}
    conn.execute(_INSERT_TOKEN, params)


def _delete_tokens_and_encrypted_bodies(conn: Connection, user_id: str, purpose: str) -> None:
    """Deletes the tokens and the encrypted bodies that contain them."""
    conn.execute(_DELETE_TOKENS, {"user": user_id, "purpose": purpose})
    _clear_encrypted_outbox_bodies(conn, user_id, purpose)


def _clear_encrypted_outbox_bodies(conn: Connection, user_id: str, purpose: str) -> None:
    """Client events of these tokens keep only their redacted text."""
    conn.execute(_CLEAR_ENCRYPTED_BODIES, {"user": user_id, "kind": _KIND_BY_PURPOSE[purpose].value})


_KIND_BY_PURPOSE = {"otp": Kind.OTP, "password_reset": Kind.PASSWORD_RESET}
_CLEAR_ENCRYPTED_BODIES = text(
    "update outbox set encrypted_body = null "
    "where user_id = :user and encrypted_body is not null and payload->>'type' = :kind"
)
_LOCK_USER_TOKENS = text("select pg_advisory_xact_lock(hashtextextended('secret:' || :user, 0))")
_DELETE_TOKENS = text("delete from one_time_tokens where user_id = :user and purpose = :purpose")
_INSERT_TOKEN = text(
    "insert into one_time_tokens (user_id, purpose, token_hash, expires_at) "
    "values (:user, :purpose, :hash, now() + :minutes * interval '1 minute')"
)
_RESET_TOKEN_OWNER = text(
    "select user_id::text from one_time_tokens where token_hash = :hash "
    "and purpose = 'password_reset' and used_at is null and expires_at > now()"
)
_USE_RESET_TOKEN = text(
    "update one_time_tokens set used_at = now() where token_hash = :hash "
    "and purpose = 'password_reset' and used_at is null and expires_at > now() "
    "returning user_id::text"
)
_SET_PASSWORD = text("update users set password_hash = :hash, updated_at = now() where id = :user")
_CHANGE_PASSWORD = text(
    "update users set password_hash = :hash, updated_at = now() where id = :user and password_hash = :old"
)
_COUNT_ATTEMPT = text(
    "update one_time_tokens set attempts = attempts + 1 where user_id = :user "
    "and purpose = 'otp' and used_at is null and expires_at > now() and attempts < :most "
    "returning id, token_hash"
)
_MARK_USED = text("update one_time_tokens set used_at = now() where id = :id")
