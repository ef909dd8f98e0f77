"""A name is looked up when it is shown: a former one appears nowhere after a change."""

import json
import time
from collections.abc import Iterable
from typing import Any

import pytest
from sqlalchemy import Connection, text

from app.domain.errors import Unavailable
from app.domain.ledger import Frame
from app.domain.routing import Topic
from app.links import Links
from app.seals import Seals
from app.stores.groups import lock_recipients
from app.stores.history import History, Since
from app.stores.notifications import Notifications
from app.stores.outgoing import OutgoingMessages
from app.stores.posts import Slice
from app.stores.profile_changes import ProfileChanges
from app.stores.users import Users
from app.stores.viewer import VIEWS, Viewer
from app.streams.mail_message import Message
from tests.cast import comment, like, people
from tests.house import House, Person, house, wired
from tests.stores.books import Books
from tests.stores.test_held import moment, quiet, rings
from workers.mail_consumer import LETTERS_GROUP, MailConsumer
from workers.mailer import Hand, Mailer, Writer

__all__ = ["house", "wired"]
pytestmark = pytest.mark.service


def renames(person: Person, name: str | None = None, avatar: str | None = None) -> None:
    Users(person.house.engine).change(person.id, name, None, avatar)


def corrects(house: House) -> int:
    """The worker of changed profiles, until nothing waits; and what it told goes out."""
    changes, steps = ProfileChanges(house.engine), 0
    while changes.step():
        steps += 1
    house.run()
    return steps


@pytest.fixture
def ann(house: House) -> Person:
    return house.people("Ann")[0]


@pytest.fixture
def liked(house: House, ann: Person) -> House:
    """Ann and Ben like Alice's post, and Alice has heard it."""
    house.alice.posts("Hello")
    house.people("Ben")[0].likes("Hello")
    house.run()
    ann.likes("Hello")
    house.run()
    return house


def test_a_list_shows_the_present_name(liked: House, ann: Person) -> None:
    renames(ann, "Zoe")

    [row] = liked.alice.inbox
    assert (row["message"], row["actorName"]) == ("Zoe and 1 other liked your post", "Zoe")
    assert [face["name"] for face in row["actors"]] == ["Zoe", "Ben"]


def test_missed_frames_show_the_present_name(liked: House, ann: Person) -> None:
    history = History(liked.engine)
    epoch = history.missed(liked.alice.id, None).epoch
    renames(ann, "Zoe", "https://pictures.example/zoe.png")

    missed: Any = history.missed(liked.alice.id, Since(epoch, 0)).frames
    later: Any = history.later(liked.alice.id, 0)

    last = missed[-1]["data"]
    assert (last["message"], last["actorName"]) == ("Zoe liked your post", "Zoe")
    assert last["actorAvatar"] == "https://pictures.example/zoe.png"
    assert last["group"]["message"] == "Zoe and 1 other liked your post"
    assert [one["data"] for one in missed] == [data for event, data in later if "seq" in data]
    assert "Ann" not in json.dumps(missed)


def test_a_frame_that_waited_in_kafka_shows_the_present_name(house: House, ann: Person) -> None:
    house.alice.posts("Hello")
    ann.likes("Hello")
    for worker in (house.bridge, house.aggregator, house.relay):
        worker.step()
    renames(ann, "Zoe")

    house.deliverer.step()

    assert house.alice.toasts == ["Zoe liked your post"]


def test_what_quiet_hours_held_rings_with_the_present_name(house: House, ann: Person) -> None:
    moment(house, 2026, 6, 1, 23, 0)
    quiet(house)
    house.alice.posts("Hello")
    ann.likes("Hello")
    house.run()
    renames(ann, "Zoe")
    moment(house, 2026, 6, 2, 8, 0)

    assert rings(house) == ["Zoe liked your post"]


