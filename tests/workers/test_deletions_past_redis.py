"""What is deleted while Redis is away does not come back with it (P7, P2)."""

import uuid
from collections.abc import Callable

import pytest

from app.domain.errors import Rejected
from app.domain.ledger import Frame
from app.stores.ledger import Hand
from app.stores.memberships import Wish
from app.stores.removals import Removals
from app.wiring import new_id
from drills.books import Books
from tests.house import WINDOW_AND_JITTER, House, Person
from tests.workers.past_redis import PastRedis

pytestmark = pytest.mark.service


@pytest.fixture
def past(house: House, monkeypatch: pytest.MonkeyPatch) -> PastRedis:
    monkeypatch.setattr("workers.keeper.HOLD_SECONDS", 0.0)  # nobody writes meanwhile
    monkeypatch.setattr("workers.keeper.HOLD_REST_SECONDS", 0.0)
    made = PastRedis(house)
    made.goes_back()
    return made


@pytest.fixture
def crowd(house: House) -> list[Person]:
    house.alice.posts("Hello")
    return house.people("Ann", "Ben", "Cem", "Dan", "Eve")


def faults(house: House) -> list[str]:
    """But that bells rang for somebody who is gone is no fault."""
    house.clock.forward(WINDOW_AND_JITTER)
    house.run()
    house.clock.forward(2)
    house.run()
    found = Books(house.engine, house.redis).faults()
    return [one for one in found if ": rang " not in one]


def refusal(act: Callable[[], object]) -> int:
    with pytest.raises(Rejected) as refused:
        act()
    return refused.value.status


def test_a_deleted_post_takes_no_likes_comments_or_shares_once_redis_is_back(
    house: House, past: PastRedis, crowd: list[Person]
) -> None:
    post = house.posts["Hello"]
    for one in crowd:
        one.likes("Hello")
    crowd[0].comments("Hello", "Nice")
    house.run()

    past.removals.post(house.alice.id, post)

    assert past.gate.state().state == "closed"
    past.goes_back()
    ann = crowd[0]
    acts: list[Callable[[], object]] = [
        lambda: past.back.like(ann.id, post, Wish.ON),
        lambda: past.back.comment(ann.id, post, "Still here?"),
        lambda: past.back.share(ann.id, post),
    ]
    assert [refusal(act) for act in acts] == [404, 404, 404]
    assert faults(house) == []
    assert house.rows("select 1 from notifications") == []
    assert house.rows("select 1 from redis_updates") == []


def test_what_was_told_of_an_unwritten_comment_goes_with_its_post(
    house: House, past: PastRedis, crowd: list[Person]
) -> None:
    crowd[0].comments("Hello", "Look, @alice")  # the mention is told at once
    house.run()
    alice = house.alice
    told = house.rows("select type from notifications where version > 0")
    house.actions.comment(crowd[1].id, house.posts["Hello"], f"And @{name_of(house, crowd[2])}")
    house.run()

    past.removals.post(alice.id, house.posts["Hello"])
    past.goes_back()
    house.run()

    assert house.rows("select type from notifications") == []
    assert len(crowd[2].frames(Frame.REMOVED)) == 1
    assert len(alice.frames(Frame.REMOVED)) == len(told)
    assert faults(house) == []


def name_of(house: House, who: Person) -> str:
    return str(dict(house.rows("select id::text, username from users"))[who.id])  # type: ignore[arg-type]


def test_a_removed_account_leaves_the_counts_once_redis_is_back(
    house: House, past: PastRedis, crowd: list[Person]
) -> None:
    ann, ben, *_ = crowd
    post, memberships = house.posts["Hello"], house.wired.parts.memberships
    for one in (ann, ben):
        one.likes("Hello")
        one.follows(house.alice)
    house.closes()

    past.removals.account(ann.id)
    past.goes_back()

    assert memberships.likes_of(ben.id, [post]) == {post: (1, True)}
    assert memberships.follows_of(ben.id, [house.alice.id]) == {house.alice.id: (1, True)}
    assert house.redis.scard(f"like:users:{post}") == 1
    assert faults(house) == []


def test_failover_writes_of_a_removed_account_count_no_more(
    house: House, past: PastRedis, crowd: list[Person]
) -> None:
    ann, ben, *_ = crowd
    post = house.posts["Hello"]
    for one in (ann, ben):
        past.actions.like(one.id, post, Wish.ON)
    past.actions.comment(ann.id, post, "Nice")

    past.removals.account(ann.id)

    assert past.memberships.likes_of(ben.id, [post]) == {post: (1, True)}
    assert past.comments.of_post(post) == []
    assert past.comments.counts([post]) == {post: 0}
    past.goes_back()
    assert house.wired.parts.memberships.likes_of(ben.id, [post]) == {post: (1, True)}
    assert faults(house) == []


def test_who_dies_after_the_commit_leaves_telling_redis_to_the_keeper(
    house: House, past: PastRedis, crowd: list[Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.keeper.TELL_SECONDS", 0.0)
    crowd[0].likes("Hello")
    dies = Removals(
        house.engine, house.redis, Hand(house.clock.now, new_id), tell_redis=lambda _: None
    )

    dies.post(house.alice.id, house.posts["Hello"])
    past.keeper.step()

    assert past.is_open()
    assert refusal(lambda: crowd[1].likes("Hello")) == 404


def test_a_comment_that_only_redis_knows_is_deleted_once_it_is_written(
    house: House, past: PastRedis, crowd: list[Person]
) -> None:
    ann, post = crowd[0], house.posts["Hello"]
    said = ann.comments("Hello", "Too early")
    house.run()

    past.actions.delete_comment(ann.id, said)

    here = house.wired.parts.comments
    assert here.of_post(post) == []
    past.goes_back()
    assert here.of_post(post) == []
    assert here.counts([post]) == {post: 0}
    assert house.rows("select active from comments") == [(False,)]
    assert house.rows("select 1 from comment_deletions") == []
    assert faults(house) == []
    assert house.alice.toasts == []


def test_a_comment_that_only_redis_knows_is_deleted_by_nobody_but_its_author(
    house: House, past: PastRedis, crowd: list[Person]
) -> None:
    ann, ben, *_ = crowd
    said = ann.comments("Hello", "Mine")

    past.actions.delete_comment(ben.id, said)

    here = house.wired.parts.comments
    past.goes_back()
    assert [one.id for one in here.of_post(house.posts["Hello"])] == [said]
    assert faults(house) == []


@pytest.mark.parametrize(
    "unknown",
    [
        pytest.param(str(uuid.uuid4()), id="no id of ours"),
        pytest.param("018f0000-0000-7000-8000-000000000000", id="drawn long ago"),
    ],
)
def test_a_comment_that_nobody_can_know_is_missing(
    past: PastRedis, crowd: list[Person], unknown: str
) -> None:
    assert refusal(lambda: past.actions.delete_comment(crowd[0].id, unknown)) == 404


def test_a_comment_without_a_row_may_have_been_said_a_moment_ago(
    house: House, past: PastRedis, crowd: list[Person]
) -> None:
    past.actions.delete_comment(crowd[0].id, new_id())

    past.goes_back()

    assert house.rows("select 1 from comment_deletions") == []
