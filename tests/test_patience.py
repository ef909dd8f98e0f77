"""How long a request waits for PostgreSQL in all: its place in the queue is waiting as well."""

import sqlite3
from collections.abc import Iterator
from threading import Timer

import pytest
from flask import Flask
from sqlalchemy import create_engine
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app import green
from app.patience import SECONDS, RequestPatience
from app.stores.postgres import Queue


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> Iterator[RequestPatience]:
    """A request's, which has just begun."""
    asking = RequestPatience()
    monkeypatch.setattr(green, "_patience", asking)
    with Flask("asking").app_context():
        yield asking


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(green.time, "monotonic", lambda: now[0])
    return now


def test_a_place_in_the_queue_is_waiting_as_well(
    patience: RequestPatience, clock: list[float]
) -> None:
    with green.waiting():
        clock[0] += 1.2

    assert patience.left() == pytest.approx(SECONDS - 1.2)


def test_what_the_connection_waited_for_meanwhile_counts_once(
    patience: RequestPatience, clock: list[float]
) -> None:
    with green.waiting():
        clock[0] += 0.5  # the queue
        clock[0] += 0.7  # the connection, which told so itself
        patience.waited(0.7)

    assert patience.left() == pytest.approx(SECONDS - 1.2)


def test_a_queue_that_was_waited_in_for_nothing_leaves_less_patience(
    patience: RequestPatience,
) -> None:
    engine = create_engine(
        "sqlite://", poolclass=Queue, pool_size=1, max_overflow=0, pool_timeout=0.05
    )
    with engine.connect(), pytest.raises(PoolTimeout):
        engine.connect()

    assert SECONDS - 1.0 < patience.left() < SECONDS - 0.04


def test_a_dead_connection_is_replaced_with_the_patience_that_the_queue_left(
    patience: RequestPatience,
) -> None:
    left: list[float] = []

    def connects() -> sqlite3.Connection:
        left.append(patience.left())
        return sqlite3.connect(":memory:", check_same_thread=False)

    engine = create_engine(
        "sqlite://", creator=connects, poolclass=Queue, pool_size=1, max_overflow=0
    )
    held = engine.connect()

    def dies() -> None:
        held.invalidate()
        held.close()

    Timer(0.2, dies).start()
    with engine.connect():
        pass

    assert left[0] == SECONDS
    assert left[1] < SECONDS - 0.15
