"""A store of PostgreSQL with as much in it as is wanted, made by the server itself out of numbers.

A meter has one series with ten values in four months, one in ten also five of 1970 (its clock was never set), a finished request with one command, a reply that was taken, a trace and an event. Few of
all are open, owed, given up or waiting, as in a system at work. Rows go past the store's own code, which would take hours for them.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, text

from ami_hes.store import StoredSeries
from ami_hes.store.months import Months

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
READING_TYPE = "0.0.2.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0"
VALUES_EACH = 10
OPEN_EACH = 1_000
"""One row in this many is still open (a command, a reply, an approval, a delivery); the others are done."""
_DAY = timedelta(days=1)
_FILL = (
    "INSERT INTO meters (mrid, name, source, entry) SELECT 'm-' || n, 'M' || n, 'import', '{{}}' FROM {every}",
    "INSERT INTO reading_series (series_id, mrid, reading_type) SELECT n, 'm-' || n, '{reading_type}' FROM {every}",
    "INSERT INTO reading_values SELECT n, CAST({now_ms} AS bigint) - CAST(v AS bigint) * 1036800000, n || '.' || v, '1.0.0', {now_ms}, true"
    " FROM {every}, generate_series(0, {values} - 1) AS v",
    "INSERT INTO reading_values SELECT n, v, '1', '1.0.0', {now_ms}, true FROM {every}, generate_series(1, 5) AS v WHERE n % 10 = 0",
    "INSERT INTO requests (request_id, digest, verb, noun, source, partner, query, correlation_id, reply_address, accepted_at, deadline_at,"
    " errors, answer, result, answered_at, principal, principal_by) SELECT 'r-' || n, 'd', 'create', CASE n % 3 WHEN 0 THEN 'MeterReadings'"
    " ELSE 'EndDeviceControls' END, 'CIS', '', '', 'c-' || n, 'http://127.0.0.1:9/', {at}, {at}, '[]', 'a', CASE n % 50 WHEN 0 THEN 'FAILED'"
    " ELSE 'OK' END, CASE n % {open} WHEN 0 THEN NULL ELSE {at} END, 'CIS', 'header' FROM {every}",
    "INSERT INTO commands (request_id, meter_name, position, mrid, operation, body, lane, deadline_at, ok, finished_at)"
    " SELECT 'r-' || n, 'M' || n, 0, 'm-' || n, 'disconnect_control', '3.31.0.23', 'control', {at}, CASE n % {open} WHEN 0 THEN NULL ELSE n % 50 > 0 END,"
    " CASE n % {open} WHEN 0 THEN NULL ELSE {at} END FROM {every}",
    "INSERT INTO attempts SELECT request_id, meter_name, deadline_at FROM commands",
    "INSERT INTO replies (request_id, parts_taken, taken_at) SELECT 'r-' || n, 1, CASE n % {open} WHEN 1 THEN NULL ELSE {at} END FROM {every}",
    "INSERT INTO deliveries (request_id, attempts, first_failed_at, last_reason, given_up_at) SELECT 'r-' || n, 3, {at}, 'refused',"
    " CASE n % 20 WHEN 0 THEN {at} END FROM {every} WHERE n % 2 = 0",
    "INSERT INTO published SELECT 'r-' || n, 'mdm', {at} FROM {every} WHERE n % 4 = 0",
    "INSERT INTO trace_arrivals SELECT CASE n % 500 WHEN 0 THEN chr(1) || 'refusal:' ELSE '' END || 'r-' || n, {at}, 'x' FROM {every}",
    "INSERT INTO trace_attempts (request_id, meter_name, began_at, ok, size, octets) SELECT CASE n % 500 WHEN 0 THEN chr(1) || 'push:' ELSE '' END || 'r-' || n,"
    " 'M' || n, {at}, n % 50 > 0, 1, 'x' FROM {every}",
    "INSERT INTO device_events (event_id, mrid, meter_name, code, code_tail, source, created_at, by_meter, received_at, secured, reason, details, alarm,"
    " closed_at) SELECT 'e-' || n, 'm-' || n, 'M' || n, '3.26.0.' || n % 200, '26.0.' || n % 200, 'log', {at}, true, {at}, true, '', '[]',"
    " CASE n % {open} WHEN 0 THEN 'a' END, NULL FROM {every}",
    "INSERT INTO device_event_journal (verb, event_id) SELECT 'created', 'e-' || n FROM {every}",
    "INSERT INTO audit SELECT {count} + 1 - n, {at}, 'r-' || n, json_build_object('seq', {count} + 1 - n, 'at', {at}, 'what', 'accepted'), 'h' FROM {every}",
    "INSERT INTO audit_chain VALUES (1, 0, 'h', {count}, 'h')",
    "INSERT INTO guard_uses SELECT 'r-' || n, 'disconnects', 'all', {at}, 1 FROM {every}",
    "INSERT INTO approvals (request_id, kind, guarded, principal, summary, meters, meters_digest, meters_listed, why, asked_at, expires_at, state)"
    " SELECT 'r-' || n, 'request', 'disconnects', 'CIS', '', 1, '', '[\"M1\"]', '', {at}, {at}, CASE n % {open} WHEN 0 THEN 'waiting' ELSE 'approved' END"
    " FROM {every}",
    "ANALYZE",
)


def fill(connection: Connection, meters: int) -> Iterator[None]:
    """An empty store of this version's schema; one step at a time."""
    at = f"TIMESTAMPTZ '{NOW.isoformat()}' - n * INTERVAL '{1e-6 * 90 * 86400e6 / meters:.6f} seconds'"
    words = {
        "every": f"generate_series(1, {meters}) AS n",
        "reading_type": READING_TYPE,
        "now_ms": str(int(NOW.timestamp() * 1000)),
        "values": str(VALUES_EACH),
        "open": str(OPEN_EACH),
        "at": at,
        "count": str(meters),
    }
    Months().make_for(connection, [_as_long()])
    for statement in _FILL:
        connection.execute(text(statement.format(**words).replace(":", r"\:")))
        yield


def _as_long() -> StoredSeries:
    """A value in each of the months that there are values of."""
    now = int(NOW.timestamp() * 1000)
    times = [now - number * 12 * 86_400_000 for number in range(VALUES_EACH)]
    return StoredSeries(
        reading_type=READING_TYPE,
        times=times,
        values=[None] * VALUES_EACH,
        qualities=[""] * VALUES_EACH,
        received=[now] * VALUES_EACH,
        by_meter=[True] * VALUES_EACH,
    )