class Box:
    """A transport that keeps what it is given."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def send(self, message: Message) -> None:
        self.messages.append(message)


def test_an_email_shows_the_name_at_the_time_of_sending(house: House, ann: Person) -> None:
    box, messages = Box(), OutgoingMessages(house.engine)
    subscriber: Any = house.kafka.subscriber(LETTERS_GROUP, Topic.READY.value)
    writer = Writer(Seals("a test's secret"), Links("a test's secret", "https://x.example"))
    mailer = Mailer(messages, {"EMAIL": box}, writer, Hand(time.time, lambda: 0.0))
    with house.engine.begin() as sql:
        sql.execute(
            text("insert into notification_preferences (user_id, matrix) values (:id, :matrix)"),
            {"id": house.alice.id, "matrix": '{"FOLLOW": {"email": true}}'},
        )
    ann.follows(house.alice)
    house.run()
    MailConsumer(subscriber, messages, time.time).step()
    renames(ann, "Zoe")

    while mailer.step() or mailer.wait(10):
        pass

    assert [one.text for one in box.messages] == ["Zoe started following you"]


def test_no_table_and_no_record_keeps_a_name(liked: House, ann: Person) -> None:
    said = liked.rows("select row_to_json(n)::text from notifications n")
    said += liked.rows("select row_to_json(o)::text from outbox o")
    said += [(str(record.value),) for record in liked.kafka.records(Topic.READY.value)]

    assert len(said) > 4
    assert [row for row in said if ann.name in row[0]] == []


def test_the_table_viewer_shows_the_present_name(liked: House, ann: Person) -> None:
    renames(ann, "Zoe")

    [row] = Viewer(liked.engine).newest(VIEWS["notification-history"], Slice(10))

    assert (row["actorName"], row["message"]) == ("Zoe", "Zoe and 1 other liked your post")
    assert "quote" not in row


def test_a_removed_account_is_not_named_in_what_was_missed(liked: House, ann: Person) -> None:
    epoch = History(liked.engine).missed(liked.alice.id, None).epoch
    with liked.engine.begin() as sql:
        sql.execute(text("delete from users where id = :id"), {"id": ann.id})

    missed: Any = History(liked.engine).missed(liked.alice.id, Since(epoch, 0)).frames

    assert missed[-1]["data"]["message"] == "Someone liked your post"
    assert missed[-1]["data"]["group"]["message"] == "Ben and 1 other liked your post"


def test_missed_frames_do_not_quote_what_was_withdrawn(books: Books) -> None:
    said = comment(books.cast.bob, books.cast, 1, "a secret")
    books.closes(said)
    assert books.lines == ['Bob commented: "a secret"']

    books.tell("delete from posts where id = :post", post=books.cast.post)
    books.tell("delete from notifications")

    assert books.lines == ["Bob commented on your post"]


def test_a_right_to_left_name_is_isolated_in_every_text(house: House) -> None:
    (omar,) = house.people("שלמה")
    omar.follows(house.alice)
    house.run()

    words = "\u2068שלמה\u2069 started following you"
    assert house.alice.toasts == [words]
    assert [row["message"] for row in house.alice.inbox] == [words]
    assert house.alice.inbox[0]["actorName"] == "שלמה"


def test_while_names_cannot_be_looked_up_codes_go_and_the_rest_waits(
    house: House, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.alice.posts("Hello")
    ann.likes("Hello")
    for worker in (house.bridge, house.aggregator, house.relay):
        worker.step()
    code = {"type": "OTP", "id": ann.id, "version": 1, "message": "123456"}
    code |= {"group": {"title": "", "count": 0, "quote": None}}
    code |= {"metadata": {"aggregatedActors": [], "aggregatedCount": 0, "channels": ["PUSH"]}}
    waiting = [
        one for one in house.kafka.records(Topic.READY.value) if b"LIKE" in (one.value or b"")
    ]
    [record] = waiting
    value = json.loads(record.value or b"") | {"id": 10_000, "seq": 10_000, "data": code}
    house.publisher.publish([type(record)(record.topic, record.key, json.dumps(value).encode())])

    def away(*_: object) -> None:
        raise Unavailable("away, says the test")

    with monkeypatch.context() as patch:
        patch.setattr(house.engine.pool, "connect", away)
        with pytest.raises(Unavailable):
            house.deliverer.step()
        assert house.alice.toasts == ["123456"]

    house.deliverer.step()
    assert "Ann liked your post" in house.alice.toasts


# Open pages


def test_an_open_page_is_told_of_a_new_name_and_picture(liked: House, ann: Person) -> None:
    [before] = liked.alice.inbox
    renames(ann, "Zoe", "https://pictures.example/zoe.png")

    corrects(liked)

    [row] = liked.alice.inbox
    told = liked.alice.frames(Frame.UPDATED)[-1]
    assert (told["id"], told["message"]) == (row["id"], "Zoe and 1 other liked your post")
    assert (told["version"], told["seq"]) == (before["version"] + 1, before["seq"] + 1)
    assert told["actors"][0]["avatarUrl"] == "https://pictures.example/zoe.png"
    assert told["metadata"]["newCount"] == 0
    assert row["updated_at"] == before["updated_at"]
    assert len(liked.alice.toasts) == 2


def test_a_row_that_shows_only_the_face_is_told_too(liked: House) -> None:
    [ben] = [Person(liked, face["id"], "Ben") for face in liked.alice.inbox[0]["actors"][1:]]
    renames(ben, "Bo")

    corrects(liked)

    told = liked.alice.frames(Frame.UPDATED)[-1]
    assert told["message"] == "Ann and 1 other liked your post"
    assert [face["name"] for face in told["actors"]] == ["Ann", "Bo"]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"name": "Ann"}, id="the same name"),
        pytest.param({}, id="nothing that is shown"),
    ],
)
def test_a_change_that_nobody_sees_tells_nobody(liked: House, ann: Person, change: Any) -> None:
    renames(ann, **change)

    assert corrects(liked) == 0
    assert liked.alice.frames(Frame.UPDATED) == []


@pytest.mark.parametrize("column", ["archived_at", "removed_at"])
def test_a_row_that_nobody_sees_is_not_told(liked: House, ann: Person, column: str) -> None:
    with liked.engine.begin() as sql:
        sql.execute(text(f"update notifications set {column} = now()"))  # noqa: S608 - a constant
    renames(ann, "Zoe")

    corrects(liked)

    assert liked.alice.frames(Frame.UPDATED) == []


def test_a_row_whose_shown_faces_do_not_include_the_person_is_not_told(books: Books) -> None:
    first, *others = people(books.engine, *(f"P{n}" for n in range(9)))
    events = [like(one, books.cast, seq) for seq, one in enumerate([first, *others], 1)]
    books.closes(*events)
    frames = len(books.frames())

    Users(books.engine).change(first, "Zoe", None, None)
    while ProfileChanges(books.engine).step():
        pass

    assert len(books.frames()) == frames


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.stores.profile_changes.PAGE", 2)


def likes_of(house: House, person: Person, many: int) -> None:
    for number in range(many):
        house.alice.posts(f"Post {number}")
        person.likes(f"Post {number}")
    house.run()


def test_many_rows_are_corrected_page_by_page(house: House, ann: Person, small_pages: None) -> None:
    likes_of(house, ann, 5)
    renames(ann, "Zoe")

    assert corrects(house) == 3

    told = house.alice.frames(Frame.UPDATED)
    assert len(told) == 5
    assert {frame["message"] for frame in told} == {"Zoe liked your post"}
    assert house.rows("select count(*) from profile_changes") == [(0,)]


def test_a_correction_that_stopped_goes_on_where_it_was(
    house: House, ann: Person, small_pages: None
) -> None:
    likes_of(house, ann, 5)
    renames(ann, "Zoe")
    ProfileChanges(house.engine).step()  # and the worker dies

    corrects(house)

    ids = [frame["id"] for frame in house.alice.frames(Frame.UPDATED)]
    assert len(ids) == len(set(ids)) == 5


def test_two_workers_at_once_tell_a_page_once(
    house: House, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    likes_of(house, ann, 2)
    renames(ann, "Zoe")

    def meanwhile(sql: Connection, owners: Iterable[str]) -> set[str]:
        """Another worker does the same page between our look and our lock."""
        monkeypatch.undo()
        assert ProfileChanges(house.engine).step() == 2
        return lock_recipients(sql, owners)

    monkeypatch.setattr("app.stores.profile_changes.lock_recipients", meanwhile)
    ProfileChanges(house.engine).step()
    house.run()

    assert len(house.alice.frames(Frame.UPDATED)) == 2


def test_a_second_change_begins_again(house: House, ann: Person, small_pages: None) -> None:
    likes_of(house, ann, 3)
    renames(ann, "Zoe")
    ProfileChanges(house.engine).step()
    renames(ann, "Yara")

    corrects(house)

    last = {frame["id"]: frame["message"] for frame in house.alice.frames(Frame.UPDATED)}
    assert list(last.values()) == ["Yara liked your post"] * 3


def test_only_so_many_rows_are_corrected_and_the_newest_first(
    house: House, ann: Person, small_pages: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.stores.profile_changes.MAX_ROWS", 3)
    likes_of(house, ann, 5)
    newest = {row["id"] for row in house.alice.inbox[:3]}
    renames(ann, "Zoe")

    corrects(house)

    assert {frame["id"] for frame in house.alice.frames(Frame.UPDATED)} == newest
    assert house.rows("select count(*) from profile_changes") == [(0,)]


# One order of actors


def test_all_lists_of_actors_have_one_order(house: House) -> None:
    """Followers first, then the newest: rows, frames, /actors and the reasons alike."""
    fan, *others = house.people("Fan", "Ben", "Cem", "Dan")
    house.alice.posts("Hello")
    fan.follows(house.alice)
    house.run()
    for one in (fan, *others):
        one.likes("Hello")
        house.run()
    house.closes()

    [row] = [row for row in house.alice.inbox if row["type"] == "LIKE"]
    store, want = Notifications(house.engine), ["Fan", "Dan", "Cem", "Ben"]
    last = house.alice.frames()[-1]
    why = store.why(row["id"])
    names = {person.id: person.name for person in (fan, *others)}
    assert [face["name"] for face in row["actors"]] == want
    assert [face["name"] for face in last["actors"]] == want
    assert [names[one] for one in last["metadata"]["aggregatedActors"]] == want
    assert [one.person.name for one in store.actors(row["id"], 10, None)] == want
    assert why is not None
    assert [one["name"] for one in why.actors] == want
    assert row["message"] == "Fan and 3 others liked your post"
