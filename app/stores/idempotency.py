"""One effect per Idempotency-Key: who asks again gets the first answer again.

In    blueprints/once.py
Out   Redis: idempotency:{who, path and key}: a marker while the first runs, then its answer; the
      table kept_keys while Redis is away

Who asks looks into the table first: what was kept there while Redis was away holds afterwards too.
"""

import hashlib
import logging
from dataclasses import dataclass, replace

import orjson
import redis
from sqlalchemy import Engine, text

from app.domain.errors import Rejected, Unavailable
from app.stores.postgres import speaking as asking_postgres
from app.stores.redis import key, script, speaking

log = logging.getLogger(__name__)
KEPT_SECONDS = 24 * 3600
RUNNING_SECONDS = 60
"""Longer than any request runs: a process that dies on the way must not hold the key for a day."""

OTHER_BODY = Rejected(
    "This Idempotency-Key was used with another body", "idempotency_key_reused", 422
)
STILL_RUNNING = Rejected(
    "The first request with this Idempotency-Key is still running", "idempotency_running", 409
)


@dataclass(frozen=True, slots=True)
class Ticket:
    """The right to act once."""

    name: str
    marker: str
    body_hash: str
    token: str
    """What the ids of the effect are drawn from: the same for each try, since one that was answered
    503 may have had its effect."""
    again: bool = False
    in_table: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    text: str


class Idempotency:
    def __init__(self, connection: redis.Redis, engine: Engine) -> None:
        self._redis = connection
        self._engine = engine
        self._swap = script(connection, "swap")

    def begin(self, scope: tuple[str, str, str], body: bytes, token: str) -> Ticket | Answer:
        """Act, or answer so. `scope`: who, path, key. Raises Rejected (409, 422), Unavailable:
        without a memory there is no promise."""
        name = key("idempotency", _hash("\n".join(scope).encode()))
        body_hash = _hash(body)
        marker = orjson.dumps({"running": token, "body": body_hash}).decode()
        ticket = Ticket(name, marker, body_hash, token)
        with asking_postgres("remember the key"), self._engine.connect() as sql:
            raw = sql.execute(_KEPT, {"name": name}).scalar()
        if raw is not None:
            tried = _tried(raw, ticket, in_table=True)
            return self._again_in_table(tried, raw) if tried else _known(raw, body_hash)
        try:
            return self._begin_in_redis(ticket)
        except Unavailable as fault:
            if fault.code != "redis_unavailable":
                raise
        return self._begin_in_table(ticket)

    def _begin_in_redis(self, ticket: Ticket) -> Ticket | Answer:
        with speaking("remember the key"):
            for _ in range(2):
                if self._redis.set(ticket.name, ticket.marker, nx=True, ex=RUNNING_SECONDS):
                    return ticket
                if (raw := self._redis.get(ticket.name)) is None:
                    continue
                tried = _tried(str(raw), ticket)
                if tried is None:
                    return _known(str(raw), ticket.body_hash)
                if self._swapped(ticket.name, str(raw), tried.marker, RUNNING_SECONDS):
                    return tried
        raise Unavailable("The key is in use", "busy")

    def _swapped(self, name: str, was: str, to: str, seconds: int) -> bool:
        args: list[str | int] = [was, to, seconds]
        return bool(self._swap(keys=[name], args=args))

    def _begin_in_table(self, ticket: Ticket) -> Ticket | Answer:
        values = {"name": ticket.name, "kept": ticket.marker, "seconds": RUNNING_SECONDS}
        with asking_postgres("remember the key"), self._engine.begin() as sql:
            if sql.execute(_BEGIN, values).rowcount:
                return replace(ticket, in_table=True)
        raise Unavailable("The key is in use", "busy")

    def _again_in_table(self, tried: Ticket, raw: str) -> Ticket:
        values = {"name": tried.name, "was": raw, "kept": tried.marker, "seconds": RUNNING_SECONDS}
        with asking_postgres("remember the key"), self._engine.begin() as sql:
            if sql.execute(_SWAP, values).rowcount:
                return tried
        raise Unavailable("The key is in use", "busy")

    def keep(self, ticket: Ticket, answer: Answer) -> None:
        said = {"body": ticket.body_hash, "status": answer.status, "text": answer.text}
        kept = orjson.dumps(said).decode()
        try:
            if not ticket.in_table:
                with speaking("keep the answer"):
                    self._redis.set(ticket.name, kept, ex=KEPT_SECONDS)
                return
        except Unavailable as fault:
            log.info("An answer is kept in the table: %s", fault)
        values = {"name": ticket.name, "kept": kept, "seconds": KEPT_SECONDS}
        with asking_postgres("keep the answer"), self._engine.begin() as sql:
            sql.execute(_KEEP, values)

    def release(self, ticket: Ticket) -> None:
        """Nothing happened: the next one may try."""
        if ticket.in_table:
            with asking_postgres("forget the key"), self._engine.begin() as sql:
                sql.execute(_FORGET, {"name": ticket.name, "kept": ticket.marker})
            return
        with speaking("forget the key"):
            if self._redis.get(ticket.name) == ticket.marker:
                self._redis.delete(ticket.name)

    def leave(self, ticket: Ticket) -> None:
        """Something may have happened: the next one may try, and then does the same again."""
        tried = orjson.dumps({"tried": ticket.token, "body": ticket.body_hash}).decode()
        try:
            if not ticket.in_table:
                with speaking("leave the key"):
                    self._swapped(ticket.name, ticket.marker, tried, KEPT_SECONDS)
                return
        except Unavailable as fault:
            log.info("A try is kept in the table: %s", fault)
        values = {"name": ticket.name, "kept": tried, "seconds": KEPT_SECONDS}
        with asking_postgres("leave the key"), self._engine.begin() as sql:
            sql.execute(_KEEP, values)


def _tried(raw: str, ticket: Ticket, in_table: bool = False) -> Ticket | None:
    """The ticket of a try that was left; None: it runs, or it is answered."""
    found = orjson.loads(raw)
    if found["body"] != ticket.body_hash or "tried" not in found:
        return None
    marker = orjson.dumps({"running": found["tried"], "body": ticket.body_hash}).decode()
    return Ticket(ticket.name, marker, ticket.body_hash, found["tried"], True, in_table)


def _known(raw: str, body_hash: str) -> Answer:
    found = orjson.loads(raw)
    if found["body"] != body_hash:
        raise OTHER_BODY
    if "running" in found:
        raise STILL_RUNNING
    return Answer(found["status"], found["text"])


def _hash(given: bytes) -> str:
    return hashlib.sha256(given).hexdigest()


_KEPT = text("select kept::text from kept_keys where name = :name and until > now()")
_BEGIN = text(
    "insert into kept_keys (name, kept, until) "
    "values (:name, cast(:kept as jsonb), now() + make_interval(secs => :seconds)) "
    "on conflict (name) do update set kept = excluded.kept, until = excluded.until "
    "where kept_keys.until < now()"
)
_KEEP = text(
    "insert into kept_keys (name, kept, until) "
    "values (:name, cast(:kept as jsonb), now() + make_interval(secs => :seconds)) "
    "on conflict (name) do update set kept = excluded.kept, until = excluded.until"
)
_SWAP = text(
    "update kept_keys set kept = cast(:kept as jsonb), "
    "until = now() + make_interval(secs => :seconds) "
    "where name = :name and kept = cast(:was as jsonb)"
)
_FORGET = text("delete from kept_keys where name = :name and kept = cast(:kept as jsonb)")
