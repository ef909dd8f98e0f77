"""The fallback queue: a PostgreSQL table that takes events while Kafka is away.

Each ingress shard has its own backlog. While a shard has rows waiting, newer events of that shard
queue up behind them, so that no like overtakes its unlike.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import Engine, text

from app.domain.routing import Topic
from app.failpoints import reach
from app.stores.postgres import at_once, speaking
from app.streams.kafka import Record, Refused
from app.streams.publisher import Publishes

log = logging.getLogger(__name__)
TOPICS = frozenset(topic.value for topic in Topic)

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
_WAITS = text(
    "select 1 from kafka_fallback_queue "
    "where not processed and retry_count <= :retries and id <= :last limit 1"
)
_DONE = text(
    "update kafka_fallback_queue set processed = true, processed_at = now() where id = any(:ids)"
)


_REFUSED = text("""
    update kafka_fallback_queue as queue
    set retry_count = retry_count + 1, last_error = said.reason
    from jsonb_to_recordset(cast(:rows as jsonb)) as said (id bigint, reason text)
    where queue.id = said.id and not queue.processed
""")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A row of the backlog. No record: nobody can read what it holds."""

    id: int
    record: Record | None


class FallbackQueue:
    def __init__(self, engine: Engine, max_retries: int) -> None:
        self._engine = at_once(engine)
        self._max_retries = max_retries

    def enqueue(self, shard: int, records: Sequence[tuple[str, int, Record]]) -> None:
        """(event id, seq, record) in order, in one transaction. Repeats are one row."""
        rows = [
            {"eventId": event_id, "seq": seq, "topic": record.topic, "record": _packed(record)}
            for event_id, seq, record in records
        ]
        with speaking("take the events"), self._engine.begin() as sql:
            sql.execute(_ENQUEUE, {"shard": shard, "rows": orjson.dumps(rows).decode()})

    def backlog(self, shard: int, limit: int) -> list[Waiting]:
        """The oldest waiting rows of a shard, without those that wait for a person."""
        values = {"shard": shard, "limit": limit, "retries": self._max_retries}
        with speaking("tell the backlog"), self._engine.connect() as sql:
            return [
                Waiting(row[0], _unpacked(row[1], row[2])) for row in sql.execute(_BACKLOG, values)
            ]

    def drain(self, rows: Sequence[Waiting], publisher: Publishes) -> None:
        """Publishes them. What Kafka refuses for its own sake has that noted, and its neighbours
        pass. Raises Unavailable, and then nothing was noted: an absent Kafka is nobody's fault."""
        sound = [(row.id, row.record) for row in rows if row.record is not None]
        reasons = {row.id: "The row holds no record" for row in rows if row.record is None}
        try:
            publisher.publish([record for _, record in sound])
        except Refused as fault:
            reasons |= {sound[place][0]: reason for place, reason in fault.reasons.items()}
        reach("bridge.drained")
        self.done([place for place, _ in sound if place not in reasons])
        self.refused(reasons)

    def refused(self, reasons: Mapping[int, str]) -> None:
        """Each time counts; after FALLBACK_MAX_RETRIES more the row waits for a person."""
        if not reasons:
            return
        log.warning("Rows of the fallback queue were refused: %s", dict(reasons))
        rows = [{"id": place, "reason": reason} for place, reason in reasons.items()]
        with speaking("note a refusal"), self._engine.begin() as sql:
            sql.execute(_REFUSED, {"rows": orjson.dumps(rows).decode()})

    def done(self, ids: Sequence[int]) -> None:
        """They are on Kafka."""
        if not ids:
            return
        with speaking("settle the backlog"), self._engine.begin() as sql:
            sql.execute(_DONE, {"ids": list(ids)})

    def last(self) -> int:
        """The newest row's place."""
        with speaking("tell the backlog"), self._engine.connect() as sql:
            found = sql.execute(text("select coalesce(max(id), 0) from kafka_fallback_queue"))
            return int(found.scalar_one())

    def waits(self, last: int) -> bool:
        """Whether a row up to that place waits for Kafka; not those that wait for a person."""
        with speaking("tell the backlog"), self._engine.connect() as sql:
            values = {"last": last, "retries": self._max_retries}
            return sql.execute(_WAITS, values).first() is not None

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


def _unpacked(topic: str, packed: object) -> Record | None:
    """None for what this system did not write, or no longer understands."""
    if topic not in TOPICS or not isinstance(packed, dict):
        return None
    try:
        pairs = tuple((str(name), str(value)) for name, value in packed["headers"])
        # `raw`: a replayed dead letter that is no JSON; it goes back as it was.
        raw = packed.get("raw")
        value = orjson.dumps(packed["value"]) if raw is None else str(raw).encode()
        return Record(topic, str(packed["key"]), value, pairs)
    except (KeyError, TypeError, ValueError):
        return None
