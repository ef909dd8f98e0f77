"""Dead letters: what can never be processed is put aside with its reason; its neighbours pass."""

import base64
import hashlib
import logging
from dataclasses import dataclass, replace
from uuid import NAMESPACE_URL, uuid5

from sqlalchemy import Engine, text

from app.domain.routing import Topic
from app.domain.secrecy import kept
from app.stores.postgres import speaking
from app.streams.kafka import Record, Refused
from app.streams.publisher import Publishes
from app.streams.wire import dumps

log = logging.getLogger(__name__)
KEPT = 10_000
"""Characters of the payload that the table keeps; the topic has all of it up to the broker's limit.
"""


@dataclass(frozen=True, slots=True)
class Letter:
    """Where it was read, why it is dead, and what it held."""

    origin: str
    position: str
    reason: str
    payload: bytes | None

    @property
    def key(self) -> str:
        return f"{self.origin}/{self.position}"

    @property
    def id(self) -> str:
        """The same for the same record, however often it is read."""
        return str(uuid5(NAMESPACE_URL, self.key))

    @property
    def sentence(self) -> str:
        """The reason as every store takes it: no NUL, no half characters, and not without end."""
        return _shown(self.reason.encode("utf-8", "backslashreplace"))[:1000]

    def record(self) -> Record:
        """As it goes to the dead letters' topic."""
        payload = self.payload
        value = {
            "origin": self.origin,
            "position": self.position,
            "reason": self.sentence,
            "payload": None if payload is None else base64.b64encode(payload[:500_000]).decode(),
        }
        return Record(Topic.DEAD_LETTER.value, self.key, dumps(value))


class DeadLetters:
    def __init__(self, engine: Engine, publisher: Publishes) -> None:
        self._engine = engine
        self._publisher = publisher

    def put(self, letter: Letter) -> None:
        """A row, and one record on the topic (or more, same key). Codes and tokens are left out.

        Raises Unavailable: the caller then does not acknowledge, and reads the record again.
        """
        if letter.payload is not None:
            letter = replace(letter, payload=kept(letter.payload))
        self.keep(letter)
        try:
            self._publisher.publish([letter.record()])
        except Refused as reason:
            log.error("The topic takes no copy of dead letter %s: %s", letter.key, reason)

    def keep(self, letter: Letter) -> None:
        """The row alone, one however often it is read: for who publishes by another way."""
        shown = None if letter.payload is None else _shown(kept(letter.payload))
        with speaking("keep a dead letter"), self._engine.begin() as sql:
            sql.execute(
                text(
                    "insert into dead_letters (origin, position, reason, payload) "
                    "values (:origin, :position, :reason, :payload) "
                    "on conflict (origin, position) do nothing"
                ),
                {
                    "origin": letter.origin,
                    "position": letter.position,
                    "reason": letter.sentence,
                    "payload": shown,
                },
            )
        digest = hashlib.sha256(letter.payload or b"").hexdigest()[:12]
        log.warning("Dead letter from %s: %s (payload %s)", letter.key, letter.sentence, digest)


def _shown(payload: bytes) -> str:
    """Text for the table: PostgreSQL takes no NUL, and a secret's place is not a dashboard."""
    return payload[:KEPT].decode("utf-8", "backslashreplace").replace("\x00", "\\x00")
