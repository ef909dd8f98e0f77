"""known places by browser, system and network"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import UUID

revision = "0016_people"
down_revision = "0015_text"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Hashes of whole user agents cannot be read as families: each place is told about once more.
    op.drop_table("known_places")
    _create("browser", "system", "network")


def downgrade() -> None:
    op.drop_table("known_places")
    _create("place_hash")


def _create(*names: str) -> None:
    op.create_table(
        "known_places",
        sa.Column("user_id", UUID(as_uuid=False), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in names),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("now()"),
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_known_places_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", *names, name=op.f("pk_known_places")),
    )
