"""The outbox stays compact while rows are inserted and published: autovacuum keeps up with its settings."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from app.clients.postgres import autocommit_engine
from app.messaging.outbox_relay import _SELECT_UNPUBLISHED
from harness.waiting import wait_until
from tests.support.pipeline_harness import PipelineHarness

pytestmark = [pytest.mark.service, pytest.mark.drill]
ROUND_COUNT, ROWS_PER_ROUND = 100, 2_000
MAX_DEAD_SHARE, MAX_GROWTH = 0.03, 1.1
MAX_PAGES_OF_RELAY, VACUUM_SECONDS = 60, 60
"""That the relay reads to find that nothing is unpublished. The entries of rows that were just published
count until autovacuum, or a scan that finds them dead, has removed them (at once: up to 440 pages)."""
INSERT_ROWS = """
    insert into outbox (user_id, client_seq, client_event, payload)
    select :user, :first + n, 'notification', jsonb_build_object('type', 'LIKE', 'text', repeat('x', 400))
    from generate_series(1, :count) n
"""


@pytest.fixture
def frequent_autovacuum(pipeline: PipelineHarness) -> Iterator[None]:
    """Looks for work every second instead of every minute."""
    with autocommit_engine(pipeline.engine).connect() as conn:
        conn.execute(text("alter system set autovacuum_naptime = 1"))
        conn.execute(text("select pg_reload_conf()"))
        yield
        conn.execute(text("alter system reset autovacuum_naptime"))
        conn.execute(text("select pg_reload_conf()"))


@pytest.mark.usefixtures("frequent_autovacuum")
def test_outbox_stays_compact_under_load(pipeline: PipelineHarness) -> None:
    sizes = []
    for round_number in range(1, ROUND_COUNT + 1):
        first = round_number * ROWS_PER_ROUND
        pipeline.execute(INSERT_ROWS, user=pipeline.alice.id, first=first, count=ROWS_PER_ROUND)
        while pipeline.outbox_relay.step():
            for records in pipeline.memory_kafka.log_by_partition.values():
                records.clear()
        if round_number in (ROUND_COUNT // 2, ROUND_COUNT):
            wait_until(lambda: _dead_share(pipeline) < MAX_DEAD_SHARE, "autovacuum", VACUUM_SECONDS)
            [(size,)] = pipeline.query("select pg_total_relation_size('outbox')::float8")
            sizes.append(size / (round_number * ROWS_PER_ROUND))

    assert sizes[1] <= sizes[0] * MAX_GROWTH
    wait_until(lambda: _pages_read_by_relay(pipeline) <= MAX_PAGES_OF_RELAY, "few pages", VACUUM_SECONDS)


def _dead_share(pipeline: PipelineHarness) -> float:
    [(share,)] = pipeline.query(
        "select n_dead_tup::float8 / greatest(n_live_tup, 1) from pg_stat_user_tables "
        "where relname = 'outbox'"
    )
    return float(share)


def _pages_read_by_relay(pipeline: PipelineHarness) -> int:
    with pipeline.engine.connect() as conn:
        explain = text(f"explain (analyze, buffers, format json) {_SELECT_UNPUBLISHED.text}")
        plans: Any = conn.execute(explain, {"limit": 500}).scalar_one()
    return int(plans[0]["Plan"]["Shared Hit Blocks"] + plans[0]["Plan"]["Shared Read Blocks"])
