"""Rows hold what meters use: what did not flow is computed from the history, and alarms, limits and firmware are kept attributes."""

from alembic import op

revision = "0002"
down_revision = "0001"

UNUSED = "off_since anchor_import_ws anchor_export_ws anchor_day limit_w alarms alarm_filter profile_status firmware calendar fault"


def upgrade() -> None:
    with op.batch_alter_table("rows", recreate="always") as rows:
        for name in UNUSED.split():
            rows.drop_column(name)
