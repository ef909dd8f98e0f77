"""The counters of a storm against a real PostgreSQL."""

import time

import pytest
from sqlalchemy import Engine, text

from app.clients.postgres import autocommit_engine
from app.devtools.storm.measurements import STATISTICS_DELAY_SECONDS, LockWaitSampler, read_counters

pytestmark = pytest.mark.service
ROW_COUNT = 1_000
INSERT_ROWS = text("insert into storm_test_rows select generate_series(1, :count)")


def test_rows_of_a_session_that_became_idle_are_counted_after_the_delay(engine: Engine) -> None:
    """It reported its statistics just before, so it keeps those of its last transaction for ten seconds."""
    with autocommit_engine(engine).connect() as conn:
        conn.execute(text("create temporary table storm_test_rows (number int)"))
        time.sleep(1.1)
        conn.execute(INSERT_ROWS, {"count": 1})
        before = read_counters(engine)
        conn.execute(INSERT_ROWS, {"count": ROW_COUNT})
        time.sleep(STATISTICS_DELAY_SECONDS)
        rows_written = read_counters(engine).since(before, 0)["rowsWritten"]

    assert rows_written is not None
    assert rows_written >= ROW_COUNT


def test_sampler_counts_its_own_transactions(engine: Engine) -> None:
    sampler = LockWaitSampler(engine)
    time.sleep(0.55)
    figures = sampler.stop()

    assert 1 <= sampler.transaction_count <= 6
    assert figures["lockWaitSeconds"] >= 0
