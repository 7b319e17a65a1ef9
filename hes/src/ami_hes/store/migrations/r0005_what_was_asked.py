"""What a report needs is kept with its request, and lane and deadline with each command; the counters by meter go.

Until then every request was a `create` of EndDeviceControls, and every command a control that had to end by the deadline of its
request. Of its partner only the form of the late reply has an effect any more, and the acknowledgement has that form. SQLite puts an
added column behind the constraints, so the tables are made anew there.
"""

import json
import re

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

AT = sa.DateTime(timezone=True)
PAGE = 1_000
RESULT = re.compile(rb"<(?:\w+:)?Result>(OK|PARTIAL|FAILED)</")


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _requests_anew()
        _commands_anew()
    else:
        _requests_changed()
        _commands_changed()
    _read_messages()
    _drop_counters()


def _requests_anew() -> None:
    op.execute("CREATE TABLE older_requests AS SELECT * FROM requests")
    op.drop_table("requests")
    op.create_table(
        "requests",
        sa.Column("request_id", sa.String, primary_key=True),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("verb", sa.String, nullable=False),
        sa.Column("noun", sa.String, nullable=False),
        sa.Column("source", sa.String),
        sa.Column("partner", sa.Text, nullable=False),
        sa.Column("query", sa.Text, nullable=False),
        sa.Column("correlation_id", sa.String, nullable=False),
        sa.Column("reply_address", sa.String),
        sa.Column("accepted_at", AT, nullable=False),
        sa.Column("deadline_at", AT, nullable=False),
        sa.Column("errors", sa.Text, nullable=False),
        sa.Column("acknowledgement", sa.LargeBinary),
        sa.Column("answer", sa.LargeBinary),
        sa.Column("result", sa.String),
        sa.Column("answered_at", AT),
    )
    kept = (
        "request_id, digest, noun, correlation_id, reply_address, accepted_at, deadline_at, errors, acknowledgement, "
        "answer, answered_at"
    )
    op.execute(
        f"INSERT INTO requests ({kept}, verb, partner, query)"  # noqa: S608 (a constant)
        f" SELECT {kept}, 'create', '{{}}', '' FROM older_requests"
    )
    op.drop_table("older_requests")
    op.create_index("requests_by_answered_at", "requests", ["answered_at"])


def _commands_anew() -> None:
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
        sa.Column("lane", sa.String, nullable=False),
        sa.Column("deadline_at", AT, nullable=False),
        sa.Column("ok", sa.Boolean),
        sa.Column("reply_code", sa.String),
        sa.Column("level", sa.String),
        sa.Column("reason", sa.Text),
        sa.Column("attempted", sa.Boolean),
        sa.Column("took_ms", sa.Float),
        sa.Column("payload", sa.Text),
        sa.Column("finished_at", AT),
        sa.ForeignKeyConstraint(["request_id"], ["requests.request_id"], ondelete="CASCADE"),
    )
    kept = (
        "request_id, meter_name, position, mrid, operation, body, ok, reply_code, level, reason, attempted, took_ms, "
        "payload, finished_at"
    )
    op.execute(
        f"INSERT INTO commands ({kept}, lane, deadline_at)"  # noqa: S608 (a constant)
        f" SELECT {kept}, 'control', (SELECT deadline_at FROM requests WHERE requests.request_id = older_commands.request_id)"
        " FROM older_commands"
    )
    op.drop_table("older_commands")
    op.create_index("commands_by_finished_at", "commands", ["finished_at", "request_id"])


def _requests_changed() -> None:
    for name, column_type in (("verb", sa.String()), ("partner", sa.Text()), ("query", sa.Text())):
        op.add_column("requests", sa.Column(name, column_type))
    op.add_column("requests", sa.Column("source", sa.String))
    op.add_column("requests", sa.Column("result", sa.String))
    op.execute("UPDATE requests SET verb = 'create', partner = '{}', query = ''")
    for name in ("verb", "partner", "query"):
        op.alter_column("requests", name, nullable=False)


def _commands_changed() -> None:
    op.add_column("commands", sa.Column("lane", sa.String))
    op.add_column("commands", sa.Column("deadline_at", AT))
    op.execute(
        "UPDATE commands SET lane = 'control', deadline_at = requests.deadline_at"
        " FROM requests WHERE requests.request_id = commands.request_id"
    )
    for name in ("lane", "deadline_at"):
        op.alter_column("commands", name, nullable=False)


def _read_messages() -> None:
    """What was read out of our own messages whenever it was needed."""
    requests = sa.table(
        "requests",
        *(sa.column(name, sa.String) for name in ("request_id", "noun", "partner", "result")),
        *(sa.column(name, sa.LargeBinary) for name in ("acknowledgement", "answer")),
    )
    connection = op.get_bind()
    page = (
        sa.select(requests.c.request_id, requests.c.noun, requests.c.acknowledgement, requests.c.answer)
        .where(requests.c.request_id > sa.bindparam("behind"))
        .order_by(requests.c.request_id)
        .limit(PAGE)
    )
    behind = ""
    while found := connection.execute(page, {"behind": behind}).all():
        for request_id, noun, acknowledgement, answer in found:
            typed = re.search(rf"<(?:\w+:)?{noun}ResponseMessage[\s>]".encode(), acknowledgement or b"")
            result = RESULT.search(answer or b"")
            values = {
                "partner": json.dumps({"typed_reply": True} if typed else {}),
                "result": None if result is None else result[1].decode(),
            }
            connection.execute(sa.update(requests).where(requests.c.request_id == request_id).values(values))
        behind = found[-1].request_id


def _drop_counters() -> None:
    """What is in them is in the counters by key since revision 0002; should one be higher, it counts."""
    op.execute(
        "INSERT INTO key_counters (key_id, next_value, tried_from, tried_to)"
        " SELECT key_id, MAX(next_value), 0, 0 FROM counters"
        " WHERE key_id NOT IN (SELECT key_id FROM key_counters) GROUP BY key_id"
    )
    higher = "SELECT MAX(counters.next_value) FROM counters WHERE counters.key_id = key_counters.key_id"
    op.execute(
        f"UPDATE key_counters SET next_value = ({higher}) WHERE next_value < ({higher})"  # noqa: S608 (constants)
    )
    op.drop_table("counters")
