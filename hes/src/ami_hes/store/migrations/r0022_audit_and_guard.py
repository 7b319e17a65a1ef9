"""The audit log, limits of what is switched at once, approvals, and the stop of all controls. The tables begin empty; requests of before have no principal."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"

AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("requests", sa.Column("principal", sa.String))
    op.add_column("requests", sa.Column("principal_by", sa.String))
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", AT, nullable=False),
        sa.Column("request_id", sa.String),
        sa.Column("entry", sa.Text, nullable=False),
        sa.Column("hash", sa.String, nullable=False),
    )
    op.create_index("audit_by_at", "audit", ["at"])
    op.create_index("audit_by_request", "audit", ["request_id"])
    op.create_table(
        "audit_chain",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("base_seq", sa.BigInteger, nullable=False),
        sa.Column("base_hash", sa.String, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.String, nullable=False),
    )
    op.create_table(
        "guard_uses",
        sa.Column("request_id", sa.String, primary_key=True),
        sa.Column("guarded", sa.String, primary_key=True),
        sa.Column("scope", sa.String, primary_key=True),
        sa.Column("at", AT, nullable=False),
        sa.Column("meters", sa.Integer, nullable=False),
    )
    op.create_index("guard_uses_by_scope", "guard_uses", ["guarded", "scope", "at"])
    op.create_table(
        "approvals",
        sa.Column("request_id", sa.String, primary_key=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("guarded", sa.String, nullable=False),
        sa.Column("principal", sa.String, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("meters", sa.Integer, nullable=False),
        sa.Column("meters_digest", sa.String, nullable=False),
        sa.Column("meters_listed", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("asked_at", AT, nullable=False),
        sa.Column("expires_at", AT, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("decided_by", sa.String),
        sa.Column("decided_at", AT),
        sa.Column("note", sa.Text),
    )
    op.create_index("approvals_by_state", "approvals", ["state", "expires_at"])
    op.create_table(
        "controls_stop",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("stopped", sa.Boolean, nullable=False),
        sa.Column("by", sa.String, nullable=False),
        sa.Column("at", AT, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
