"""search by folded names"""

import sqlalchemy as sa
from alembic import op

from app.domain.text import search_key

revision = "0015_text"
down_revision = "0014_names"
branch_labels = None
depends_on = None
BATCH = 1_000


def upgrade() -> None:
    op.execute("create extension if not exists fuzzystrmatch")
    op.drop_index("ix_users_search", table_name="users")
    op.add_column(
        "users",
        sa.Column("search_key", sa.Text(), nullable=False, server_default=sa.text("''")),
    )
    _fill()
    op.create_index(
        "ix_users_search_key",
        "users",
        ["search_key"],
        postgresql_using="gin",
        postgresql_ops={"search_key": "gin_trgm_ops"},
    )


def _fill() -> None:
    sql = op.get_bind()
    while rows := sql.execute(_EMPTY, {"limit": BATCH}).all():
        sql.execute(_SET, [{"id": row[0], "key": search_key(row[1], row[2])} for row in rows])


def downgrade() -> None:
    op.drop_index("ix_users_search_key", table_name="users")
    op.drop_column("users", "search_key")
    op.create_index(
        "ix_users_search",
        "users",
        [sa.literal_column("lower(username || ' ' || coalesce(name, '')) gin_trgm_ops")],
        unique=False,
        postgresql_using="gin",
    )
    op.execute("drop extension fuzzystrmatch")


_EMPTY = sa.text("select id, username, name from users where search_key = '' limit :limit")
_SET = sa.text("update users set search_key = :key where id = :id")
