"""Who likes what and who follows whom: the set in Redis, and the count a reader sees.

In    app/actions.py (a wish), the blueprints (what to show)
Out   Redis sets and counts; an event on the ingress stream, in the same atomic step
Next  workers/bridge.py

A set rather than a counter: a repeated wish cannot count twice. It is read from PostgreSQL once, by
one caller at a time, and is from then on newer than any table: it never expires by itself.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import redis
from sqlalchemy import Engine, text

from app import stale
from app.domain.errors import Unavailable
from app.domain.routing import shard_of
from app.stores.gate import CLOSED_CODE, OPEN, Gate, sure
from app.stores.pending_follows import PendingFollows
from app.stores.postgres import speaking as asking_postgres
from app.stores.redis import Glance, key, script, speaking
from app.stores.subjects import PERSON, POST, Subject
from app.stores.warming import Warming

log = logging.getLogger(__name__)
MOST_LISTED = 20_000


class Wish(StrEnum):
    ON = "on"
    OFF = "off"
    TOGGLE = "toggle"


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands after a wish, and how many there are now."""

    active: bool
    count: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of the write: shards, their length together, and the deadline of one call."""

    shards: int
    max_length: int
    deadline_seconds: float


@dataclass(frozen=True, slots=True)
class Asked:
    """A wish as the action was given it."""

    subject: Subject
    actor_id: str
    subject_id: str
    wish: Wish
    event_id: str
    trace: str


class Calls(Protocol):
    """A script: redis-py's, or the one on the wire that a web process shares."""

    def __call__(self, keys: list[str], args: list[str | int]) -> Any: ...


class Memberships:
    """One method per question; each write is one round trip once its subject is warm."""

    def __init__(
        self,
        connection: redis.Redis,
        engine: Engine,
        bounds: Bounds,
        wish: Calls | None = None,
        glance: Glance | None = None,
        gate: Gate | None = None,
    ) -> None:
        self._redis = connection
        self._engine = engine
        self._bounds = bounds
        self._glance = glance or Glance()
        self._gate = gate
        self._wish: Calls = wish or script(connection, "wish")
        self.warming = Warming(connection, engine)
        self.pending = PendingFollows(connection, self._glance)

    def want(self, asked: Asked) -> Standing:
        """Raises Rejected (not there) or Unavailable (full, late, closed, or Redis is away)."""
        subject, word = asked.subject, ""
        for _ in range(2):
            word, active, count = self._call(asked)
            if word in ("done", "same"):
                return Standing(bool(active), int(count))
            if word == "gone":
                raise subject.missing
            if word in _REFUSALS:
                raise Unavailable(*_REFUSALS[word])
            if word == "cold":
                self.warming.warm(subject, asked.subject_id)
            # Late: Redis stood still, and answers now. Once more.
        raise Unavailable(*_LAST_WORDS[word])

    def _call(self, asked: Asked) -> Any:
        subject, subject_id, bounds = asked.subject, asked.subject_id, self._bounds
        count = subject.count_key(subject_id)
        owner = key("post", "owner", subject_id) if subject is POST else count
        with speaking("take the wish"):
            return self._wish(
                keys=[
                    count,
                    subject.members_key(subject_id),
                    owner,
                    key("ingress", shard_of(subject_id, bounds.shards)),
                    OPEN,
                ],
                args=[
                    asked.actor_id,
                    asked.wish.value,
                    int((time.time() + bounds.deadline_seconds) * 1000),
                    bounds.max_length,
                    bounds.shards,
                    subject.kind.value,
                    subject_id,
                    asked.event_id,
                    asked.trace,
                ],
            )

    def likes_of(
        self, viewer_id: str | None, post_ids: Sequence[str]
    ) -> dict[str, tuple[int, bool]]:
        """Count and whether the viewer likes it. From PostgreSQL where Redis does not know."""
        return self._standings(POST, viewer_id, post_ids)

    def likers(self, post_id: str) -> list[str] | None:
        """All who like a post, by id downwards: pending ones too. None: Redis does not know, or
        they are too many to be asked for at once."""
        try:
            with speaking("tell who likes it"):
                count, gate = self._redis.mget([POST.count_key(post_id), OPEN])
                if gate is None:
                    stale.mark()
                    return None
                if count is None or int(str(count)) > MOST_LISTED:
                    return None
                return sorted(map(str, self._redis.smembers(POST.members_key(post_id))))[::-1]
        except Unavailable as fault:
            log.warning("Likers come from PostgreSQL: %s", fault)
            stale.mark()
            return None

    def follows_of(
        self, viewer_id: str | None, user_ids: Sequence[str]
    ) -> dict[str, tuple[int, bool]]:
        return self._standings(PERSON, viewer_id, user_ids)

    def _standings(
        self, subject: Subject, viewer_id: str | None, ids: Sequence[str]
    ) -> dict[str, tuple[int, bool]]:
        if not ids:
            return {}
        known, trusted = self._known(subject, viewer_id, ids)
        cold = [one for one in ids if not trusted or one not in known]
        found = known if trusted else {}
        if cold:
            with asking_postgres("count"), self._engine.connect() as sql:
                rows = sql.execute(text(subject.counts_sql), {"viewer": viewer_id, "ids": cold})
                told = {row[0]: (row[1], row[2]) for row in rows}
            found |= {one: (count, bool(mine)) for one, (count, mine) in told.items()}
            if not trusted:
                stale.mark()
                found = {one: _later(both, known.get(one)) for one, both in told.items()}
        return {one: found.get(one, (0, False)) for one in ids}

    def _known(
        self, subject: Subject, viewer_id: str | None, ids: Sequence[str]
    ) -> tuple[dict[str, tuple[int, bool]], bool]:
        """What Redis knows, and whether that is all: nothing when it is away, since PostgreSQL can
        answer readers; and not to be trusted while the gate is closed."""
        try:
            (gate, *counts), *liked = sure(self._gate, lambda: self._ask(subject, viewer_id, ids))
        except Unavailable as fault:
            log.warning("Counts come from PostgreSQL: %s", fault)
            return {}, False
        pairs = zip(ids, counts, liked, strict=True)
        known = {one: (int(count), bool(mine)) for one, count, mine in pairs if count is not None}
        return known, gate is not None

    def _ask(self, subject: Subject, viewer_id: str | None, ids: Sequence[str]) -> list[Any]:
        with self._glance.at("count"):
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.mget([OPEN, *(subject.count_key(one) for one in ids)])
            for one in ids:
                pipeline.sismember(subject.members_key(one), viewer_id or "")
            answers: list[Any] = pipeline.execute()
        return answers


def _later(rows: tuple[int, bool | None], redis_says: tuple[int, bool] | None) -> tuple[int, bool]:
    """While the gate is closed both lag: the rows behind windows, Redis behind words that went past
    it. The higher count is nearer; one's own standing is as rows and words say, if they do."""
    count, mine = redis_says or (0, False)
    return max(rows[0], count), mine if rows[1] is None else rows[1]


_REFUSALS = {
    "full": ("Too many events are waiting; try again soon", "ingress_full"),
    "closed": ("The gate is closed", CLOSED_CODE),
}
_LAST_WORDS = {
    "late": ("The write came too late and was not made", "late"),
    "cold": ("The post could not be loaded", "busy"),
}
