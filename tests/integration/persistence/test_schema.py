"""The migrations create the tables that app/persistence/tables.py declares, and the views."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import CheckConstraint, Engine, text

from app.persistence.bounded_counts import unread_count_sql
from app.persistence.tables import metadata
from tests.support.event_writer_harness import EventWriterHarness
from tests.support.fixtures import SampleUsers, like_event

pytestmark = pytest.mark.service
MANY_READ_NOTIFICATIONS = text(
    "insert into notifications (user_id, type, priority, object_id, version, is_read) "
    "select :alice, 'LIKE', 'LOW', uuidv7(), 1, n % 100 > 0 from generate_series(1, 2000) n"
)


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


@pytest.mark.parametrize(
    "change", ["version = 0", "is_read = true", "archived_at = now()", "removed_at = now()"]
)
def test_unread_view_lists_visible_notifications_that_are_not_read(
    writer: EventWriterHarness, change: str
) -> None:
    writer.write(like_event(writer.sample_users.bob_id, writer.sample_users, 1))
    assert writer.query("select user_id::text, priority from unread_notifications") == [
        (writer.sample_users.alice_id, "LOW")
    ]

    writer.execute(f"update notifications set {change}")  # noqa: S608

    assert writer.query("select id from unread_notifications") == []


def test_unread_count_reads_nothing_but_its_index(engine: Engine, sample_users: SampleUsers) -> None:
    count = unread_count_sql("u.id")
    with engine.begin() as connection:
        connection.execute(MANY_READ_NOTIFICATIONS, {"alice": sample_users.alice_id})
        connection.execute(text("analyze notifications"))
        connection.execute(text("set local enable_seqscan = off"))
        connection.execute(text("set local enable_bitmapscan = off"))
        plan = connection.execute(text(f"explain select {count} from users u")).scalars().all()  # noqa: S608

    assert any("Index Only Scan using ix_notifications_unread" in line for line in plan), plan
