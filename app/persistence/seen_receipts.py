"""Records which version of a notification a client has shown, for the delivery log.

In: receipts of app/delivery/read_receipts.py. Out: outbox rows, which app/messaging/outbox_relay.py publishes
and workers/delivery_log_writer.py appends to the delivery log. An unavailable DynamoDB therefore delays no
client and loses no receipt.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, text

from app.clients.pg_notify import NOTIFY
from app.clients.postgres import translate_errors
from app.persistence.outbox_writer import OUTBOX_CHANNEL

SEEN_EVENT_NAME = "seen"
"""Name of the outbox event, which goes to the delivery log only."""


@dataclass(frozen=True, slots=True)
class SeenReceipt:
    user_id: str
    notification_id: str
    version: int


def record_seen_receipts(engine: Engine, receipts: Sequence[SeenReceipt]) -> int:
    """Returns the number of new receipts. Receipts for other users' rows, unknown rows or versions that do
    not exist are ignored; a repeated receipt changes nothing. Raises Unavailable."""
    params = {
        "users": [receipt.user_id for receipt in receipts],
        "ids": [receipt.notification_id for receipt in receipts],
        "versions": [receipt.version for receipt in receipts],
    }
    with translate_errors("record receipts"), engine.begin() as conn:
        inserted_count = conn.execute(_INSERT_RECEIPTS, params).rowcount
        if inserted_count:
            conn.execute(NOTIFY, {"channel": OUTBOX_CHANNEL})
    return int(inserted_count)


_INSERT_RECEIPTS = text("""
    insert into outbox (user_id, client_seq, client_event, payload)
    select n.user_id, null, 'seen', jsonb_build_object('id', n.id, 'version', r.version,
        'type', n.type, 'priority', n.priority,
        'metadata', jsonb_build_object('channels', jsonb_build_array('PUSH')))
    from unnest(cast(:users as uuid[]), cast(:ids as uuid[]), cast(:versions as int[]))
        with ordinality as r (user_id, id, version, position)
    join notifications n on n.id = r.id and n.user_id = r.user_id
    where r.version between 1 and n.version
    order by r.position
    on conflict ((payload->>'id'), (payload->>'version')) where client_event = 'seen' do nothing
""")
