"""deletions that Redis must learn of"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, UUID

revision = "0012_failover"
down_revision = "0011_mail"
branch_labels = None
depends_on = None


def _created_at() -> sa.Column:
    return sa.Column(
        "created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")
    )


def upgrade() -> None:
    op.create_table(
        "redis_updates",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("data", JSONB(), nullable=False),
        _created_at(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_redis_updates")),
    )
    op.create_table(
        "comment_deletions",
        sa.Column("comment_id", UUID(as_uuid=False), nullable=False),
        sa.Column("actor_id", UUID(as_uuid=False), nullable=False),
        _created_at(),
        sa.PrimaryKeyConstraint("comment_id", "actor_id", name=op.f("pk_comment_deletions")),
    )
    op.create_index(
        "ix_notifications_post_url",
        "notifications",
        [sa.text("(metadata ->> 'postUrl')")],
        postgresql_where=sa.text("type in ('MENTION', 'COMMENT_REPLY')"),
    )


def downgrade() -> None:
    op.drop_index("ix_notifications_post_url", "notifications")
    op.drop_table("comment_deletions")
    op.drop_table("redis_updates")
