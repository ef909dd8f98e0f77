"""quiet hours whose times may be emptied, and no time zones that name no place"""

from alembic import op

revision = "0017_ops"
down_revision = "0016_people"
branch_labels = None
depends_on = None
TABLE = "notification_preferences"
DEFAULTS = {"dnd_start_time": "22:00", "dnd_end_time": "08:00"}


def upgrade() -> None:
    for name in DEFAULTS:
        op.alter_column(TABLE, name, nullable=True)
    op.execute(
        f"update {TABLE} set timezone = 'UTC' "  # noqa: S608 - a constant
        "where timezone in ('localtime', 'Factory', 'posixrules')"
    )


def downgrade() -> None:
    for name, value in DEFAULTS.items():
        op.execute(f"update {TABLE} set {name} = '{value}' where {name} is null")  # noqa: S608
        op.alter_column(TABLE, name, nullable=False)
