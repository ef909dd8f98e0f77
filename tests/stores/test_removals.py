"""A post, an account or a blocked person vanishes from rows, groups, badges, counts and texts."""

from typing import Any

import pytest

from app.domain.errors import Rejected
from app.domain.ledger import Frame
from app.stores.ledger import Hand
from app.stores.mutes import Mutes
from app.stores.removals import Removals
from app.wiring import new_id
from drills.books import Books
from tests.house import House, Person, house, wired

__all__ = ["house", "wired"]
pytestmark = pytest.mark.service


@pytest.fixture
def ann(house: House) -> Person:
    house.alice.posts("Hello")
    return house.people("Ann")[0]


def hand(house: House) -> Hand:
    return Hand(house.clock.now, new_id)


def removals(house: House) -> Removals:
    return Removals(house.engine, house.redis, hand(house))


def faults(house: House) -> list[str]:
    """But that bells rang for somebody who is gone is no fault."""
    found = Books(house.engine, house.redis).faults()
    return [one for one in found if ": rang " not in one]


def counts(house: House, what: str = "like") -> Any:
    subject = house.alice.id if what == "follow" else house.posts["Hello"]
    return house.redis.get(f"{what}:count:{subject}")


def test_with_a_post_all_that_was_told_of_it_goes_live(house: House, ann: Person) -> None:
    (ben,) = house.people("Ben")
    ann.likes("Hello")
    house.alice.replies(ann.comments("Hello", "Nice"), "Thanks")
    ben.follows(house.alice)
    house.closes()
    assert (house.alice.badge, ann.badge) == (3, 1)

    removals(house).post(house.alice.id, house.posts["Hello"])
    house.run()

    assert (len(house.alice.frames(Frame.REMOVED)), len(ann.frames(Frame.REMOVED))) == (2, 1)
    assert (house.alice.badge, ann.badge) == (1, 0)
    assert house.rows("select type from notifications") == [("FOLLOW",)]


def test_what_still_waits_about_a_post_that_went_is_told_to_nobody(
    house: House, ann: Person
) -> None:
    ann.likes("Hello")
    ann.comments("Hello", "Nice")
    house.actions.share(ann.id, house.posts["Hello"])

    removals(house).post(house.alice.id, house.posts["Hello"])
    house.closes()

    assert house.rows("select 1 from notifications") == []
    assert (house.alice.toasts, house.alice.badge) == ([], 0)


def test_a_post_that_went_takes_no_likes_and_no_comments(house: House, ann: Person) -> None:
    removals(house).post(house.alice.id, house.posts["Hello"])

    for act in (lambda: ann.likes("Hello"), lambda: ann.comments("Hello", "Nice")):
        with pytest.raises(Rejected) as refused:
            act()
        assert refused.value.status == 404


def test_nobody_deletes_anothers_post(house: House, ann: Person) -> None:
    with pytest.raises(Rejected) as refused:
        removals(house).post(ann.id, house.posts["Hello"])

    assert refused.value.status == 403
    assert ann.likes("Hello").count == 1


@pytest.mark.parametrize("written", [True, False], ids=["written", "still on its way"])
def test_an_account_leaves_counts_groups_badges_and_texts(
    house: House, ann: Person, written: bool
) -> None:
    (ben,) = house.people("Ben")
    for one in (ann, ben):
        one.likes("Hello")
        one.follows(house.alice)
    ann.comments("Hello", "Nice")
    if written:
        house.closes()

    removals(house).account(ann.id)
    house.closes()

    assert [counts(house, what) for what in ("like", "follow")] == ["1", "1"]
    assert counts(house, "comment") in (None, "0")
    rows = {row["type"]: row["message"] for row in house.alice.inbox}
    assert rows == {"FOLLOW": "Ben started following you", "LIKE": "Ben liked your post"}
    assert (house.alice.badge, faults(house)) == (2, [])


def test_with_an_account_its_posts_go_and_what_was_told_of_them(house: House, ann: Person) -> None:
    house.actions.follow(house.alice.id, ann.id, _on())
    ann.posts("By Ann")
    house.alice.likes("By Ann")
    house.alice.replies(ann.comments("By Ann", "First"), "Second")
    house.closes()

    removals(house).account(ann.id)
    house.closes()

    assert house.rows("select 1 from posts where caption = 'By Ann'") == []
    assert faults(house) == []


def test_removing_an_account_twice_is_not_found(house: House, ann: Person) -> None:
    removals(house).account(ann.id)

    with pytest.raises(Rejected) as refused:
        removals(house).account(ann.id)

    assert refused.value.status == 404


def test_a_block_takes_the_past_out_of_ones_groups_live(house: House, ann: Person) -> None:
    (ben,) = house.people("Ben")
    ben.likes("Hello")
    ann.likes("Hello")
    ann.follows(house.alice)
    house.run()

    Mutes(house.engine, hand(house)).block(house.alice.id, ann.id)
    house.run()

    assert house.alice.frames(Frame.UPDATED)[-1]["message"] == "Ben liked your post"
    assert (len(house.alice.frames(Frame.REMOVED)), house.alice.badge) == (1, 1)
    assert counts(house) == "2"


def test_what_a_blocked_person_has_in_an_open_window_is_not_told(house: House, ann: Person) -> None:
    ann.comments("Hello", "Nice")
    house.run()

    Mutes(house.engine, hand(house)).block(house.alice.id, ann.id)
    house.closes()

    assert (house.alice.toasts, house.alice.badge) == ([], 0)
    assert counts(house, "comment") == "1"


def test_a_mute_leaves_the_past_and_silences_the_future(house: House, ann: Person) -> None:
    ann.likes("Hello")
    house.run()

    Mutes(house.engine, hand(house)).person(house.alice.id, ann.id, True)
    ann.follows(house.alice)
    house.run()

    assert house.alice.toasts == ["Ann liked your post"]
    assert house.alice.badge == 1


def _on() -> Any:
    from app.stores.memberships import Wish

    return Wish.ON
