"""Idempotency keys that are used while Redis is away"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007_a2"
down_revision = "0006_a1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "kept_keys",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kept", JSONB(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_kept_keys")),
    )
    op.create_index("ix_kept_keys_until", "kept_keys", ["until"])


def downgrade() -> None:
    op.drop_table("kept_keys")
