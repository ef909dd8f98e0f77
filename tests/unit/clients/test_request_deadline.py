"""The timeout budget of a request for PostgreSQL, which includes waiting for a pooled connection."""

import sqlite3
from collections.abc import Iterator
from threading import Timer

import pytest
from flask import Flask
from sqlalchemy import create_engine
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.clients import gevent_setup
from app.clients.postgres import BudgetChargingPool
from app.clients.request_deadline import REQUEST_BUDGET_SECONDS, RequestPostgresTimeoutBudget


@pytest.fixture
def timeout_budget(monkeypatch: pytest.MonkeyPatch) -> Iterator[RequestPostgresTimeoutBudget]:
    """The budget of a request that has just begun."""
    timeout_budget = RequestPostgresTimeoutBudget()
    monkeypatch.setattr(gevent_setup, "_timeout_budget", timeout_budget)
    with Flask("test").app_context():
        yield timeout_budget


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("app.clients.gevent_setup.time.monotonic", lambda: now[0])
    return now


def test_waiting_for_the_pool_uses_the_timeout_budget(
    timeout_budget: RequestPostgresTimeoutBudget, clock: list[float]
) -> None:
    with gevent_setup.charge_pool_wait():
        clock[0] += 1.2

    assert timeout_budget.remaining_seconds() == pytest.approx(REQUEST_BUDGET_SECONDS - 1.2)


def test_connection_wait_inside_the_pool_wait_counts_once(
    timeout_budget: RequestPostgresTimeoutBudget, clock: list[float]
) -> None:
    with gevent_setup.charge_pool_wait():
        clock[0] += 0.5  # waiting for the pool
        clock[0] += 0.7  # connecting, which charges itself
        timeout_budget.charge(0.7)

    assert timeout_budget.remaining_seconds() == pytest.approx(REQUEST_BUDGET_SECONDS - 1.2)


def test_failed_pool_wait_reduces_the_timeout_budget(
    timeout_budget: RequestPostgresTimeoutBudget,
) -> None:
    engine = create_engine(
        "sqlite://", poolclass=BudgetChargingPool, pool_size=1, max_overflow=0, pool_timeout=0.05
    )
    with engine.connect(), pytest.raises(PoolTimeout):
        engine.connect()

    assert REQUEST_BUDGET_SECONDS - 1.0 < timeout_budget.remaining_seconds() < REQUEST_BUDGET_SECONDS - 0.04


def test_dead_connection_is_replaced_within_the_remaining_budget(
    timeout_budget: RequestPostgresTimeoutBudget,
) -> None:
    remaining_seconds: list[float] = []

    def connect() -> sqlite3.Connection:
        remaining_seconds.append(timeout_budget.remaining_seconds())
        return sqlite3.connect(":memory:", check_same_thread=False)

    engine = create_engine(
        "sqlite://", creator=connect, poolclass=BudgetChargingPool, pool_size=1, max_overflow=0
    )
    connection = engine.connect()

    def invalidate() -> None:
        connection.invalidate()
        connection.close()

    Timer(0.2, invalidate).start()
    with engine.connect():
        pass

    assert remaining_seconds[0] == REQUEST_BUDGET_SECONDS
    assert remaining_seconds[1] < REQUEST_BUDGET_SECONDS - 0.15
