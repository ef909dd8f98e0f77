"""The house: every worker's real class on real PostgreSQL and Redis, with Kafka and sockets in
memory and time in our hand. Nothing moves unless the test says step().

house.alice.posts("Hello")
house.ann.likes("Hello")
house.bridge.step(); house.aggregator.step()

Fixtures: `wired` (clients, once per run), `house` (empty, with Alice in it). A test folder's
conftest.py imports them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import redis
from sqlalchemy import Engine, text

from app.domain.ledger import Frame
from app.domain.loops import LANE_GROUPS, LOOPS
from app.domain.routing import LANES as TOPICS_OF_LANES
from app.domain.routing import Topic
from app.domain.windows import Rules
from app.settings import load
from app.stores.amends import Amends
from app.stores.fences import ClearedFrames
from app.stores.figures import Figures
from app.stores.held import Held
from app.stores.ledger import Hand as LedgerHand
from app.stores.ledger import Ledger
from app.stores.memberships import Standing, Wish
from app.stores.serializer import Presenter
from app.stores.windows import LEASE_MS
from app.streams.dead_letters import DeadLetters
from app.streams.post_updates import PostUpdates
from app.streams.relay import Relay
from app.wiring import WorkerParts, build_workers, new_id
from tests.cast import people
from tests.fakes import Clock, MemoryKafka, PushList
from tests.inbox import inbox
from workers.aggregator import Aggregator, Ends, Hand
from workers.bridge import Bridge
from workers.deliverer import Deliverer
from workers.flusher import Flusher

NAMES = ("Ann", "Ben", "Cem", "Dan", "Eve", "Fay", "Gus", "Hana")
RULES = Rules(window_seconds=120.0, jitter_seconds=30.0)
WINDOW_AND_JITTER = 151.0
LEASE_SECONDS = LEASE_MS / 1000 + 1
LANES = tuple(TOPICS_OF_LANES.values())
GROUPS = LANE_GROUPS | {Topic.READY: LOOPS["deliverer"].group}
"""Of the consumers here. The real ready topic has others as well."""


@dataclass(frozen=True)
class Person:
    """Somebody who does things, and what they heard."""

    house: "House"
    id: str
    name: str

    def posts(self, caption: str) -> str:
        post = self.house.actions.post(self.id, caption, None)
        self.house.posts[caption] = post
        return post

    def likes(self, caption: str) -> Standing:
        return self.house.actions.like(self.id, self.house.posts[caption], Wish.ON)

    def unlikes(self, caption: str) -> Standing:
        return self.house.actions.like(self.id, self.house.posts[caption], Wish.OFF)

    def comments(self, caption: str, words: str) -> str:
        return self.house.actions.comment(self.id, self.house.posts[caption], words).id

    def replies(self, comment_id: str, words: str) -> str:
        return self.house.actions.reply(self.id, comment_id, words).id

    def deletes_comment(self, comment_id: str) -> None:
        self.house.actions.delete_comment(self.id, comment_id)

    def follows(self, other: "Person") -> Standing:
        return self.house.actions.follow(self.id, other.id, Wish.ON)

    def unfollows(self, other: "Person") -> Standing:
        return self.house.actions.follow(self.id, other.id, Wish.OFF)

    @property
    def toasts(self) -> list[str]:
        """The lines that rang."""
        return [frame["message"] for frame in self.frames()]

    @property
    def badge(self) -> int:
        """The number on the bell, as last told."""
        badges = self.house.push.told(self.id, "unread_count")
        return int(badges[-1]["count"]) if badges else 0

    @property
    def inbox(self) -> list[dict[str, Any]]:
        """Their list, as it is shown now."""
        return inbox(self.house.engine, self.id)

    def frames(self, frame: Frame = Frame.ANNOUNCED) -> list[dict[str, Any]]:
        return self.house.push.told(self.id, frame.value)


class Lanes:
    """The aggregator's three lanes as one."""

    def __init__(self, house: "House") -> None:
        self.lanes = {topic: house.new_lane(topic) for topic in LANES}

    def step(self) -> int:
        return sum(lane.step() for lane in self.lanes.values())


