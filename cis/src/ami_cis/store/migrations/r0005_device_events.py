"""What has happened to meters (EndDeviceEvents), each event once. The table begins empty."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "device_events",
        sa.Column("event_id", sa.String, primary_key=True),
        sa.Column("meter", sa.String, nullable=False),
        sa.Column("code", sa.String, nullable=False),
        sa.Column("at", AT, nullable=False),
        sa.Column("reason", sa.String),
        sa.Column("issuer_tracking_id", sa.String),
        sa.Column("details", sa.JSON, nullable=False),
        sa.Column("closed_at", AT),
        sa.Column("said_at", AT, nullable=False),
        sa.Column("message_id", sa.String, nullable=False),
    )
    op.create_index("ix_device_events_at", "device_events", ["at"])
