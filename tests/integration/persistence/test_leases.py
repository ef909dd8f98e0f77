"""Leases in PostgreSQL: one holder at a time, and a frozen process blocks no other."""

from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event

from app.clients import leases
from app.clients.leases import PostgresLease
from harness.waiting import poll_until

pytestmark = pytest.mark.service


def test_lease_has_one_owner_until_released(engine: Engine) -> None:
    first, second = PostgresLease(engine, "relay", "first"), PostgresLease(engine, "relay", "second")

    assert first.acquire_or_renew()
    assert not second.acquire_or_renew()
    second.release()
    assert first.acquire_or_renew()
    first.release()
    assert second.acquire_or_renew()


def test_lease_expires(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "LEASE_SECONDS", 0.03)
    PostgresLease(engine, "relay", "first").acquire_or_renew()

    assert poll_until(PostgresLease(engine, "relay", "second").acquire_or_renew)


@pytest.mark.parametrize("call", [PostgresLease.acquire_or_renew, PostgresLease.release])
def test_process_frozen_while_acquiring_blocks_nobody(engine: Engine, call: Any) -> None:
    """The process freezes when the server has answered. It must not hold a row lock at that time."""
    frozen_engine = create_engine(engine.url)
    frozen, other = PostgresLease(frozen_engine, "relay", "frozen"), PostgresLease(engine, "relay", "other")
    acquired: list[bool] = []
    frozen.acquire_or_renew()

    @event.listens_for(frozen_engine, "after_cursor_execute")
    def acquire_in_another_process(*_: object) -> None:
        with engine.connect() as conn:
            conn.exec_driver_sql("set statement_timeout = 500")
            conn.exec_driver_sql("select 1 from leases for update")
        acquired.append(other.acquire_or_renew())

    frozen._next_renewal_at = 0.0
    call(frozen)
    frozen_engine.dispose()

    assert acquired == [call is PostgresLease.release]
