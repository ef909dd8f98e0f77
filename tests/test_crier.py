"""The crier: each frame once and in order, by whichever way it comes first."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine

from app.crier import Crier
from app.domain.errors import Unavailable
from app.heard import Heard
from app.stores.history import History
from app.stores.postgres import driver_url
from app.stores.urgency import Urgent
from app.streams.push import room_of
from tests.cast import assemble, code, like
from tests.stores.books import Books

pytestmark = pytest.mark.service


@dataclass
class Stand:
    """Alice's screen, and the crier before it."""

    books: Books
    heard: Heard = field(default_factory=Heard)
    shown: list[tuple[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.alice = self.books.cast.alice
        self.crier = self.crier_of(self.books.engine)
        self.heard.begin(self.alice, 0)

    def crier_of(self, engine: Engine) -> Crier:
        return Crier(History(engine), self.heard, self.emit)

    def emit(self, event: str, data: dict[str, Any], room: str) -> None:
        assert room == room_of(self.alice)
        self.shown.append((event, data))

    def by_redis(self, crier: Crier | None = None) -> None:
        """All of Alice's frames come as the deliverer would send them."""
        frames = self.books.ask("select frame, payload from outbox order by id")
        for event, data in frames:
            if (crier or self.crier).takes(event, data, room_of(self.alice)):
                self.emit(event, data, room_of(self.alice))

    @property
    def seqs(self) -> list[int]:
        return [data["seq"] for event, data in self.shown if event != "unread_count"]

    @property
    def badges(self) -> list[int]:
        return [data["version"] for event, data in self.shown if event == "unread_count"]


@pytest.fixture
def stand(engine: Engine) -> Stand:
    return Stand(Books(engine, assemble(engine)))


def likes(stand: Stand, many: int) -> None:
    cast = stand.books.cast
    for place, person in enumerate((cast.bob, cast.carol)[:many], 1):
        stand.books.writes(like(person, cast, place))


def test_a_ring_tells_the_code_after_what_lies_before_it(stand: Stand) -> None:
    likes(stand, 2)
    [urgent] = stand.books.writes(code(stand.books.cast, 9)).urgent

    stand.crier.ring(f"{stand.alice} {urgent.seq}")
    stand.by_redis()

    assert stand.seqs == [1, 2, 3]
    assert stand.shown[2][1]["message"] == "Your code is 123456"
    assert stand.badges == [3]


def test_whoever_wrote_it_has_it_in_hand(stand: Stand) -> None:
    likes(stand, 1)
    [urgent] = stand.books.writes(code(stand.books.cast, 9)).urgent

    stand.crier.cry(urgent)
    stand.crier.ring(f"{stand.alice} {urgent.seq}")
    stand.by_redis()

    assert stand.seqs == [1, 2]


def test_without_the_tables_late_would_be_worse_than_out_of_order(stand: Stand) -> None:
    likes(stand, 1)
    [urgent] = stand.books.writes(code(stand.books.cast, 9)).urgent
    nowhere = create_engine(driver_url("postgresql://nobody@127.0.0.1:1/none"))

    stand.crier_of(nowhere).cry(urgent)
    stand.by_redis()

    assert stand.seqs == [2, 1]


def test_a_frame_that_redis_lost_comes_with_the_next_one(stand: Stand) -> None:
    likes(stand, 2)
    stand.books.writes(code(stand.books.cast, 9))
    frames = stand.books.frames()
    for data in (frames[0], frames[2]):
        if stand.crier.takes("notification", data, room_of(stand.alice)):
            stand.emit("notification", data, room_of(stand.alice))

    assert stand.seqs == [1, 2, 3]


def test_who_is_behind_the_tables_catches_up(stand: Stand) -> None:
    likes(stand, 2)

    assert stand.crier.catch_up() == 1
    assert stand.crier.catch_up() == 0
    assert stand.seqs == [1, 2]


def test_a_ring_for_somebody_who_is_not_here_asks_nobody(stand: Stand) -> None:
    nowhere = create_engine(driver_url("postgresql://nobody@127.0.0.1:1/none"))
    crier = stand.crier_of(nowhere)
    stand.heard.forget(stand.alice)

    crier.ring(f"{stand.alice} 3")
    crier.cry(Urgent(stand.alice, 3, {"seq": 3}))

    assert stand.shown == []


def test_a_ring_that_cannot_be_read_is_no_silence(stand: Stand) -> None:
    """The listener then counts as deaf, and catches up."""
    nowhere = create_engine(driver_url("postgresql://nobody@127.0.0.1:1/none"))
    with pytest.raises(Unavailable):
        stand.crier_of(nowhere).ring(f"{stand.alice} 3")


@pytest.mark.parametrize("room", [None, "signed-in", ["user:a"]])
def test_what_is_no_persons_passes(stand: Stand, room: object) -> None:
    assert stand.crier.takes("post_updated", {"seq": 1}, room)
