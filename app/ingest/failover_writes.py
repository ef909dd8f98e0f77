"""Failover writes: likes, follows and comments accepted without Redis.

In: requests of app/ingest/failover_path.py. Out: the table failover_writes, read by memberships.py and
stored_comments.py; its rows are deleted when the failover ends (app/failover/redis_failover.py).

A write is stored before its event is published, and is part of the counts that readers see until it is
applied: until its row in likes, follows or comments has the same or a newer seq, or its object is deleted.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import orjson
from sqlalchemy import Connection, Engine, TextClause, text

from app.clients.postgres import translate_errors
from app.domain.events import SEQ_PER_MS, Event, Kind
from app.failover.redis_failover import lock_shared_and_require_failover
from app.ingest import pending_comment_deletions
from app.ingest.membership_kinds import POST_LIKES, USER_FOLLOWS
from app.ingest.memberships import DesiredState, MembershipState, SetMembershipRequest
from app.ingest.pending_comment_deletions import PendingCommentDeletion

MAX_PRUNED_ROWS = 5_000
ABANDON_AFTER_SECONDS = 10.0
"""A write of this age that was not applied was never published: its process died in between."""


class SeqGenerator:
    """Generates strictly increasing seq values from the clock, in the same format as those of stream ids."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._last_seq = 0

    def next_seq(self, after_seq: int = 0) -> int:
        self._last_seq = max(int(self._now() * 1000) * SEQ_PER_MS, self._last_seq + 1, after_seq + 1)
        return self._last_seq


class FailoverWrites:
    """Writes raise FailbackInProgress while writers are paused, and NotInFailover if Redis is to be used."""

    def __init__(self, engine: Engine, seq_generator: SeqGenerator) -> None:
        self._engine = engine
        self._seq_generator = seq_generator

    def store_membership(self, request: SetMembershipRequest) -> tuple[Event, MembershipState]:
        """Stores a request and returns its event and the new state, which is computed from rows and failover
        writes. Raises Rejected, Unavailable."""
        membership_kind = request.membership_kind
        with self._locked_transaction(f"{request.object_id}{request.actor_id}") as conn:
            values = {"object_id": request.object_id, "actor_id": request.actor_id}
            row = conn.execute(_SELECT_MEMBERSHIP[membership_kind.event_kind], values).first()
            if row is None:
                raise membership_kind.not_found_error
            owner_id, is_follower, was_active, newest_seq, is_blocked = row
            is_active = (
                not was_active
                if request.desired_state is DesiredState.TOGGLE
                else request.desired_state is DesiredState.ON
            )
            if is_blocked and (membership_kind is POST_LIKES or is_active):
                raise membership_kind.not_found_error  # as set_membership.lua does
            event = Event(
                request.event_id,
                membership_kind.event_kind,
                owner_id,
                request.actor_id,
                "USER" if membership_kind is USER_FOLLOWS else "POST",
                request.object_id,
                seq=self._seq_generator.next_seq(newest_seq),
                active=is_active,
                is_follower=bool(is_follower),
                traceparent=request.traceparent or None,
                bypassed_redis=True,
            )
            _insert_write(conn, event, request.object_id, request.actor_id, None)
            count_params = {"viewer": request.actor_id, "ids": [request.object_id]}
            count_row = conn.execute(text(membership_kind.select_counts_sql), count_params).one()
        return event, MembershipState(is_active, int(count_row[1]))

    def store_comment_or_deletion(self, event: Event, post_id: str, comment_json: str | None) -> Event:
        """`comment_json`: the comment as stored in Redis; None if it is deleted."""
        with self._locked_transaction(event.window_entry_key) as conn:
            newest_seq = (
                conn.execute(_SELECT_NEWEST_COMMENT_SEQ, {"comment": event.window_entry_key}).scalar() or 0
            )
            failover_event = replace(event, seq=self._seq_generator.next_seq(newest_seq), bypassed_redis=True)
            _insert_write(conn, failover_event, post_id, event.window_entry_key, comment_json)
        return failover_event

    def delete_comment_later(self, deletion: PendingCommentDeletion) -> None:
        """Stores the deletion of a comment that may be in Redis only."""
        with self._locked_transaction(deletion.comment_id) as conn:
            pending_comment_deletions.insert_pending_deletion(conn, deletion)

    def raise_unless_in_failover(self) -> None:
        """Raises FailbackInProgress or NotInFailover unless failover writes are allowed now."""
        with translate_errors("read the failover state"), self._engine.begin() as conn:
            lock_shared_and_require_failover(conn)

    def assign_seqs(self, events: Sequence[Event]) -> list[Event]:
        """Gives a seq to events without a row, which are not stored here."""
        return [replace(event, seq=self._seq_generator.next_seq(), bypassed_redis=True) for event in events]

    def count_unapplied(self, after_id: int = 0, min_age_seconds: float = 0.0) -> int:
        """Number of writes that the rows do not have yet, with a higher id and at least that age."""
        return self._count_and_last_id_of_unapplied(after_id, min_age_seconds)[0]

    def last_abandoned_write_id(self) -> int:
        """Highest id of the writes that are not applied after ABANDON_AFTER_SECONDS; 0 if there is none."""
        return self._count_and_last_id_of_unapplied(0, ABANDON_AFTER_SECONDS)[1]

    def _count_and_last_id_of_unapplied(self, after_id: int, min_age_seconds: float) -> tuple[int, int]:
        with translate_errors("count failover writes"), self._engine.connect() as conn:
            row = conn.execute(_SELECT_UNAPPLIED, {"after": after_id, "seconds": min_age_seconds}).one()
        return int(row[0]), int(row[1])

    def prune_applied(self) -> int:
        """Deletes applied writes, because readers scan this table. The newest one of each object stays: it
        marks what Redis has about the object as out of date."""
        with translate_errors("delete failover writes"), self._engine.begin() as conn:
            return conn.execute(_DELETE_APPLIED, {"limit": MAX_PRUNED_ROWS}).rowcount

    def list_affected_objects(self) -> list[tuple[Kind, str]]:
        """(kind, object id) of all writes: what Redis has about these objects is out of date."""
        with translate_errors("list failover writes"), self._engine.connect() as conn:
            rows = conn.execute(text("select distinct kind, object_id::text from failover_writes"))
            return [(Kind(row[0]), row[1]) for row in rows]

    @contextmanager
    def _locked_transaction(self, lock_key: str) -> Iterator[Connection]:
        """A transaction in which the failover cannot end, and which alone writes this row."""
        with translate_errors("store a failover write"), self._engine.begin() as conn:
            lock_shared_and_require_failover(conn)
            conn.execute(_LOCK_ROW, {"row": lock_key})
            yield conn


