"""Words go past Redis while it is away, are told at once, and lead to the same tables; afterwards
the keeper makes Redis agree before anybody is answered by it (P7, P2, P4)."""

from typing import Any

import pytest
import redis

from app.domain.errors import Rejected, Unavailable
from app.domain.events import Kind
from app.domain.routing import Topic
from app.stores.memberships import Asked, Standing, Wish
from app.stores.subjects import POST
from app.streams.kafka import Record
from app.wiring import new_id
from drills.books import Books
from tests.house import GROUPS, NAMES, WINDOW_AND_JITTER, House, Lanes, Person
from tests.workers.past_redis import PastRedis
from workers.aggregator import Aggregator

pytestmark = pytest.mark.service
ON, OFF, TOGGLE = Wish.ON, Wish.OFF, Wish.TOGGLE


@pytest.fixture
def past(house: House, monkeypatch: pytest.MonkeyPatch) -> PastRedis:
    monkeypatch.setattr("workers.keeper.HOLD_SECONDS", 0.0)  # nobody moves meanwhile
    return PastRedis(house)


@pytest.fixture
def crowd(house: House) -> list[Person]:
    house.alice.posts("Hello")
    return house.people(*NAMES)


def faults(house: House) -> list[str]:
    house.clock.forward(WINDOW_AND_JITTER)
    house.run()
    house.clock.forward(2)
    house.run()
    return Books(house.engine, house.redis).faults()


def committed(house: House, topic: Topic = Topic.LOW) -> int:
    """Of one lane: that which all likes of strangers are in."""
    found = house.kafka.committed.items()
    return sum(one for (group, *_), one in found if group == GROUPS[topic])


def test_a_like_past_redis_counts_at_once_for_everybody(
    house: House, past: PastRedis, crowd: list[Person]
) -> None:
    ann, ben, *_ = crowd
    post = house.posts["Hello"]

    standings = [past.actions.like(one.id, post, ON) for one in (ann, ben)]

    assert [(one.active, one.count) for one in standings] == [(True, 1), (True, 2)]
    assert past.memberships.likes_of(ann.id, [post]) == {post: (2, True)}
    assert past.memberships.likes_of(house.alice.id, [post]) == {post: (2, False)}


@pytest.mark.parametrize(
    ("wishes", "stands"),
    [
        pytest.param([ON], True, id="on"),
        pytest.param([ON, ON], True, id="on again"),
        pytest.param([ON, OFF], False, id="off again"),
        pytest.param([OFF], False, id="off without on"),
        pytest.param([TOGGLE], True, id="toggle"),
        pytest.param([TOGGLE, TOGGLE], False, id="toggle twice"),
        pytest.param([ON, OFF, ON], True, id="back and forth"),
    ],
)
def test_the_last_word_past_redis_is_what_stands(
    house: House, past: PastRedis, crowd: list[Person], wishes: list[Wish], stands: bool
) -> None:
    post = house.posts["Hello"]

    answers = [past.actions.like(crowd[0].id, post, one) for one in wishes]

    assert (answers[-1].active, answers[-1].count) == (stands, int(stands))
    past.goes_back()
    assert past.memberships.likes_of(crowd[0].id, [post])[post] == (int(stands), stands)
    assert faults(house) == []


def test_without_windows_everybody_is_told_at_once_and_nothing_is_committed(
    house: House, past: PastRedis, crowd: list[Person]
) -> None:
    lane = past.new_lane(Topic.LOW)
    for one in crowd[:6]:
        past.actions.like(one.id, house.posts["Hello"], ON)

    assert lane.step() == 6
    house.relay.step()
    house.deliverer.step()

    assert len(house.alice.toasts) == 6
    assert committed(house) == 0


def test_an_aggregator_commits_once_redis_is_back_and_never_past_a_window(
    house: House, past: PastRedis, crowd: list[Person]
) -> None:
    for one in crowd[:5]:  # two of them wait in a window
        one.likes("Hello")
    house.run()
    lane, windows = past.new_lane(Topic.LOW), house.windows
    house.aggregator.lanes[Topic.LOW]._subscriber.close()  # type: ignore[attr-defined]
    past.actions.like(crowd[5].id, house.posts["Hello"], ON)
    lane.step()

    lane._ends = house.new_lane(Topic.LOW)._ends  # type: ignore[misc] - Redis is back
    house.clock.forward(2)
    lane.step()

    assert committed(house) == 3  # the fourth and the fifth are in the window
    house.clock.forward(WINDOW_AND_JITTER)
    house.flusher.step()
    lane.step()
    assert windows.count() == 0
    house.clock.forward(2)
    lane.step()
    assert committed(house) == 6
    assert house.rows("select like_count from posts") == [(6,)]


