"""The retention loop on PostgreSQL: leases, restarts, progress, metrics, and the indexes it relies on."""

import json
import re
import time
from typing import Any

import pytest
from sqlalchemy import Engine, text

from app.clients.leases import PostgresLease
from app.operations.health.postgres_figures import read_table_figures
from app.operations.metrics import table_metrics
from app.operations.retention import RetentionPurge
from app.operations.retention_categories import RETENTION_CATEGORIES, SELECT_SUPERSEDED_IDS
from tests.support.filled_tables import fill_tables
from tests.support.fixtures import insert_sample_users
from workers.retention import RetentionLoop

pytestmark = pytest.mark.service
READ_DAYS = 90
INTERVAL_SECONDS = 3600.0


class LoopDriver:
    """A retention loop whose pauses pass at once."""

    def __init__(self, engine: Engine, owner_token: str, max_batch_rows: int = 2) -> None:
        self.now = 0.0
        self.loop = RetentionLoop(
            RetentionPurge(engine, READ_DAYS, max_batch_rows),
            PostgresLease(engine, "retention", owner_token),
            INTERVAL_SECONDS,
            lambda: self.now,
        )

    def step(self, count: int = 1) -> None:
        for _ in range(count):
            self.loop.step()
            self.now += 10.0


@pytest.fixture
def withdrawn_likes(engine: Engine) -> int:
    """Withdrawn likes past their retention, in more than one batch of the drivers."""
    sample_users = insert_sample_users(engine)
    with engine.begin() as conn:
        conn.execute(
            text(
                "insert into likes (post_id, user_id, seq, active, updated_at) "
                "select :post, id, 1, false, now() - interval '9 days' from users"
            ),
            {"post": sample_users.post_id},
        )
    return 4


def _count_likes(engine: Engine) -> int:
    with engine.connect() as conn:
        return int(conn.execute(text("select count(*) from likes")).scalar_one())


def test_round_deletes_in_batches_and_records_its_progress(engine: Engine, withdrawn_likes: int) -> None:
    driver = LoopDriver(engine, "first")

    driver.step()
    assert _count_likes(engine) == withdrawn_likes - 2
    driver.step(2 * len(RETENTION_CATEGORIES))

    progress = RetentionPurge(engine, READ_DAYS).read_progress()
    assert _count_likes(engine) == 0
    assert set(progress) == set(RETENTION_CATEGORIES)
    assert progress["withdrawn likes"].deleted_count == withdrawn_likes
    assert all(category.completed_at is not None for category in progress.values())


def test_new_process_continues_where_the_killed_one_stopped(engine: Engine, withdrawn_likes: int) -> None:
    killed = LoopDriver(engine, "killed")
    killed.step(3)
    completed_at = RetentionPurge(engine, READ_DAYS).read_progress()["withdrawn follows"].completed_at
    with engine.begin() as conn:
        conn.execute(text("update leases set expires_at = now() - interval '1 second'"))

    LoopDriver(engine, "new").step(2 * len(RETENTION_CATEGORIES))

    progress = RetentionPurge(engine, READ_DAYS).read_progress()
    assert _count_likes(engine) == 0
    assert progress["withdrawn likes"].deleted_count == withdrawn_likes
    assert progress["withdrawn follows"].completed_at == completed_at


def test_rows_locked_by_a_writer_are_left_to_the_next_batch(engine: Engine, withdrawn_likes: int) -> None:
    purge = RetentionPurge(engine, READ_DAYS)

    with engine.begin() as writer:
        writer.execute(text("select 1 from likes limit 1 for update"))
        assert purge.purge_batch(RETENTION_CATEGORIES["withdrawn likes"]).deleted_count == withdrawn_likes - 1
    assert purge.purge_batch(RETENTION_CATEGORIES["withdrawn likes"]).deleted_count == 1


def test_progress_is_exported_as_metrics(engine: Engine, withdrawn_likes: int) -> None:
    dict(RetentionPurge(engine, READ_DAYS).purge_by_category())

    samples = {
        (sample.name, sample.labels.get("category")): sample.value
        for metric in table_metrics(read_table_figures(engine, max_retries=10))
        for sample in metric.samples
    }

    assert samples["notifications_retention_deleted_rows_total", "withdrawn likes"] == withdrawn_likes
    completed_at = samples["notifications_retention_completed_timestamp_seconds", "read notifications"]
    assert abs(completed_at - time.time()) < 60


@pytest.fixture(scope="module")
def filled_engine(shared_engine: Engine) -> Engine:
    fill_tables(shared_engine)
    return shared_engine


def _plan_nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", ()) for node in _plan_nodes(child))]


PARAMS = {
    "batch": 100,
    "tombstone_days": 8,
    "settled_days": 2,
    "read_days": READ_DAYS,
    "at": "-infinity",
    "id": 0,
}


INDEXES = {
    "withdrawn likes": "ix_likes_withdrawn",
    "withdrawn follows": "ix_follows_withdrawn",
    "deleted comments": "ix_comments_deleted",
    "expired sessions": "ix_refresh_tokens_expires_at",
}
"""Those that are not named by the table and the first time in the condition."""


@pytest.mark.parametrize("name", RETENTION_CATEGORIES)
def test_rows_past_their_retention_are_found_by_an_index(filled_engine: Engine, name: str) -> None:
    category = RETENTION_CATEGORIES[name]
    column = re.search(r"t\.(\w+) < now", category.condition)
    index = INDEXES.get(name) or f"ix_{category.table}_{column and column[1]}"
    with filled_engine.begin() as conn:
        conn.exec_driver_sql("set local enable_seqscan = off")
        statement = text(f"explain (format json) {category.selection('t.*')}")
        rows: Any = conn.execute(statement, PARAMS).scalar_one()

    nodes = _plan_nodes((json.loads(rows) if isinstance(rows, str) else rows)[0]["Plan"])
    assert index in {node.get("Index Name") for node in nodes}
    assert not [node for node in nodes if node["Node Type"] == "Seq Scan"]
    conditions = {node["Index Name"]: node.get("Index Cond") for node in nodes if "Index Name" in node}
    assert conditions[index]


def test_superseded_client_events_of_many_users_are_found_without_reading_the_outbox(
    filled_engine: Engine,
) -> None:
    """With the planner's usual settings: it prefers to read the table when it may."""
    with filled_engine.begin() as conn:
        users = list(conn.execute(text("select id::text from users limit 1000")).scalars())
        params = PARAMS | {"users": users, "min_events": 300}
        plan: Any = conn.execute(text(f"explain (format json) {SELECT_SUPERSEDED_IDS}"), params).scalar_one()

    scans = {
        node["Node Type"]: node.get("Index Name")
        for node in _plan_nodes(plan[0]["Plan"])
        if node.get("Alias") == "t"
    }
    assert scans
    assert "Seq Scan" not in scans
