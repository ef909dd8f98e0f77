"""The house while Redis is away for the web and for its workers, and the keeper that leads back.

past = PastRedis(house)
past.actions.like(...)      as in a web process whose Redis refuses every connection
past.lanes.step()           aggregators that find no windows
past.goes_back()            the keeper, with the workers beside it, until the gate is open
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import redis

from app import breakers
from app.actions import Actions, Clock
from app.direct import Direct
from app.domain.errors import Unavailable
from app.domain.routing import Topic
from app.stores import redis as redis_store
from app.stores.comment_deletions import CommentDeletions
from app.stores.comments import Comments
from app.stores.direct_words import DirectWords, Seqs
from app.stores.gate import OPEN, Gate
from app.stores.leases import Lease
from app.stores.ledger import Hand
from app.stores.memberships import Bounds, Memberships
from app.stores.removals import Removals
from app.stores.windows import Windows
from app.streams.ingress import Ingress
from app.streams.straight import Straight
from app.wiring import new_id
from tests.fakes import MemoryKafka
from tests.house import GROUPS, LANES, House
from workers.aggregator import Aggregator
from workers.keeper import Deletions, Keeper, Places

BOUNDS = Bounds(4, 1_000_000, 1.1)
NOWHERE = "redis://127.0.0.1:1/0"
STEPS_BACK = 60


def ends_of(kafka: MemoryKafka) -> dict[str, int]:
    """app.offsets.lane_ends of the broker in memory."""
    logs = kafka.logs.items()
    return {f"{topic}:{n}": len(log) for (topic, n), log in logs if Topic(topic) in LANES}


def commits_of(kafka: MemoryKafka) -> dict[str, int]:
    """app.offsets.lane_commits of it."""
    return {
        f"{topic}:{n}": kafka.committed.get((GROUPS[Topic(topic)], topic, n), 0)
        for topic, n in kafka.logs
        if Topic(topic) in LANES
    }


@dataclass
class PastRedis:
    house: House
    actions: Actions = field(init=False)
    memberships: Memberships = field(init=False)
    comments: Comments = field(init=False)
    words: DirectWords = field(init=False)
    gate: Gate = field(init=False)
    keeper: Keeper = field(init=False)

    def __post_init__(self) -> None:
        house, engine = self.house, self.house.engine
        # One process here is both who has lost Redis and who has it: no breaker may know of it.
        breakers.configure(failures=1_000_000, reset_seconds=10)
        away: redis.Redis = redis_store.client(NOWHERE)
        self.away = away
        here = Gate(house.redis, engine)
        self.words = DirectWords(engine, Seqs(time.time))
        fallback = house.wired.fallback
        self.direct = Direct(
            here, self.words, Straight(house.publisher, fallback, BOUNDS.shards, together=True)
        )
        self.memberships = Memberships(away, engine, BOUNDS)
        self.comments = Comments(away, engine)
        self.gate = Gate(away, engine)
        outside = Direct(
            self.gate, self.words, Straight(house.publisher, fallback, BOUNDS.shards, together=True)
        )
        clock = Clock(time.time, new_id)
        self.actions = Actions(
            self.memberships,
            self.comments,
            Ingress(away, BOUNDS),
            engine,
            clock,
            lambda _: None,
            outside,
        )
        # The same people with Redis within reach: the house's own actions use a real Kafka.
        parts = house.wired.parts
        self.back = Actions(
            parts.memberships,
            parts.comments,
            parts.ingress,
            engine,
            clock,
            lambda _: None,
            self.direct,
        )
        places = Places(
            parts.ingress,
            fallback,
            lambda: ends_of(house.kafka),
            lambda: commits_of(house.kafka),
            house.windows,
        )
        lease = Lease(engine, "keeper", new_id())
        self.removals = Removals(engine, away, Hand(time.time, new_id), outside.tell_redis)
        self.removals_back = Removals(
            engine, house.redis, Hand(time.time, new_id), self.direct.tell_redis
        )
        deletions = Deletions(
            self.removals_back.updates.apply_waiting,
            CommentDeletions(engine),
            self.back.delete_comment,
        )
        self.keeper = Keeper(house.redis, here, self.words, places, deletions, lease, new_id)

    def new_lane(self, topic: Topic) -> Aggregator:
        """An aggregator that finds no windows."""
        house, windows, comments = self.house, self.house.windows, self.house.comments
        follows = house.pending_follows
        house.windows, house.comments = Windows(self.away), self.comments
        house.pending_follows = self.memberships.pending
        try:
            return house.new_lane(topic)
        finally:
            house.windows, house.comments = windows, comments
            house.pending_follows = follows

    def is_open(self) -> bool:
        return bool(self.house.redis.exists(OPEN))

    def goes_back(self, work: Callable[[], object] | None = None) -> None:
        """Everybody works; nobody is in a hurry."""
        for _ in range(STEPS_BACK):
            self.keeper.step()
            if self.keeper.rest() and self.is_open() and self.gate.state().state == "open":
                return
            with suppress(Unavailable):  # an emptied ingress is made anew at the next step
                (work or self.house.run)()
            self.house.clock.forward(1)
        raise AssertionError(f"the gate stays {self.gate.state()}")
