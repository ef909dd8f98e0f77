"""The path of a like, from the click to the toast: one step() per stop."""

import pytest

from tests.house import NAMES, WINDOW_AND_JITTER, House

pytestmark = pytest.mark.service


def test_three_likes_are_told_at_once_and_the_rest_in_one_line(house: House) -> None:
    house.alice.posts("Hello")

    for place, person in enumerate(house.people(*NAMES[:5]), 1):
        assert person.likes("Hello").count == place  # STOP 2-3: the count is there at once
    assert house.bridge.step() == 5  # STOP 4: from Redis to Kafka
    assert house.aggregator.step() == 5  # STOP 5: three at once, two gathered
    assert house.relay.step() == 4  # STOP 7b: three toasts and the badge
    assert house.deliverer.step() == 4  # STOP 8
    assert house.alice.toasts == [
        "Ann liked your post",
        "Ben liked your post",
        "Cem liked your post",
    ]
    assert house.alice.badge == 1

    assert house.flusher.step() == 0  # the window is open
    house.clock.forward(seconds=WINDOW_AND_JITTER)
    assert house.flusher.step() == 1  # STOP 6-7: one transaction, one line
    assert house.relay.step() == 2
    assert house.deliverer.step() == 2
    assert house.alice.toasts[3:] == ["Eve and 4 others liked your post"]
    assert house.alice.frames()[3]["metadata"]["newCount"] == 2
    assert house.alice.badge == 1


def test_every_stop_keeps_what_it_was_given(house: House) -> None:
    house.alice.posts("Hello")
    everybody = house.people(*NAMES[:5])
    for person in everybody:
        person.likes("Hello")

    house.run()
    house.clock.forward(seconds=WINDOW_AND_JITTER)
    house.run()

    post = house.posts["Hello"]
    likes = house.rows("select user_id::text from active_likes where post_id = :post", post=post)
    assert {row[0] for row in likes} == {person.id for person in everybody}
    assert house.rows("select like_count from posts where id = :post", post=post) == [(5,)]
    told = house.rows("select type, version, actor_count, owed_count from notifications")
    assert told == [("LIKE", 4, 5, 0)]
    assert [row["message"] for row in house.alice.inbox] == ["Eve and 4 others liked your post"]
    assert house.rows("select count(*) from outbox where published_at is null") == [(0,)]
    assert house.windows.count() == 0


def test_an_instant_line_carries_how_the_group_reads_and_its_faces(house: House) -> None:
    house.alice.posts("Hello")
    for person in house.people(*NAMES[:2]):
        person.likes("Hello")
    house.run()

    last = house.alice.frames()[-1]
    assert last["message"] == "Ben liked your post"
    assert last["group"]["message"] == "Ben and 1 other liked your post"
    assert [one["name"] for one in last["actors"]] == ["Ben", "Ann"]
