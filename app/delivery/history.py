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
            unread_badge = _select_unread_badges(conn, [user_id]).get(user_id)
            client_seq = unread_badge[0] if unread_badge else 0
            if (
                resume_point is None
                or resume_point.epoch != epoch
                or not 0 <= client_seq - resume_point.client_seq <= MAX_MISSED_EVENTS
            ):
                return ResumeResult(epoch, client_seq, False, (), unread_badge)
            events = _select_events_after(conn, {user_id: resume_point.client_seq})
        # Later events follow live.
        client_events = tuple(
            {"event": name, "data": data} for _, event_seq, name, data in events if event_seq <= client_seq
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
    ) -> dict[str, list[tuple[str, dict[str, Any]]]]:
        """For each user all events (event, data) after their number, in order, and the current unread
        count."""
        events_by_user: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        with translate_errors("read missed events"), self._engine.connect() as conn:
            events = _select_events_after(conn, after_seq_by_user)
            unread_badges = _select_unread_badges(conn, list(after_seq_by_user))
        for user_id, _, name, data in events:
            events_by_user.setdefault(user_id, []).append((name, data))
        for user_id, (version, count) in unread_badges.items():
            badge_event = ("unread_count", {"count": count, "version": version})
            events_by_user.setdefault(user_id, []).append(badge_event)
        return events_by_user


def _select_events_after(
    conn: Connection, after_seq_by_user: Mapping[str, int]
) -> list[tuple[str, int, str, dict[str, Any]]]:
    """(user_id, client_seq, event, data) of all events after the number of their user, in order, with current
    names and encrypted codes."""
    params = {"users": list(after_seq_by_user), "seqs": list(after_seq_by_user.values())}
    rows = conn.execute(_SELECT_EVENTS_AFTER, params).all()
    payloads = render_payloads(conn, [row.payload for row in rows])
    return [
        (*row[:3], with_encrypted_login_code(payload, row.encrypted_body))
        for row, payload in zip(rows, payloads, strict=True)
    ]


def _select_unread_badges(conn: Connection, user_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """(client_seq, number of unread notifications) of each user, from one snapshot."""
    return {row[0]: (row[1], row[2]) for row in conn.execute(_SELECT_UNREAD_BADGES, {"users": user_ids})}


def _get_or_create_epoch(conn: Connection) -> str:
    epoch = conn.execute(_SELECT_EPOCH).scalar()
    if epoch is None:
        conn.execute(text("insert into epochs (name) values ('client_events') on conflict do nothing"))
        epoch = conn.execute(_SELECT_EPOCH).scalar_one()
    return str(epoch)


_SELECT_EPOCH = text("select value::text from epochs where name = 'client_events'")
_SELECT_CLIENT_SEQS = text("select id::text, client_seq from users where id = any(cast(:users as uuid[]))")
_SELECT_EVENTS_AFTER = text("""
    select o.user_id::text, o.client_seq, o.client_event, o.payload, o.encrypted_body
    from unnest(cast(:users as uuid[]), cast(:seqs as bigint[])) as u (id, seq)
    join outbox o on o.user_id = u.id and o.client_seq > u.seq order by o.user_id, o.client_seq
""")
_SELECT_UNREAD_BADGES = text(
    f"select u.id::text, u.client_seq, {unread_count_sql('u.id')} "  # noqa: S608 - constants only
    "from users u where u.id = any(cast(:users as uuid[]))"
)
