"""Sessions: one per log-in and device, and the refresh tokens that keep it going.

In    app/accounts.py, app/revocations.py
Out   the tables sessions, refresh_tokens, known_places; reads removed_accounts

A session is the family of its refresh tokens. Tokens are long and random, so a fast hash of them
is enough, and nothing else of them is kept.
"""

import hashlib
import logging
from dataclasses import dataclass
from enum import Enum

from sqlalchemy import Connection, Engine, text

from app.addresses import network_of
from app.stores.postgres import speaking
from app.user_agents import UserAgent, user_agent_of

log = logging.getLogger(__name__)
_MAX_AGENT = 300


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody logs in from. `device`: the cookie of known devices, as it came."""

    address: str
    user_agent: str
    device: str = ""

    @property
    def agent(self) -> UserAgent:
        return user_agent_of(self.user_agent)

    @property
    def network(self) -> str:
        return network_of(self.address)

    @property
    def name(self) -> str:
        """The same for all log-ins that count as one place."""
        return f"{self.agent.browser}|{self.agent.system}|{self.network}"


@dataclass(frozen=True, slots=True)
class NewSession:
    id: str
    user_id: str
    place: Place
    refresh_token: str
    days: float


@dataclass(frozen=True, slots=True)
class Live:
    """A session that stands."""

    id: str
    user_id: str


class Turn(Enum):
    """Why a refresh token was not taken."""

    UNKNOWN = "unknown, run out, or its session is over"
    BEATEN = "another request with the same token was faster"
    REUSED = "used before"


@dataclass(frozen=True, slots=True)
class Ended:
    """What ended lately: session or user id -> the moment, in PostgreSQL's time."""

    sessions: dict[str, float]
    users: dict[str, float]
    now: float


class Sessions:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def open(self, new: NewSession) -> None:
        place = new.place
        with speaking("open a session"), self._engine.begin() as sql:
            values = {"agent": place.user_agent[:_MAX_AGENT], "address": place.address}
            sql.execute(_OPEN, values | {"id": new.id, "user": new.user_id})
            _keep(sql, new.id, new.refresh_token, new.days)

    def rotate(self, old: str, new: str, days: float) -> Live | Turn:
        """Trades a refresh token for the next one. The row's lock lets exactly one request win.

        A token that comes a second time was stolen, by the one or by the other: its session ends.
        Who merely lost a race began before the winner was done, and harms nobody.
        """
        with speaking("refresh a session"), self._engine.begin() as sql:
            row = sql.execute(_FIND, {"hash": digest(old)}).one_or_none()
            if row is None or row.over:
                return Turn.UNKNOWN
            if row.beaten:
                return Turn.BEATEN
            if row.used:
                sql.execute(_END, {"id": row.session_id})
                return Turn.REUSED
            sql.execute(_USE, {"hash": digest(old)})
            _keep(sql, row.session_id, new, days)
            return Live(row.session_id, row.user_id)

    def of_refresh_token(self, token: str) -> Live | None:
        """Whose it is, used or not."""
        with speaking("find a session"), self._engine.connect() as sql:
            row = sql.execute(_OF_TOKEN, {"hash": digest(token)}).one_or_none()
        return Live(row[0], row[1]) if row else None

    def stands(self, session_id: str) -> bool:
        with speaking("look up a session"), self._engine.connect() as sql:
            return sql.execute(_STANDS, {"id": session_id}).first() is not None

    def end(self, session_id: str) -> list[str]:
        return self._end(_END, {"id": session_id})

    def end_all(self, user_id: str, but: str | None = None) -> list[str]:
        """All of a person's sessions, except one; the ids of those that stood."""
        return self._end(_END_ALL, {"user": user_id, "but": but})

    def _end(self, statement: object, values: dict[str, str | None]) -> list[str]:
        with speaking("end a session"), self._engine.begin() as sql:
            return list(sql.execute(statement, values).scalars())  # type: ignore[call-overload]

    def ended(self, seconds: float) -> Ended:
        """What ended within so many seconds."""
        with speaking("tell who is gone"), self._engine.connect() as sql:
            rows = sql.execute(_ENDED, {"seconds": seconds}).all()
            gone = sql.execute(_REMOVED, {"seconds": seconds}).all()
            now = sql.execute(_NOW).scalar_one()
        return Ended(
            {one: float(at) for one, at in rows}, {one: float(at) for one, at in gone}, float(now)
        )

    def knows(self, user_id: str, place: Place) -> bool:
        """Whether browser, system and network were seen together. Without a user agent: no."""
        with speaking("look up a place"), self._engine.connect() as sql:
            row = sql.execute(_KNOWS, _place_values(user_id, place)).first()
        return row is not None and bool(place.agent.browser)

    def knows_browser(self, user_id: str, place: Place) -> bool:
        """Whether this browser was seen in this network. Who comes from a network that the account
        never saw costs no parsing."""
        with speaking("look up a place"), self._engine.connect() as sql:
            values = {"user": user_id, "network": place.network}
            browsers = set(sql.execute(_BROWSERS, values).scalars())
        return bool(browsers) and place.agent.browser in browsers

    def remember(self, user_id: str, place: Place) -> None:
        """What names no browser is not remembered: it could be anybody."""
        if not place.agent.browser:
            return
        with speaking("remember a place"), self._engine.begin() as sql:
            sql.execute(_REMEMBER, _place_values(user_id, place))


