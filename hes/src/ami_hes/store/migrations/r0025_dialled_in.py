"""Which of several processes that listen has the connection of a meter that dials in. The table begins empty: meters dial in again."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    op.create_table(
        "dialled_in",
        sa.Column("mrid", sa.String, primary_key=True),
        sa.Column("listener", sa.Integer, nullable=False),
    )
