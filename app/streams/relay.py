"""STOP 7b. The relay: from the outbox table to the ready topic, oldest first, one relay at a time.

In    table outbox (stores/frames.py wrote it in the ledger's transaction and rang NOTIFY)
Out   topic ready-notifications
Next  workers/deliverer.py

A lease keeps two relays from overtaking each other; it is PostgreSQL's, so that frames go on while
Redis is away. A relay that dies after publishing publishes again: the same id, version and seq,
which every client knows to skip.
"""

import logging
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, Row, text

from app.domain.events import iso
from app.domain.routing import Topic
from app.failpoints import reach
from app.stores.figures import Note, Passing, unnoted
from app.stores.leases import Lease
from app.stores.postgres import at_once
from app.stores.postgres import speaking as asking_postgres
from app.streams.dead_letters import DeadLetters, Letter
from app.streams.kafka import Record, Refused
from app.streams.publisher import Publishes
from app.streams.wire import dumps

log = logging.getLogger(__name__)
BATCH = 500
_WAITING = text(
    "select id, user_id::text, seq, frame, payload, created_at, letter from outbox "
    "where published_at is null order by id limit :limit"
)
_PUBLISHED = text("update outbox set published_at = now() where id = any(:ids)")


class Relay:
    def __init__(
        self,
        engine: Engine,
        publisher: Publishes,
        token: str,
        dead_letters: DeadLetters,
        note: Note = unnoted,
    ) -> None:
        self._dead_letters = dead_letters
        self._note = note
        self._engine = at_once(engine)
        self._publisher = publisher
        self._lease = Lease(engine, "relay", token)

    def step(self) -> int:
        """Publishes the oldest waiting frames; how many."""
        if not self._lease.held():
            return 0
        with asking_postgres("read the outbox"), self._engine.connect() as sql:
            rows = sql.execute(_WAITING, {"limit": BATCH}).all()
        if not rows:
            return 0
        reach("relay.read")
        refused = self._publish(rows)
        reach("relay.published")
        with asking_postgres("settle the outbox"), self._engine.begin() as sql:
            sql.execute(_PUBLISHED, {"ids": [row[0] for row in rows]})
        self._note(Passing("relay", outcomes={"published": len(rows) - refused, "failed": refused}))
        return len(rows)

    def _publish(self, rows: Sequence[Row[Any]]) -> int:
        """How many Kafka refused for their own sake: those stop nobody behind them."""
        records = [_record(row) for row in rows]
        try:
            self._publisher.publish(records)
        except Refused as fault:
            for place, reason in fault.reasons.items():
                letter = Letter("outbox", str(rows[place][0]), reason, records[place].value)
                self._dead_letters.put(letter)
            return len(fault.reasons)
        return 0

    def release(self) -> None:
        """Lets another relay take over without waiting for the lease to run out."""
        self._lease.release()


def _record(row: Sequence[Any]) -> Record:
    place, user_id, seq, frame, payload, created_at, letter = row
    value = {
        "id": place,
        "targetId": user_id,
        "frame": frame,
        "seq": seq,
        "at": iso(created_at),
        "data": payload,
    }
    if letter is not None:
        value["letter"] = letter
    headers = (
        ("type", str(payload.get("type", frame))),
        ("priority", str(payload.get("priority", "LOW"))),
    )
    return Record(Topic.READY.value, str(user_id), dumps(value), headers)
