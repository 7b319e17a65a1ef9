"""Who has acknowledged an event of a meter, and when. Of those that are there nobody has."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("device_events", sa.Column("acknowledged_at", sa.DateTime(timezone=True)))
    op.add_column("device_events", sa.Column("acknowledged_by", sa.String))
