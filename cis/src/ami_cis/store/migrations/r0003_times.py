"""Times are kept as times, as the HES keeps them, and not as text of their own."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    for table, key, column in (
        ("requests", "message_id", "sent_at"),
        ("replies", "number", "received_at"),
        ("events", "message_id", "received_at"),
    ):
        _write_as_time(table, key, column)
    _requests()
    _replies()
    _events()


def _write_as_time(table: str, key: str, column: str) -> None:
    """The same moment in the words of a column of that type; SQLite keeps both as text."""
    connection = op.get_bind()
    written = sa.table(table, sa.column(key), sa.column(column, sa.String))
    timed = sa.table(table, sa.column(key), sa.column(column, AT))
    for found, text in connection.execute(sa.select(written.c[key], written.c[column])).all():
        at = datetime.fromisoformat(text).astimezone(UTC)
        connection.execute(sa.update(timed).where(timed.c[key] == found).values({column: at}))


def _requests() -> None:
    old = _set_aside("requests")
    op.create_table(
        "requests",
        sa.Column("message_id", sa.String, primary_key=True),
        sa.Column("correlation_id", sa.String, nullable=False),
        sa.Column("verb", sa.String, nullable=False),
        sa.Column("noun", sa.String, nullable=False),
        sa.Column("code", sa.String, nullable=False),
        sa.Column("meters", sa.JSON, nullable=False),
        sa.Column("asynchronous", sa.Boolean, nullable=False),
        sa.Column("sent_at", AT, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("reason", sa.String),
    )
    _take_over("requests", old)
    op.create_index("ix_requests_correlation_id", "requests", ["correlation_id"])
    op.create_index("ix_requests_state", "requests", ["state"])


def _replies() -> None:
    old = _set_aside("replies")
    op.create_table(
        "replies",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("request", sa.String, sa.ForeignKey("requests.message_id"), nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("final", sa.Boolean, nullable=False),
        sa.Column("result", sa.String, nullable=False),
        sa.Column("errors", sa.JSON, nullable=False),
        sa.Column("received_at", AT, nullable=False),
        sa.UniqueConstraint("request", "digest"),
    )
    _take_over("replies", old)


def _events() -> None:
    old = _set_aside("events")
    op.create_table(
        "events",
        sa.Column("message_id", sa.String, primary_key=True),
        sa.Column("verb", sa.String, nullable=False),
        sa.Column("noun", sa.String, nullable=False),
        sa.Column("octets", sa.LargeBinary, nullable=False),
        sa.Column("received_at", AT, nullable=False),
    )
    _take_over("events", old)


def _set_aside(table: str) -> str:
    """Its rows in a table without constraints, so that its name, and what refers to that, is free for the new one."""
    old = f"{table}_before_0003"
    op.execute(f"CREATE TABLE {old} AS SELECT * FROM {table}")  # noqa: S608 (names of our own)
    op.drop_table(table)
    return old


def _take_over(table: str, old: str) -> None:
    op.execute(f"INSERT INTO {table} SELECT * FROM {old}")  # noqa: S608 (names of our own)
    op.drop_table(old)
