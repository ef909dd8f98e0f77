"""The tables that migrations make are those that the code speaks of."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import CheckConstraint, Engine, text

from app.stores.tables import metadata
from tests.cast import assemble, like, unlike
from tests.stores.books import Books

pytestmark = pytest.mark.service


# Alembic says so itself: it compares such an index by its name alone.
@pytest.mark.filterwarnings("ignore:Expression .* operator clause:UserWarning")
def test_the_migrations_make_the_tables_of_the_code(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )

        assert compare_metadata(context, metadata) == []


def test_every_check_of_the_code_is_in_the_database(engine: Engine) -> None:
    """Alembic does not compare checks."""
    named = {
        str(check.name)
        for table in metadata.tables.values()
        for check in table.constraints
        if isinstance(check, CheckConstraint)
    }
    with engine.connect() as connection:
        found = set(
            connection.execute(
                text("select conname from pg_constraint where contype = 'c'")
            ).scalars()
        )

    assert named
    assert named <= found


def test_active_likes_are_the_likes_in_force(engine: Engine) -> None:
    books = Books(engine, assemble(engine))
    cast = books.cast
    books.writes(like(cast.bob, cast, 1), like(cast.carol, cast, 2))

    books.writes(unlike(cast.bob, cast, 3))

    rows = books.ask("select post_id::text, user_id::text from active_likes")
    assert rows == [(cast.post, cast.carol)]
    assert books.count("likes") == 2
