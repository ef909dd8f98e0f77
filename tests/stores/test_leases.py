"""Leases in PostgreSQL: one holder at a time, and a frozen one blocks nobody."""

from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event

from app.stores import leases
from app.stores.leases import Lease
from tests.contract.waiting import until

pytestmark = pytest.mark.service


def test_a_lease_has_one_holder_until_it_is_given_back(engine: Engine) -> None:
    one, other = Lease(engine, "relay", "one"), Lease(engine, "relay", "other")

    assert one.held()
    assert not other.held()
    other.release()
    assert one.held()
    one.release()
    assert other.held()


def test_a_lease_runs_out_by_itself(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "SECONDS", 0.03)
    Lease(engine, "relay", "one").held()

    assert until(Lease(engine, "relay", "other").held)


@pytest.mark.parametrize("ask", [Lease.held, Lease.release])
def test_who_is_frozen_while_it_asks_blocks_nobody(engine: Engine, ask: Any) -> None:
    """Frozen when the server has answered: a lock it held then, all others would wait for."""
    theirs = create_engine(engine.url)
    frozen, other = Lease(theirs, "relay", "one"), Lease(engine, "relay", "other")
    found: list[bool] = []
    frozen.held()

    @event.listens_for(theirs, "after_cursor_execute")
    def freezes(*_: object) -> None:
        with engine.connect() as sql:
            sql.exec_driver_sql("set statement_timeout = 500")
            sql.exec_driver_sql("select 1 from leases for update")
        found.append(other.held())

    frozen._renew_at = 0.0
    ask(frozen)
    theirs.dispose()

    assert found == [ask is Lease.release]
