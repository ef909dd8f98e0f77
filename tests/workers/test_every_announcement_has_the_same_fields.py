"""Whatever way and moment an announcement comes from, it has the same fields and a target."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import redis
from sqlalchemy import Engine, text

from app.actions import Actions
from app.domain.events import Kind
from app.domain.ledger import Frame
from app.domain.routing import Topic
from app.stores.ledger import Hand as LedgerHand
from app.stores.memberships import Wish
from app.stores.removals import Removals
from app.wiring import WorkerParts, new_id
from tests.conftest import empty_redis
from tests.house import NAMES, RULES, WINDOW_AND_JITTER, House, Person
from tests.workers.past_redis import PastRedis

pytestmark = pytest.mark.service
SEVERAL = NAMES[:6]


@pytest.fixture
def house(
    wired: WorkerParts, engine: Engine, real_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> House:
    """A window of more than three events takes several transactions."""
    monkeypatch.setattr("workers.bridge.WAIT_SECONDS", 0.001)
    monkeypatch.setattr("workers.keeper.HOLD_SECONDS", 0.0)
    house = House(wired, replace(RULES, flush_max_rows=3))
    house.alice.posts("Hello")
    return house


def does(kind: Kind, house: House, person: Person, actions: Actions) -> object:
    """Something of this kind that Alice is told of."""
    post, alice = house.posts["Hello"], house.alice.id
    match kind:
        case Kind.LIKE:
            return actions.like(person.id, post, Wish.ON)
        case Kind.FOLLOW:
            return actions.follow(person.id, alice, Wish.ON)
        case Kind.COMMENT:
            return actions.comment(person.id, post, f"{person.name} says so")
        case Kind.POST_SHARE:
            return actions.share(person.id, post)
        case Kind.COMMENT_REPLY:
            return actions.reply(person.id, comment_of_alice(house), f"{person.name} answers")
    raise AssertionError(kind)


def comment_of_alice(house: House) -> str:
    if "her comment" not in house.posts:
        house.posts["her comment"] = house.alice.comments("Hello", "Mine")
    return house.posts["her comment"]


def told(house: House, frame: Frame = Frame.ANNOUNCED) -> list[dict[str, Any]]:
    return [one for one in house.alice.frames(frame) if one["type"] != Kind.OTP.value]


def each(house: House, kind: Kind, actions: Actions | None = None) -> None:
    for person in house.people(*SEVERAL):
        does(kind, house, person, actions or house.actions)


def in_one_transaction(house: House, kind: Kind) -> list[dict[str, Any]]:
    for person in house.people("Ann", "Ben"):
        does(kind, house, person, house.actions)
    house.closes()
    return told(house)


def in_several_transactions(house: House, kind: Kind) -> list[dict[str, Any]]:
    each(house, kind)
    house.closes()
    return told(house)


def past_redis(house: House, kind: Kind) -> list[dict[str, Any]]:
    past = PastRedis(house)
    if kind is Kind.COMMENT_REPLY:
        comment_of_alice(house)
        house.closes()
    for lane in house.aggregator.lanes.values():
        lane._subscriber.close()
    lanes = [past.new_lane(topic) for topic in (Topic.HIGH, Topic.LOW)]
    each(house, kind, past.actions)
    for lane in lanes:
        lane.step()
    house.relay.step()
    house.deliverer.step()
    return told(house)


def after_redis_was_emptied(house: House, kind: Kind) -> list[dict[str, Any]]:
    past = PastRedis(house)
    past.goes_back()
    each(house, kind)
    house.run()
    empty_redis(house.redis)
    past.goes_back()
    house.clock.forward(WINDOW_AND_JITTER)
    house.run()
    return told(house)


def held_in_quiet_hours(house: House, kind: Kind) -> list[dict[str, Any]]:
    with house.engine.begin() as sql:
        sql.execute(
            text(
                "insert into notification_preferences (user_id, dnd_enabled, dnd_start_time, "
                "dnd_end_time) values (:alice, true, '00:00', '23:59')"
            ),
            {"alice": house.alice.id},
        )
    each(house, kind)
    house.closes()
    assert told(house) == []
    house.clock.forward(24 * 3600)
    house.held.ring_due()
    house.run()
    return [*told(house), *told(house, Frame.UPDATED)]


def after_somebody_left(house: House, kind: Kind) -> list[dict[str, Any]]:
    each(house, kind)
    house.closes()
    [(ann,)] = house.rows("select id::text from users where name = 'Ann'")
    Removals(house.engine, house.redis, LedgerHand(house.clock.now, new_id)).account(ann)
    house.run()
    assert told(house, Frame.UPDATED)
    return [*told(house), *told(house, Frame.UPDATED)]


WAYS: list[Callable[[House, Kind], list[dict[str, Any]]]] = [
    in_one_transaction,
    in_several_transactions,
    past_redis,
    after_redis_was_emptied,
    held_in_quiet_hours,
    after_somebody_left,
]
TARGETS = {
    Kind.LIKE: "POST",
    Kind.POST_SHARE: "POST",
    Kind.COMMENT: "POST",
    Kind.COMMENT_REPLY: "COMMENT",
    Kind.FOLLOW: "USER",
}
FIELDS = {
    "id", "type", "priority", "title", "message", "actorId", "actorName", "actorAvatar",
    "imageUrl", "targetType", "targetId", "timestamp", "isRead", "seenAt", "version", "seq",
    "generation", "actors", "group", "metadata",
}  # fmt: skip
METADATA = {"isAggregated", "aggregatedCount", "newCount", "aggregatedActors", "channels"}
LINKS = {
    Kind.POST_SHARE: {"postUrl"},
    Kind.COMMENT: {"postUrl", "commentId"},
    Kind.COMMENT_REPLY: {"postUrl", "commentId"},
    Kind.FOLLOW: {"isVerified"},
}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("kind", list(TARGETS), ids=lambda kind: kind.value)
def test_every_announcement_has_the_same_fields_and_a_target(
    house: House, kind: Kind, way: Callable[[House, Kind], list[dict[str, Any]]]
) -> None:
    frames = [one for one in way(house, kind) if one["type"] == kind.value]

    assert frames
    subject = house.alice.id if kind is Kind.FOLLOW else house.posts["Hello"]
    subject = house.posts["her comment"] if kind is Kind.COMMENT_REPLY else subject
    assert {(one["targetType"], one["targetId"]) for one in frames} == {(TARGETS[kind], subject)}
    for one in frames:
        assert set(one) == FIELDS
        assert set(one["metadata"]) == METADATA | LINKS.get(kind, set())
        assert None not in one["metadata"].values()


@pytest.mark.parametrize("kind", [Kind.MENTION, Kind.BELL_POST])
def test_kinds_told_at_once_have_them_too(house: House, kind: Kind) -> None:
    (ann,) = house.people("Ann")
    with house.engine.begin() as sql:
        sql.execute(
            text(
                "insert into bell_subscriptions (subscriber_id, target_user_id) "
                "values (:alice, :ann)"
            ),
            {"alice": house.alice.id, "ann": ann.id},
        )
        sql.execute(text("update users set username = 'alice' where name = 'Alice'"))

    ann.posts("Look, @alice" if kind is Kind.MENTION else "Look")
    house.run()

    for one in told(house):
        assert set(one) == FIELDS
        assert (one["targetType"], one["targetId"]) == ("POST", list(house.posts.values())[-1])
