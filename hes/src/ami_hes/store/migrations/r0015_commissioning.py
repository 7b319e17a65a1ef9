"""How far each meter is commissioned, and who has called without being in the registry. Both tables begin empty: every meter is new."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "commissioning",
        sa.Column("mrid", sa.String, primary_key=True),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("request_id", sa.String, nullable=False),
        sa.Column("changed_at", AT, nullable=False),
        sa.Column("steps", sa.Text, nullable=False),
    )
    op.create_table(
        "quarantine",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("system_title", sa.String),
        sa.Column("address", sa.String, nullable=False),
        sa.Column("first_seen_at", AT, nullable=False),
        sa.Column("last_seen_at", AT, nullable=False),
        sa.Column("calls", sa.Integer, nullable=False),
    )
