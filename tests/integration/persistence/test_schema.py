"""The migrations create the columns that app/persistence/tables.py names, and the views."""

import pytest
from sqlalchemy import Engine, inspect, text
from sqlalchemy.types import TypeEngine

from app.persistence.bounded_counts import unread_count_sql
from app.persistence.tables import metadata
from tests.support.event_writer_harness import EventWriterHarness
from tests.support.fixtures import SampleUsers, like_event

pytestmark = pytest.mark.service
MANY_READ_NOTIFICATIONS = text(
    "insert into notifications (user_id, type, priority, object_id, version, is_read) "
    "select :alice, 'LIKE', 'LOW', uuidv7(), 1, n % 100 > 0 from generate_series(1, 2000) n"
)

FOREIGN_KEYS_WITHOUT_INDEX = text("""
    select c.conname from pg_constraint c
        join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
    where c.contype = 'f' and c.connamespace = 'public'::regnamespace and not exists (
        select from pg_index i where i.indrelid = c.conrelid and i.indkey[0] = c.conkey[1]
            and (i.indpred is null
                or pg_get_expr(i.indpred, i.indrelid) = format('(%I IS NOT NULL)', a.attname)))
""")


# The inspector does not know the operator class of an index.
@pytest.mark.filterwarnings("ignore:Expression .* operator clause:UserWarning")
@pytest.mark.parametrize("name", metadata.tables)
def test_migrations_create_the_columns_of_queries(engine: Engine, name: str) -> None:
    def sql_type(column_type: TypeEngine[object]) -> str:
        return column_type.compile(engine.dialect)

    existing = {column["name"]: sql_type(column["type"]) for column in inspect(engine).get_columns(name)}
    named = {column.name: sql_type(column.type) for column in metadata.tables[name].columns}

    assert named.items() <= existing.items()


def test_foreign_keys_have_an_index(engine: Engine) -> None:
    """Without one, deleting a user or a post reads the whole table that refers to it."""
    with engine.connect() as connection:
        assert connection.execute(FOREIGN_KEYS_WITHOUT_INDEX).scalars().all() == []


@pytest.mark.parametrize(
    "update",
    [
        "users set client_seq = client_seq + 1",
        "users set follower_count = follower_count + 1",
        "posts set like_count = like_count + 1",
        "posts set comment_count = comment_count + 1",
    ],
)
def test_counters_are_updated_without_a_new_index_entry(
    engine: Engine, sample_users: SampleUsers, update: str
) -> None:
    """As heap-only tuples: no index has the column, and the page has room for the new version."""
    hot = text(f"select pg_stat_get_xact_tuples_hot_updated('{update.split()[0]}'::regclass)")
    with engine.begin() as connection:
        count_before = connection.execute(hot).scalar_one()  # of transactions not reported yet
        row_count = connection.execute(text(f"update {update}")).rowcount
        assert connection.execute(hot).scalar_one() - count_before == row_count > 0


def test_rows_of_notifications_are_read_with_all_columns(engine: Engine) -> None:
    existing = {column["name"] for column in inspect(engine).get_columns("notifications")}

    assert set(metadata.tables["notifications"].columns.keys()) == existing


@pytest.mark.parametrize(
    "change",
    ["version = 0", "is_read = true", "archived_at = now()", "removed_at = now()", "snoozed_until = now()"],
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
