"""Usage points, and changes of master data that wait to be handed on. All of them begin empty: earlier versions kept no usage point by itself.

What the firmware of a meter calls its image is not known of transfers that are under way: it is asked again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.create_table(
        "usage_points",
        sa.Column("point_id", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_index("usage_points_by_name", "usage_points", ["name", "point_id"])
    op.create_table(
        "usage_point_keys",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("point_id", sa.String, nullable=False),
        sa.ForeignKeyConstraint(["point_id"], ["usage_points.point_id"], ondelete="CASCADE"),
    )
    op.create_index("usage_point_keys_by_point", "usage_point_keys", ["point_id"])
    op.create_table(
        "master_data_changes",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("change_id", sa.String, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("verb", sa.String, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.add_column("firmware_transfers", sa.Column("named", sa.String))
