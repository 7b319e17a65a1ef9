"""The registry of meters comes into the store: their entries, their sealed keys, and the files that they come from.

The tables begin empty: the next start imports the files of the configuration.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "meters",
        sa.Column("mrid", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False, unique=True),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("entry", sa.Text, nullable=False),
    )
    op.create_table(
        "meter_keys",
        sa.Column("mrid", sa.String, primary_key=True),
        sa.Column("purpose", sa.String, primary_key=True),
        sa.Column("key_id", sa.String, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(["mrid"], ["meters.mrid"], ondelete="CASCADE"),
    )
    op.create_table(
        "meter_sources",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("key_id", sa.String, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
