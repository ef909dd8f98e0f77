"""what only a letter may say travels sealed, beside the frame"""

import sqlalchemy as sa
from alembic import op

revision = "0009_c2"
down_revision = "0008_c1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("outbox", sa.Column("letter", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("outbox", "letter")
