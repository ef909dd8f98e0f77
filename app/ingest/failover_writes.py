"""Failover writes: likes, follows, comments and other events accepted without Redis.

In: requests of app/ingest/failover_path.py. Out: events for app/ingest/synchronous_writer.py, and the table
failover_affected_objects: what Redis has about these objects is out of date (workers/failback_steps.py).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, Engine, TextClause, text

from app.clients.postgres import translate_errors
from app.domain.errors import Rejected
from app.domain.events import COMMENT_KINDS, SEQ_PER_MS, Event, Kind
from app.failover.redis_failover import lock_shared_and_require_failover
from app.ingest import pending_comment_deletions
from app.ingest.membership_kinds import POST_LIKES, USER_FOLLOWS, MembershipKind
from app.ingest.memberships import DesiredState, SetMembershipRequest
from app.ingest.pending_comment_deletions import PendingCommentDeletion
from app.persistence import clear_watermarks, groups

FailoverRequest = SetMembershipRequest | tuple[Event, ...]
"""A change of a membership; or events that happened together: a comment and its mentions."""
_Row = tuple[Kind, str, str]
"""Kind, object id and actor id of a membership."""


class SeqGenerator:
    """Generates strictly increasing seq values from the clock, in the same format as those of stream ids."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._last_seq = 0

    def next_seq(self, after_seq: int = 0) -> int:
        self._last_seq = max(int(self._now() * 1000) * SEQ_PER_MS, self._last_seq + 1, after_seq + 1)
        return self._last_seq


@dataclass(slots=True)
class _StoredMembership:
    owner_id: str
    is_follower: bool
    is_active: bool
    seq: int
    is_blocked: bool


class FailoverEvents:
    """Builds the events under the locks of their recipients, so that each has the newest seq of its row.
    Raises FailbackInProgress while writers are paused, and NotInFailover if Redis is to be used."""

    def __init__(self, seq_generator: SeqGenerator) -> None:
        self._seq_generator = seq_generator

    def build(
        self, conn: Connection, requests: Sequence[FailoverRequest]
    ) -> list[Sequence[Event] | Rejected]:
        """The events of each request, or why it is refused."""
        lock_shared_and_require_failover(conn)
        clear_watermarks.lock_shared_and_read_watermark(conn)
        events = [event for request in requests if isinstance(request, tuple) for event in request]
        owner_ids = {stored.owner_id for stored in _select_memberships(conn, requests).values()}
        # All recipients at once and first, as the event writer does: that is the order without deadlocks.
        groups.lock_recipients(conn, {event.recipient_id for event in events} | owner_ids)
        stored_memberships = _select_memberships(conn, requests)
        comment_ids = [event.window_entry_key for event in events if event.kind in COMMENT_KINDS]
        comment_seqs = {row[0]: row[1] for row in conn.execute(_SELECT_COMMENT_SEQS, {"ids": comment_ids})}
        built = [
            self._build_membership_event(request, stored_memberships)
            if isinstance(request, SetMembershipRequest)
            else self._with_seq(request, comment_seqs)
            for request in requests
        ]
        _insert_affected_objects(
            conn, (event for item in built if not isinstance(item, Rejected) for event in item)
        )
        return built

    def read_counts(self, conn: Connection, requests: Sequence[FailoverRequest]) -> dict[str, int]:
        """The number of members of the objects of membership requests."""
        counts: dict[str, int] = {}
        for membership_kind, of_kind in _by_kind(requests):
            params = {"viewer": None, "ids": [request.object_id for request in of_kind]}
            rows = conn.execute(text(membership_kind.select_counts_sql), params)
            counts |= {row[0]: row[1] for row in rows}
        return counts

    def _build_membership_event(
        self, request: SetMembershipRequest, stored_memberships: dict[_Row, _StoredMembership]
    ) -> Sequence[Event] | Rejected:
        """Several requests about one row are built in their order."""
        membership_kind = request.membership_kind
        stored = stored_memberships.get((membership_kind.event_kind, request.object_id, request.actor_id))
        if stored is None:
            return membership_kind.not_found_error
        is_active = (
            not stored.is_active
            if request.desired_state is DesiredState.TOGGLE
            else request.desired_state is DesiredState.ON
        )
        if stored.is_blocked and (membership_kind is POST_LIKES or is_active):
            return membership_kind.not_found_error  # as set_membership.lua does
        stored.seq, stored.is_active = self._seq_generator.next_seq(stored.seq), is_active
        event = Event(
            request.event_id,
            membership_kind.event_kind,
            stored.owner_id,
            request.actor_id,
            "USER" if membership_kind is USER_FOLLOWS else "POST",
            request.object_id,
            seq=stored.seq,
            active=is_active,
            is_follower=stored.is_follower,
            traceparent=request.traceparent or None,
            bypassed_redis=True,
        )
        return (event,)

    def _with_seq(self, events: Sequence[Event], comment_seqs: dict[str, int]) -> Sequence[Event]:
        """All get the same seq: a retracted mention must not overtake its comment."""
        comment_ids = [event.window_entry_key for event in events if event.kind in COMMENT_KINDS]
        seq = self._seq_generator.next_seq(max((comment_seqs.get(key, 0) for key in comment_ids), default=0))
        comment_seqs |= dict.fromkeys(comment_ids, seq)
        return [replace(event, seq=seq, bypassed_redis=True) for event in events]


