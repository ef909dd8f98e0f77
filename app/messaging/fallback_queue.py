"""The fallback queue: a PostgreSQL table that stores events while Kafka is unavailable.

In: events of the bridge, and copies of those that app/ingest/synchronous_writer.py has written. Out: rows
that workers/bridge.py publishes later. Each ingress shard has its own queue. While a shard has pending rows,
newer events of that shard are queued behind them, so that no like overtakes its unlike.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import Connection, Engine, text

from app.clients.postgres import autocommit_engine, translate_errors
from app.domain.routing import Topic
from app.failpoints import hit_failpoint
from app.messaging.publisher import RecordPublisher
from app.messaging.records import ProducerRecord, RecordsRejected

log = logging.getLogger(__name__)
KNOWN_TOPICS = frozenset(topic.value for topic in Topic)

_ENQUEUE = text("""
    insert into kafka_fallback_queue (event_id, shard, seq, topic, payload)
    select (r.row->>'eventId')::uuid, :shard, (r.row->>'seq')::bigint,
        r.row->>'topic', r.row->'record'
    from jsonb_array_elements(cast(:rows as jsonb)) with ordinality as r (row, position)
    order by r.position
    on conflict (event_id, shard, seq) do nothing
""")
_SELECT_PENDING = text("""
    select id, topic, payload from kafka_fallback_queue
    where shard = :shard and not processed and retry_count <= :retries order by id limit :limit
""")
_HAS_PENDING_UP_TO = text(
    "select 1 from kafka_fallback_queue "
    "where not processed and retry_count <= :retries and id <= :last limit 1"
)
_MARK_PROCESSED = text(
    "update kafka_fallback_queue set processed = true, processed_at = now() where id = any(:ids)"
)


_RECORD_REJECTIONS = text("""
    update kafka_fallback_queue as queue
    set retry_count = retry_count + 1, last_error = rejection.reason
    from jsonb_to_recordset(cast(:rows as jsonb)) as rejection (id bigint, reason text)
    where queue.id = rejection.id and not queue.processed
""")


@dataclass(frozen=True, slots=True)
class PendingFallbackRow:
    """A pending row. `record` is None if the stored record cannot be read."""

    id: int
    record: ProducerRecord | None


class FallbackQueue:
    def __init__(self, engine: Engine, max_retries: int) -> None:
        self._engine = autocommit_engine(engine)
        self._max_retries = max_retries

    def enqueue(self, ingress_shard: int, entries: Sequence[tuple[str, int, ProducerRecord]]) -> None:
        """Stores (event id, seq, record) in order, in one transaction. A repeated entry adds no row."""
        with translate_errors("store the events"), self._engine.begin() as conn:
            self.enqueue_in_transaction(conn, ingress_shard, entries)

    def enqueue_in_transaction(
        self, conn: Connection, ingress_shard: int, entries: Sequence[tuple[str, int, ProducerRecord]]
    ) -> None:
        """As enqueue()."""
        rows = [
            {
                "eventId": event_id,
                "seq": seq,
                "topic": record.topic,
                "record": _record_to_json(record),
            }
            for event_id, seq, record in entries
        ]
        conn.execute(_ENQUEUE, {"shard": ingress_shard, "rows": orjson.dumps(rows).decode()})

    def list_pending_rows(self, ingress_shard: int, max_rows: int) -> list[PendingFallbackRow]:
        """The oldest pending rows of a shard, without those that exceeded their retries."""
        params = {"shard": ingress_shard, "limit": max_rows, "retries": self._max_retries}
        with translate_errors("read the fallback queue"), self._engine.connect() as conn:
            return [
                PendingFallbackRow(row[0], _record_from_json(row[1], row[2]))
                for row in conn.execute(_SELECT_PENDING, params)
            ]

    def publish_and_settle(self, rows: Sequence[PendingFallbackRow], publisher: RecordPublisher) -> None:
        """Publishes rows and marks them as processed. Rejected and unreadable rows count a retry and do
        not block the others. Raises Unavailable, and then counts no retry."""
        readable_rows = [(row.id, row.record) for row in rows if row.record is not None]
        reason_by_row_id = {row.id: "The row has no readable record" for row in rows if row.record is None}
        try:
            publisher.publish([record for _, record in readable_rows])
        except RecordsRejected as exc:
            reason_by_row_id |= {
                readable_rows[index][0]: reason for index, reason in exc.reason_by_index.items()
            }
        hit_failpoint("bridge.drained")
        self.mark_processed([row_id for row_id, _ in readable_rows if row_id not in reason_by_row_id])
        self.record_rejections(reason_by_row_id)

    def record_rejections(self, reason_by_row_id: Mapping[int, str]) -> None:
        """Counts a retry of each row. After FALLBACK_MAX_RETRIES more an administrator must handle it."""
        if not reason_by_row_id:
            return
        log.warning(
            "Kafka rejected rows of the fallback queue: %s",
            dict(reason_by_row_id),
            extra={"event": "fallback_rows_rejected"},
        )
        rows = [{"id": row_id, "reason": reason} for row_id, reason in reason_by_row_id.items()]
        with translate_errors("record rejections"), self._engine.begin() as conn:
            conn.execute(_RECORD_REJECTIONS, {"rows": orjson.dumps(rows).decode()})

    def mark_processed(self, row_ids: Sequence[int]) -> None:
        """Marks rows whose records are on Kafka."""
        if not row_ids:
            return
        with translate_errors("mark rows as processed"), self._engine.begin() as conn:
            conn.execute(_MARK_PROCESSED, {"ids": list(row_ids)})

    def newest_row_id(self) -> int:
        """The highest row id, 0 if there is none."""
        with translate_errors("read the fallback queue"), self._engine.connect() as conn:
            result = conn.execute(text("select coalesce(max(id), 0) from kafka_fallback_queue"))
            return int(result.scalar_one())

    def has_pending_up_to(self, row_id: int) -> bool:
        """Whether a row up to that id is pending, without those that exceeded their retries."""
        with translate_errors("read the fallback queue"), self._engine.connect() as conn:
            params = {"last": row_id, "retries": self._max_retries}
            return conn.execute(_HAS_PENDING_UP_TO, params).first() is not None

    def count_pending_and_failed(self) -> tuple[int, int]:
        """(pending rows, rows that exceeded their retries)."""
        with translate_errors("count the fallback queue"), self._engine.connect() as conn:
            row = conn.execute(
                text(
                    "select count(*) filter (where retry_count <= :retries), "
                    "count(*) filter (where retry_count > :retries) "
                    "from kafka_fallback_queue where not processed"
                ),
                {"retries": self._max_retries},
            ).one()
        return row[0], row[1]


def _record_to_json(record: ProducerRecord) -> dict[str, object]:
    return {
        "key": record.key,
        "value": orjson.loads(record.value),
        "headers": [list(header) for header in record.headers],
    }


def _record_from_json(topic: str, stored: object) -> ProducerRecord | None:
    """None if this version of the system did not write it."""
    if topic not in KNOWN_TOPICS or not isinstance(stored, dict):
        return None
    try:
        headers = tuple((str(name), str(value)) for name, value in stored["headers"])
        # `raw`: the payload of a replayed dead letter that is not JSON, published unchanged.
        raw_text = stored.get("raw")
        value = orjson.dumps(stored["value"]) if raw_text is None else str(raw_text).encode()
        return ProducerRecord(topic, str(stored["key"]), value, headers)
    except (KeyError, TypeError, ValueError):
        return None
