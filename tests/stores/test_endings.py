"""Events that nobody is told of are in their recipient's delivery log, with the reason."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from app.domain.events import Event, Kind
from app.domain.ledger import Ring
from app.domain.routing import Topic
from app.stores.delivery_log import item
from tests.cast import comment, follow, like, new_id, people, unlike
from tests.house import NAMES, House, house, wired
from tests.stores.books import Books
from workers.deliverer import parse_ready

__all__ = ["house", "wired"]
pytestmark = pytest.mark.service
OFF = '{"%s": {"push": false, "email": false, "sms": false}}'


def switches_off(books: Books, kind: Kind) -> None:
    books.tell(
        "insert into notification_preferences (user_id, matrix) values (:id, cast(:m as jsonb))",
        id=books.cast.alice,
        m=OFF % kind.value,
    )


def logged(books: Books) -> list[tuple[str, str, int]]:
    """Status, event and number of each item."""
    rows = books.ask("select payload from outbox where frame = 'ended' order by id")
    return [(one["status"], one["id"], one["count"]) for (one,) in rows]


def by_preference(books: Books) -> Event:
    switches_off(books, Kind.LIKE)
    return like(books.cast.bob, books.cast, 1)


def by_mute(books: Books) -> Event:
    return like(books.cast.dave, books.cast, 1)


def by_block(books: Books) -> Event:
    books.tell(
        "insert into blocks (user_id, blocked_user_id) values (:a, :b)",
        a=books.cast.alice,
        b=books.cast.bob,
    )
    return like(books.cast.bob, books.cast, 1)


def by_oneself(books: Books) -> Event:
    return like(books.cast.alice, books.cast, 1)


def by_a_missing_post(books: Books) -> Event:
    return replace(like(books.cast.bob, books.cast, 1), object_id=new_id())


def by_a_missing_actor(books: Books) -> Event:
    return replace(like(new_id(), books.cast, 1), kind=Kind.MENTION)


def by_a_clearing(books: Books) -> Event:
    event = like(books.cast.bob, books.cast, 1)
    books.tell(
        "insert into fences (name, seq) values ('clear', :seq) "
        "on conflict (name) do update set seq = excluded.seq",
        seq=event.seq,
    )
    return event


def by_withdrawal_before_it_was_written(books: Books) -> Event:
    return unlike(books.cast.bob, books.cast, 2)


def by_withdrawal_before_it_was_told(books: Books) -> Event:
    books.writes(like(books.cast.bob, books.cast, 1), ring=Ring.LATER)
    return unlike(books.cast.bob, books.cast, 2)


def by_a_fault_of_its_own(books: Books) -> Event:
    return replace(comment(books.cast.bob, books.cast, 1), kind=Kind.MENTION, object_type="X" * 21)


REASONS: list[tuple[Callable[[Books], Event], str]] = [
    (by_preference, "FILTERED_PREFS"),
    (by_mute, "MUTED"),
    (by_block, "BLOCKED"),
    (by_oneself, "SELF"),
    (by_a_missing_post, "EXPIRED"),
    (by_a_missing_actor, "EXPIRED"),
    (by_a_clearing, "EXPIRED"),
    (by_withdrawal_before_it_was_written, "RETRACTED"),
    (by_withdrawal_before_it_was_told, "RETRACTED"),
    (by_a_fault_of_its_own, "FAILED"),
]


@pytest.mark.parametrize(("ends", "status"), REASONS)
def test_an_event_that_ends_untold_is_logged_with_its_reason(
    books: Books, ends: Callable[[Books], Event], status: str
) -> None:
    event = ends(books)

    books.writes(event, follow(books.cast.carol, books.cast, 9))

    assert logged(books) == [(status, event.event_id, 1)]
    assert books.lines == ["Carol started following you"]


def test_a_withdrawal_that_is_told_needs_no_other_entry(books: Books) -> None:
    books.writes(like(books.cast.bob, books.cast, 1))
    books.writes(unlike(books.cast.bob, books.cast, 2))

    assert logged(books) == []


def test_what_nobody_can_be_told_of_any_more_is_not_logged(books: Books) -> None:
    books.writes(replace(like(books.cast.bob, books.cast, 1), recipient_id=new_id()))

    assert logged(books) == []


def test_thousands_that_end_alike_are_one_entry(books: Books) -> None:
    switches_off(books, Kind.LIKE)
    actors = people(books.engine, *(f"P{n}" for n in range(300)))

    books.closes(*(like(one, books.cast, n) for n, one in enumerate(actors, 1)))

    [(status, _, count)] = logged(books)
    assert (status, count) == ("FILTERED_PREFS", 300)


def test_one_that_comes_again_is_the_same_item(books: Books) -> None:
    event = replace(like(books.cast.dave, books.cast, 1), kind=Kind.POST_SHARE)

    for _ in range(2):
        books.writes(event)

    rows = books.ask("select id, user_id::text, payload from outbox where frame = 'ended'")
    items = [
        item({"id": n, "targetId": user, "frame": "ended", "at": f"{n}", "data": data}, 0)
        for n, user, data in rows
    ]
    assert len(items) == 2
    assert items[0] == items[1]


def ready(house: House) -> list[dict[str, Any]]:
    return [parse_ready(one.value) for one in house.kafka.records(Topic.READY.value)]


def test_it_reaches_the_log_and_no_socket(house: House) -> None:
    house.alice.posts("Hello")
    with house.engine.begin() as sql:
        sql.execute(
            text(
                "insert into notification_preferences (user_id, matrix) "
                "values (:alice, cast(:matrix as jsonb))"
            ),
            {"alice": house.alice.id, "matrix": OFF % "LIKE"},
        )
    for person in house.people(*NAMES):
        person.likes("Hello")

    house.closes()

    assert [one for one in house.push.frames if one[0] != "post_updated"] == []
    items = [item(one, 0) for one in ready(house)]
    assert {one["status"]["S"] for one in items} == {"FILTERED_PREFS"}
    assert sum(int(one["count"]["N"]) for one in items) == len(NAMES)
    assert orjson.dumps(ready(house)).count(b'"frame":"ended"') == len(items) <= len(NAMES)