def _place_values(user_id: str, place: Place) -> dict[str, str]:
    agent = place.agent
    place_of = {"browser": agent.browser, "system": agent.system, "network": place.network}
    return {"user": user_id} | place_of


def _keep(sql: Connection, session_id: str, token: str, days: float) -> None:
    sql.execute(_KEEP, {"hash": digest(token), "session": session_id, "days": days})


def end_all_within(sql: Connection, user_id: str, but: str | None = None) -> list[str]:
    """As Sessions.end_all, in the caller's transaction: with the password go its sessions."""
    return list(sql.execute(_END_ALL, {"user": user_id, "but": but}).scalars())


_OPEN = text(
    "insert into sessions (id, user_id, user_agent, address) values (:id, :user, :agent, :address)"
)
_KEEP = text(
    "insert into refresh_tokens (token_hash, session_id, expires_at) "
    "values (:hash, :session, now() + cast(:days as float) * interval '1 day')"
)
# now() is the beginning of our own transaction, from before the wait for the lock; used_at is the
# clock at the winner's update.
_FIND = text(
    "select r.session_id::text, s.user_id::text, r.used_at is not null as used, "
    "coalesce(r.used_at > now(), false) as beaten, "
    "s.revoked_at is not null or r.expires_at <= now() as over "
    "from refresh_tokens r join sessions s on s.id = r.session_id "
    "where r.token_hash = :hash for update"
)
_STANDS = text("select 1 from sessions where id = :id and revoked_at is null")
_USE = text("update refresh_tokens set used_at = clock_timestamp() where token_hash = :hash")
_OF_TOKEN = text(
    "select s.id::text, s.user_id::text from refresh_tokens r "
    "join sessions s on s.id = r.session_id where r.token_hash = :hash"
)
_END = text(
    "update sessions set revoked_at = now() where id = :id and revoked_at is null "
    "returning id::text"
)
_END_ALL = text(
    "update sessions set revoked_at = now() where user_id = :user and revoked_at is null "
    "and id is distinct from cast(:but as uuid) returning id::text"
)
_ENDED = text(
    "select id::text, extract(epoch from revoked_at) from sessions "
    "where revoked_at > now() - cast(:seconds as float) * interval '1 second'"
)
_REMOVED = text(
    "select user_id::text, extract(epoch from removed_at) from removed_accounts "
    "where removed_at > now() - cast(:seconds as float) * interval '1 second'"
)
_NOW = text("select extract(epoch from now())")
_KNOWS = text(
    "select 1 from known_places where user_id = :user "
    "and browser = :browser and system = :system and network = :network"
)
_BROWSERS = text("select browser from known_places where user_id = :user and network = :network")
_REMEMBER = text(
    "insert into known_places (user_id, browser, system, network) "
    "values (:user, :browser, :system, :network) on conflict do nothing"
)
