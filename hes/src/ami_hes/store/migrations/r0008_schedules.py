"""What is collected by schedule: the schedules, their runs, and up to when each meter has given everything. The tables begin empty."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "schedules",
        sa.Column("schedule_id", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False, unique=True),
        sa.Column("definition", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("next_due_at", AT, nullable=False),
    )
    op.create_table(
        "schedule_runs",
        sa.Column("run_id", sa.String, primary_key=True),
        sa.Column("schedule_id", sa.String, nullable=False),
        sa.Column("due_at", AT, nullable=False),
        sa.Column("period_start", AT, nullable=False),
        sa.Column("period_end", AT, nullable=False),
        sa.Column("deadline_at", AT, nullable=False),
        sa.Column("parts", sa.Integer, nullable=False),
        sa.Column("meters", sa.Integer, nullable=False),
        sa.Column("delivered", sa.Integer),
        sa.Column("ended_at", AT),
        sa.ForeignKeyConstraint(["schedule_id"], ["schedules.schedule_id"], ondelete="CASCADE"),
    )
    op.create_index("schedule_runs_by_schedule", "schedule_runs", ["schedule_id", "due_at"])
    op.create_table(
        "schedule_meters",
        sa.Column("schedule_id", sa.String, primary_key=True),
        sa.Column("mrid", sa.String, primary_key=True),
        sa.Column("complete_until", AT, nullable=False),
        sa.ForeignKeyConstraint(["schedule_id"], ["schedules.schedule_id"], ondelete="CASCADE"),
    )
