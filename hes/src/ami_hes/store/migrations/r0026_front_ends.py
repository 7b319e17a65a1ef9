"""What several front ends know in common: signed messages that were seen, and sessions of the console. Both begin empty.

Beside that, indices for what is looked at each second and for kinds of traces, which PostgreSQL finds by their first octets in an order of octets alone.
"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"

AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "seen_messages",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("until", AT, nullable=False),
    )
    op.create_index("seen_messages_by_until", "seen_messages", ["until"])
    op.create_table(
        "console_sessions",
        sa.Column("digest", sa.String, primary_key=True),
        sa.Column("principal", sa.String, nullable=False),
        sa.Column("roles", sa.String, nullable=False),
        sa.Column("how", sa.String, nullable=False),
        sa.Column("ends_at", AT, nullable=False),
    )
    op.create_index("console_sessions_by_end", "console_sessions", ["ends_at"])
    op.create_index("approvals_by_asked_at", "approvals", ["asked_at"])
    op.create_index("approvals_by_decided_at", "approvals", ["decided_at"])
    if op.get_bind().dialect.name == "postgresql":
        op.create_index("trace_arrivals_by_kind", "trace_arrivals", [sa.text('request_id COLLATE "C"')])
        op.create_index("trace_attempts_by_kind", "trace_attempts", [sa.text('request_id COLLATE "C"')])
