"""Messages that are acknowledged before they are carried out. The table begins empty: earlier versions acknowledged them when they were done."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "kept_messages",
        sa.Column("request_id", sa.String, primary_key=True),
        sa.Column("octets", sa.LargeBinary, nullable=False),
        sa.Column("in_question", sa.Boolean, nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["requests.request_id"], ondelete="CASCADE"),
    )
