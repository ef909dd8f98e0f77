"""one table of outgoing e-mails and text messages"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import UUID

revision = "0011_mail"
down_revision = "0010_k1"
branch_labels = None
depends_on = None
WAITING = sa.text("status = 'waiting'")


def upgrade() -> None:
    op.drop_table("urgent_letters")
    op.create_table(
        "outgoing_messages",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("user_id", UUID(as_uuid=False), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("notification_id", UUID(as_uuid=False), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(10), nullable=False),
        sa.Column("type", sa.String(20), nullable=False),
        sa.Column("critical", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(20), nullable=False, server_default=sa.text("'waiting'")),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("last_error", sa.Text()),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claim", UUID(as_uuid=False)),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("now()"),
        ),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint(
            "status in ('waiting', 'delivered', 'expired', 'preference', 'failed')",
            name=op.f("ck_outgoing_messages_status"),
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_outgoing_messages_user_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outgoing_messages")),
        sa.UniqueConstraint(
            "notification_id",
            "version",
            "channel",
            name=op.f("uq_outgoing_messages_notification_id_version_channel"),
        ),
    )
    op.create_index(
        "ix_outgoing_messages_due",
        "outgoing_messages",
        ["channel", "critical", "due_at"],
        postgresql_where=WAITING,
    )
    op.create_index(
        "ix_outgoing_messages_recipient",
        "outgoing_messages",
        ["user_id", "channel", "critical", "id"],
        postgresql_where=WAITING,
    )
    op.create_index("ix_outgoing_messages_user_id_seq", "outgoing_messages", ["user_id", "seq"])
    op.create_index("ix_outgoing_messages_ended_at", "outgoing_messages", ["ended_at"])


def downgrade() -> None:
    op.drop_table("outgoing_messages")
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
