"""The outbox relay: publishes rows of the table outbox to the topic ready-notifications, oldest first;
pages of fan-outs to bulk-notifications.

In: rows that app/persistence/outbox_writer.py inserted in the event writer's transaction, which also
sent a NOTIFY. Out: records for workers/deliverer.py.

A lease in PostgreSQL lets one relay publish at a time, also while Redis is unavailable. A relay that
dies after publishing publishes again: clients skip the same id, version and seq.
"""

import logging
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, Row, text

from app.clients.leases import PostgresLease
from app.clients.postgres import autocommit_engine
from app.clients.postgres import translate_errors as translate_postgres_errors
from app.domain.events import to_iso_utc
from app.domain.routing import Topic
from app.failpoints import hit_failpoint
from app.messaging.dead_letters import DeadLetter, DeadLetterQueue
from app.messaging.json_codec import dump_json
from app.messaging.publisher import RecordPublisher
from app.messaging.records import ProducerRecord, RecordsRejected
from app.messaging.stage_counters import BatchStats, RecordStats, discard_stats

log = logging.getLogger(__name__)
BATCH_SIZE = 500
FAN_OUT_PAGE_EVENT = "fan_out_page"
"""The outbox event of a page of a fan-out, which goes to the delivery log only."""
_SELECT_UNPUBLISHED = text(
    "select id, user_id::text, client_seq, client_event, payload, created_at, encrypted_body from "
    "outbox "
    "where published_at is null order by id limit :limit"
)
_MARK_PUBLISHED = text("update outbox set published_at = now() where id = any(:ids)")


class OutboxRelay:
    def __init__(
        self,
        engine: Engine,
        publisher: RecordPublisher,
        owner_token: str,
        dead_letters: DeadLetterQueue,
        record_stats: RecordStats = discard_stats,
    ) -> None:
        self._dead_letters = dead_letters
        self._record_stats = record_stats
        self._engine = autocommit_engine(engine)
        self._publisher = publisher
        self._lease = PostgresLease(engine, "relay", owner_token)

    def step(self) -> int:
        """Publishes the oldest unpublished rows and returns their number."""
        if not self._lease.acquire_or_renew():
            return 0
        with translate_postgres_errors("read the outbox"), self._engine.connect() as conn:
            rows = conn.execute(_SELECT_UNPUBLISHED, {"limit": BATCH_SIZE}).all()
        if not rows:
            return 0
        hit_failpoint("relay.read")
        rejected_count = self._publish_rows_and_count_rejected(rows)
        hit_failpoint("relay.published")
        with translate_postgres_errors("mark outbox rows as published"), self._engine.begin() as conn:
            conn.execute(_MARK_PUBLISHED, {"ids": [row[0] for row in rows]})
        self._record_stats(
            BatchStats(
                "relay",
                count_by_outcome={
                    "published": len(rows) - rejected_count,
                    "failed": rejected_count,
                },
            )
        )
        return len(rows)

    def _publish_rows_and_count_rejected(self, rows: Sequence[Row[Any]]) -> int:
        """Returns how many records Kafka rejected. Those become dead letters and do not block the others."""
        records = [_outbox_row_to_record(row) for row in rows]
        try:
            self._publisher.publish(records)
        except RecordsRejected as exc:
            for index, reason in exc.reason_by_index.items():
                dead_letter = DeadLetter("outbox", str(rows[index][0]), reason, records[index].value)
                self._dead_letters.store_and_publish(dead_letter)
            return len(exc.reason_by_index)
        return 0

    def release_lease(self) -> None:
        """Lets another relay start without waiting for the lease to expire."""
        self._lease.release()


def _outbox_row_to_record(row: Sequence[Any]) -> ProducerRecord:
    outbox_id, user_id, client_seq, client_event_type, payload, created_at, encrypted_body = row
    message = {
        "id": outbox_id,
        "targetId": user_id,
        "clientEvent": client_event_type,
        "seq": client_seq,
        "at": to_iso_utc(created_at),
        "data": payload,
    }
    if encrypted_body is not None:
        message["encryptedBody"] = encrypted_body
    headers = (
        ("type", str(payload.get("type", client_event_type))),
        ("priority", str(payload.get("priority", "LOW"))),
    )
    topic = Topic.BULK if client_event_type == FAN_OUT_PAGE_EVENT else Topic.READY
    return ProducerRecord(topic.value, str(user_id), dump_json(message), headers)
