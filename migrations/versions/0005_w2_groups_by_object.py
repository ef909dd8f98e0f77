"""groups by what they are about, for when it goes"""

from alembic import op

revision = "0005_w2"
down_revision = "0004_w3"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_notifications_object_id", "notifications", ["object_id"])


def downgrade() -> None:
    op.drop_index("ix_notifications_object_id", table_name="notifications")
