"""After a Redis outage writes go by Redis again and stay there, whoever was late meanwhile (P7)."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import redis
from sqlalchemy import text

from app import breakers
from app.domain.errors import Unavailable
from app.domain.routing import Topic
from app.stores.gate import Gate, Holding, NotClosed, admit
from app.stores.memberships import Asked, Standing, Wish
from app.stores.subjects import POST
from app.wiring import new_id
from tests.house import House, Person
from tests.workers.past_redis import PastRedis

pytestmark = pytest.mark.service


@pytest.fixture
def past(house: House, monkeypatch: pytest.MonkeyPatch) -> PastRedis:
    monkeypatch.setattr("workers.keeper.HOLD_SECONDS", 0.0)  # nobody writes meanwhile
    monkeypatch.setattr("workers.keeper.HOLD_REST_SECONDS", 0.0)
    return PastRedis(house)


@pytest.fixture
def crowd(house: House) -> list[Person]:
    house.alice.posts("Hello")
    return house.people("Ann", "Ben", "Cem", "Dan", "Eve")


def like(house: House, who: Person) -> Asked:
    return Asked(POST, who.id, house.posts["Hello"], Wish.ON, new_id(), "")


def noted(house: House) -> int:
    ((many,),) = house.rows("select count(*) from direct_words")
    return int(many)


def test_a_writer_refused_just_before_the_opening_goes_by_redis(
    house: House, past: PastRedis, crowd: list[Person]
) -> None:
    wanted, memberships = like(house, crowd[0]), house.wired.parts.memberships
    house.redis.delete("ingress:open")

    def by_redis() -> Standing:
        try:
            return memberships.want(wanted)
        except Unavailable:
            past.goes_back()  # between the refusal and what the writer does about it
            raise

    standing = past.direct.either(by_redis, lambda: past.direct.wish(wanted))

    assert standing == Standing(True, 1)
    assert (past.gate.state().state, past.is_open(), noted(house)) == ("open", True, 0)


def test_a_writer_whose_breaker_is_still_open_goes_by_redis_once_it_answers(
    house: House, past: PastRedis, crowd: list[Person]
) -> None:
    past.goes_back()
    breakers.configure(failures=1, reset_seconds=600)
    breakers.REDIS.failed(breakers.REDIS.admit(), redis.ConnectionError("away, says the test"))
    assert breakers.REDIS.state == "open"

    standing = past.back.like(crowd[0].id, house.posts["Hello"], Wish.ON)

    assert standing == Standing(True, 1)
    assert breakers.REDIS.state == "closed"
    assert (past.gate.state().state, noted(house)) == ("open", 0)


def test_a_writer_without_redis_closes_the_gate_and_is_accepted(
    house: House, past: PastRedis, crowd: list[Person]
) -> None:
    past.goes_back()

    standing = past.actions.like(crowd[0].id, house.posts["Hello"], Wish.TOGGLE)

    assert standing == Standing(True, 1)
    assert (past.gate.state().state, noted(house)) == ("closed", 1)


def test_a_late_process_does_not_close_a_newer_opening(house: House, past: PastRedis) -> None:
    past.goes_back()
    earlier = past.gate.state().since
    past.gate.close("an outage", earlier)
    past.goes_back()

    past.gate.close("somebody who is late", earlier)

    assert past.gate.state().state == "open"


def test_a_process_that_looks_during_the_opening_does_not_shut_it(
    house: House, past: PastRedis
) -> None:
    other, gate = Gate(house.redis, house.engine), past.keeper._gate
    opened = gate._open

    def opens_and_is_looked_at(**more: object) -> object:
        done = opened(**more)
        other.doubt()
        other.trust()
        return done

    gate._open = opens_and_is_looked_at  # type: ignore[assignment]
    past.goes_back()

    assert past.is_open()


def test_a_notice_that_comes_while_a_process_looks_is_not_forgotten(
    house: House, past: PastRedis
) -> None:
    past.goes_back()
    gate = Gate(house.redis, house.engine)
    looked = gate.state

    def is_closed_after_the_look() -> object:
        found = looked()
        gate.close("another process writes past Redis")
        gate.has_changed()
        return found

    gate.state = is_closed_after_the_look  # type: ignore[assignment,method-assign]
    gate.doubt()
    gate.trust()

    assert gate.is_in_doubt


def test_a_key_that_a_frozen_redis_sets_too_late_is_taken_away(
    house: House, past: PastRedis, crowd: list[Person]
) -> None:
    crowd[0].likes("Hello")  # under way, so the gate stays closed
    past.gate.close("a test")
    past.keeper.step()
    house.redis.set("ingress:open", "an opening that was given up")

    past.keeper.step()

    assert not past.is_open()


def test_an_opening_that_comes_too_late_sets_no_key(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = house.wired.parts.gate
    house.redis.delete("ingress:open")
    gate.close("a test")
    since = gate.state().since
    gate.hold(since)
    monkeypatch.setattr("app.stores.gate.OPENING_SECONDS", -1.0)

    assert not gate.open("kept", "token", since)

    assert house.redis.get("ingress:open") is None


def test_of_two_keepers_the_one_that_wakes_late_opens_nothing(house: House) -> None:
    gate = house.wired.parts.gate
    gate.close("a test")
    since = gate.state().since
    gate.hold(since)
    gate.let_go(since)  # by the other one

    assert not gate.open("kept", "token", since)

    assert gate.state().state == "closed"


def test_a_hold_whose_keeper_died_ends_for_whoever_waits(
    house: House, past: PastRedis, crowd: list[Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.direct.HOLD_SECONDS", 0.0)
    past.gate.close("a test")
    past.gate.hold(past.gate.state().since)

    standing = past.actions.like(crowd[0].id, house.posts["Hello"], Wish.ON)

    assert standing == Standing(True, 1)
    assert past.gate.state().state == "closed"


@contextmanager
def overlapping_writes(house: House) -> Iterator[Callable[[], int]]:
    """Transactions that overlap without a gap, as at a hundred writes a second."""
    over, done = threading.Event(), [0]

    def writes() -> None:
        while not over.is_set():
            with house.engine.begin() as sql:
                try:
                    admit(sql)
                except (Holding, NotClosed):
                    return
                sql.execute(text("select pg_sleep(0.03)"))
            done[0] += 1

    threads = [threading.Thread(target=writes) for _ in range(4)]
    for one in threads:
        one.start()
    try:
        yield lambda: done[0]
    finally:
        over.set()
        for one in threads:
            one.join(10)


def test_writes_that_overlap_without_a_gap_do_not_keep_a_hold_waiting(house: House) -> None:
    gate = house.wired.parts.gate
    gate.close("a test")
    since = gate.state().since

    with overlapping_writes(house) as written:
        until(lambda: written() >= 4)
        assert gate.hold(since)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_who_does_not_end_keeps_others_waiting_for_a_moment_only(house: House) -> None:
    gate = house.wired.parts.gate
    gate.close("a test")
    since = gate.state().since

    with house.engine.begin() as sql:
        admit(sql)
        began = time.monotonic()
        with pytest.raises(Unavailable):
            gate.hold(since)
        assert time.monotonic() - began < 1.5

    assert gate.hold(since)


def test_a_word_that_never_comes_does_not_hide_a_newer_one(
    house: House, past: PastRedis, crowd: list[Person]
) -> None:
    past.gate.close("a test")
    past.words.wish(like(house, crowd[0]))  # its process died before it was published
    with house.engine.begin() as sql:
        sql.execute(text("update direct_words set created_at = now() - interval '1 minute'"))
    given_up = past.words.given_up()
    past.words.wish(like(house, crowd[1]))

    assert past.words.unsettled() == 2
    assert past.words.unsettled(given_up) == 1


def test_two_losses_shortly_one_after_the_other_are_both_reported(
    house: House, past: PastRedis, crowd: list[Person], caplog: pytest.LogCaptureFixture
) -> None:
    past.goes_back()
    for _ in range(2):
        house.redis.flushall()
        past.keeper.step()

    assert caplog.text.count("Redis was emptied:") == 2
    assert (past.gate.state().lost or {})["times"] == 2


def test_a_loss_at_the_very_opening_is_reported(
    house: House, past: PastRedis, crowd: list[Person], caplog: pytest.LogCaptureFixture
) -> None:
    past.goes_back()
    past.actions.like(crowd[0].id, house.posts["Hello"], Wish.ON)
    forget = past.keeper._forget

    def is_emptied(**more: object) -> object:
        past.keeper._forget = forget
        house.redis.flushall()
        return forget(**more)

    past.keeper._forget = is_emptied  # type: ignore[assignment]
    past.goes_back()

    assert caplog.text.count("Redis was emptied:") == 1
    assert house.wired.parts.memberships.likes_of(crowd[0].id, [house.posts["Hello"]]) == {
        house.posts["Hello"]: (1, True)
    }


def test_windows_whose_claim_was_not_answered_do_not_wait_for_the_lease(
    house: House, past: PastRedis, crowd: list[Person]
) -> None:
    for one in crowd:
        one.likes("Hello")
    house.bridge.step()
    house.aggregator.lanes[Topic.LOW].step()
    later_ms = int((house.clock.now() + 120) * 1000)
    assert house.windows.claim_due(later_ms, 10, 1_000)  # the flusher never learns of it
    past.gate.close("a test")
    began = house.clock.now()

    past.goes_back()

    assert house.rows("select like_count from posts") == [(5,)]
    assert house.clock.now() - began < 25


def test_a_failover_write_in_the_fallback_queue_is_on_kafka_within_seconds(
    house: House, past: PastRedis, crowd: list[Person]
) -> None:
    past.goes_back()  # the bridge has found an empty fallback queue
    house.kafka.away = True
    past.actions.like(crowd[0].id, house.posts["Hello"], Wish.ON)
    house.kafka.away = False
    assert house.rows("select count(*) from kafka_fallback_queue where not processed") == [(1,)]

    began = time.monotonic()
    until(lambda: house.bridge.step() > 0)

    assert time.monotonic() - began < 3
    assert house.rows("select count(*) from kafka_fallback_queue where not processed") == [(0,)]
