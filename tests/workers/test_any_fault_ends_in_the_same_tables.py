"""Whatever people do and whatever dies, freezes or stutters in between: once all is at rest, the
tables say what was wished, the counts agree, and everybody rang once.

Hypothesis invents the stories. A worker can die at any fail point, be refused there (the service
behind it is away), or freeze there while another takes over, and wake up later with the old batch
in its hand. Redis may be away for the web or for an aggregator, and be emptied once the bridge has
moved everything: the keeper leads back.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import greenlet
import pytest
import redis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from sqlalchemy import Engine

from app.domain.errors import Unavailable
from app.domain.routing import Topic
from app.domain.windows import Rules
from app.failpoints import NAMES as ALL_POINTS
from app.stores.marks import Marks
from app.wiring import WorkerParts
from drills.books import Books
from tests.conftest import empty_redis, empty_tables
from tests.house import GROUPS, LANES, House, Person
from tests.workers.past_redis import PastRedis
from workers.aggregator import Aggregator

pytestmark = [pytest.mark.service, pytest.mark.slow]
TIGHT = Rules(instant_likes=1, window_seconds=60.0, jitter_seconds=10.0, flush_max_rows=2)
"""So tight that a handful of people fills windows, closes them and overlaps them."""
PATCHED = ("workers.bridge", "workers.aggregator", "workers.flusher", "workers.deliverer")
ELSEWHERE = ("web", "recorder", "mail-queue", "mailer")
NAMES = [point for point in ALL_POINTS if not point.startswith(ELSEWHERE)]
PEOPLE, OWNERS = 5, 2
ROUNDS_TO_REST = 30


class Died(BaseException):
    """SIGKILL: passes every except clause but none of the database's roll-backs."""


class Fate:
    """What happens at the next pass of a fail point."""

    def __init__(self) -> None:
        self.point, self.how = "", ""

    def reach(self, name: str) -> None:
        if name != self.point:
            return
        self.point = ""
        if self.how == "dies":
            raise Died
        if self.how == "is refused":
            raise Unavailable("away, says the test")
        greenlet.getcurrent().parent.switch()  # frozen until somebody switches back


FATE = Fate()