def _insert_write(
    conn: Connection, event: Event, object_id: str, row_id: str, comment_json: str | None
) -> None:
    values = {
        "event_id": event.event_id,
        "kind": Kind.COMMENT.value
        if comment_json or event.kind in _COMMENT_EVENT_KINDS
        else event.kind.value,
        "object_id": object_id,
        "actor_id": event.actor_id,
        "row_id": row_id,
        "seq": event.seq,
        "active": event.active,
        "comment": comment_json and orjson.dumps(orjson.loads(comment_json)).decode(),
    }
    conn.execute(_INSERT, values)


_COMMENT_EVENT_KINDS = frozenset({Kind.COMMENT, Kind.COMMENT_REPLY})
_LOCK_ROW = text("select pg_advisory_xact_lock(hashtextextended(:row, 0))")
_INSERT = text("""
    insert into failover_writes (event_id, kind, object_id, actor_id, row_id, seq, active, comment)
    values (:event_id, :kind, :object_id, :actor_id, :row_id, :seq, :active, cast(:comment as jsonb))
""")
_SELECT_NEWEST_COMMENT_SEQ = text("""
    select greatest((select max(seq) from failover_writes where row_id = :comment),
        (select seq from comments where id = :comment))
""")


def _newest_write_join_sql(kind: str, object_column: str) -> str:
    """Joins the newest failover write of the actor about the object."""
    return (
        "left join lateral (select active, seq from failover_writes "  # noqa: S608 - constants only
        f"where kind = '{kind}' and object_id = {object_column} and row_id = :actor_id "
        "order by seq desc limit 1)"
    )


def _blocked_condition_sql(other_column: str) -> str:
    return (
        "exists (select 1 from blocks b where "  # noqa: S608 - constants only
        f"(b.user_id = {other_column} and b.blocked_user_id = :actor_id) or "
        f"(b.user_id = :actor_id and b.blocked_user_id = {other_column}))"
    )


_IS_ACTIVE_SQL = "case when w.seq > coalesce(l.seq, 0) then w.active else coalesce(l.active, false) end"
_SELECT_MEMBERSHIP: dict[Kind, TextClause] = {
    Kind.LIKE: text(
        "select p.user_id::text, coalesce(fw.active, f.active, false), "  # noqa: S608 - constants only
        f"{_IS_ACTIVE_SQL}, greatest(w.seq, l.seq, 0), {_blocked_condition_sql('p.user_id')} from posts p "
        "left join likes l on l.post_id = p.id and l.user_id = :actor_id "
        f"{_newest_write_join_sql('LIKE', 'p.id')} w on true "
        "left join follows f on f.following_id = p.user_id and f.follower_id = :actor_id "
        f"{_newest_write_join_sql('FOLLOW', 'p.user_id')} fw on true where p.id = :object_id"
    ),
    Kind.FOLLOW: text(
        f"select u.id::text, false, {_IS_ACTIVE_SQL}, greatest(w.seq, l.seq, 0), "  # noqa: S608
        f"{_blocked_condition_sql('u.id')} "
        "from users u "
        "left join follows l on l.following_id = u.id and l.follower_id = :actor_id "
        f"{_newest_write_join_sql('FOLLOW', 'u.id')} w on true where u.id = :object_id"
    ),
}
_WRITES_WITH_ROWS_SQL = """failover_writes w
    left join likes l on w.kind = 'LIKE' and l.post_id = w.object_id and l.user_id = w.row_id
    left join follows f
        on w.kind = 'FOLLOW' and f.following_id = w.object_id and f.follower_id = w.row_id
    left join comments c on w.kind = 'COMMENT' and c.id = w.row_id
"""
_DELETE_APPLIED = text(f"""
    delete from failover_writes where id in (select w.id from {_WRITES_WITH_ROWS_SQL}
    where coalesce(l.seq, f.seq, c.seq, 0) >= w.seq and exists (select from failover_writes n
        where n.kind = w.kind and n.object_id = w.object_id and n.id > w.id) limit :limit)
""")  # noqa: S608 - constants only
_SELECT_UNAPPLIED = text(f"""
    select count(*), coalesce(max(w.id), 0) from {_WRITES_WITH_ROWS_SQL}
    where w.id > :after and coalesce(l.seq, f.seq, c.seq, 0) < w.seq
        and w.created_at <= now() - make_interval(secs => :seconds)
        and exists (select from users where id = w.actor_id)
        and (exists (select from posts where id = w.object_id)
            or exists (select from users where id = w.object_id))
""")  # noqa: S608 - constants only
