"""who is gone, so that every web process hears of it"""

import sqlalchemy as sa
from alembic import op

revision = "0003_w1"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "removed_accounts",
        sa.Column("user_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column(
            "removed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_removed_accounts")),
    )
    op.create_index("ix_removed_accounts_removed_at", "removed_accounts", ["removed_at"])
    # A trigger, because accounts go by many ways (the broom, an operator's psql), and a token that
    # is shown afterwards must be refused whichever it was.
    op.execute(
        "create function note_removed_account() returns trigger language plpgsql as $$ begin "
        "insert into removed_accounts (user_id) values (old.id) on conflict do nothing; "
        "return null; end $$"
    )
    op.execute(
        "create trigger note_removed_account after delete on users "
        "for each row execute function note_removed_account()"
    )


def downgrade() -> None:
    op.execute("drop trigger note_removed_account on users")
    op.execute("drop function note_removed_account()")
    op.drop_index("ix_removed_accounts_removed_at", table_name="removed_accounts")
    op.drop_table("removed_accounts")
