"""How far the store has come, to recognise an older copy. The table begins empty: the first process that opens the store marks it."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    op.create_table(
        "counter_mark",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("store_id", sa.String, nullable=False),
        sa.Column("steps", sa.BigInteger, nullable=False),
        sa.Column("highest", sa.BigInteger, nullable=False),
        sa.Column("floor", sa.BigInteger, nullable=False),
        sa.Column("identity", sa.String, nullable=False),
    )
