"""A table of numbers."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table("meters", sa.Column("number", sa.Integer, primary_key=True))