class Story(RuleBasedStateMachine):
    wired: WorkerParts
    connection: "redis.Redis"

    def __init__(self) -> None:
        super().__init__()
        empty_tables(self.wired.parts.engine)
        empty_redis(self.connection)
        self.house = House(self.wired, TIGHT)
        self.past = PastRedis(self.house)
        self.house.actions = self.past.back
        self.people: list[Person] = self.house.people(*(f"P{n}" for n in range(PEOPLE)))
        self.posts = [person.posts(person.name) for person in self.people[:OWNERS]]
        self.liked: dict[tuple[str, str], bool] = {}
        self.followed: dict[tuple[str, str], bool] = {}
        self.crew: dict[str, Any] = {}
        self.frozen: list[greenlet.greenlet] = []
        for name in ("bridge", "critical", "high", "low", "flusher", "relay", "deliverer"):
            self._hire(name)

    @rule(who=st.integers(0, PEOPLE - 1), what=st.integers(0, OWNERS - 1), on=st.booleans())
    def likes(self, who: int, what: int, on: bool) -> None:
        person, post = self.people[who], self.posts[what]
        caption = self.people[what].name
        exact = self._reaches_redis() and self.past.is_open()
        standing = person.likes(caption) if on else person.unlikes(caption)
        self.liked[post, person.id] = on
        assert standing.active == on
        if exact:
            assert standing.count == sum(v for (of, _), v in self.liked.items() if of == post)

    @rule(what=st.integers(0, OWNERS - 1), on=st.booleans())
    def everybody_likes(self, what: int, on: bool) -> None:
        for who in range(PEOPLE):
            self.likes(who, what, on)

    @rule(who=st.integers(0, PEOPLE - 1), what=st.integers(0, OWNERS - 1))
    def changes_their_mind_twice(self, who: int, what: int) -> None:
        for on in (True, False, True):
            self.likes(who, what, on)
            for name in ("bridge", "high", "low"):
                self._step(self.crew[name])

    @rule(who=st.integers(0, PEOPLE - 1), whom=st.integers(0, OWNERS - 1), on=st.booleans())
    def follows(self, who: int, whom: int, on: bool) -> None:
        person, other = self.people[who], self.people[whom]
        if person is not other:
            standing = person.follows(other) if on else person.unfollows(other)
            self.followed[other.id, person.id] = on
            assert standing.active == on

    @rule(who=st.integers(0, PEOPLE - 1), what=st.integers(0, OWNERS - 1))
    def comments(self, who: int, what: int) -> None:
        self.people[who].comments(self.people[what].name, "Nice one")

    @rule(away=st.booleans())
    def redis_changes(self, away: bool) -> None:
        """For the web processes."""
        self.house.actions = self.past.actions if away else self.past.back
        if not away:
            self.past.back._direct._gate.trust()  # type: ignore[union-attr]

    @rule(lane=st.sampled_from(["high", "low"]))
    def an_aggregator_finds_no_windows(self, lane: str) -> None:
        self._hire(lane, self.past.new_lane)

    @rule(times=st.integers(1, 12))
    def the_keeper_steps(self, times: int) -> None:
        for _ in range(times):
            self._step(self.past.keeper)

    @rule()
    def redis_is_emptied(self) -> None:
        """All that was accepted is on Kafka by then, or in the queue."""
        if self._reaches_redis() and not self.frozen:
            self._step(self.crew["bridge"])
            if not sum(self.wired.parts.ingress.lengths().values()):
                self.connection.flushall()
                self._step(self.crew["bridge"])  # makes its streams anew

    def _reaches_redis(self) -> bool:
        return self.house.actions is self.past.back

    @rule(who=st.integers(0, OWNERS - 1))
    def reads_all(self, who: int) -> None:
        Marks(self.house.engine).read_all(self.people[who].id, None)

    @rule(name=st.sampled_from(["bridge", "high", "low", "flusher", "relay", "deliverer"]))
    def steps(self, name: str) -> None:
        self._step(self.crew[name])

    @rule(lane=st.sampled_from(["high", "low"]))
    def one_lane_is_ahead(self, lane: str) -> None:
        """All that people did is on Kafka, and the other lane has not read its share yet."""
        self._step(self.crew["bridge"])
        self._step(self.crew[lane])

    @rule(how=st.sampled_from(["dies", "freezes"]))
    def a_flusher_is_gone_with_its_claims(self, how: str) -> None:
        self.house.clock.forward(71.0)
        self.fails_at("flusher.claimed", how)

    @rule()
    def everybody_steps(self) -> None:
        for worker in self.crew.values():
            self._step(worker)

    @rule(point=st.sampled_from(NAMES), how=st.sampled_from(["dies", "freezes", "is refused"]))
    def fails_at(self, point: str, how: str) -> None:
        """The next pass of that line is the worker's last, for now."""
        for name in self._who_passes(point):
            FATE.point, FATE.how = point, how
            turn = greenlet.greenlet(self.crew[name].step)
            with suppress(Died, Unavailable):
                turn.switch()
            met, FATE.point = not FATE.point, ""
            if met and how == "is refused":
                return
            if met:
                if how == "freezes":
                    self.frozen.append(turn)
                self._hire(name)

    @precondition(lambda self: self.frozen)
    @rule(which=st.integers(0, 9))
    def wakes(self, which: int) -> None:
        """It goes on with what it had in its hand, not knowing that its time is over."""
        turn = self.frozen.pop(which % len(self.frozen))
        with suppress(Unavailable):
            turn.switch()

    @rule(name=st.sampled_from(["bridge", "high", "low", "flusher", "relay", "deliverer"]))
    def is_replaced(self, name: str) -> None:
        self._hire(name)

    @rule(seconds=st.sampled_from([5.0, 31.0, 71.0]))
    def time_passes(self, seconds: float) -> None:
        self.house.clock.forward(seconds)

    @rule(away=st.booleans(), answers_lost=st.booleans())
    def kafka_changes(self, away: bool, answers_lost: bool) -> None:
        self.house.kafka.away, self.house.kafka.answers_lost = away, answers_lost

    def teardown(self) -> None:
        FATE.point = ""
        self.house.kafka.away = self.house.kafka.answers_lost = False
        while self.frozen:
            self.wakes(0)
        self.redis_changes(away=False)
        for lane in ("high", "low"):
            self._hire(lane)  # Redis is back for all
        self._come_to_rest()
        self.past.goes_back(self.everybody_steps)
        self._come_to_rest()
        books = Books(self.house.engine, self.house.redis)
        assert books.faults() == []
        _same(books.wishes("likes"), self.liked)
        _same(books.wishes("follows"), self.followed)
        assert self.house.rows("select origin, reason from dead_letters") == []
        assert self._behind() == {}

    def _come_to_rest(self) -> None:
        books = Books(self.house.engine, self.house.redis)
        for _ in range(ROUNDS_TO_REST):
            while sum(self._step(worker) for worker in self.crew.values()):
                pass
            at_rest = not books.unsettled()
            self.house.clock.forward(71.0)
            if at_rest:
                return self._lanes_catch_up()
        return None

    def _lanes_catch_up(self) -> None:
        for name in ("critical", "high", "low"):
            self._step(self.crew[name])

    def _behind(self) -> dict[tuple[str, str, int], int]:
        """Records that a group has yet to commit, after everything was settled."""
        kafka = self.house.kafka
        return {
            (GROUPS[Topic(topic)], topic, partition): len(log) - done
            for (topic, partition), log in kafka.logs.items()
            if topic != Topic.DEAD_LETTER.value
            and len(log)
            > (done := kafka.committed.get((GROUPS[Topic(topic)], topic, partition), 0))
        }

    def _step(self, worker: Any) -> int:
        try:
            return int(worker.step())
        except Unavailable:
            return 0

    def _who_passes(self, point: str) -> list[str]:
        name = point.partition(".")[0]
        return ["high", "low"] if name == "aggregator" else [name]

    def _hire(self, name: str, lane: Callable[[Topic], Aggregator] | None = None) -> None:
        """A fresh one takes the place; the old one's leases run out and Kafka knows it no more."""
        house, old = self.house, self.crew.get(name)
        topics = {topic.value.partition("-")[0]: topic for topic in LANES}
        if old is not None:
            house.leases_run_out()
            subscriber = getattr(old, "_subscriber", None)
            if subscriber is not None:
                subscriber.close()
                subscriber.commit = lambda offsets: None  # the broker refuses who is no member
        if name in topics:
            self.crew[name] = (lane or house.new_lane)(topics[name])
        else:
            self.crew[name] = getattr(house, f"new_{name}")()


def _same(found: dict[tuple[str, str], bool], wished: dict[tuple[str, str], bool]) -> None:
    standing = {pair for pair, active in found.items() if active}
    assert standing == {pair for pair, active in wished.items() if active}


def test_any_fault_ends_in_the_same_tables(
    wired: WorkerParts,
    engine: Engine,
    real_redis: "redis.Redis",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (*PATCHED, "app.streams.relay", "app.streams.fallback"):
        monkeypatch.setattr(f"{module}.reach", FATE.reach)
    monkeypatch.setattr("workers.bridge.WAIT_SECONDS", 0.001)
    monkeypatch.setattr("workers.keeper.HOLD_SECONDS", 0.0)  # nobody moves meanwhile
    Story.wired, Story.connection = wired, real_redis

    run_state_machine_as_test(
        Story,
        settings=settings(
            max_examples=25,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
            print_blob=False,
            phases=[Phase.generate],  # shrinking would run for minutes: the story as found must do
        ),
    )
