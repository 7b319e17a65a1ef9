"""What is read of meters is kept: a number for each reading type of a meter, and its values by time. Both tables begin empty."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "reading_series",
        sa.Column("series_id", sa.Integer, primary_key=True),
        sa.Column("mrid", sa.String, nullable=False),
        sa.Column("reading_type", sa.String, nullable=False),
    )
    op.create_index("reading_series_by_meter", "reading_series", ["mrid", "reading_type"], unique=True)
    op.create_table(
        "reading_values",
        sa.Column("series_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("time", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("value", sa.Text),
        sa.Column("qualities", sa.Text, nullable=False),
        sa.Column("received", sa.BigInteger, nullable=False),
        sa.Column("by_meter", sa.Boolean, nullable=False),
        sqlite_with_rowid=False,
    )
