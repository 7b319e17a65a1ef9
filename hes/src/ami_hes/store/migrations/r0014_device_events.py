"""What has happened to meters, and which of it was not handed on yet. The tables begin empty: earlier versions kept no events of meters."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "device_events",
        sa.Column("event_id", sa.String, primary_key=True),
        sa.Column("mrid", sa.String, nullable=False),
        sa.Column("meter_name", sa.String, nullable=False),
        sa.Column("code", sa.String, nullable=False),
        sa.Column("code_tail", sa.String, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("created_at", AT, nullable=False),
        sa.Column("by_meter", sa.Boolean, nullable=False),
        sa.Column("received_at", AT, nullable=False),
        sa.Column("secured", sa.Boolean, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("issuer_id", sa.String),
        sa.Column("issuer_tracking_id", sa.String),
        sa.Column("alarm", sa.String),
        sa.Column("closed_at", AT),
    )
    op.create_index("device_events_by_meter", "device_events", ["mrid", "created_at"])
    op.create_index("device_events_by_time", "device_events", ["created_at", "event_id"])
    op.create_index("device_events_by_received_at", "device_events", ["received_at"])
    op.create_table(
        "device_event_changes",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("verb", sa.String, nullable=False),
        sa.Column("event_id", sa.String, nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["device_events.event_id"], ondelete="CASCADE"),
    )
