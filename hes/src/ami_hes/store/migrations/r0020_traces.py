"""What is kept for traces: how requests came, and what was noted at meters. Both begin empty."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0017"

AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "trace_arrivals",
        sa.Column("request_id", sa.String, primary_key=True),
        sa.Column("began_at", AT, nullable=False),
        sa.Column("octets", sa.LargeBinary, nullable=False),
    )
    op.create_index("trace_arrivals_by_time", "trace_arrivals", ["began_at"])
    op.create_table(
        "trace_attempts",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("request_id", sa.String, nullable=False),
        sa.Column("meter_name", sa.String, nullable=False),
        sa.Column("began_at", AT, nullable=False),
        sa.Column("ok", sa.Boolean, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("octets", sa.LargeBinary, nullable=False),
    )
    op.create_index("trace_attempts_by_request", "trace_attempts", ["request_id"])
    op.create_index("trace_attempts_by_time", "trace_attempts", ["began_at"])
