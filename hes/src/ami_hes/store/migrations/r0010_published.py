"""Which subscriber an event is for, and since when something is owed again. The tables begin empty: older events are of no subscriber."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "published",
        sa.Column("request_id", sa.String, primary_key=True),
        sa.Column("subscriber", sa.String, nullable=False),
        sa.Column("published_at", AT, nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["requests.request_id"], ondelete="CASCADE"),
    )
    op.create_index("published_by_subscriber", "published", ["subscriber", "published_at"])
    op.create_table(
        "owed_again",
        sa.Column("request_id", sa.String, primary_key=True),
        sa.Column("since", AT, nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["requests.request_id"], ondelete="CASCADE"),
    )
