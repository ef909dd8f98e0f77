"""The fallback queue: a PostgreSQL table that takes events while Kafka is away.

Each ingress shard has its own backlog. While a shard has rows waiting, newer events of that shard
queue up behind them, so that no like overtakes its unlike.
"""

from collections.abc import Sequence

import orjson
from sqlalchemy import Engine, text

from app.stores.postgres import speaking
from app.streams.kafka import Record

_ENQUEUE = text("""
    insert into kafka_fallback_queue (event_id, shard, seq, topic, payload)
    select (r.row->>'eventId')::uuid, :shard, (r.row->>'seq')::bigint,
        r.row->>'topic', r.row->'record'
    from jsonb_array_elements(cast(:rows as jsonb)) with ordinality as r (row, place)
    order by r.place
    on conflict (shard, seq, event_id) do nothing
""")
_BACKLOG = text("""
    select id, topic, payload from kafka_fallback_queue
    where shard = :shard and not processed and retry_count <= :retries order by id limit :limit
""")
_DONE = text(
    "update kafka_fallback_queue set processed = true, processed_at = now() where id = any(:ids)"
)


class FallbackQueue:
    def __init__(self, engine: Engine, max_retries: int) -> None:
        self._engine = engine
        self._max_retries = max_retries

    def enqueue(self, shard: int, records: Sequence[tuple[str, int, Record]]) -> None:
        """(event id, seq, record) in order, in one transaction. Repeats are one row."""
        rows = [
            {"eventId": event_id, "seq": seq, "topic": record.topic, "record": _packed(record)}
            for event_id, seq, record in records
        ]
        with speaking("take the events"), self._engine.begin() as sql:
            sql.execute(_ENQUEUE, {"shard": shard, "rows": orjson.dumps(rows).decode()})

    def backlog(self, shard: int, limit: int) -> list[tuple[int, Record]]:
        """The oldest waiting rows of a shard."""
        values = {"shard": shard, "limit": limit, "retries": self._max_retries}
        with speaking("tell the backlog"), self._engine.connect() as sql:
            return [(row[0], _unpacked(row[1], row[2])) for row in sql.execute(_BACKLOG, values)]

    def done(self, ids: Sequence[int]) -> None:
        """They are on Kafka."""
        with speaking("settle the backlog"), self._engine.begin() as sql:
            sql.execute(_DONE, {"ids": list(ids)})

    def counts(self) -> tuple[int, int]:
        """(pending, failed) as the dashboard shows them."""
        with speaking("count the backlog"), self._engine.connect() as sql:
            row = sql.execute(
                text(
                    "select count(*) filter (where retry_count <= :retries), "
                    "count(*) filter (where retry_count > :retries) "
                    "from kafka_fallback_queue where not processed"
                ),
                {"retries": self._max_retries},
            ).one()
        return row[0], row[1]


def _packed(record: Record) -> dict[str, object]:
    return {
        "key": record.key,
        "value": orjson.loads(record.value),
        "headers": [list(header) for header in record.headers],
    }


def _unpacked(topic: str, packed: dict[str, object]) -> Record:
    headers: object = packed["headers"]
    pairs = [(str(name), str(value)) for name, value in headers]  # type: ignore[attr-defined]
    # `raw`: a replayed dead letter that is no JSON; it goes back as it was.
    raw = packed.get("raw")
    value = orjson.dumps(packed["value"]) if raw is None else str(raw).encode()
    return Record(topic, str(packed["key"]), value, tuple(pairs))
