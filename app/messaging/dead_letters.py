"""Dead letters: records that can never be processed are stored with the reason and published to a topic.

In: records that a worker could not parse or that Kafka rejected. Out: the table
dead_letters and the topic of dead letters.
"""

import base64
import hashlib
import logging
from dataclasses import dataclass, replace
from uuid import NAMESPACE_URL, uuid5

from sqlalchemy import Engine, text

from app.clients.postgres import translate_errors
from app.domain.redaction import redact_for_storage
from app.domain.routing import Topic
from app.messaging.json_codec import dump_json
from app.messaging.publisher import RecordPublisher
from app.messaging.records import ProducerRecord, RecordsRejected

log = logging.getLogger(__name__)
MAX_STORED_PAYLOAD_CHARS = 10_000
"""Limit in the table; the record on the topic has the whole payload up to the broker's limit."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Where a record was read, why it cannot be processed, and its payload."""

    source: str
    source_position: str
    reason: str
    payload: bytes | None

    @property
    def source_key(self) -> str:
        return f"{self.source}/{self.source_position}"

    @property
    def record_id(self) -> str:
        """The same for the same record, however often it is read."""
        return str(uuid5(NAMESPACE_URL, self.source_key))

    @property
    def reason_text(self) -> str:
        """The reason without NUL and lone surrogates, at most 1000 characters."""
        return _to_storable_text(self.reason.encode("utf-8", "backslashreplace"))[:1000]

    def to_record(self) -> ProducerRecord:
        """The record for the topic of dead letters."""
        payload = self.payload
        message = {
            "origin": self.source,
            "position": self.source_position,
            "reason": self.reason_text,
            "payload": None if payload is None else base64.b64encode(payload[:500_000]).decode(),
        }
        return ProducerRecord(Topic.DEAD_LETTER.value, self.source_key, dump_json(message))


class DeadLetterQueue:
    def __init__(self, engine: Engine, publisher: RecordPublisher) -> None:
        self._engine = engine
        self._publisher = publisher

    def store_and_publish(self, dead_letter: DeadLetter) -> None:
        """Stores a row and publishes a record to the topic, at least once and with the same key. Codes
        and tokens are redacted.

        Raises Unavailable: the caller then does not acknowledge, and reads the record again.
        """
        if dead_letter.payload is not None:
            dead_letter = replace(dead_letter, payload=redact_for_storage(dead_letter.payload))
        self.store_row(dead_letter)
        try:
            self._publisher.publish([dead_letter.to_record()])
        except RecordsRejected as exc:
            log.error(
                "Kafka rejected dead letter %s, which is in the table only: %s",
                dead_letter.source_key,
                exc,
                extra={"event": "dead_letter_rejected"},
            )

    def store_row(self, dead_letter: DeadLetter) -> None:
        """Stores the row only, once per record: for callers that publish the record themselves."""
        stored_payload = (
            None
            if dead_letter.payload is None
            else _to_storable_text(redact_for_storage(dead_letter.payload))
        )
        with translate_errors("store a dead letter"), self._engine.begin() as conn:
            conn.execute(
                text(
                    "insert into dead_letters (origin, position, reason, payload) "
                    "values (:origin, :position, :reason, :payload) "
                    "on conflict (origin, position) do nothing"
                ),
                {
                    "origin": dead_letter.source,
                    "position": dead_letter.source_position,
                    "reason": dead_letter.reason_text,
                    "payload": stored_payload,
                },
            )
        payload_digest = hashlib.sha256(dead_letter.payload or b"").hexdigest()[:12]
        log.warning(
            "Dead letter from %s: %s (payload %s)",
            dead_letter.source_key,
            dead_letter.reason_text,
            payload_digest,
            extra={"event": "dead_letter_stored"},
        )


def _to_storable_text(payload: bytes) -> str:
    """Text for the table, shortened and without NUL, which PostgreSQL does not accept."""
    return payload[:MAX_STORED_PAYLOAD_CHARS].decode("utf-8", "backslashreplace").replace("\x00", "\\x00")
