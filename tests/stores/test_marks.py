"""Marks: each is told to the owner's other screens once, and the badge follows."""

import pytest

from app.domain.ledger import Frame
from app.stores.marks import ARCHIVED, DELETED, READ, SEEN, UNREAD, Mark, Marks
from tests.house import House, house, wired

__all__ = ["house", "wired"]
pytestmark = pytest.mark.service


@pytest.fixture
def liked(house: House) -> House:
    """Ann likes Alice's post, and Alice was told."""
    house.alice.posts("Hello")
    house.people("Ann")[0].likes("Hello")
    house.run()
    return house


def mark(house: House, mark: Mark) -> None:
    [(row,)] = house.rows("select id::text from notifications order by generation limit 1")
    Marks(house.engine).mark(house.alice.id, row, mark)
    house.run()


@pytest.mark.parametrize(
    ("one", "frame", "badge"),
    [
        pytest.param(READ, Frame.UPDATED, 0, id="read"),
        pytest.param(SEEN, Frame.UPDATED, 1, id="seen"),
        pytest.param(ARCHIVED, Frame.REMOVED, 0, id="archived"),
        pytest.param(DELETED, Frame.REMOVED, 0, id="deleted"),
    ],
)
def test_a_mark_is_told_in_one_frame_and_a_badge(
    liked: House, one: Mark, frame: Frame, badge: int
) -> None:
    mark(liked, one)

    [told] = liked.alice.frames(frame)
    assert (told["version"], told["seq"]) == (2, 2)
    assert liked.alice.badge == badge


def test_what_was_read_can_be_unread(liked: House) -> None:
    mark(liked, READ)
    mark(liked, UNREAD)

    assert [one["isRead"] for one in liked.alice.frames(Frame.UPDATED)] == [True, False]
    assert liked.alice.badge == 1


@pytest.mark.parametrize("one", [READ, SEEN, ARCHIVED])
def test_a_mark_made_twice_is_told_once(liked: House, one: Mark) -> None:
    mark(liked, one)
    if one is not ARCHIVED:
        mark(liked, one)

    assert len(liked.alice.frames(one.frame)) == 1


@pytest.mark.parametrize("one", [ARCHIVED, DELETED], ids=["archived", "deleted"])
def test_what_was_put_away_stays_away_whatever_happens_to_it(liked: House, one: Mark) -> None:
    (ben,) = liked.people("Ben")
    ben.likes("Hello")
    liked.run()
    mark(liked, one)
    heard = len(liked.push.frames)

    ben.unlikes("Hello")
    liked.run()

    told = [frame for frame in liked.push.frames[heard:] if frame[0] != "post_updated"]
    assert told == []


def test_who_likes_after_the_row_was_deleted_opens_a_new_one(liked: House) -> None:
    mark(liked, DELETED)

    liked.people("Ben")[0].likes("Hello")
    liked.run()

    assert liked.alice.toasts[-1] == "Ben liked your post"
    assert liked.alice.badge == 1
