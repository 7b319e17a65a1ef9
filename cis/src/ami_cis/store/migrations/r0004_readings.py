"""Readings are kept: what the HES answers to a get of MeterReadings, and what it sends by itself."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "readings",
        sa.Column("meter", sa.String, primary_key=True),
        sa.Column("reading_type", sa.String, primary_key=True),
        sa.Column("at", AT, primary_key=True),
        sa.Column("start", AT),
        sa.Column("value", sa.String),
        sa.Column("qualities", sa.String, nullable=False),
        sa.Column("source", sa.String),
        sa.Column("said_at", AT, nullable=False),
        sa.Column("message_id", sa.String, nullable=False),
    )
    op.create_index("ix_readings_at", "readings", ["at"])
    op.create_index("ix_readings_message_id", "readings", ["message_id"])
