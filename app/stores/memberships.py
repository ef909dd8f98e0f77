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
from uuid import uuid4

import redis
from sqlalchemy import Engine, text

from app import stale
from app.domain.errors import Rejected, Unavailable
from app.domain.events import Kind
from app.domain.routing import shard_of
from app.stores import fences
from app.stores.gate import CLOSED_CODE, OPEN, Gate, sure
from app.stores.postgres import speaking as asking_postgres
from app.stores.redis import Glance, key, script, speaking

log = logging.getLogger(__name__)
LOAD_LOCK_MS = 700
"""Far above a usual load. A loader that was killed leaves it, and who waits must be able to take
over before giving up; two who load at once do no harm: warm.lua keeps what was there first.
"""
LOAD_WAIT_SECONDS = 1.5
LOAD_PAUSE_SECONDS = 0.02
NOTHING_READ = "*"
"""Instead of a fence: what is born needs none."""
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
class Subject:
    """What can be liked or followed, and how its standing is named in Redis and PostgreSQL."""

    kind: Kind
    prefix: str
    missing: Rejected
    owner_sql: str
    members_sql: str
    counts_sql: str

    def count_key(self, subject_id: str) -> str:
        return key(self.prefix, "count", subject_id)

    def members_key(self, subject_id: str) -> str:
        return key(self.prefix, "users", subject_id)


def _counted(kind: str, table: str, column: str, rows: str, subject: str, actor: str) -> str:
    """Count and the viewer's own standing, by the rows and by the words that went past Redis and
    that the rows do not have yet (stores/direct_words.py)."""
    return (
        "with w as (select distinct on (subject_id, member_id) subject_id, member_id, active, seq "  # noqa: S608 - constants only
        f"from direct_words where kind = '{kind}' and subject_id = any(cast(:ids as uuid[])) "
        "order by subject_id, member_id, seq desc), "
        "d as (select w.subject_id, w.member_id, w.active, "
        "w.active::int - coalesce(r.active, false)::int as delta "
        f"from w left join {rows} r on r.{subject} = w.subject_id and r.{actor} = w.member_id "
        "where coalesce(r.seq, 0) < w.seq) "
        f"select s.id::text, s.{column} + "
        "coalesce((select sum(delta) from d where subject_id = s.id), 0)::int, "
        "coalesce((select active from d where subject_id = s.id "
        "and member_id = cast(:viewer as uuid)), r.active) "
        f"from {table} s left join {rows} r "
        f"on r.{subject} = s.id and r.{actor} = cast(:viewer as uuid) "
        "where s.id = any(cast(:ids as uuid[]))"
    )


POST = Subject(
    Kind.LIKE,
    "like",
    Rejected("Post not found", "post_not_found", 404),
    "select user_id::text from posts where id = :id",
    "select user_id::text from likes where post_id = :id and active",
    _counted("LIKE", "posts", "like_count", "likes", "post_id", "user_id"),
)
PERSON = Subject(
    Kind.FOLLOW,
    "follow",
    Rejected("User not found", "user_not_found", 404),
    "select id::text from users where id = :id",
    "select follower_id::text from follows where following_id = :id and active",
    _counted("FOLLOW", "users", "follower_count", "follows", "following_id", "follower_id"),
)


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
        self._warm = script(connection, "warm")

    def like(self, actor_id: str, post_id: str, wish: Wish, event_id: str, trace: str) -> Standing:
        """Raises Rejected (no such post) or Unavailable (full, late, or Redis is away)."""
        return self.want(Asked(POST, actor_id, post_id, wish, event_id, trace))

    def follow(
        self, actor_id: str, user_id: str, wish: Wish, event_id: str, trace: str
    ) -> Standing:
        return self.want(Asked(PERSON, actor_id, user_id, wish, event_id, trace))

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

    def born(self, subject: Subject, subject_id: str, owner_id: str) -> None:
        """A new post or person is warm from the start: nobody can have liked it yet."""
        with speaking("note a new subject"):
            self._fill(subject, subject_id, owner_id, [NOTHING_READ])

    def warm(self, subject: Subject, subject_id: str) -> None:
        """Reads a standing from PostgreSQL into Redis: one caller loads, the others wait for it."""
        lock, token = key("load", subject.prefix, subject_id), uuid4().hex
        give_up = time.monotonic() + LOAD_WAIT_SECONDS
        while not self._is_warm(subject, subject_id):
            with speaking("take turns at loading"):
                mine = self._redis.set(lock, token, nx=True, px=LOAD_LOCK_MS)
            if mine:
                self._load_alone(subject, subject_id, lock)
                return
            if time.monotonic() > give_up:
                raise Unavailable("It is still being loaded", "busy")
            time.sleep(LOAD_PAUSE_SECONDS)

    def _load_alone(self, subject: Subject, subject_id: str, lock: str) -> None:
        try:
            self._load(subject, subject_id)
        finally:
            with speaking("end a turn"):
                self._redis.delete(lock)

    def _is_warm(self, subject: Subject, subject_id: str) -> bool:
        with speaking("tell what it knows"):
            if not self._redis.exists(subject.count_key(subject_id)):
                return False
            if subject is PERSON:
                return True
            owner = self._redis.get(key("post", "owner", subject_id))
            return owner == "" or bool(owner and self._redis.exists(PERSON.count_key(str(owner))))

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
                self.warm(subject, asked.subject_id)
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

    def _load(self, subject: Subject, subject_id: str) -> None:
        seen = fences.standing(self._redis)
        with asking_postgres("tell who likes it"), self._engine.connect() as sql:
            owner = sql.execute(text(subject.owner_sql), {"id": subject_id}).scalar()
            if owner is None:
                raise subject.missing
            members = list(sql.execute(text(subject.members_sql), {"id": subject_id}).scalars())
        with speaking("keep what was loaded"):
            self._fill(subject, subject_id, owner, [seen, *members])
            # A like's lane depends on whether its actor follows the owner: that set must be there
            # too.
            known = subject is PERSON or self._redis.exists(PERSON.count_key(owner))
        if not known:
            self.warm(PERSON, owner)

    def _fill(self, subject: Subject, subject_id: str, owner: str, read: list[str]) -> None:
        """`read`: the fence seen before the members were read, then the members."""
        count = subject.count_key(subject_id)
        owner_key = key("post", "owner", subject_id) if subject is POST else count
        kept_owner = owner if subject is POST else ""
        self._warm(
            keys=[count, subject.members_key(subject_id), owner_key], args=[kept_owner, *read]
        )

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
