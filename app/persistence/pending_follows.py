"""Follows that are accepted but not yet in PostgreSQL, so that lists of follows show them at once.

In: app/ingest/lua/set_membership.lua adds each accepted follow and unfollow; workers/aggregator.py removes it
once its row is written. Out: app/social/follows.py and app/social/users.py merge them with the rows.

One Redis hash per user, `follow:pending:{actor}`: followed user id -> "seq active".
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import redis

from app.clients import stale_reads
from app.clients.redis import RedisReadCircuit, redis_key, register_script, translate_errors
from app.domain.errors import Unavailable

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PendingFollow:
    """The last accepted state of a follow. `seq` orders the events of one follow."""

    other_user_id: str
    active: bool
    seq: int


PENDING_FOLLOWS_SQL = (
    "unnest(cast(:others as uuid[]), cast(:actives as boolean[]), cast(:seqs as bigint[])) "
    "as p (other, active, seq)"
)
"""Pending follows as rows of a query; pending_follow_params() returns its parameters."""


def pending_follow_params(follows: Sequence[PendingFollow]) -> dict[str, object]:
    return {
        "others": [follow.other_user_id for follow in follows],
        "actives": [follow.active for follow in follows],
        "seqs": [follow.seq for follow in follows],
    }


class PendingFollows:
    def __init__(self, connection: redis.Redis, read_circuit: RedisReadCircuit) -> None:
        self._redis = connection
        self._read_circuit = read_circuit
        self._remove_written = register_script(connection, "persistence/remove_pending_follows")

    def get_pending_following(self, actor_id: str) -> list[PendingFollow]:
        """The pending follows and unfollows of a user. While Redis is unavailable, none, and the response is
        marked stale."""
        try:
            with self._read_circuit.guard_read("read pending follows"):
                fields = self._redis.hgetall(_pending_key(actor_id))
        except Unavailable as exc:
            _log_and_mark_stale(exc)
            return []
        return [_parse_pending_follow(str(other_id), str(raw)) for other_id, raw in fields.items()]

    def get_pending_follow_of_viewer(self, user_id: str, viewer_id: str | None) -> list[PendingFollow]:
        """The viewer's own pending follow of that user, if any. Others' pending follows are not known
        here."""
        if viewer_id is None:
            return []
        try:
            with self._read_circuit.guard_read("read a pending follow"):
                raw = self._redis.hget(_pending_key(viewer_id), user_id)
        except Unavailable as exc:
            _log_and_mark_stale(exc)
            return []
        return [_parse_pending_follow(viewer_id, str(raw))] if raw else []

    def remove_written_follows(self, written: Mapping[tuple[str, str], int]) -> None:
        """`written`: (actor id, followed user id) -> seq of the written row. Newer pending follows are kept.
        Raises Unavailable."""
        if not written:
            return
        keys = [_pending_key(actor_id) for actor_id, _ in written]
        args: list[str | int] = []
        for (_, other_id), seq in written.items():
            args += [other_id, seq]
        with translate_errors("remove written follows"):
            self._remove_written(keys=keys, args=args)


def _pending_key(actor_id: str) -> str:
    return redis_key("follow", "pending", actor_id)


def _parse_pending_follow(other_id: str, raw: str) -> PendingFollow:
    seq, _, active = raw.partition(" ")
    return PendingFollow(other_id, active == "1", int(seq))


def _log_and_mark_stale(exc: Unavailable) -> None:
    log.warning("Pending follows are not shown: %s", exc, extra={"event": "pending_follows_unavailable"})
    stale_reads.mark_response_stale()
