"""Follows that are accepted and not written yet, by who follows: so that lists show them at once.

In    stores/scripts/wish.lua notes each accepted follow and unfollow; workers/aggregator.py forgets
      it once its row is in the tables
Out   stores/follows.py and stores/users.py lay them over the rows

One hash per person, `follow:pending:{actor}`: followed person -> "seq active". It holds no more
than what that person did since the aggregator last caught up.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import redis

from app import stale
from app.domain.errors import Unavailable
from app.stores.redis import Glance, key, script, speaking

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Unwritten:
    """The last accepted state of a follow: who is at its other end, and the order of the event."""

    other_id: str
    active: bool
    seq: int


UNWRITTEN = (
    "unnest(cast(:others as uuid[]), cast(:actives as boolean[]), cast(:seqs as bigint[])) "
    "as p (other, active, seq)"
)
"""Unwritten follows as rows of a query; `unwritten_values` gives its parameters."""


def unwritten_values(follows: Sequence[Unwritten]) -> dict[str, object]:
    return {
        "others": [one.other_id for one in follows],
        "actives": [one.active for one in follows],
        "seqs": [one.seq for one in follows],
    }


class PendingFollows:
    def __init__(self, connection: redis.Redis, glance: Glance) -> None:
        self._redis = connection
        self._glance = glance
        self._forget = script(connection, "forget_follows")

    def following(self, actor_id: str) -> list[Unwritten]:
        """Whom a person follows or unfollowed; nothing while Redis is away, and a `stale` mark."""
        try:
            with self._glance.at("read pending follows"):
                found = self._redis.hgetall(_key(actor_id))
        except Unavailable as fault:
            _log_absence(fault)
            return []
        return [_unwritten(str(other), str(raw)) for other, raw in found.items()]

    def followers(self, user_id: str, viewer_id: str | None) -> list[Unwritten]:
        """The viewer's own follow of that person, if it is not written yet."""
        if viewer_id is None:
            return []
        try:
            with self._glance.at("read a pending follow"):
                raw = self._redis.hget(_key(viewer_id), user_id)
        except Unavailable as fault:
            _log_absence(fault)
            return []
        return [_unwritten(viewer_id, str(raw))] if raw else []

    def forget(self, written: Mapping[tuple[str, str], int]) -> None:
        """(actor, followed person) -> seq of the event that the tables have. What was accepted
        after it stays. Raises Unavailable."""
        if not written:
            return
        keys = [_key(actor) for actor, _ in written]
        args: list[str | int] = []
        for (_, other), seq in written.items():
            args += [other, seq]
        with speaking("forget written follows"):
            self._forget(keys=keys, args=args)


def _key(actor_id: str) -> str:
    return key("follow", "pending", actor_id)


def _unwritten(other: str, raw: str) -> Unwritten:
    seq, _, active = raw.partition(" ")
    return Unwritten(other, active == "1", int(seq))


def _log_absence(fault: Unavailable) -> None:
    log.warning("Only written follows can be shown: %s", fault)
    stale.mark()
