"""The migrations create the tables that app/persistence/tables.py declares, and the views."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import CheckConstraint, Engine, text

from app.persistence.bounded_counts import unread_count_sql
from app.persistence.tables import metadata
from tests.support.event_writer_harness import EventWriterHarness
from tests.support.fixtures import insert_sample_users, like_event, unlike_event

pytestmark = pytest.mark.service


# Alembic warns that it compares such an index by name only.
@pytest.mark.filterwarnings("ignore:Expression .* operator clause:UserWarning")
def test_migrations_create_the_tables_of_the_code(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )

        assert compare_metadata(context, metadata) == []


def test_every_check_constraint_of_the_code_is_in_the_database(engine: Engine) -> None:
    """Alembic does not compare check constraints."""
    declared = {
        str(check.name)
        for table in metadata.tables.values()
        for check in table.constraints
        if isinstance(check, CheckConstraint)
    }
    with engine.connect() as connection:
        existing = set(
            connection.execute(text("select conname from pg_constraint where contype = 'c'")).scalars()
        )

    assert declared
    assert declared <= existing


def test_active_likes_view_lists_the_active_likes(engine: Engine) -> None:
    harness = EventWriterHarness(engine, insert_sample_users(engine))
    sample_users = harness.sample_users
    harness.write(
        like_event(sample_users.bob_id, sample_users, 1), like_event(sample_users.carol_id, sample_users, 2)
    )

    harness.write(unlike_event(sample_users.bob_id, sample_users, 3))

    rows = harness.query("select post_id::text, user_id::text from active_likes")
    assert rows == [(sample_users.post_id, sample_users.carol_id)]
    assert harness.count_rows("likes") == 2


@pytest.mark.parametrize(
    "change",
    ["version = 0", "is_read = true", "archived_at = now()", "removed_at = now()", "snoozed_until = now()"],
)
def test_unread_view_lists_visible_notifications_that_are_not_read(engine: Engine, change: str) -> None:
    harness = EventWriterHarness(engine, insert_sample_users(engine))
    harness.write(like_event(harness.sample_users.bob_id, harness.sample_users, 1))
    assert harness.query("select user_id::text, priority from unread_notifications") == [
        (harness.sample_users.alice_id, "LOW")
    ]

    harness.execute(f"update notifications set {change}")  # noqa: S608

    assert harness.query("select id from unread_notifications") == []


def test_unread_count_reads_nothing_but_its_index(engine: Engine) -> None:
    count = unread_count_sql("u.id")
    with engine.begin() as connection:
        connection.execute(text("set local enable_seqscan = off"))
        connection.execute(text("set local enable_bitmapscan = off"))
        plan = connection.execute(text(f"explain select {count} from users u")).scalars().all()  # noqa: S608

    assert any("Index Only Scan using ix_notifications_unread" in line for line in plan), plan
