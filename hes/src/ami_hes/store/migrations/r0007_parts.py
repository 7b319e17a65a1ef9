"""An answer may have several parts, which are posted in turn: those after the first one, and how many of them were taken.

SQLite puts an added column behind the constraints, so the table of replies is made anew there.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "further_parts",
        sa.Column("request_id", sa.String, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("octets", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["requests.request_id"], ondelete="CASCADE"),
    )
    if op.get_bind().dialect.name == "sqlite":
        _replies_anew()
        return
    op.add_column("replies", sa.Column("parts_taken", sa.Integer))
    op.execute("UPDATE replies SET parts_taken = 0")
    op.alter_column("replies", "parts_taken", nullable=False)


def _replies_anew() -> None:
    op.execute("CREATE TABLE older_replies AS SELECT * FROM replies")
    op.drop_table("replies")
    op.create_table(
        "replies",
        sa.Column("request_id", sa.String, primary_key=True),
        sa.Column("parts_taken", sa.Integer, nullable=False),
        sa.Column("taken_at", AT),
        sa.ForeignKeyConstraint(["request_id"], ["requests.request_id"], ondelete="CASCADE"),
    )
    op.execute(
        "INSERT INTO replies (request_id, parts_taken, taken_at) SELECT request_id, 0, taken_at FROM older_replies"
    )
    op.drop_table("older_replies")
    op.create_index("replies_by_taken_at", "replies", ["taken_at"])
