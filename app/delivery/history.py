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
    is_complete: bool
    client_events: tuple[dict[str, Any], ...]
    unread_badge: tuple[int, int] | None = None
    """(version, count) of the unread count in the same snapshot. Its version is `client_seq`."""


class ClientEventHistory:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def load_missed_events(self, user_id: str, resume_point: ResumePoint | None) -> ResumeResult:
        with translate_errors("read missed events"), self._engine.begin() as conn:
            epoch = _get_or_create_epoch(conn)
            position = conn.execute(_SELECT_POSITION, {"user": user_id}).first()
            client_seq, unread_badge = (position[0], (position[0], position[1])) if position else (0, None)
            if (
                resume_point is None
                or resume_point.epoch != epoch
                or not 0 <= client_seq - resume_point.client_seq <= MAX_MISSED_EVENTS
            ):
                return ResumeResult(epoch, client_seq, False, (), unread_badge)
            events = _select_client_events(
                conn, {"user": user_id, "since": resume_point.client_seq, "seq": client_seq}
            )
        client_events: tuple[dict[str, object], ...] = tuple(
            {"event": event_name, "data": data} for event_name, data in events
        )
        # A gap: older events were purged.
        is_complete = len(client_events) == client_seq - resume_point.client_seq
        return ResumeResult(
            epoch, client_seq, is_complete, client_events if is_complete else (), unread_badge
        )

    def load_newest_client_seqs(self, user_ids: Sequence[str]) -> dict[str, int]:
        """The newest client_seq of each user."""
        if not user_ids:
            return {}
        with translate_errors("read client_seq"), self._engine.connect() as conn:
            return {row[0]: row[1] for row in conn.execute(_SELECT_CLIENT_SEQS, {"users": list(user_ids)})}

    def load_events_after_by_user(
        self, after_seq_by_user: Mapping[str, int]
    ) -> dict[str, list[tuple[str, dict[str, object]]]]:
        """For each user all events (event, data) after their number, in order, and the current unread
        count."""
        values = {"users": list(after_seq_by_user), "seqs": list(after_seq_by_user.values())}
        events_by_user: dict[str, list[tuple[str, dict[str, object]]]] = {}
        with translate_errors("read missed events"), self._engine.connect() as conn:
            rows = conn.execute(_SELECT_EVENTS_AFTER, values).all()
            payloads = render_payloads(conn, [row[2] for row in rows])
            badges = conn.execute(_SELECT_BADGES, values).all()
        for row, payload in zip(rows, payloads, strict=True):
            event_data = with_encrypted_login_code(payload, row[3])
            events_by_user.setdefault(row[0], []).append((row[1], event_data))
        for user_id, count, version in badges:
            badge_event = ("unread_count", {"count": count, "version": version})
            events_by_user.setdefault(user_id, []).append(badge_event)
        return events_by_user


def _select_client_events(conn: Connection, values: Mapping[str, object]) -> list[tuple[str, dict[str, Any]]]:
    """(event, data) in order, with current names of users and encrypted codes."""
    rows = conn.execute(_SELECT_CLIENT_EVENTS, values).all()
    payloads = render_payloads(conn, [row[1] for row in rows])
    return [
        (row[0], with_encrypted_login_code(data, row[2])) for row, data in zip(rows, payloads, strict=True)
    ]


def _get_or_create_epoch(conn: Connection) -> str:
    epoch = conn.execute(_SELECT_EPOCH).scalar()
    if epoch is None:
        conn.execute(text("insert into epochs (name) values ('client_events') on conflict do nothing"))
        epoch = conn.execute(_SELECT_EPOCH).scalar_one()
    return str(epoch)


_SELECT_EPOCH = text("select value::text from epochs where name = 'client_events'")
# One statement, so that count and version are from one snapshot.
_SELECT_POSITION = text(
    f"select u.client_seq, {unread_count_sql('u.id')} "  # noqa: S608
    "from users u where u.id = :user"
)
_SELECT_CLIENT_EVENTS = text(
    "select client_event, payload, encrypted_body from outbox "
    "where user_id = :user and client_seq > :since and client_seq <= :seq order by client_seq"
)
_SELECT_CLIENT_SEQS = text("select id::text, client_seq from users where id = any(cast(:users as uuid[]))")
_SELECT_EVENTS_AFTER = text("""
    select o.user_id::text, o.client_event, o.payload, o.encrypted_body
    from unnest(cast(:users as uuid[]), cast(:seqs as bigint[])) as u (id, seq)
    join outbox o on o.user_id = u.id and o.client_seq > u.seq order by o.user_id, o.client_seq
""")
# One statement, so that count and version are from one snapshot.
_SELECT_BADGES = text(
    f"select u.id::text, {unread_count_sql('u.id')}, u.client_seq "  # noqa: S608
    "from users u where u.id = any(cast(:users as uuid[]))"
)
