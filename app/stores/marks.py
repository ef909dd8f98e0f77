"""Read marks: what its owner has read, told to the owner's other screens in the same transaction.

In    blueprints/notifications.py
Out   PostgreSQL: notifications, users (frame and badge counters), outbox
Next  the relay, which publishes the outbox
"""

from collections.abc import Sequence

import orjson
from sqlalchemy import Connection, Engine, RowMapping, func, select, text

from app.domain.errors import Rejected
from app.domain.events import iso
from app.domain.ledger import Frame
from app.stores.frames import OUTBOX_CHANNEL
from app.stores.groups import lock_recipients, samples
from app.stores.notifications import MISSING, VISIBLE
from app.stores.postgres import speaking
from app.stores.tables import notifications

FOREIGN = Rejected("Forbidden: Cannot modify another user's notification", "forbidden", 403)
MAX_SEQ = 2**63 - 1
_N = notifications.c


class Marks:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def read(self, owner_id: str, notification_id: str) -> RowMapping:
        """The row as it reads afterwards; again is no change. Raises Rejected (404, 403)."""
        with speaking("mark as read"), self._engine.begin() as sql:
            lock_recipients(sql, [owner_id])
            row = _find(sql, notification_id)
            if row["user_id"] != owner_id:
                raise FOREIGN
            if not row["is_read"]:
                _mark(sql, owner_id, [notification_id])
            return _find(sql, notification_id)

    def read_all(self, owner_id: str, up_to: int | None) -> int:
        """How many changed. What arrives after `up_to` stays unread."""
        with speaking("mark all as read"), self._engine.begin() as sql:
            lock_recipients(sql, [owner_id])
            query = (
                select(_N.id)
                .where(_N.user_id == owner_id, ~_N.is_read, VISIBLE)
                .where(_N.seq <= min(MAX_SEQ if up_to is None else up_to, MAX_SEQ))
                .order_by(_N.seq, _N.id)
            )
            ids = list(sql.execute(query).scalars())
            if ids:
                _mark(sql, owner_id, ids)
            return len(ids)


def _find(sql: Connection, notification_id: str) -> RowMapping:
    query = select(notifications).where(_N.id == notification_id, _N.version > 0)
    row = sql.execute(query.where(_N.removed_at.is_(None))).mappings().first()
    if row is None:
        raise MISSING
    return row


def _mark(sql: Connection, owner_id: str, ids: Sequence[str]) -> None:
    """Each row gets a version and a frame of its own, in the order of `ids`."""
    numbers = {"owner": owner_id, "frames": len(ids)}
    before, badge_version = sql.execute(_NUMBERS, numbers).one()
    values = {"ids": list(ids), "before": before}
    sql.execute(_READ, values)
    rows = sql.execute(select(notifications).where(_N.id.in_(ids)).order_by(_N.seq)).mappings()
    people = samples(sql, ids)
    frames: list[dict[str, object]] = [
        {
            "seq": row["seq"],
            "frame": Frame.UPDATED.value,
            "payload": frame_of(row, [person.id for person, _ in people[row["id"]]]),
        }
        for row in rows
    ]
    badge = {"count": _unread(sql, owner_id), "version": badge_version}
    frames.append({"seq": None, "frame": "unread_count", "payload": badge})
    sql.execute(_OUTBOX, {"owner": owner_id, "frames": orjson.dumps(frames).decode()})
    sql.execute(text("select pg_notify(:channel, '')"), {"channel": OUTBOX_CHANNEL})


def _unread(sql: Connection, owner_id: str) -> int:
    query = select(func.count()).select_from(notifications)
    return int(sql.execute(query.where(_N.user_id == owner_id, ~_N.is_read, VISIBLE)).scalar_one())


def frame_of(row: RowMapping, actors: Sequence[str]) -> dict[str, object]:
    """A whole row in the form that sockets carry (contract 4)."""
    return {
        "id": row["id"],
        "type": row["type"],
        "priority": row["priority"],
        "title": row["title"],
        "message": row["message"],
        "actorId": row["actor_id"],
        "actorName": row["actor_name"],
        "actorAvatar": row["actor_avatar"],
        "imageUrl": row["image_url"],
        "targetType": row["target_type"],
        "targetId": row["target_id"],
        "timestamp": iso(row["updated_at"]),
        "isRead": row["is_read"],
        "version": row["version"],
        "seq": row["seq"],
        "generation": row["generation"],
        "metadata": {
            **row["metadata"],
            "isAggregated": row["actor_count"] > 1,
            "aggregatedCount": row["actor_count"],
            "newCount": 0,
            "aggregatedActors": list(actors),
            "channels": list(row["channels"]),
        },
    }


_NUMBERS = text(
    "update users set frame_seq = frame_seq + :frames, badge_version = badge_version + 1 "
    "where id = :owner returning frame_seq - :frames, badge_version"
)
_READ = text("""
    update notifications set is_read = true, read_at = now(), seen_at = coalesce(seen_at, now()),
        version = version + 1, seq = :before + n.place
    from unnest(cast(:ids as uuid[])) with ordinality as n (id, place)
    where notifications.id = n.id
""")
_OUTBOX = text("""
    insert into outbox (user_id, seq, frame, payload)
    select :owner, (f.row->>'seq')::bigint, f.row->>'frame', f.row->'payload'
    from jsonb_array_elements(cast(:frames as jsonb)) with ordinality as f (row, place)
    order by f.place
""")