def waiting(house: House) -> int:
    """Comments that Redis lists as not written yet."""
    names = house.redis.scan_iter("comment:pending:*")
    return sum(int(house.redis.hlen(name)) for name in names)


@pytest.fixture
def said_at_once(house: House, past: PastRedis, crowd: list[Person]) -> Aggregator:
    """Who told a comment that Redis took, when there were no windows any more."""
    crowd[0].comments("Hello", "Nice")
    house.bridge.step()
    house.aggregator.lanes[Topic.HIGH]._subscriber.close()
    lane = past.new_lane(Topic.HIGH)
    lane.step()
    return lane


def test_a_comment_told_without_windows_stops_waiting_once_redis_is_back(
    house: House, said_at_once: Aggregator
) -> None:
    assert house.rows("select content from comments") == [("Nice",)]
    assert (waiting(house), committed(house, Topic.HIGH)) == (1, 0)

    said_at_once._ends = house.new_lane(Topic.HIGH)._ends  # Redis is back
    house.clock.forward(2)
    said_at_once.step()

    assert (waiting(house), committed(house, Topic.HIGH)) == (0, 1)
    assert faults(house) == []


def test_who_dies_before_it_stops_waiting_leaves_that_to_a_successor(
    house: House, said_at_once: Aggregator
) -> None:
    said_at_once._subscriber.close()

    house.aggregator = Lanes(house)
    house.run()  # reads it again

    assert faults(house) == []
    assert (waiting(house), len(house.alice.toasts)) == (0, 1)


