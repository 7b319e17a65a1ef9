"""Readings are partitioned by month in PostgreSQL. What is there becomes a partition as it is: no value of the past is written anew.

The table becomes the partition of all times before the month that follows the latest receipt; the few values with later times (a clock
that is wrong) go to the default partition. So the upgrade reads the table and needs neither its size in further room nor a long row of
transactions, and a server that fails amid it has the store as it was. Files of SQLite stay as they are.

Both get indexes for what was looked for in whole tables: docs/postgresql.md.
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"

NEXT_MONTH = """
SELECT (extract(epoch FROM date_trunc('month', to_timestamp(max(received) / 1000) AT TIME ZONE 'UTC') + interval '1 month') * 1000)::bigint
FROM reading_values_before
"""


INDEXES = (
    ("requests", "requests_by_accepted_at", ["accepted_at", "request_id"]),
    ("commands", "commands_by_mrid", ["mrid"]),
    ("commands", "commands_by_meter_name", ["meter_name"]),
    ("deliveries", "deliveries_by_first_failed_at", ["first_failed_at"]),
    ("deliveries", "deliveries_by_given_up_at", ["given_up_at", "request_id"]),
    ("guard_uses", "guard_uses_by_at", ["at"]),
)
OPEN_ALARM = sa.text("alarm IS NOT NULL AND closed_at IS NULL")


def upgrade() -> None:
    for table, name, columns in INDEXES:
        op.create_index(name, table, columns)
    op.create_index(
        "device_events_open_alarms",
        "device_events",
        ["created_at", "event_id"],
        sqlite_where=OPEN_ALARM,
        postgresql_where=OPEN_ALARM,
    )
    if op.get_bind().dialect.name == "postgresql":
        _divide()


def _divide() -> None:
    op.execute("ALTER TABLE reading_values RENAME TO reading_values_before")
    op.execute("ALTER INDEX reading_values_pkey RENAME TO reading_values_before_pkey")
    op.execute(
        "CREATE TABLE reading_values (LIKE reading_values_before, PRIMARY KEY (series_id, time)) PARTITION BY RANGE (time)"
    )
    op.execute("CREATE TABLE reading_values_other PARTITION OF reading_values DEFAULT")
    op.execute("CREATE INDEX reading_values_other_by_time ON reading_values_other (time)")
    end = op.get_bind().exec_driver_sql(NEXT_MONTH).scalar_one()
    if end is None:
        op.execute("DROP TABLE reading_values_before")
        return
    op.execute(
        f"WITH moved AS (DELETE FROM reading_values_before WHERE time >= {end:d} RETURNING *)"  # noqa: S608 (a number)
        " INSERT INTO reading_values SELECT * FROM moved"
    )
    op.execute(
        f"ALTER TABLE reading_values ATTACH PARTITION reading_values_before FOR VALUES FROM (MINVALUE) TO ({end:d})"
    )