class House:
    def __init__(self, wired: WorkerParts, rules: Rules = RULES) -> None:
        self.wired = wired
        self.rules = rules
        self.actions = wired.parts.actions
        self.engine: Engine = wired.parts.engine
        self.redis: redis.Redis = wired.parts.redis
        self.windows = wired.parts.windows
        self.comments = wired.parts.comments
        self.pending_follows = wired.parts.memberships.pending
        self.clock = Clock()
        self.push = PushList()
        self.kafka = MemoryKafka()
        self.publisher = self.kafka.publisher()
        self.dead_letters = DeadLetters(self.engine, self.publisher)
        self.ledger = Ledger(
            self.engine, rules.group_max_hours, self._ledger_hand(), Amends(self.redis)
        )
        self.posts: dict[str, str] = {}
        self.note = Figures(self.redis).note
        self.bridge = self.new_bridge()
        self.aggregator = Lanes(self)
        self.flusher = self.new_flusher()
        self.held = Held(self.engine, self.clock.now)
        self.relay = self.new_relay()
        self.deliverer = self.new_deliverer()
        (self.alice,) = self.people("Alice")

    def people(self, *names: str) -> list[Person]:
        """Moves them in."""
        ids = people(self.engine, *names)
        return [Person(self, one, name) for one, name in zip(ids, names, strict=True)]

    def new_bridge(self) -> Bridge:
        bridge = Bridge(
            self.wired.parts.ingress,
            self.publisher,
            self.wired.fallback,
            self.dead_letters,
            new_id,
            self.note,
        )
        bridge.prepare()
        return bridge

    def new_lane(self, topic: Topic, draw: float = 0.5) -> Aggregator:
        parts = self.wired.parts
        posts = PostUpdates(parts.memberships, parts.comments, self.push)  # type: ignore[arg-type]
        ends = Ends(
            self.windows,
            self.ledger,
            self.dead_letters,
            posts,
            self.comments,
            self.pending_follows,
            self.note,
        )
        subscriber: Any = self.kafka.subscriber(GROUPS[topic], topic.value)
        return Aggregator(subscriber, ends, self.rules, Hand(self.clock.now, lambda: draw, new_id))

    def new_flusher(self) -> Flusher:
        rows = self.rules.flush_max_rows
        return Flusher(
            self.windows,
            self.ledger,
            self.wired.parts.comments,
            self.dead_letters,
            rows,
            self.clock.now,
            self.note,
        )

    def new_relay(self) -> Relay:
        return Relay(self.engine, self.publisher, new_id(), self.dead_letters, self.note)

    def new_deliverer(self) -> Deliverer:
        subscriber: Any = self.kafka.subscriber(GROUPS[Topic.READY], Topic.READY.value)
        push: Any = self.push
        cleared = ClearedFrames(self.redis).up_to
        present = Presenter(self.engine).present
        return Deliverer(subscriber, push, present, self.dead_letters, cleared, self.note)

    def run(self) -> int:
        """All workers, in the order data flows, until nothing moves. Time stands still."""
        moved = 0
        while now := sum(
            worker.step()
            for worker in (self.bridge, self.aggregator, self.flusher, self.relay, self.deliverer)
        ):
            moved += now
        return moved

    def closes(self) -> None:
        """Everything moves, and all windows end."""
        self.run()
        self.clock.forward(WINDOW_AND_JITTER)
        self.run()

    def leases_run_out(self) -> None:
        """What ten seconds of silence do to what a worker holds."""
        names = list(self.redis.scan_iter("*lease*"))
        if names:
            self.redis.delete(*names)
        with self.engine.begin() as sql:
            sql.execute(text("delete from leases"))

    def rows(self, statement: str, **values: object) -> list[tuple[Any, ...]]:
        with self.engine.connect() as sql:
            return [tuple(row) for row in sql.execute(text(statement), values)]

    def _ledger_hand(self) -> LedgerHand:
        return LedgerHand(self.clock.now, new_id)


@pytest.fixture(scope="session")
def wired(environment: dict[str, str]) -> Iterator[WorkerParts]:
    """The clients of all houses; Kafka's are never used."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        wired = build_workers(load(), "house")
    yield wired
    wired.parts.engine.dispose()
    wired.parts.urgent.dispose()
    wired.parts.redis.close()


@pytest.fixture
def house(
    wired: WorkerParts,
    engine: Engine,
    real_redis: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> House:
    monkeypatch.setattr(
        "workers.bridge.WAIT_SECONDS", 0.001
    )  # an idle step must not cost a test time
    return House(wired)
