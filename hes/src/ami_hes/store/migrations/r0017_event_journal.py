"""The journal of what has happened to meters, and how far each event log of each meter was read. Both begin empty: who follows begins with what comes next."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "device_event_journal",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("verb", sa.String, nullable=False),
        sa.Column("event_id", sa.String, nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["device_events.event_id"], ondelete="CASCADE"),
    )
    op.create_index("device_event_journal_by_event", "device_event_journal", ["event_id"])
    op.create_table(
        "event_log_marks",
        sa.Column("mrid", sa.String, primary_key=True),
        sa.Column("log", sa.String, primary_key=True),
        sa.Column("seen_at", AT, nullable=False),
        sa.Column("read_at", AT, nullable=False),
    )
