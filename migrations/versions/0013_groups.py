"""the sealed texts of a person's frames, found when they are used"""

import sqlalchemy as sa
from alembic import op

revision = "0013_groups"
down_revision = "0012_failover"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_outbox_letter", "outbox", ["user_id"], postgresql_where=sa.text("letter is not null")
    )


def downgrade() -> None:
    op.drop_index("ix_outbox_letter", table_name="outbox")
