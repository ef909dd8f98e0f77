"""A deleted comment leaves everything: the page, the count, the window, the group, the text."""

from collections.abc import Callable

import pytest

from app.domain.errors import Rejected, Unavailable
from app.domain.ledger import Frame
from app.stores.ledger import Hand
from app.stores.mutes import Mutes
from app.stores.removals import Removals
from app.wiring import new_id
from drills.books import Books
from tests.house import WINDOW_AND_JITTER, House, Person, house, wired
from tests.workers.past_redis import PastRedis

__all__ = ["house", "wired"]
pytestmark = pytest.mark.service


@pytest.fixture
def ann(house: House) -> Person:
    """Somebody beside Alice's post."""
    house.alice.posts("Hello")
    return house.people("Ann")[0]


def shown(house: House) -> tuple[int, list[str]]:
    """What a reader sees: the count and the comments."""
    comments, post = house.wired.parts.comments, house.posts["Hello"]
    return comments.counts([post])[post], [one.content for one in comments.of_post(post)]


def faults(house: House) -> list[str]:
    return Books(house.engine, house.redis).faults()


def test_it_is_out_of_sight_at_once_and_told_to_nobody(house: House, ann: Person) -> None:
    comment = ann.comments("Hello", "Nice")

    ann.deletes_comment(comment)

    assert shown(house) == (0, [])
    house.closes()
    assert (shown(house), house.alice.toasts, house.alice.badge) == ((0, []), [], 0)
    assert faults(house) == []


def test_after_its_window_it_is_out_of_sight_before_the_tables_know(
    house: House, ann: Person
) -> None:
    comment = ann.comments("Hello", "Nice")
    house.closes()

    ann.deletes_comment(comment)

    assert shown(house) == (0, [])


def test_after_its_window_the_row_goes_live(house: House, ann: Person) -> None:
    comment = ann.comments("Hello", "Nice")
    house.closes()

    ann.deletes_comment(comment)
    house.run()

    assert len(house.alice.frames(Frame.REMOVED)) == 1
    assert (shown(house), house.alice.badge) == ((0, []), 0)
    assert faults(house) == []


def test_its_words_do_not_stay_in_the_tables(house: House, ann: Person) -> None:
    comment = ann.comments("Hello", "a secret")
    house.closes()

    ann.deletes_comment(comment)
    house.run()

    assert house.rows("select content from comments") == [("",)]
    assert house.rows("select 1 from notifications where quote like '%secret%'") == []


def test_whoever_has_another_comment_there_stays_with_that_one(house: House, ann: Person) -> None:
    ann.comments("Hello", "first")
    second = ann.comments("Hello", "second")
    house.closes()

    ann.deletes_comment(second)
    house.run()

    told = [frame["message"] for frame in house.alice.frames(Frame.UPDATED)]
    assert told == ['Ann commented: "first"']
    assert (shown(house), house.alice.badge) == ((1, ["first"]), 1)
    assert faults(house) == []


def updates(house: House) -> list[str]:
    return [frame["message"] for frame in house.alice.frames(Frame.UPDATED)]


def removes_account(house: House, person: Person) -> None:
    Removals(house.engine, house.redis, Hand(house.clock.now, new_id)).account(person.id)


def is_blocked(house: House, person: Person) -> None:
    Mutes(house.engine, Hand(house.clock.now, new_id)).block(house.alice.id, person.id)


def withdraws(house: House, person: Person) -> None:
    person.deletes_comment(house.posts["second"])


@pytest.mark.parametrize("leaves", [withdraws, removes_account, is_blocked])
def test_the_one_that_is_left_is_quoted(
    house: House, ann: Person, leaves: Callable[[House, Person], None]
) -> None:
    (ben,) = house.people("Ben")
    first = ann.comments("Hello", "first")
    house.posts["second"] = ben.comments("Hello", "second")
    house.closes()

    leaves(house, ben)
    house.run()

    assert house.alice.toasts == ["Ben and 1 other commented on your post"]
    assert updates(house) == ['Ann commented: "first"']
    assert house.alice.frames(Frame.UPDATED)[0]["metadata"]["commentId"] == first
    assert house.rows(
        "select quote, metadata->>'commentId' from notifications where user_id = :alice",
        alice=house.alice.id,
    ) == [("first", first)]


def test_the_one_that_is_left_of_replies_is_quoted(house: House, ann: Person) -> None:
    (ben,) = house.people("Ben")
    parent = house.alice.comments("Hello", "What do you think?")
    ann.replies(parent, "first")
    second = ben.replies(parent, "second")
    house.closes()

    ben.deletes_comment(second)
    house.run()

    assert updates(house) == ['Ann replied: "first"']


