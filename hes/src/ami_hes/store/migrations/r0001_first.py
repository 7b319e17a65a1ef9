"""The first schema: requests, commands, replies, and counters by meter and key."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    at = sa.DateTime(timezone=True)
    op.create_table(
        "requests",
        sa.Column("request_id", sa.String, primary_key=True),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("noun", sa.String, nullable=False),
        sa.Column("correlation_id", sa.String, nullable=False),
        sa.Column("reply_address", sa.String),
        sa.Column("accepted_at", at, nullable=False),
        sa.Column("deadline_at", at, nullable=False),
        sa.Column("errors", sa.Text, nullable=False),
        sa.Column("acknowledgement", sa.LargeBinary),
        sa.Column("answer", sa.LargeBinary),
        sa.Column("answered_at", at),
    )
    op.create_index("requests_by_answered_at", "requests", ["answered_at"])
    op.create_table(
        "commands",
        sa.Column("request_id", sa.String, primary_key=True),
        sa.Column("meter_name", sa.String, primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("mrid", sa.String, nullable=False),
        sa.Column("control_code", sa.String, nullable=False),
        sa.Column("ok", sa.Boolean),
        sa.Column("reply_code", sa.String),
        sa.Column("level", sa.String),
        sa.Column("reason", sa.Text),
        sa.Column("attempted", sa.Boolean),
        sa.Column("took_ms", sa.Float),
        sa.Column("detail", sa.Text),
        sa.Column("finished_at", at),
        sa.ForeignKeyConstraint(["request_id"], ["requests.request_id"], ondelete="CASCADE"),
    )
    op.create_index("commands_by_finished_at", "commands", ["finished_at", "request_id"])
    op.create_table(
        "replies",
        sa.Column("request_id", sa.String, primary_key=True),
        sa.Column("taken_at", at),
        sa.ForeignKeyConstraint(["request_id"], ["requests.request_id"], ondelete="CASCADE"),
    )
    op.create_index("replies_by_taken_at", "replies", ["taken_at"])
    op.create_table(
        "counters",
        sa.Column("meter_name", sa.String, primary_key=True),
        sa.Column("key_id", sa.String, primary_key=True),
        sa.Column("next_value", sa.BigInteger, nullable=False),
    )
