"""letters of critical kinds, which wait for no Kafka"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import UUID

revision = "0010_k1"
down_revision = "0009_c2"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "urgent_letters",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("user_id", UUID(as_uuid=False), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.String(10), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("now()"),
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_urgent_letters_user_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_urgent_letters")),
    )
    op.create_index("ix_urgent_letters_channel_id", "urgent_letters", ["channel", "id"])
    op.create_index("ix_urgent_letters_user_id", "urgent_letters", ["user_id"])


def downgrade() -> None:
    op.drop_table("urgent_letters")
