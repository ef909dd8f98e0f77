"""One-time secrets: reset tokens and log-in codes, as hashes, each good once and not for long.

In    app/credentials.py
Out   the tables one_time_secrets and users (a new password ends the sessions of the old one)
"""

from sqlalchemy import Connection, Engine, text

from app.domain.events import Kind
from app.domain.secrecy import CODE_MINUTES
from app.stores.postgres import speaking
from app.stores.sessions import digest, end_all_within

RESET_MINUTES = 30
CODE_ATTEMPTS = 5


class Secrets:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def keep_reset(self, user_id: str, token: str) -> None:
        """The newest is the only one that is good."""
        with speaking("keep a reset token"), self._engine.begin() as sql:
            _replace(sql, user_id, "password_reset", digest(token), RESET_MINUTES)

    def keep_code(self, user_id: str, code_hash: str) -> None:
        with speaking("keep a code"), self._engine.begin() as sql:
            _replace(sql, user_id, "otp", code_hash, CODE_MINUTES)

    def owner_of_reset(self, token: str) -> str | None:
        """Whose it is, while it is good."""
        with speaking("look up a reset token"), self._engine.connect() as sql:
            return sql.execute(_OWNER, {"hash": digest(token)}).scalar()

    def reset(self, token: str, password_hash: str) -> list[str] | None:
        """Spends the token for a new password; the sessions that ended, None if it was no good."""
        with speaking("reset a password"), self._engine.begin() as sql:
            user_id = sql.execute(_SPEND, {"hash": digest(token)}).scalar()
            if user_id is None:
                return None
            sql.execute(_PASSWORD, {"user": user_id, "hash": password_hash})
            _void(sql, str(user_id), "otp")
            _forget(sql, str(user_id), "password_reset")
            return end_all_within(sql, str(user_id))

    def change(
        self, user_id: str, old_hash: str, new_hash: str, but: str | None
    ) -> list[str] | None:
        """A new password in the place of the one that was checked; the sessions that ended. None:
        another request was faster."""
        with speaking("change a password"), self._engine.begin() as sql:
            values = {"user": user_id, "old": old_hash, "hash": new_hash}
            if sql.execute(_CHANGE, values).rowcount != 1:
                return None
            _void(sql, user_id, "password_reset")
            return end_all_within(sql, user_id, but)

    def try_code(self, user_id: str, code_hash: str) -> bool:
        """Whether it is the code. Each try is counted before it is looked at, under the row's lock,
        so that a thousand at once are still only five."""
        with speaking("check a code"), self._engine.begin() as sql:
            kept = sql.execute(_TRY, {"user": user_id, "most": CODE_ATTEMPTS}).one_or_none()
            if kept is None or kept.secret_hash != code_hash:
                return False
            sql.execute(_USED, {"id": kept.id})
            _forget(sql, user_id, "otp")
            return True


def _replace(sql: Connection, user_id: str, purpose: str, secret: str, minutes: int) -> None:
    # One at a time, or two requests at once would leave two that are good. Not by the person's row:
    # whoever writes a viral post's likes holds it for long, and a code cannot wait.
    sql.execute(_LOCK, {"user": user_id})
    _void(sql, user_id, purpose)
    values = {"user": user_id, "purpose": purpose, "hash": secret, "minutes": minutes}
    sql.execute(_KEEP, values)


def _void(sql: Connection, user_id: str, purpose: str) -> None:
    """It is no longer good, and no longer to be read."""
    sql.execute(_VOID, {"user": user_id, "purpose": purpose})
    _forget(sql, user_id, purpose)


def _forget(sql: Connection, user_id: str, purpose: str) -> None:
    """From now on its frames say that there was one, and no more."""
    sql.execute(_FORGET, {"user": user_id, "kind": _KINDS[purpose].value})


_KINDS = {"otp": Kind.OTP, "password_reset": Kind.PASSWORD_RESET}
_FORGET = text(
    "update outbox set letter = null "
    "where user_id = :user and letter is not null and payload->>'type' = :kind"
)
_LOCK = text("select pg_advisory_xact_lock(hashtextextended('secret:' || :user, 0))")
_VOID = text("delete from one_time_secrets where user_id = :user and purpose = :purpose")
_KEEP = text(
    "insert into one_time_secrets (user_id, purpose, secret_hash, expires_at) "
    "values (:user, :purpose, :hash, now() + :minutes * interval '1 minute')"
)
_OWNER = text(
    "select user_id::text from one_time_secrets where secret_hash = :hash "
    "and purpose = 'password_reset' and used_at is null and expires_at > now()"
)
_SPEND = text(
    "update one_time_secrets set used_at = now() where secret_hash = :hash "
    "and purpose = 'password_reset' and used_at is null and expires_at > now() "
    "returning user_id::text"
)
_PASSWORD = text("update users set password_hash = :hash, updated_at = now() where id = :user")
_CHANGE = text(
    "update users set password_hash = :hash, updated_at = now() "
    "where id = :user and password_hash = :old"
)
_TRY = text(
    "update one_time_secrets set attempts = attempts + 1 where user_id = :user "
    "and purpose = 'otp' and used_at is null and expires_at > now() and attempts < :most "
    "returning id, secret_hash"
)
_USED = text("update one_time_secrets set used_at = now() where id = :id")
