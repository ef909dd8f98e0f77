"""The migrations create the tables that app/persistence/tables.py declares."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import CheckConstraint, Engine, text

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
