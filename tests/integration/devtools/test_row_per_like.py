"""One row per like: rows and counters at once, in tables of their own."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, event, text

from app.bootstrap import new_id
from app.devtools.storm import people, row_per_like
from app.devtools.storm.row_per_like import SCHEMA, RowPerLike
from app.domain.errors import Rejected

pytestmark = pytest.mark.service


@pytest.fixture
def post_id(engine: Engine) -> Iterator[str]:
    _, (post_id,) = people.create_author(engine, 1)
    row_per_like.create_tables(engine, [post_id])
    yield post_id
    row_per_like.drop_tables(engine)


def _columns_and_indexes(engine: Engine, schema: str, table: str) -> list[tuple[object, ...]]:
    columns = (
        "select column_name, data_type, is_nullable from information_schema.columns "
        "where table_schema = :schema and table_name = :table"
    )
    indexes = (
        "select regexp_replace(indexdef, '.* USING ', ''), '', '' from pg_indexes "
        "where schemaname = :schema and tablename = :table"
    )
    with engine.connect() as conn:
        rows = conn.execute(text(f"{columns} union all {indexes}"), {"schema": schema, "table": table})
        return sorted(tuple(row) for row in rows)


@pytest.mark.parametrize("table", ["posts", "likes", "comments"])
def test_tables_have_the_columns_and_indexes_of_the_real_ones(
    engine: Engine, post_id: str, table: str
) -> None:
    assert _columns_and_indexes(engine, SCHEMA, table) == _columns_and_indexes(engine, "public", table)


def test_each_like_has_a_row_and_is_counted_once(engine: Engine, post_id: str) -> None:
    user_ids = people.ensure_people(engine, 2)
    likes = RowPerLike(engine)

    counts = [likes.add_like(user_id, post_id) for user_id in (*user_ids, user_ids[0])]

    assert counts == [1, 2, 2]
    with engine.connect() as conn:
        assert conn.execute(text(f"select count(*) from {SCHEMA}.likes")).scalar_one() == 2  # noqa: S608
        assert conn.execute(text("select count(*) from likes")).scalar_one() == 0


def test_like_is_one_transaction_without_a_test_of_its_connection(engine: Engine, post_id: str) -> None:
    user_ids = people.ensure_people(engine, 3)
    pool = row_per_like.create_pool(engine.url.render_as_string(hide_password=False))
    likes = RowPerLike(pool)
    likes.add_like(user_ids[0], post_id)  # connects
    statements: list[str] = []
    event.listen(pool, "before_cursor_execute", lambda *args: statements.append(args[2].split()[0]))
    event.listen(pool, "commit", lambda _: statements.append("commit"))
    try:
        for user_id in user_ids[1:]:
            likes.add_like(user_id, post_id)
    finally:
        pool.dispose()

    assert statements == ["insert", "update", "commit"] * 2
    assert not pool.pool._pre_ping


def test_comment_has_a_row_and_is_counted(engine: Engine, post_id: str) -> None:
    (user_id,) = people.ensure_people(engine, 1)

    RowPerLike(engine).add_comment(user_id, post_id, "Hello")

    with engine.connect() as conn:
        assert conn.execute(text(f"select comment_count from {SCHEMA}.posts")).scalar_one() == 1  # noqa: S608
        assert conn.execute(text(f"select content from {SCHEMA}.comments")).scalar_one() == "Hello"  # noqa: S608


def test_unknown_post_is_not_found(engine: Engine, post_id: str) -> None:
    (user_id,) = people.ensure_people(engine, 1)
    with pytest.raises(Rejected, match="not found"):
        RowPerLike(engine).add_like(user_id, new_id())


def test_without_a_storm_no_post_is_found(engine: Engine) -> None:
    with pytest.raises(Rejected, match="not found"):
        RowPerLike(engine).add_like(new_id(), new_id())


def test_people_are_the_same_in_the_next_storm_and_get_no_mail(engine: Engine) -> None:
    first = people.ensure_people(engine, 3)

    assert set(first) < set(people.ensure_people(engine, 5))
    with engine.connect() as conn:
        assert conn.execute(text("select bool_and(is_simulated) from users")).scalar_one()
