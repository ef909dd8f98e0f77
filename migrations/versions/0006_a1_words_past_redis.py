"""what is kept while Redis is away: leases, the gate, words that went past it"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, UUID

revision = "0006_a1"
down_revision = "0005_w2"
branch_labels = None
depends_on = None


def _moment() -> "sa.Column[object]":
    stamp = sa.DateTime(timezone=True)
    return sa.Column("created_at", stamp, nullable=False, server_default=sa.text("now()"))


def upgrade() -> None:
    op.create_table(
        "leases",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
    op.create_table(
        "gates",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("kept", sa.Text(), nullable=True),
        sa.Column("lost", JSONB(), nullable=True),
        sa.Column(
            "changed_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("now()"),
        ),
        sa.CheckConstraint("state in ('open', 'closed', 'holding')", name=op.f("ck_gates_state")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_gates")),
    )
    op.create_table(
        "direct_words",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("event_id", UUID(as_uuid=False), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("subject_id", UUID(as_uuid=False), nullable=False),
        sa.Column("actor_id", UUID(as_uuid=False), nullable=False),
        sa.Column("member_id", UUID(as_uuid=False), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("said", JSONB(), nullable=True),
        _moment(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_direct_words")),
    )
    op.create_index(
        "ix_direct_words_subject_id_member_id", "direct_words", ["subject_id", "member_id", "seq"]
    )
    op.create_index("ix_direct_words_member_id", "direct_words", ["member_id"])


def downgrade() -> None:
    op.drop_table("direct_words")
    op.drop_table("gates")
    op.drop_table("leases")
