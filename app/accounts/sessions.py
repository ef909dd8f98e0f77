"""Sessions: one per log-in and device, with its rotating refresh tokens, and known devices.

Used by app/accounts/authentication.py and app/accounts/revocations.py. Tables: sessions, refresh_tokens,
known_devices; reads removed_accounts. A session is the family of its refresh tokens. Tokens are long and
random, so they are stored as a fast hash.
"""

import hashlib
import logging
from dataclasses import dataclass
from enum import Enum

from sqlalchemy import Connection, Engine, text

from app.accounts.user_agents import UserAgent, parse_user_agent
from app.clients.client_ip import approximate_network
from app.clients.postgres import translate_errors

log = logging.getLogger(__name__)
_MAX_USER_AGENT_LENGTH = 300


def hash_token(secret: str) -> str:
    """Tokens and keys are long and random, so a fast hash is sufficient."""
    return hashlib.sha256(secret.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ClientDevice:
    """The client of a log-in. `device_cookie` is the known-device cookie as received."""

    ip_address: str
    user_agent: str
    device_cookie: str = ""

    @property
    def parsed_user_agent(self) -> UserAgent:
        return parse_user_agent(self.user_agent)

    @property
    def network(self) -> str:
        return approximate_network(self.ip_address)

    @property
    def fingerprint(self) -> str:
        """Equal for all log-ins that count as the same device and network."""
        return f"{self.parsed_user_agent.browser}|{self.parsed_user_agent.operating_system}|{self.network}"


@dataclass(frozen=True, slots=True)
class ActiveSession:
    """A session that is not revoked."""

    id: str
    user_id: str


class RefreshTokenFailureReason(Enum):
    """Why a refresh token was not accepted."""

    UNKNOWN = "unknown, expired, or its session was revoked"
    RACE_LOST = "another request with the same token was faster"
    REUSED = "used before"


@dataclass(frozen=True, slots=True)
class RecentRevocations:
    """Session or user id -> Unix time of the revocation, by the clock of PostgreSQL."""

    revoked_sessions: dict[str, float]
    removed_users: dict[str, float]
    database_time: float


class Sessions:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create(self, session: ActiveSession, device: ClientDevice, token: str, lifetime_days: float) -> None:
        """`token`: its first refresh token."""
        params = {"agent": device.user_agent[:_MAX_USER_AGENT_LENGTH], "address": device.ip_address}
        with translate_errors("open a session"), self._engine.begin() as conn:
            conn.execute(_INSERT_SESSION, params | {"id": session.id, "user": session.user_id})
            _insert_refresh_token(conn, session.id, token, lifetime_days)

    def rotate_refresh_token(
        self, old_token: str, new_token: str, lifetime_days: float
    ) -> ActiveSession | RefreshTokenFailureReason:
        """Replaces a refresh token by the next one. The row's lock lets exactly one request win.

        A token used a second time was stolen, so its session is revoked. A request that merely lost a
        race began before the winner's update, and revokes nothing.
        """
        with translate_errors("refresh a session"), self._engine.begin() as conn:
            row = conn.execute(_LOCK_REFRESH_TOKEN, {"hash": hash_token(old_token)}).one_or_none()
            if row is None or row.is_over:
                return RefreshTokenFailureReason.UNKNOWN
            if row.race_lost:
                return RefreshTokenFailureReason.RACE_LOST
            if row.is_used:
                conn.execute(_REVOKE_SESSION, {"id": row.session_id})
                return RefreshTokenFailureReason.REUSED
            conn.execute(_MARK_TOKEN_USED, {"hash": hash_token(old_token)})
            _insert_refresh_token(conn, row.session_id, new_token, lifetime_days)
            return ActiveSession(row.session_id, row.user_id)

    def find_by_refresh_token(self, token: str) -> ActiveSession | None:
        """The session of a token, used or not."""
        with translate_errors("find a session"), self._engine.connect() as conn:
            row = conn.execute(_SESSION_OF_TOKEN, {"hash": hash_token(token)}).one_or_none()
        return ActiveSession(row[0], row[1]) if row else None

    def is_active(self, session_id: str) -> bool:
        with translate_errors("look up a session"), self._engine.connect() as conn:
            return conn.execute(_IS_ACTIVE, {"id": session_id}).first() is not None

    def revoke(self, session_id: str) -> None:
        with translate_errors("end a session"), self._engine.begin() as conn:
            conn.execute(_REVOKE_SESSION, {"id": session_id})

    def revoke_all(self, user_id: str) -> list[str]:
        """Revokes all sessions of a user; returns the ids of those revoked."""
        with translate_errors("end all sessions"), self._engine.begin() as conn:
            return revoke_all_sessions_in_transaction(conn, user_id)

    def list_recent_revocations(self, max_age_seconds: float) -> RecentRevocations:
        """Revocations of the last `max_age_seconds`."""
        with translate_errors("read revocations"), self._engine.connect() as conn:
            rows = conn.execute(_RECENTLY_REVOKED, {"seconds": max_age_seconds}).all()
            removed_accounts = conn.execute(_RECENTLY_REMOVED, {"seconds": max_age_seconds}).all()
            now = conn.execute(_DATABASE_TIME).scalar_one()
        return RecentRevocations(
            {revoked_id: float(revoked_at) for revoked_id, revoked_at in rows},
            {user_id: float(removed_at) for user_id, removed_at in removed_accounts},
            float(now),
        )

    def is_known_device_and_network(self, user_id: str, device: ClientDevice) -> bool:
        """Whether browser, system and network were seen together. False without a user agent."""
        with translate_errors("look up a device"), self._engine.connect() as conn:
            row = conn.execute(_FIND_DEVICE, _device_params(user_id, device)).first()
        return row is not None and bool(device.parsed_user_agent.browser)

    def is_known_browser_in_network(self, user_id: str, device: ClientDevice) -> bool:
        """Whether this browser was seen in this network. The user agent is not parsed for an unknown
        network."""
        with translate_errors("look up a device"), self._engine.connect() as conn:
            params = {"user": user_id, "network": device.network}
            browsers = set(conn.execute(_KNOWN_BROWSERS, params).scalars())
        return bool(browsers) and device.parsed_user_agent.browser in browsers

    def remember_device(self, user_id: str, device: ClientDevice) -> None:
        """Does nothing without a user agent: it would match any client."""
        if not device.parsed_user_agent.browser:
            return
        with translate_errors("store a device"), self._engine.begin() as conn:
            conn.execute(_INSERT_DEVICE, _device_params(user_id, device))


def _device_params(user_id: str, device: ClientDevice) -> dict[str, str]:
    agent = device.parsed_user_agent
    families = {"browser": agent.browser, "system": agent.operating_system}
    return {"user": user_id, "network": device.network} | families


def _insert_refresh_token(conn: Connection, session_id: str, token: str, lifetime_days: float) -> None:
    conn.execute(
        _INSERT_REFRESH_TOKEN,
        {"hash": hash_token(token), "session": session_id, "days": lifetime_days},
    )


def revoke_all_sessions_in_transaction(
    conn: Connection, user_id: str, except_id: str | None = None
) -> list[str]:
    """Except one; returns the ids of those revoked. In the transaction of the caller, who may change the
    password in it."""
    return list(conn.execute(_REVOKE_ALL, {"user": user_id, "except_id": except_id}).scalars())


_INSERT_SESSION = text(
    "insert into sessions (id, user_id, user_agent, ip_address) values (:id, :user, :agent, :address)"
)
_INSERT_REFRESH_TOKEN = text(
    "insert into refresh_tokens (token_hash, session_id, expires_at) "
    "values (:hash, :session, now() + cast(:days as float) * interval '1 day')"
)
# now() is the start of this transaction, before the wait for the lock; used_at is the time of the winner's
# update.
_LOCK_REFRESH_TOKEN = text(
    "select r.session_id::text, s.user_id::text, r.used_at is not null as is_used, "
    "coalesce(r.used_at > now(), false) as race_lost, "
    "s.revoked_at is not null or r.expires_at <= now() as is_over "
    "from refresh_tokens r join sessions s on s.id = r.session_id "
    "where r.token_hash = :hash for update"
)
_IS_ACTIVE = text("select 1 from sessions where id = :id and revoked_at is null")
_MARK_TOKEN_USED = text("update refresh_tokens set used_at = clock_timestamp() where token_hash = :hash")
_SESSION_OF_TOKEN = text(
    "select s.id::text, s.user_id::text from refresh_tokens r "
    "join sessions s on s.id = r.session_id where r.token_hash = :hash"
)
_REVOKE_SESSION = text("update sessions set revoked_at = now() where id = :id and revoked_at is null")
_REVOKE_ALL = text(
    "update sessions set revoked_at = now() where user_id = :user and revoked_at is null "
    "and id is distinct from cast(:except_id as uuid) returning id::text"
)
_RECENTLY_REVOKED = text(
    "select id::text, extract(epoch from revoked_at) from sessions "
    "where revoked_at > now() - cast(:seconds as float) * interval '1 second'"
)
_RECENTLY_REMOVED = text(
    "select user_id::text, extract(epoch from removed_at) from removed_accounts "
    "where removed_at > now() - cast(:seconds as float) * interval '1 second'"
)
_DATABASE_TIME = text("select extract(epoch from now())")
_FIND_DEVICE = text(
    "select 1 from known_devices where user_id = :user "
    "and browser = :browser and operating_system = :system and network = :network"
)
_KNOWN_BROWSERS = text("select browser from known_devices where user_id = :user and network = :network")
_INSERT_DEVICE = text(
    "insert into known_devices (user_id, browser, operating_system, network) "
    "values (:user, :browser, :system, :network) on conflict do nothing"
)
