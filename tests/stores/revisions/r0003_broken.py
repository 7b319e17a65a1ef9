"""Fails when it has changed something."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("meters", sa.Column("colour", sa.String))
    op.execute("SELECT no_such_column FROM meters")
