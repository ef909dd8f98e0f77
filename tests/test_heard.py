"""What each person on this process's sockets was told already."""

import pytest

from app.heard import REMEMBERED, Heard

ANN = "ann"


@pytest.fixture
def heard() -> Heard:
    one = Heard()
    one.begin(ANN, 4)
    return one


def test_a_frame_is_news_once(heard: Heard) -> None:
    assert [heard.takes(ANN, "notification", {"seq": 5}) for _ in range(2)] == [True, False]
    assert heard.has(ANN, 5)


def test_a_frame_that_comes_late_is_news_still(heard: Heard) -> None:
    heard.takes(ANN, "notification", {"seq": 7})
    assert heard.takes(ANN, "notification_updated", {"seq": 6})
    assert heard.last(ANN) == 7


def test_a_provisional_frame_is_news_once_and_so_is_the_numbered_one(heard: Heard) -> None:
    frames = [{"id": "a"}, {"id": "a"}, {"id": "a", "seq": 5}, {"id": "b"}]
    assert [heard.takes(ANN, "notification", one) for one in frames] == [True, False, True, True]


def test_a_badge_never_goes_back(heard: Heard) -> None:
    versions = [3, 2, 3, 4]
    taken = [heard.takes(ANN, "unread_count", {"count": 1, "version": one}) for one in versions]
    assert taken == [True, False, False, True]


def test_who_is_not_here_is_nobodys_business(heard: Heard) -> None:
    heard.forget(ANN)
    assert heard.here() == []
    assert heard.last(ANN) is None
    assert heard.takes(ANN, "notification", {"seq": 5})


def test_the_first_to_join_says_where_the_history_stood(heard: Heard) -> None:
    heard.begin(ANN, 9)
    assert heard.last(ANN) == 4


def test_who_joined_without_a_history_learns_it_later(heard: Heard) -> None:
    heard.begin("ben", None)
    assert heard.last("ben") is None
    heard.begin("ben", 2)
    assert heard.last("ben") == 2


def test_memory_has_an_end(heard: Heard) -> None:
    for seq in range(5, 5 + 3 * REMEMBERED):
        heard.takes(ANN, "notification", {"seq": seq})
    known = [seq for seq in range(5, 5 + 3 * REMEMBERED) if heard.has(ANN, seq)]
    assert known == list(range(5 + 2 * REMEMBERED, 5 + 3 * REMEMBERED))
