"""The first schema: ranges of meters, files of the journal, rows, changed attributes, and what happened."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

OF_A_ROW = (
    "send_reserved receive_reserved send_reserved_2 receive_reserved_2 clock_offset_s clock_set_at time_zone_min off_since "
    "lost_import_ws lost_export_ws anchor_import_ws anchor_export_ws anchor_day captured_until control_mode control_state "
    "limit_w alarms alarm_filter event_code profile_status failed_logins locked_until firmware calendar fault flags "
    "last_record configured_control_mode configured_time_zone_min"
)


def upgrade() -> None:
    op.create_table(
        "ranges",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False, unique=True),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("lived_until", sa.Integer, nullable=False, server_default="0"),
    )
    op.create_table(
        "journals",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("stored", sa.Integer, nullable=False),
    )
    op.create_table(
        "rows",
        sa.Column("meter", sa.Integer, primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.Integer) for name in OF_A_ROW.split()),
    )
    op.create_table(
        "kept",
        sa.Column("meter", sa.Integer, primary_key=True),
        sa.Column("class_id", sa.Integer, primary_key=True),
        sa.Column("obis", sa.LargeBinary, primary_key=True),
        sa.Column("attribute_id", sa.Integer, primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "history",
        sa.Column("meter", sa.Integer, primary_key=True),
        sa.Column("kind", sa.Integer, primary_key=True),
        sa.Column("at", sa.Integer, primary_key=True),
        sa.Column("n", sa.Integer, primary_key=True),
        sa.Column("source", sa.LargeBinary, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("detail", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
