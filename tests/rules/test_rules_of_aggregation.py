"""The ten rules of aggregation, one test each and by number, over the real stores."""

import pytest

from app.domain.ledger import Frame
from app.domain.routing import Topic
from app.seals import Seals
from app.stores.marks import READ, Marks
from tests.cast import new_id
from tests.house import House

pytestmark = pytest.mark.service


def columns(house: House, names: str) -> list[tuple[object, ...]]:
    return house.rows(f"select {names} from notifications where version > 0 order by generation")  # noqa: S608


def test_1_a_group_is_one_row_until_it_is_read_or_too_old(house: House) -> None:
    ann, ben, cem, dan = house.people("Ann", "Ben", "Cem", "Dan")
    house.alice.posts("Hello")
    for one in (ann, ben):
        one.likes("Hello")
        house.run()
    assert columns(house, "generation, version, actor_count") == [(1, 2, 2)]

    [(row,)] = columns(house, "id::text")
    Marks(house.engine).mark(house.alice.id, str(row), READ)
    cem.likes("Hello")
    house.run()
    assert columns(house, "generation, actor_count") == [(1, 2), (2, 1)]
    assert house.alice.badge == 1

    house.clock.forward(house.rules.group_max_hours * 3600 + 1)
    dan.likes("Hello")
    house.run()
    assert columns(house, "generation, actor_count") == [(1, 2), (2, 1), (3, 1)]


def test_2_three_likes_are_told_at_once_and_the_rest_together(house: House) -> None:
    house.alice.posts("Hello")
    for one in house.people("Ann", "Ben", "Cem", "Dan", "Eve"):
        one.likes("Hello")
        house.run()
    assert house.alice.toasts == [f"{name} liked your post" for name in ("Ann", "Ben", "Cem")]

    house.closes()

    assert house.alice.toasts[3:] == ["Eve and 4 others liked your post"]
    last = house.alice.frames()[-1]["metadata"]
    assert (last["newCount"], last["aggregatedCount"]) == (2, 5)


def test_3_comments_wait_and_are_readable_at_once(house: House) -> None:
    post = house.alice.posts("Hello")
    house.people("Ann")[0].comments("Hello", "Nice")
    house.run()
    assert [one.content for one in house.wired.parts.comments.of_post(post)] == ["Nice"]
    assert house.alice.toasts == []

    house.closes()

    assert house.alice.toasts == ['Ann commented: "Nice"']


def test_4_follows_bells_and_mentions_are_told_at_once(house: House) -> None:
    ann, ben = house.people("Ann", "Ben")
    for one in (ann, ben):
        one.follows(house.alice)
    with house.engine.begin() as sql:
        sql.exec_driver_sql(
            "insert into bell_subscriptions (subscriber_id, target_user_id) values (%s, %s)",
            (ann.id, house.alice.id),
        )
    [(name,)] = house.rows("select username from users where id = :id", id=ben.id)
    house.alice.posts(f"Hello @{name}")
    house.run()

    assert house.alice.toasts == ["Ann started following you", "Ben started following you"]
    kinds = sorted(str(kind) for (kind,) in columns(house, "type"))
    assert kinds == ["BELL_POST", "FOLLOW", "MENTION"]
    assert [len(one.toasts) for one in (ann, ben)] == [1, 1]


def test_5_critical_ones_pass_everything_each_alone(house: House) -> None:
    from app.domain.events import Event, Kind

    with house.engine.begin() as sql:
        sql.exec_driver_sql(
            "insert into notification_preferences (user_id, push_enabled, dnd_enabled, "
            "dnd_start_time, dnd_end_time) values (%s, false, true, '00:00', '23:59')",
            (house.alice.id,),
        )
    for words in ("Your code is 1", "Your code is 2"):
        house.actions.raise_event(Event(new_id(), Kind.OTP, house.alice.id, message=words))
    house.run()

    reveal = Seals(house.wired.parts.settings.web.secret_key).reveal
    shown = [reveal(frame)["message"] for frame in house.alice.frames()]
    assert shown == ["Your code is 1", "Your code is 2"]
    assert columns(house, "channels") == [(["PUSH", "EMAIL", "SMS"],)] * 2


def test_6_a_follower_makes_the_lane_and_is_named_first(house: House) -> None:
    ann, ben, cem = house.people("Ann", "Ben", "Cem")
    ann.follows(house.alice)
    house.alice.posts("Hello")
    house.run()
    for one in (ann, ben, cem):
        one.likes("Hello")
    house.bridge.step()

    lanes = {
        topic: sum(b'"LIKE"' in bytes(one.value or b"") for one in house.kafka.records(topic))
        for topic in (Topic.HIGH, Topic.LOW)
    }
    house.run()
    assert lanes == {Topic.HIGH: 1, Topic.LOW: 2}
    rows = [(row["priority"], row["message"]) for row in house.alice.inbox if row["type"] == "LIKE"]
    assert rows == [("HIGH", "Ann and 2 others liked your post")]


def test_7_who_withdraws_leaves_and_an_empty_group_disappears(house: House) -> None:
    ann, ben = house.people("Ann", "Ben")
    house.alice.posts("Hello")
    house.alice.likes("Hello")
    for one in (ann, ben):
        one.likes("Hello")
    house.run()
    assert house.alice.badge == 1

    ben.unlikes("Hello")
    house.run()
    assert house.alice.frames(Frame.UPDATED)[-1]["message"] == "Ann liked your post"

    ann.unlikes("Hello")
    house.run()
    assert (len(house.alice.frames(Frame.REMOVED)), house.alice.badge) == (1, 0)


def test_8_quiet_hours_hold_and_switches_filter(house: House) -> None:
    with house.engine.begin() as sql:
        sql.exec_driver_sql(
            "insert into notification_preferences (user_id, social, dnd_enabled, dnd_start_time, "
            "dnd_end_time) values (%s, false, true, '00:00', '23:59')",
            (house.alice.id,),
        )
    (ann,) = house.people("Ann")
    house.alice.posts("Hello")
    ann.likes("Hello")
    ann.follows(house.alice)
    house.run()
    assert (house.alice.toasts, house.alice.badge) == ([], 1)
    assert columns(house, "type") == [("LIKE",)]

    house.clock.forward(24 * 3600)
    house.held.ring_due()
    house.run()
    assert house.alice.toasts == ["Ann liked your post"]


def test_9_window_ends_spread_over_the_whole_band(house: House) -> None:
    from app.domain.windows import due_ms

    dues = [due_ms(0, house.rules, draw / 4_999) / 1000 for draw in range(5_000)]
    tenths = {int((due - 90) // 6) for due in dues if due < 150}
    assert (min(dues), max(dues)) == (90, 150)
    assert tenths == set(range(10))


def test_10_words_count_distinct_people_and_names_stay_plain(house: House) -> None:
    ann, odd = house.people("Ann", "<b>Ben</b>")
    house.alice.posts("Hello")
    for one in (ann, ann, odd):
        one.comments("Hello", "Nice")

    house.closes()

    assert house.alice.toasts == ["<b>Ben</b> and 1 other commented on your post"]