def test_a_comment_of_an_earlier_row_is_not_quoted_in_a_later_one(
    house: House, ann: Person
) -> None:
    (ben,) = house.people("Ben")
    ann.comments("Hello", "first")
    ben_said = ben.comments("Hello", "second")
    house.closes()
    with house.engine.begin() as sql:
        sql.exec_driver_sql("update notifications set is_read = true")
    ann.comments("Hello", "third")
    house.closes()

    ben.deletes_comment(ben_said)
    house.run()

    assert house.rows("select quote from notifications order by generation") == [
        ("first",),
        ("third",),
    ]


@pytest.fixture
def emptied(house: House, ann: Person, monkeypatch: pytest.MonkeyPatch) -> PastRedis:
    """Ann has commented, and Redis was emptied while the window of it was open."""
    monkeypatch.setattr("workers.keeper.HOLD_SECONDS", 0.0)
    past = PastRedis(house)
    past.goes_back()
    house.posts["comment"] = ann.comments("Hello", "Nice")
    house.run()
    house.redis.flushall()
    return past


def test_after_redis_was_emptied_a_single_comment_is_still_quoted(
    house: House, emptied: PastRedis
) -> None:
    emptied.goes_back()

    house.clock.forward(WINDOW_AND_JITTER)
    house.run()

    assert house.alice.toasts == ['Ann commented: "Nice"']
    assert house.alice.frames()[0]["metadata"]["commentId"] == house.posts["comment"]


def test_while_redis_is_rebuilt_a_comment_in_a_window_is_not_called_missing(
    house: House, ann: Person, emptied: PastRedis
) -> None:
    for act in (
        lambda: ann.deletes_comment(house.posts["comment"]),
        lambda: ann.replies(house.posts["comment"], "And again"),
    ):
        with pytest.raises(Unavailable):
            act()


def test_after_redis_was_rebuilt_it_can_be_deleted(
    house: House, ann: Person, emptied: PastRedis
) -> None:
    emptied.goes_back()

    ann.deletes_comment(house.posts["comment"])
    house.closes()

    assert (shown(house), house.alice.toasts, house.alice.badge) == ((0, []), [], 0)


def test_a_deleted_reply_leaves_the_group_of_its_parent(house: House, ann: Person) -> None:
    comment = ann.comments("Hello", "Nice")
    reply = house.alice.replies(comment, "Thanks")
    house.closes()

    house.alice.deletes_comment(reply)
    house.run()

    assert len(ann.frames(Frame.REMOVED)) == 1


def test_a_reply_can_be_deleted_after_its_parent(house: House, ann: Person) -> None:
    comment = ann.comments("Hello", "Nice")
    reply = house.alice.replies(comment, "Thanks")

    ann.deletes_comment(comment)
    house.alice.deletes_comment(reply)
    house.closes()

    assert (shown(house), ann.toasts, ann.badge) == ((0, []), [], 0)
    assert faults(house) == []


def test_who_was_named_in_it_is_no_longer_told(house: House, ann: Person) -> None:
    [(username,)] = house.rows("select username from users where id = :id", id=house.alice.id)
    (ben,) = house.people("Ben")
    [(named,)] = house.rows("select username from users where id = :id", id=ben.id)
    comment = ann.comments("Hello", f"look @{named}")
    house.run()
    assert len(ben.toasts) == 1

    ann.deletes_comment(comment)
    house.run()

    assert (len(ben.frames(Frame.REMOVED)), ben.badge, username != named) == (1, 0, True)


def test_deleting_twice_counts_once(house: House, ann: Person) -> None:
    ann.comments("Hello", "stays")
    comment = ann.comments("Hello", "goes")
    ann.deletes_comment(comment)

    with pytest.raises(Rejected, match="Comment not found"):
        ann.deletes_comment(comment)

    assert shown(house)[0] == 1


def test_nobody_deletes_anothers(house: House, ann: Person) -> None:
    comment = ann.comments("Hello", "Nice")

    with pytest.raises(Rejected) as refused:
        house.alice.deletes_comment(comment)

    assert refused.value.status == 403
    assert shown(house) == (1, ["Nice"])


def test_a_count_that_is_loaded_afresh_leaves_the_deleted_out(house: House, ann: Person) -> None:
    ann.comments("Hello", "stays")
    comment = ann.comments("Hello", "goes")
    house.closes()
    ann.deletes_comment(comment)
    house.redis.delete(f"comment:count:{house.posts['Hello']}")

    house.wired.parts.comments.warm(house.posts["Hello"])

    assert shown(house)[0] == 1


@pytest.mark.parametrize("what", ["like", "comment", "follow"])
def test_what_somebody_did_who_is_gone_before_its_row_is_not_counted(
    house: House, ann: Person, what: str
) -> None:
    {
        "like": lambda: ann.likes("Hello"),
        "comment": lambda: ann.comments("Hello", "Nice"),
        "follow": lambda: ann.follows(house.alice),
    }[what]()
    with house.engine.begin() as sql:
        sql.exec_driver_sql("delete from users where name = 'Ann'")

    house.closes()

    subject = house.alice.id if what == "follow" else house.posts["Hello"]
    assert house.redis.get(f"{what}:count:{subject}") == "0"
    assert faults(house) == []
