"""The migrations create the columns that app/persistence/tables.py names, and the views."""

import pytest
from sqlalchemy import Engine, inspect, text
from sqlalchemy.types import TypeEngine

from app.persistence.bounded_counts import unread_count_sql
from app.persistence.tables import metadata
from tests.support.event_writer_harness import EventWriterHarness
from tests.support.fixtures import insert_sample_users, like_event, unlike_event

pytestmark = pytest.mark.service


# The inspector does not know the operator class of an index.
@pytest.mark.filterwarnings("ignore:Expression .* operator clause:UserWarning")
@pytest.mark.parametrize("name", metadata.tables)
def test_migrations_create_the_columns_of_queries(engine: Engine, name: str) -> None:
    def sql_type(column_type: TypeEngine[object]) -> str:
        return column_type.compile(engine.dialect)

    existing = {column["name"]: sql_type(column["type"]) for column in inspect(engine).get_columns(name)}
    named = {column.name: sql_type(column.type) for column in metadata.tables[name].columns}

    assert named.items() <= existing.items()


def test_rows_of_notifications_are_read_with_all_columns(engine: Engine) -> None:
    existing = {column["name"] for column in inspect(engine).get_columns("notifications")}

    assert set(metadata.tables["notifications"].columns.keys()) == existing


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
    "change", ["version = 0", "is_read = true", "archived_at = now()", "removed_at = now()"]
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
    """With some rows and fresh statistics: in an empty table all indexes cost the same."""
    insert_rows = text(
        "insert into notifications (user_id, type, priority, object_id, generation, version, title, message) "
        "select :user, 'LIKE', 'LOW', uuidv7(), 1, 1, 't', 'm' from generate_series(1, 500)"
    )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(insert_rows, {"user": insert_sample_users(engine).alice_id})
        connection.execute(text("vacuum analyze notifications"))
    count = unread_count_sql("u.id")
    with engine.begin() as connection:
        connection.execute(text("set local enable_seqscan = off"))
        connection.execute(text("set local enable_bitmapscan = off"))
        plan = connection.execute(text(f"explain select {count} from users u")).scalars().all()  # noqa: S608

    assert any("Index Only Scan using ix_notifications_unread" in line for line in plan), plan
