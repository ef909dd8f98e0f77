"""each version of a row is acknowledged once"""

from alembic import op

revision = "0008_c1"
down_revision = "0007_a2"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "create unique index uq_outbox_seen on outbox ((payload->>'id'), (payload->>'version')) "
        "where frame = 'seen'"
    )


def downgrade() -> None:
    op.execute("drop index uq_outbox_seen")
