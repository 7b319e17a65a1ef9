"""The scaler_units of meters that were read first, to tell when a meter gives others (M-133). The table begins empty."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "meter_scalers",
        sa.Column("device", sa.String, primary_key=True),
        sa.Column("scaler_units", sa.Text, nullable=False),
    )