class FailoverWrites:
    """What belongs to a failover besides events."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def delete_comment_later(self, deletion: PendingCommentDeletion) -> None:
        """Stores the deletion of a comment that may be in Redis only."""
        with translate_errors("store a deletion"), self._engine.begin() as conn:
            lock_shared_and_require_failover(conn)
            pending_comment_deletions.insert_pending_deletion(conn, deletion)

    def raise_unless_in_failover(self) -> None:
        """Raises FailbackInProgress or NotInFailover unless failover writes are allowed now."""
        with translate_errors("read the failover state"), self._engine.begin() as conn:
            lock_shared_and_require_failover(conn)

    def list_affected_objects(self) -> list[tuple[Kind, str]]:
        """(LIKE, post id), (FOLLOW, user id), (COMMENT, post id): Redis is out of date about them."""
        with translate_errors("list affected objects"), self._engine.connect() as conn:
            return [(Kind(row[0]), row[1]) for row in conn.execute(_SELECT_AFFECTED)]


def _by_kind(
    requests: Sequence[FailoverRequest],
) -> Iterator[tuple[MembershipKind, list[SetMembershipRequest]]]:
    memberships = [request for request in requests if isinstance(request, SetMembershipRequest)]
    for membership_kind in (POST_LIKES, USER_FOLLOWS):
        if of_kind := [request for request in memberships if request.membership_kind is membership_kind]:
            yield membership_kind, of_kind


def _select_memberships(
    conn: Connection, requests: Sequence[FailoverRequest]
) -> dict[_Row, _StoredMembership]:
    stored: dict[_Row, _StoredMembership] = {}
    for membership_kind, of_kind in _by_kind(requests):
        kind = membership_kind.event_kind
        params = {
            "objects": [request.object_id for request in of_kind],
            "actors": [request.actor_id for request in of_kind],
        }
        rows = conn.execute(_SELECT_MEMBERSHIPS[kind], params)
        stored |= {(kind, row[0], row[1]): _StoredMembership(*row[2:]) for row in rows}
    return stored


def _insert_affected_objects(conn: Connection, events: Iterable[Event]) -> None:
    affected = {
        (Kind.COMMENT.value, str(event.metadata["postId"]))
        if event.kind in COMMENT_KINDS
        else (event.kind.value, event.group_object_id)
        for event in events
        if event.kind in COMMENT_KINDS or event.kind in (Kind.LIKE, Kind.FOLLOW)
    }
    if affected:
        kinds, object_ids = zip(*sorted(affected), strict=True)
        conn.execute(_INSERT_AFFECTED, {"kinds": list(kinds), "objects": list(object_ids)})


def _blocked_condition_sql(other_column: str) -> str:
    return (
        "exists (select 1 from blocks b where "  # noqa: S608 - constants only
        f"(b.user_id = {other_column} and b.blocked_user_id = r.actor_id) or "
        f"(b.user_id = r.actor_id and b.blocked_user_id = {other_column}))"
    )


_REQUESTS_SQL = "unnest(cast(:objects as uuid[]), cast(:actors as uuid[])) as r (object_id, actor_id)"
_SELECT_MEMBERSHIPS: dict[Kind, TextClause] = {
    Kind.LIKE: text(
        "select p.id::text, r.actor_id::text, p.user_id::text, coalesce(f.active, false), "  # noqa: S608 - constants only
        f"coalesce(l.active, false), coalesce(l.seq, 0), {_blocked_condition_sql('p.user_id')} "
        f"from {_REQUESTS_SQL} join posts p on p.id = r.object_id "
        "left join likes l on l.post_id = p.id and l.user_id = r.actor_id "
        "left join follows f on f.following_id = p.user_id and f.follower_id = r.actor_id"
    ),
    Kind.FOLLOW: text(
        "select u.id::text, r.actor_id::text, u.id::text, false, "  # noqa: S608 - constants only
        f"coalesce(f.active, false), coalesce(f.seq, 0), {_blocked_condition_sql('u.id')} "
        f"from {_REQUESTS_SQL} join users u on u.id = r.object_id "
        "left join follows f on f.following_id = u.id and f.follower_id = r.actor_id"
    ),
}
_SELECT_COMMENT_SEQS = text("select id::text, seq from comments where id = any(cast(:ids as uuid[]))")
_SELECT_AFFECTED = text("select kind, object_id::text from failover_affected_objects")
_INSERT_AFFECTED = text(
    "insert into failover_affected_objects (kind, object_id) "
    "select * from unnest(cast(:kinds as text[]), cast(:objects as uuid[])) on conflict do nothing"
)
