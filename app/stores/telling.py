"""Frames about whole rows, from outside the ledger: marks, the end of quiet hours, removals.

In    stores/marks.py, stores/held.py, stores/removals.py; each holds its recipients' locks
Out   PostgreSQL: versions and seqs of notifications, users' counters, outbox
Next  streams/relay.py
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, select, text

from app.domain.events import iso
from app.domain.ledger import Frame
from app.stores.frames import NUMBERS, UNREAD, put
from app.stores.groups import Person, samples
from app.stores.tables import notifications


@dataclass(frozen=True, slots=True)
class Line:
    """A row to tell its owner about. `new_count`: how many are announced by it."""

    owner_id: str
    notification_id: str
    frame: Frame
    new_count: int = 0


def tell_rows(sql: Connection, lines: Sequence[Line]) -> None:
    """Each row gets a version and a frame of its own, in the order of `lines`, as it reads now;
    then each owner hears the badge. The owners must be locked."""
    if not lines:
        return
    numbers = _number(sql, lines)
    places: list[tuple[Line, int]] = []
    for line in lines:
        numbers[line.owner_id][0] += 1
        places.append((line, numbers[line.owner_id][0]))
    ids = [line.notification_id for line in lines]
    sql.execute(_RAISE, {"ids": ids, "seqs": [seq for _, seq in places]})
    found = sql.execute(select(notifications).where(notifications.c.id.in_(ids))).mappings()
    rows = {row["id"]: row for row in found}
    people = samples(sql, [one.notification_id for one in lines if one.frame is not Frame.REMOVED])
    frames: list[dict[str, object]] = []
    for line, seq in places:
        row = rows[line.notification_id]
        actors = people.get(line.notification_id, [])
        payload = (
            {"id": row["id"], "version": row["version"], "seq": seq}
            if line.frame is Frame.REMOVED
            else frame_of(row, actors, line.new_count)
        )
        if line.frame is Frame.ANNOUNCED:
            payload["seenAt"] = None  # its news was not before anybody's eyes yet
        frames.append(
            {"userId": line.owner_id, "seq": seq, "frame": line.frame.value, "payload": payload}
        )
    put(sql, frames, numbers, sql.execute(UNREAD, {"ids": sorted(numbers)}))


def _number(sql: Connection, lines: Sequence[Line]) -> dict[str, list[int]]:
    """Per owner the last frame number before ours, and the badge's new version."""
    counts = Counter(line.owner_id for line in lines)
    ids = sorted(counts)
    rows = sql.execute(NUMBERS, {"ids": ids, "frames": [counts[one] for one in ids]})
    return {row[0]: [row[1], row[2]] for row in rows}


def frame_of(
    row: RowMapping, actors: Sequence[tuple[Person, bool]], new_count: int = 0
) -> dict[str, object]:
    """A whole row in the form that sockets carry (contract 4), but for names."""
    return {
        "id": row["id"],
        "type": row["type"],
        "priority": row["priority"],
        "title": row["title"],
        "message": row["message"],
        "actorId": row["actor_id"],
        "imageUrl": row["image_url"],
        "targetType": row["target_type"],
        "targetId": row["target_id"],
        "timestamp": iso(row["updated_at"]),
        "isRead": row["is_read"],
        "seenAt": iso(row["seen_at"]) if row["seen_at"] else None,
        "version": row["version"],
        "seq": row["seq"],
        "generation": row["generation"],
        "group": {"title": row["title"], "count": row["actor_count"], "quote": row["quote"]},
        "metadata": {
            **row["metadata"],
            "isAggregated": row["actor_count"] > 1,
            "aggregatedCount": row["actor_count"],
            "newCount": new_count,
            "aggregatedActors": [person.id for person, _ in actors],
            "channels": list(row["channels"]),
        },
    }


_RAISE = text("""
    update notifications set version = version + 1, seq = n.seq
    from unnest(cast(:ids as uuid[]), cast(:seqs as bigint[])) as n (id, seq)
    where notifications.id = n.id
""")
