"""A deleted comment leaves everything: the page, the count, the window, the group, the text."""

import pytest

from app.domain.errors import Rejected
from app.domain.ledger import Frame
from drills.books import Books
from tests.house import House, Person, house, wired

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
