"""Commands carry any operation: its name and body in place of a control code, and a payload in place of the states of a switch.

Every command until then was one for a disconnect control, and what was noted as `detail` is what that operation writes as its
payload. The table is made anew, since SQLite puts an added column behind the constraints.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

KEPT = "request_id, meter_name, position, mrid, ok, reply_code, level, reason, attempted, took_ms, finished_at"


def upgrade() -> None:
    op.execute("CREATE TABLE older_commands AS SELECT * FROM commands")
    op.drop_table("commands")
    op.create_table(
        "commands",
        sa.Column("request_id", sa.String, primary_key=True),
        sa.Column("meter_name", sa.String, primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("mrid", sa.String, nullable=False),
        sa.Column("operation", sa.String, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("ok", sa.Boolean),
        sa.Column("reply_code", sa.String),
        sa.Column("level", sa.String),
        sa.Column("reason", sa.Text),
        sa.Column("attempted", sa.Boolean),
        sa.Column("took_ms", sa.Float),
        sa.Column("payload", sa.Text),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.ForeignKeyConstraint(["request_id"], ["requests.request_id"], ondelete="CASCADE"),
    )
    op.execute(
        f"INSERT INTO commands ({KEPT}, operation, body, payload)"  # noqa: S608 (a constant)
        f" SELECT {KEPT}, 'disconnect_control', control_code, detail FROM older_commands"
    )
    op.drop_table("older_commands")
    op.create_index("commands_by_finished_at", "commands", ["finished_at", "request_id"])
