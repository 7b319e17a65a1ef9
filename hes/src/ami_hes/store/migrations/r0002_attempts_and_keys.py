"""What versions added one by one before stores had a version: attempts, deliveries, spent ids, nonces, counters by key.

A store without a version may have some of these tables already, so each is made only where it is missing.
"""

from collections.abc import Callable
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    missing: dict[str, Callable[[], None]] = {
        "attempts": _attempts,
        "deliveries": _deliveries,
        "spent_ids": _spent_ids,
        "nonces": _nonces,
        "key_counters": _key_counters,
        "received_counters": _received_counters,
        "heartbeat": _heartbeat,
    }
    there = sa.inspect(op.get_bind()).get_table_names()
    for name, make in missing.items():
        if name not in there:
            make()


def _attempts() -> None:
    """A version without this table noted no attempts: whatever it left open may have been sent."""
    op.create_table(
        "attempts",
        sa.Column("request_id", sa.String, primary_key=True),
        sa.Column("meter_name", sa.String, primary_key=True),
        sa.Column("begun_at", AT, nullable=False),
        sa.ForeignKeyConstraint(
            ["request_id", "meter_name"], ["commands.request_id", "commands.meter_name"], ondelete="CASCADE"
        ),
    )
    left_open = sa.text(
        "INSERT INTO attempts (request_id, meter_name, begun_at)"
        " SELECT request_id, meter_name, :begun_at FROM commands WHERE finished_at IS NULL"
    )
    op.execute(left_open.bindparams(sa.bindparam("begun_at", datetime.now(UTC), AT)))


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("request_id", sa.String, primary_key=True),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("first_failed_at", AT, nullable=False),
        sa.Column("last_reason", sa.Text, nullable=False),
        sa.Column("given_up_at", AT),
        sa.ForeignKeyConstraint(["request_id"], ["requests.request_id"], ondelete="CASCADE"),
    )


def _spent_ids() -> None:
    op.create_table(
        "spent_ids",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("request_id", sa.String, nullable=False, unique=True),
        sa.Column("accepted_at", AT, nullable=False),
    )


def _nonces() -> None:
    op.create_table(
        "nonces",
        sa.Column("nonce", sa.String, primary_key=True),
        sa.Column("request_id", sa.String, nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["requests.request_id"], ondelete="CASCADE"),
    )
    op.create_index("nonces_by_request_id", "nonces", ["request_id"])


def _key_counters() -> None:
    """Meters that share a key share its counter: it goes on above the highest of them."""
    op.create_table(
        "key_counters",
        sa.Column("key_id", sa.String, primary_key=True),
        sa.Column("next_value", sa.BigInteger, nullable=False),
        sa.Column("tried_from", sa.BigInteger, nullable=False),
        sa.Column("tried_to", sa.BigInteger, nullable=False),
    )
    op.execute(
        "INSERT INTO key_counters (key_id, next_value, tried_from, tried_to)"
        " SELECT key_id, MAX(next_value), 0, 0 FROM counters GROUP BY key_id"
    )


def _received_counters() -> None:
    op.create_table(
        "received_counters",
        sa.Column("device", sa.String, primary_key=True),
        sa.Column("key_id", sa.String, primary_key=True),
        sa.Column("channel", sa.String, primary_key=True),
        sa.Column("lowest_acceptable", sa.BigInteger, nullable=False),
    )


def _heartbeat() -> None:
    op.create_table("heartbeat", sa.Column("number", sa.Integer, primary_key=True))