def test_of_more_comments_than_can_be_kept_in_mind_none_waits_for_ever(
    house: House, said_at_once: Aggregator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.settling.MOST", 1)
    (ben,) = house.people("Ben")
    ben.comments("Hello", "Me too")
    house.bridge.step()
    said_at_once.step()
    assert (waiting(house), committed(house, Topic.HIGH)) == (2, 0)

    house.aggregator.lanes[Topic.HIGH] = said_at_once
    said_at_once._ends = house.new_lane(Topic.HIGH)._ends  # Redis is back
    house.clock.forward(2)
    house.run()  # notices
    house.run()  # reads again

    assert faults(house) == []
    assert (waiting(house), committed(house, Topic.HIGH)) == (0, 2)
    assert sorted(house.rows("select content from comments")) == [("Me too",), ("Nice",)]


def test_no_comment_stops_waiting_before_its_row_is_there(
    house: House, crowd: list[Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd[0].comments("Hello", "Nice")
    house.bridge.step()
    lane = house.aggregator.lanes[Topic.HIGH]
    with monkeypatch.context() as patch:
        patch.setattr(house.windows, "gather", _away)
        patch.setattr(house.ledger, "write", _away)
        with pytest.raises(Unavailable):
            lane.step()
        assert waiting(house) == 1

        patch.undo()
        patch.setattr(house.windows, "gather", _away)
        lane.step()

    assert house.rows("select content from comments") == [("Nice",)]
    assert waiting(house) == 0


def _away(*_: object) -> None:
    raise Unavailable("Away, says the test", "redis_unavailable")


def test_a_comment_in_doubt_that_is_said_again_past_redis_does_not_wait_for_ever(
    house: House, past: PastRedis, crowd: list[Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    append = past.back._ingress.append

    def answer_lost(*args: Any, **more: Any) -> bool:
        append(*args, **more)
        raise Unavailable("The answer is lost, says the test", "redis_unavailable")

    past.goes_back()  # the gate is open
    past.back._comments.warm(house.posts["Hello"])
    monkeypatch.setattr(past.back._ingress, "append", answer_lost)
    past.back.comment(crowd[0].id, house.posts["Hello"], "Nice")
    monkeypatch.undo()
    assert waiting(house) == 1

    lane = house.aggregator.lanes[Topic.HIGH]
    house.bridge.step()
    with monkeypatch.context() as patch:
        patch.setattr(house.windows, "gather", _away)
        lane.step()

    assert waiting(house) == 0
    past.goes_back()
    assert faults(house) == []
    assert past.back._comments.counts([house.posts["Hello"]]) == {house.posts["Hello"]: 1}
    assert house.rows("select content from comments") == [("Nice",)]


def test_a_gathered_like_that_is_withdrawn_past_redis_is_never_told(
    house: House, past: PastRedis, crowd: list[Person]
) -> None:
    for one in crowd[:5]:
        one.likes("Hello")
    house.run()

    answer = past.actions.like(crowd[4].id, house.posts["Hello"], OFF)
    house.closes()

    assert not answer.active
    assert house.alice.toasts[3:] == ["Dan and 3 others liked your post"]
    assert house.rows("select like_count from posts") == [(4,)]


def test_the_way_back_ends_when_redis_and_the_tables_say_the_same(
    house: House, past: PastRedis, crowd: list[Person]
) -> None:
    post = house.posts["Hello"]
    for one in crowd[:5]:
        one.likes("Hello")
    house.run()
    past.actions.like(crowd[0].id, post, OFF)
    past.actions.like(crowd[6].id, post, ON)
    past.actions.follow(crowd[6].id, house.alice.id, ON)

    past.goes_back()

    assert house.redis.get(f"like:count:{post}") is None  # to be loaded afresh
    assert house.wired.parts.memberships.likes_of(crowd[6].id, [post]) == {post: (5, True)}
    assert crowd[7].likes("Hello").count == 6
    assert house.rows("select count(*) from direct_words") == [(0,)]
    assert faults(house) == []


def test_counts_do_not_fall_while_the_gate_is_closed(
    house: House, past: PastRedis, crowd: list[Person]
) -> None:
    post, memberships = house.posts["Hello"], house.wired.parts.memberships
    for one in crowd[:5]:  # two wait in a window: Redis alone knows them
        one.likes("Hello")
    house.run()
    past.actions.like(crowd[5].id, house.alice.posts("Other"), ON)

    past.keeper.step()  # the gate is closed from now on

    assert not past.is_open()
    assert memberships.likes_of(crowd[4].id, [post]) == {post: (5, True)}
    past.goes_back()
    assert memberships.likes_of(crowd[4].id, [post]) == {post: (5, True)}


@pytest.mark.parametrize("where", ["ingress", "queue", "lane", "window"])
def test_the_gate_stays_closed_while_a_word_is_under_way(
    house: House, past: PastRedis, crowd: list[Person], where: str
) -> None:
    for one in crowd[:5]:
        one.likes("Hello")
    if where == "queue":
        house.kafka.away = True
    if where != "ingress":
        house.bridge.step()
    house.kafka.away = False
    if where == "window":
        house.aggregator.step()
    house.wired.parts.gate.close("a test")

    for _ in range(20):
        past.keeper.step()

    assert not past.is_open()
    past.goes_back()
    assert house.rows("select like_count from posts") == [(5,)]
    assert faults(house) == []


def test_an_early_page_keeps_the_time_of_its_announcement(
    house: House, past: PastRedis, crowd: list[Person]
) -> None:
    for one in crowd[:5]:
        one.likes("Hello")
    house.run()
    house.wired.parts.gate.close("a test")

    past.goes_back()

    assert house.rows("select like_count from posts") == [(5,)]
    assert len(house.alice.toasts) == 3
    house.clock.forward(WINDOW_AND_JITTER)
    house.run()
    assert house.alice.toasts[3:] == ["Eve and 4 others liked your post"]


def test_an_emptied_redis_is_noticed_rebuilt_and_its_cost_is_told(
    house: House, past: PastRedis, crowd: list[Person], caplog: pytest.LogCaptureFixture
) -> None:
    post = house.posts["Hello"]
    past.goes_back()
    for one in crowd[:5]:
        one.likes("Hello")
    house.bridge.step()
    house.aggregator.step()
    crowd[5].likes("Hello")  # the bridge has not moved it
    past.keeper.step()

    house.redis.flushall()
    past.keeper.step()

    lost = past.keeper._gate.state().lost
    assert lost is not None
    assert lost["events"] == 1
    assert "Redis was emptied: 1 events" in caplog.text
    past.goes_back()
    assert house.wired.parts.memberships.likes_of(crowd[4].id, [post]) == {post: (5, True)}
    assert past.back.like(crowd[5].id, post, ON).count == 6
    assert faults(house) == []


def test_words_behind_a_closed_gate_go_past_redis_though_it_answers(
    house: House, past: PastRedis, crowd: list[Person]
) -> None:
    crowd[0].likes("Hello")
    house.redis.flushall()

    standing = past.back.like(crowd[1].id, house.posts["Hello"], ON)

    assert standing.active
    assert house.rows("select count(*) from direct_words") == [(1,)]
    assert not list(house.redis.scan_iter("like:*"))


def lost_answer() -> Unavailable:
    """As stores/redis.py raises it for a call that was sent."""
    fault = Unavailable("No answer, says the test", "redis_unavailable")
    fault.__cause__ = redis.TimeoutError()
    return fault


def test_a_call_that_was_late_is_made_again_where_redis_still_answers(
    house: House, past: PastRedis, crowd: list[Person]
) -> None:
    past.goes_back()
    answers = [lost_answer(), None]

    def by_redis() -> Standing:
        if (fault := answers.pop(0)) is not None:
            raise fault
        return crowd[0].likes("Hello")

    standing = past.direct.either(by_redis, lambda: past.direct.wish(asked(house, crowd[1])))

    assert standing == Standing(True, 1)
    assert past.is_open()
    assert past.gate.state().state == "open"


def test_a_late_toggle_is_not_made_again(
    house: House, past: PastRedis, crowd: list[Person]
) -> None:
    past.goes_back()

    def by_redis() -> Standing:
        raise lost_answer()

    with pytest.raises(Unavailable):
        past.direct.either(
            by_redis, lambda: past.direct.wish(asked(house, crowd[0])), repeatable=False
        )

    assert house.rows("select count(*) from direct_words") == [(0,)]


def asked(house: House, who: Person) -> Asked:
    return Asked(POST, who.id, house.posts["Hello"], ON, new_id(), "")


def test_with_kafka_away_too_a_word_waits_in_the_queue(
    house: House, past: PastRedis, crowd: list[Person]
) -> None:
    house.kafka.away = True
    past.actions.like(crowd[0].id, house.posts["Hello"], ON)
    past.actions.like(crowd[0].id, house.posts["Hello"], OFF)
    past.actions.like(crowd[1].id, house.posts["Hello"], ON)

    assert house.rows("select count(*) from kafka_fallback_queue") == [(3,)]
    house.kafka.away = False
    past.goes_back()
    assert house.rows("select like_count from posts") == [(1,)]
    assert faults(house) == []


def test_words_that_the_rows_have_are_forgotten_but_the_newest_of_each_subject(
    house: House, past: PastRedis, crowd: list[Person]
) -> None:
    post = house.posts["Hello"]
    for one in crowd:
        past.actions.like(one.id, post, ON)
    assert past.words.prune() == 0
    lane = past.new_lane(Topic.LOW)
    lane.step()

    assert past.words.prune() == len(crowd) - 1

    assert past.words.subjects() == [(Kind.LIKE, post)]
    assert past.memberships.likes_of(crowd[0].id, [post]) == {post: (len(crowd), True)}


def test_comments_past_redis_are_readable_at_once_and_can_be_answered_and_deleted(
    house: House, past: PastRedis, crowd: list[Person]
) -> None:
    ann, ben, *_ = crowd
    post = house.posts["Hello"]

    said = past.actions.comment(ann.id, post, "First")
    answer = past.actions.reply(ben.id, said.id, "Second")
    gone = past.actions.comment(ben.id, post, "Oops")
    past.actions.delete_comment(ben.id, gone.id)

    assert [one.content for one in past.comments.of_post(post)] == ["First", "Second"]
    assert past.comments.counts([post]) == {post: 2}
    with pytest.raises(Rejected):
        past.comments.find(gone.id)
    past.goes_back()
    here = house.wired.parts.comments
    assert {one.id for one in here.of_post(post)} == {said.id, answer.id}
    assert here.counts([post]) == {post: 2}
    assert house.rows("select comment_count from posts") == [(2,)]


def test_a_pending_comment_can_be_deleted_past_redis(
    house: House, past: PastRedis, crowd: list[Person]
) -> None:
    ann, post = crowd[0], house.posts["Hello"]
    said = ann.comments("Hello", "Too early")
    house.run()

    past.back._direct._gate.close("a test")  # type: ignore[union-attr]
    house.redis.delete("ingress:open")
    past.back.delete_comment(ann.id, said)

    here = house.wired.parts.comments
    assert here.of_post(post) == []
    past.goes_back()
    assert here.of_post(post) == []
    assert here.counts([post]) == {post: 0}


def test_what_is_no_row_goes_past_redis_as_well(
    house: House, past: PastRedis, crowd: list[Person]
) -> None:
    past.actions.share(crowd[0].id, house.posts["Hello"])
    past.actions.post(crowd[1].id, "Look, @alice", None)

    kinds = [_kind(one) for topic in (Topic.HIGH, Topic.LOW) for one in house.kafka.records(topic)]

    assert sorted(kinds) == ["MENTION", "POST_SHARE"] or sorted(kinds) == ["POST_SHARE"]


def _kind(record: Record) -> str:
    return dict(record.headers)["type"]


def test_without_redis_and_postgresql_nothing_is_accepted(
    past: PastRedis, crowd: list[Person]
) -> None:
    past.actions.like(crowd[0].id, past.house.posts["Hello"], ON)
    past.direct._words._engine = past.words._engine = _nowhere()  # type: ignore[misc]

    with pytest.raises(Unavailable):
        past.actions.like(crowd[1].id, past.house.posts["Hello"], ON)


def _nowhere():
    from app.stores import postgres

    return postgres.engine("postgresql://nobody@127.0.0.1:1/nothing")
