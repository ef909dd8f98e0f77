"""Follows that are accepted but not yet in PostgreSQL, so that lists of follows show them at once.

In: app/ingest/lua/set_membership.lua adds each accepted follow and unfollow; workers/aggregator.py removes it
once its row is written. Out: app/social/follows.py and app/social/users.py merge them with the rows.

One Redis hash per user, `follow:pending:{actor}`: followed user id -> "seq active". In a cluster there is one
per hash slot, because the script that adds a follow reads the slot of the followed user.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import redis

from app.clients import stale_reads
from app.clients.redis import CLUSTER_TAGS, redis_key, register_script, translate_errors
from app.clients.redis_health import REDIS_HEALTH
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
    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection
        self._remove_written = register_script(connection, "persistence/remove_pending_follows")

    def get_pending_following(self, actor_id: str) -> list[PendingFollow]:
        """The pending follows and unfollows of a user. While Redis is unavailable, none, and the response is
        marked stale."""
        try:
            with REDIS_HEALTH.guard_read("read pending follows"):
                fields: dict[Any, Any] = {}
                for slot in CLUSTER_TAGS.slots():
                    fields |= self._redis.hgetall(pending_follows_key(actor_id, slot))
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
            with REDIS_HEALTH.guard_read("read a pending follow"):
                raw = self._redis.hget(pending_follows_key(viewer_id, user_id), user_id)
        except Unavailable as exc:
            _log_and_mark_stale(exc)
            return []
        return [_parse_pending_follow(viewer_id, str(raw))] if raw else []

    def get_pending_states(self, follows: Sequence[tuple[str, str]]) -> dict[tuple[str, str], bool]:
        """Whether each follow, given as (actor id, followed user id), is active, for those that are pending.
        Raises Unavailable."""
        with translate_errors("read pending follows"):
            pipeline = self._redis.pipeline(transaction=False)
            for actor_id, other_id in follows:
                pipeline.hget(pending_follows_key(actor_id, other_id), other_id)
            values = pipeline.execute()
        return {
            follow: _parse_pending_follow(follow[1], str(raw)).active
            for follow, raw in zip(follows, values, strict=True)
            if raw is not None
        }

    def remove_written_follows(self, written: Mapping[tuple[str, str], int]) -> None:
        """`written`: (actor id, followed user id) -> seq of the written row. Newer pending follows are kept.
        Raises Unavailable."""
        if not written:
            return
        keys = [pending_follows_key(actor_id, other_id) for actor_id, other_id in written]
        args: list[str | int] = []
        for (_, other_id), seq in written.items():
            args += [other_id, seq]
        with translate_errors("remove written follows"):
            self._remove_written(keys=keys, args=args)


def pending_follows_key(actor_id: str, slot_of: str | int | None) -> str:
    """`slot_of`: the followed user."""
    return redis_key("follow", "pending", actor_id, slot_of=slot_of)


def _parse_pending_follow(other_id: str, raw: str) -> PendingFollow:
    seq, _, active = raw.partition(" ")
    return PendingFollow(other_id, active == "1", int(seq))


def _log_and_mark_stale(exc: Unavailable) -> None:
    log.warning("Pending follows are not shown: %s", exc, extra={"event": "pending_follows_unavailable"})
    stale_reads.mark_response_stale()
