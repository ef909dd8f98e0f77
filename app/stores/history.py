"""History: what a client that was away has missed.

In    app/sockets.py
Out   the tables epochs, users (frame_seq) and outbox

The frame counter and the outbox rows are written in one transaction under the recipient's lock, so
whoever reads the counter first finds every frame up to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, text

from app.domain.events import MAX_SEQ
from app.domain.secrecy import with_code
from app.stores.postgres import speaking
from app.stores.serializer import present

MOST = 300
"""Past it a fresh start by REST is cheaper than catching up."""


@dataclass(frozen=True, slots=True)
class Since:
    """How far a client has come."""

    epoch: str
    seq: int


@dataclass(frozen=True, slots=True)
class Missed:
    """Where the history stands, and the later frames if all of them are still there."""

    epoch: str
    seq: int
    recovered: bool
    frames: tuple[dict[str, Any], ...]
    badge: tuple[int, int] | None = None
    """(version, count) of the badge as it stood with them."""


class History:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def missed(self, user_id: str, since: Since | None) -> Missed:
        with speaking("tell what was missed"), self._engine.begin() as sql:
            epoch = _epoch(sql)
            found = sql.execute(_POSITION, {"user": user_id}).first()
            seq, badge = (found[0], (found[1], found[2])) if found else (0, None)
            if since is None or since.epoch != epoch or not 0 <= seq - since.seq <= MOST:
                return Missed(epoch, seq, False, (), badge)
            later = _frames(sql, {"user": user_id, "since": since.seq, "seq": seq})
        frames: tuple[dict[str, object], ...] = tuple(
            {"event": event, "data": data} for event, data in later
        )
        # A gap: retention has taken older frames away.
        whole = len(frames) == seq - since.seq
        return Missed(epoch, seq, whole, frames if whole else (), badge)

    def positions(self, user_ids: Sequence[str]) -> dict[str, int]:
        """How far the frames of these people have come."""
        if not user_ids:
            return {}
        with speaking("tell how far it is"), self._engine.connect() as sql:
            return {row[0]: row[1] for row in sql.execute(_POSITIONS, {"users": list(user_ids)})}

    def later(self, user_id: str, since: int) -> list[tuple[str, dict[str, object]]]:
        """All frames (event, data) after that number, in order, and the badge as it stands: for
        those who are connected."""
        values = {"user": user_id, "since": since, "seq": MAX_SEQ}
        with speaking("tell what was missed"), self._engine.connect() as sql:
            frames = _frames(sql, values)
            badge = sql.execute(_BADGE, values).one_or_none()
        if badge is not None:
            frames.append(("unread_count", {"count": badge[0], "version": badge[1]}))
        return frames


def _frames(sql: Connection, values: Mapping[str, object]) -> list[tuple[str, dict[str, Any]]]:
    """(event, data) in order, with the names that people have now and codes for their owner."""
    rows = sql.execute(_FRAMES, values).all()
    shown = present(sql, [row[1] for row in rows])
    return [(row[0], with_code(data, row[2])) for row, data in zip(rows, shown, strict=True)]


def _epoch(sql: Connection) -> str:
    found = sql.execute(_EPOCH).scalar()
    if found is None:
        sql.execute(text("insert into epochs (name) values ('frames') on conflict do nothing"))
        found = sql.execute(_EPOCH).scalar_one()
    return str(found)


_EPOCH = text("select value::text from epochs where name = 'frames'")
# One statement, one snapshot: the badge belongs to its version.
_POSITION = text("""
    select u.frame_seq, u.badge_version, (select count(*) from notifications n
        where n.user_id = u.id and not n.is_read and n.removed_at is null
            and n.archived_at is null and n.version > 0)
    from users u where u.id = :user
""")
_FRAMES = text(
    "select frame, payload, letter from outbox "
    "where user_id = :user and seq > :since and seq <= :seq order by seq"
)
_POSITIONS = text("select id::text, frame_seq from users where id = any(cast(:users as uuid[]))")
# The badge in one look with its version, so that they belong together.
_BADGE = text("""
    select (select count(*) from notifications where user_id = u.id and not is_read
        and removed_at is null and archived_at is null and version > 0), badge_version
    from users u where id = :user
""")
