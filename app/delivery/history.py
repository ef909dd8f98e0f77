"""History of client events: what a reconnecting client has missed.

Input: calls of app/delivery/room_joins.py and app/delivery/socket_dispatcher.py. Source: epochs, users
(client_seq) and outbox. The counter and the outbox rows are written in one transaction under a lock on the
recipient, so a reader that reads the counter first finds every event up to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, text

from app.clients.postgres import translate_errors
from app.delivery.socket_cursor import ClientEvent
from app.domain.grouping import UNREAD_COUNT_EVENT
from app.domain.redaction import with_encrypted_login_code
from app.domain.resume import MAX_MISSED_EVENTS
from app.persistence.bounded_counts import unread_count_sql
from app.persistence.serializer import render_payloads


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """The last client event a client has received."""

    epoch: str
    client_seq: int


@dataclass(frozen=True, slots=True)
class ResumeResult:
    """The current position, and all later events if none of them was purged."""

    epoch: str
    client_seq: int
    is_complete: bool = False
    client_events: tuple[dict[str, Any], ...] = ()
    """`{event, data}` of each, in order."""
    unread_count: dict[str, object] | None = None
    """`{count, version}` of the same snapshot."""


class ClientEventHistory:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def load_missed_events(self, user_id: str, resume_point: ResumePoint | None) -> ResumeResult:
        with translate_errors("read missed events"), self._engine.begin() as conn:
            epoch = _get_or_create_epoch(conn)
            position = conn.execute(_SELECT_POSITIONS, {"users": [user_id]}).first()
            client_seq, unread_count = (position[1], _unread_count(position)) if position else (0, None)
            if (
                resume_point is None
                or resume_point.epoch != epoch
                or not 0 <= client_seq - resume_point.client_seq <= MAX_MISSED_EVENTS
            ):
                return ResumeResult(epoch, client_seq, unread_count=unread_count)
            events = _select_events_after(conn, {user_id: resume_point.client_seq}).get(user_id, [])
        client_events = tuple(
            {"event": event, "data": data} for event, data in events if data["seq"] <= client_seq
        )
        # Fewer: older events were purged.
        is_complete = len(client_events) == client_seq - resume_point.client_seq
        return ResumeResult(
            epoch, client_seq, is_complete, client_events if is_complete else (), unread_count
        )

    def load_events_after_by_user(self, after_client_seq: Mapping[str, int]) -> dict[str, list[ClientEvent]]:
        """For each user who has any: all events after the number, in order, and the current unread count."""
        if not after_client_seq:
            return {}
        with translate_errors("read missed events"), self._engine.connect() as conn:
            events_by_user = _select_events_after(conn, after_client_seq)
            for position in conn.execute(_SELECT_POSITIONS, {"users": list(events_by_user)}):
                events_by_user[position[0]].append((UNREAD_COUNT_EVENT, _unread_count(position)))
        return events_by_user


def _select_events_after(
    conn: Connection, after_client_seq: Mapping[str, int]
) -> dict[str, list[ClientEvent]]:
    """In order, with current names of users and encrypted codes."""
    values = {"users": list(after_client_seq), "seqs": list(after_client_seq.values())}
    rows = conn.execute(_SELECT_EVENTS_AFTER, values).all()
    payloads = render_payloads(conn, [row[2] for row in rows])
    events_by_user: dict[str, list[ClientEvent]] = {}
    for (user_id, event, _, encrypted_body), payload in zip(rows, payloads, strict=True):
        data = with_encrypted_login_code(payload, encrypted_body)
        events_by_user.setdefault(user_id, []).append((event, data))
    return events_by_user


def _unread_count(position: Sequence[Any]) -> dict[str, object]:
    return {"count": position[2], "version": position[1]}


def _get_or_create_epoch(conn: Connection) -> str:
    epoch = conn.execute(_SELECT_EPOCH).scalar()
    if epoch is None:
        conn.execute(text("insert into epochs (name) values ('client_events') on conflict do nothing"))
        epoch = conn.execute(_SELECT_EPOCH).scalar_one()
    return str(epoch)


_SELECT_EPOCH = text("select value::text from epochs where name = 'client_events'")
# One statement, so that count and version are from one snapshot.
_SELECT_POSITIONS = text(
    f"select u.id::text, u.client_seq, {unread_count_sql('u.id')} "  # noqa: S608 - constants only
    "from users u where u.id = any(cast(:users as uuid[]))"
)
_SELECT_EVENTS_AFTER = text("""
    select o.user_id::text, o.client_event, o.payload, o.encrypted_body
    from unnest(cast(:users as uuid[]), cast(:seqs as bigint[])) as u (id, seq)
    join outbox o on o.user_id = u.id and o.client_seq > u.seq order by o.user_id, o.client_seq
""")
