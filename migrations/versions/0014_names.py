"""names are looked up when shown; a changed profile corrects open pages"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import UUID

revision = "0014_names"
down_revision = "0013_groups"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_column("notifications", "actor_name")
    op.drop_column("notifications", "actor_avatar")
    op.add_column("notifications", sa.Column("quote", sa.Text()))
    op.create_table(
        "profile_changes",
        sa.Column("user_id", UUID(as_uuid=False), nullable=False),
        sa.Column(
            "changed_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("now()"),
        ),
        sa.Column("below", UUID(as_uuid=False)),
        sa.Column("rows_looked_at", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_profile_changes_user_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_profile_changes")),
    )
    op.create_index("ix_profile_changes_changed_at", "profile_changes", ["changed_at"])
    op.drop_index("ix_notification_actors_actor_id", "notification_actors")
    op.create_index(
        "ix_notification_actors_actor_id_notification_id",
        "notification_actors",
        ["actor_id", "notification_id"],
    )


def downgrade() -> None:
    op.drop_index("ix_notification_actors_actor_id_notification_id", "notification_actors")
    op.create_index("ix_notification_actors_actor_id", "notification_actors", ["actor_id"])
    op.drop_table("profile_changes")
    op.drop_column("notifications", "quote")
    op.add_column("notifications", sa.Column("actor_avatar", sa.Text()))
    op.add_column("notifications", sa.Column("actor_name", sa.Text()))
