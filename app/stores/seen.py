"""Seen: which versions of which rows a client has shown, on their way to the delivery log.

In    app/acks.py
Out   the outbox
Next  streams/relay.py carries them to the ready topic, workers/deliverer.py into the log

By way of PostgreSQL and Kafka, so that a DynamoDB that is away delays nobody and misses nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import Engine, text

from app.stores.bell import WAKE
from app.stores.frames import OUTBOX_CHANNEL
from app.stores.postgres import speaking

SEEN = "seen"
"""The frame that goes to the log alone."""


@dataclass(frozen=True, slots=True)
class Ack:
    user_id: str
    notification_id: str
    version: int


class Seen:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def record(self, acks: Sequence[Ack]) -> int:
        """How many were news. Rows of others, unknown ones and versions that never were are left
        out; a repeated one changes nothing. Raises Unavailable."""
        rows = [
            {"user": a.user_id, "id": a.notification_id, "version": a.version, "place": place}
            for place, a in enumerate(acks)
        ]
        with speaking("note what was seen"), self._engine.begin() as sql:
            made = sql.execute(_RECORD, {"acks": orjson.dumps(rows).decode()}).rowcount
            if made:
                sql.execute(WAKE, {"channel": OUTBOX_CHANNEL})
        return int(made)


_RECORD = text("""
    insert into outbox (user_id, seq, frame, payload)
    select n.user_id, null, 'seen', jsonb_build_object('id', n.id, 'version', a.version,
        'type', n.type, 'priority', n.priority,
        'metadata', jsonb_build_object('channels', jsonb_build_array('PUSH')))
    from jsonb_to_recordset(cast(:acks as jsonb))
        as a ("user" uuid, id uuid, version int, place int)
    join notifications n on n.id = a.id and n.user_id = a."user"
    where a.version between 1 and n.version
    order by a.place
    on conflict ((payload->>'id'), (payload->>'version')) where frame = 'seen' do nothing
""")
