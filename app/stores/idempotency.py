"""One effect per Idempotency-Key: who asks again gets the first answer again.

In    blueprints/once.py
Out   Redis: idempotency:{who, path and key}: a marker while the first runs, then its answer
"""

import hashlib
from dataclasses import dataclass

import orjson
import redis

from app.domain.errors import Rejected, Unavailable
from app.stores.redis import key, speaking

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


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    text: str


class Idempotency:
    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection

    def begin(self, scope: tuple[str, str, str], body: bytes, token: str) -> Ticket | Answer:
        """Act, or answer so. `scope`: who, path, key. Raises Rejected (409, 422), Unavailable:
        without a memory there is no promise."""
        name = key("idempotency", _hash("\n".join(scope).encode()))
        body_hash = _hash(body)
        marker = orjson.dumps({"running": token, "body": body_hash}).decode()
        with speaking("remember the key"):
            for _ in range(2):
                if self._redis.set(name, marker, nx=True, ex=RUNNING_SECONDS):
                    return Ticket(name, marker, body_hash)
                if (raw := self._redis.get(name)) is not None:
                    return _known(str(raw), body_hash)
        raise Unavailable("The key is in use", "busy")

    def keep(self, ticket: Ticket, answer: Answer) -> None:
        kept = {"body": ticket.body_hash, "status": answer.status, "text": answer.text}
        with speaking("keep the answer"):
            self._redis.set(ticket.name, orjson.dumps(kept).decode(), ex=KEPT_SECONDS)

    def release(self, ticket: Ticket) -> None:
        """Nothing happened: the next one may try."""
        with speaking("forget the key"):
            if self._redis.get(ticket.name) == ticket.marker:
                self._redis.delete(ticket.name)


def _known(raw: str, body_hash: str) -> Answer:
    found = orjson.loads(raw)
    if found["body"] != body_hash:
        raise OTHER_BODY
    if "running" in found:
        raise STILL_RUNNING
    return Answer(found["status"], found["text"])


def _hash(given: bytes) -> str:
    return hashlib.sha256(given).hexdigest()
