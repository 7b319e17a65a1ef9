"""The first schema: requests, the replies to them, and events."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "requests",
        sa.Column("message_id", sa.String, primary_key=True),
        sa.Column("correlation_id", sa.String, nullable=False),
        sa.Column("verb", sa.String, nullable=False),
        sa.Column("noun", sa.String, nullable=False),
        sa.Column("code", sa.String, nullable=False),
        sa.Column("meters", sa.JSON, nullable=False),
        sa.Column("asynchronous", sa.Boolean, nullable=False),
        sa.Column("sent_at", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("reason", sa.String),
    )
    op.create_index("ix_requests_correlation_id", "requests", ["correlation_id"])
    op.create_index("ix_requests_state", "requests", ["state"])
    op.create_table(
        "replies",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("request", sa.String, sa.ForeignKey("requests.message_id"), nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("final", sa.Boolean, nullable=False),
        sa.Column("result", sa.String, nullable=False),
        sa.Column("errors", sa.JSON, nullable=False),
        sa.Column("received_at", sa.String, nullable=False),
        sa.UniqueConstraint("request", "digest"),
    )
    op.create_table(
        "events",
        sa.Column("message_id", sa.String, primary_key=True),
        sa.Column("verb", sa.String, nullable=False),
        sa.Column("noun", sa.String, nullable=False),
        sa.Column("octets", sa.LargeBinary, nullable=False),
        sa.Column("received_at", sa.String, nullable=False),
    )
