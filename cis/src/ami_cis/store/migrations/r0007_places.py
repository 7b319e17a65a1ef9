"""Where usage points are. The table begins empty; the configuration fills it."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "places",
        sa.Column("usage_point", sa.String, primary_key=True),
        sa.Column("latitude", sa.Double, nullable=False),
        sa.Column("longitude", sa.Double, nullable=False),
        sa.Column("main_address", sa.String),
        sa.Column("said_at", sa.DateTime(timezone=True), nullable=False),
    )
