"""Acks: what clients say they have shown is gathered within bounds and written together."""

from collections.abc import Sequence
from typing import Any

import pytest

from app.acks import MOST, MOST_OF_ONE, Acks, ack_of
from app.domain.errors import Unavailable
from app.stores.seen import Ack
from tests.cast import new_id

ALICE, ROW = new_id(), new_id()


class Table:
    """Where acks go; away when told so."""

    def __init__(self) -> None:
        self.kept: list[Ack] = []
        self.away = False

    def record(self, acks: Sequence[Ack]) -> int:
        if self.away:
            raise Unavailable("PostgreSQL is away", "postgres_unavailable")
        self.kept += acks
        return len(acks)


def said(row: str = ROW, version: Any = 1) -> dict[str, Any]:
    return {"notificationId": row, "version": version}


def test_what_was_said_is_written_once_in_order() -> None:
    table = Table()
    acks = Acks(table.record)
    for version in (1, 2, 1):
        acks.take(ALICE, said(version=version))
    assert acks.step() == 2
    assert acks.step() == 0
    assert table.kept == [Ack(ALICE, ROW, 1), Ack(ALICE, ROW, 2)]


def test_with_postgresql_away_they_wait() -> None:
    table = Table()
    acks = Acks(table.record)
    acks.take(ALICE, said())
    table.away = True
    with pytest.raises(Unavailable):
        acks.step()
    table.away = False
    acks.flush()
    assert table.kept == [Ack(ALICE, ROW, 1)]


def test_nobody_fills_the_room_of_all_others() -> None:
    acks = Acks(Table().record)
    for version in range(1, MOST_OF_ONE + 5):
        acks.take(ALICE, said(version=version))
    assert acks.dropped == 4
    acks.take(new_id(), said())
    assert acks.dropped == 4
    acks.flush()
    acks.take(ALICE, said())
    assert acks.dropped == 4


def test_the_room_has_an_end() -> None:
    acks = Acks(Table().record)
    for _ in range(MOST + 3):
        acks.take(new_id(), said())
    assert acks.dropped == 3


@pytest.mark.parametrize(
    "odd",
    [
        None,
        "x",
        [],
        {},
        {"notificationId": 1},
        {"notificationId": "x", "version": 1},
        said(version=True),
        said(version=0),
        said(version="1"),
        said(version=2**40),
    ],
)
def test_what_is_no_ack_is_nothing(odd: Any) -> None:
    assert ack_of(ALICE, odd) is None


def test_the_seeds_client_names_no_version() -> None:
    assert ack_of(ALICE, {"notificationId": ROW.upper()}) == Ack(ALICE, ROW, 1)
