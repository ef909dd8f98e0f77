"""Nothing that an administrator cleared comes back, wherever it was on its way."""

import contextlib

import pytest

from app.domain.errors import Unavailable
from app.stores.clearing import Clearing
from app.stores.fences import ClearedFrames
from app.stores.history import History
from app.stores.serializer import Presenter
from tests.house import NAMES, WINDOW_AND_JITTER, House
from workers.deliverer import Deliverer

pytestmark = pytest.mark.service
NOTHING = [(0, 0, 0, 0, 0)]
TABLES = (
    "select (select count(*) from likes), (select count(*) from follows), "
    "(select count(*) from comments), (select count(*) from notifications), "
    "(select coalesce(sum(like_count + comment_count), 0)::int from posts)"
)


def _busy(house: House) -> None:
    """Alice's post is liked by eight, commented on and its author followed."""
    house.alice.posts("Hello")
    ann, *others = house.people(*NAMES)
    ann.follows(house.alice)
    ann.comments("Hello", "Nice one")
    for person in (ann, *others):
        person.likes("Hello")


def _clear(house: House, **more: object) -> None:
    shards = house.wired.parts.settings.limits.ingress_shards
    Clearing(house.engine, house.redis, shards).clear(house.alice.id, **more)  # type: ignore[arg-type]


def _standings(house: House) -> tuple[int, int]:
    post = house.posts["Hello"]
    likes, _ = house.wired.parts.memberships.likes_of(None, [post])[post]
    return likes, house.wired.parts.comments.counts([post])[post]


# Where the events are when the tables are cleared: how many workers have had a turn.
@pytest.mark.parametrize(
    "turns", range(6), ids=["ingress", "kafka", "windows", "outbox", "ready", "told"]
)
def test_what_was_cleared_stays_away_wherever_it_was(house: House, turns: int) -> None:
    _busy(house)
    workers = (house.bridge, house.aggregator, house.flusher, house.relay, house.deliverer)
    for worker in workers[:turns]:
        while worker.step():
            pass
    _clear(house)
    house.closes()
    assert house.rows(TABLES) == NOTHING
    assert _standings(house) == (0, 0)


def test_what_a_worker_holds_in_its_hands_is_expired(house: House) -> None:
    _busy(house)
    house.bridge.step()
    house.aggregator.step()
    house.clock.forward(WINDOW_AND_JITTER)
    house.flusher._claimed = house.windows.claim_due(int(house.clock.now() * 1000), 500, 10_000)
    _clear(house)
    house.run()
    assert house.rows(TABLES) == NOTHING


def test_frames_that_kafka_holds_are_not_told(house: House) -> None:
    _busy(house)
    for worker in (house.bridge, house.aggregator, house.relay):
        worker.step()
    deaf = Deliverer(
        house.kafka.subscriber("late", "ready-notifications"),  # type: ignore[arg-type]
        house.push,  # type: ignore[arg-type]
        Presenter(house.engine).present,
        house.dead_letters,
        ClearedFrames(house.redis).up_to,
    )
    _clear(house)
    deaf.step()
    assert house.alice.toasts == []


def test_a_like_right_after_the_clearing_counts_and_is_told(house: House) -> None:
    _busy(house)
    house.run()
    ben = house.people("Ben")[0]
    _clear(house)
    assert ben.likes("Hello").count == 1
    house.run()
    assert house.alice.toasts[-1] == "Ben liked your post"
    assert house.rows("select count(*) from likes where active") == [(1,)]


def test_a_like_while_the_tables_are_emptied_waits_and_is_not_lost(house: House) -> None:
    """Loading a count from tables that are about to be emptied would bring it back."""
    _busy(house)
    house.run()
    ben = house.people("Ben")[0]
    met: list[str] = []

    def like() -> None:
        with contextlib.suppress(Unavailable):
            ben.likes("Hello")
            met.append("liked")

    _clear(house, between=like)
    assert met == []
    assert _standings(house) == (0, 0)
    assert ben.likes("Hello").count == 1


def test_dying_between_redis_and_the_tables_loses_nothing_that_is_written(house: House) -> None:
    _busy(house)
    house.closes()

    def die() -> None:
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        _clear(house, between=die)
    assert house.people("Ben")[0].likes("Hello").count == 9


def test_clients_start_afresh_and_their_badge_is_nought(house: House) -> None:
    _busy(house)
    house.run()
    before = History(house.engine).missed(house.alice.id, None).epoch
    _clear(house)
    house.run()
    assert History(house.engine).missed(house.alice.id, None).epoch != before
    assert house.alice.badge == 0
