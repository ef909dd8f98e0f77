"""the fence that a clearing draws"""

import sqlalchemy as sa
from alembic import op

revision = "0004_w3"
down_revision = "0003_w1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "fences",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_fences")),
    )


def downgrade() -> None:
    op.drop_table("fences")
