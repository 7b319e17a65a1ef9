"""The tables, in words that every SQL dialect understands; each change of them is a revision in `migrations`."""

from pathlib import Path

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    event,
    text,
)

from ami_process.store.columns import PackedOctets, UtcDateTime
from ami_process.store.schema import Schema

metadata = MetaData()


requests = Table(
    "requests",
    metadata,
    Column("request_id", String, primary_key=True),
    Column("digest", String, nullable=False),
    Column("verb", String, nullable=False),
    Column("noun", String, nullable=False),
    Column("source", String),
    Column("partner", Text, nullable=False),
    Column("query", Text, nullable=False),
    Column("correlation_id", String, nullable=False),
    Column("reply_address", String),
    Column("accepted_at", UtcDateTime, nullable=False),
    Column("deadline_at", UtcDateTime, nullable=False),
    Column("errors", Text, nullable=False),
    Column("acknowledgement", LargeBinary),
    Column("answer", PackedOctets),
    Column("result", String),
    Column("answered_at", UtcDateTime),
    Column("principal", String),
    Column("principal_by", String),
    Index("requests_by_answered_at", "answered_at"),
    Index("requests_by_accepted_at", "accepted_at", "request_id"),
)

commands = Table(
    "commands",
    metadata,
    Column("request_id", String, primary_key=True),
    Column("meter_name", String, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("mrid", String, nullable=False),
    Column("operation", String, nullable=False),
    Column("body", Text, nullable=False),
    Column("lane", String, nullable=False),
    Column("deadline_at", UtcDateTime, nullable=False),
    Column("ok", Boolean),
    Column("reply_code", String),
    Column("level", String),
    Column("reason", Text),
    Column("attempted", Boolean),
    Column("took_ms", Float),
    Column("payload", Text),
    Column("finished_at", UtcDateTime),
    ForeignKeyConstraint(["request_id"], ["requests.request_id"], ondelete="CASCADE"),
    Index("commands_by_finished_at", "finished_at", "request_id"),
    Index("commands_by_mrid", "mrid"),
    Index("commands_by_meter_name", "meter_name"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("request_id", String, primary_key=True),
    Column("meter_name", String, primary_key=True),
    Column("begun_at", UtcDateTime, nullable=False),
    ForeignKeyConstraint(
        ["request_id", "meter_name"], ["commands.request_id", "commands.meter_name"], ondelete="CASCADE"
    ),
)
"""Commands whose control may have left for its meter: a row is committed before the first octet goes."""

replies = Table(
    "replies",
    metadata,
    Column("request_id", String, primary_key=True),
    Column("parts_taken", Integer, nullable=False),
    Column("taken_at", UtcDateTime),
    ForeignKeyConstraint(["request_id"], ["requests.request_id"], ondelete="CASCADE"),
    Index("replies_by_taken_at", "taken_at"),
)

further_parts = Table(
    "further_parts",
    metadata,
    Column("request_id", String, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("octets", PackedOctets, nullable=False),
    ForeignKeyConstraint(["request_id"], ["requests.request_id"], ondelete="CASCADE"),
)
"""The parts of an answer behind the first one, which is the answer of its request; from 2 on."""

deliveries = Table(
    "deliveries",
    metadata,
    Column("request_id", String, primary_key=True),
    Column("attempts", Integer, nullable=False),
    Column("first_failed_at", UtcDateTime, nullable=False),
    Column("last_reason", Text, nullable=False),
    Column("given_up_at", UtcDateTime),
    ForeignKeyConstraint(["request_id"], ["requests.request_id"], ondelete="CASCADE"),
    Index("deliveries_by_first_failed_at", "first_failed_at"),
    Index("deliveries_by_given_up_at", "given_up_at", "request_id"),
)

published = Table(
    "published",
    metadata,
    Column("request_id", String, primary_key=True),
    Column("subscriber", String, nullable=False),
    Column("published_at", UtcDateTime, nullable=False),
    ForeignKeyConstraint(["request_id"], ["requests.request_id"], ondelete="CASCADE"),
    Index("published_by_subscriber", "subscriber", "published_at"),
)
"""Events: requests that are their own answer, for a subscriber by its name."""

owed_again = Table(
    "owed_again",
    metadata,
    Column("request_id", String, primary_key=True),
    Column("since", UtcDateTime, nullable=False),
    ForeignKeyConstraint(["request_id"], ["requests.request_id"], ondelete="CASCADE"),
)
"""What was taken or given up and is to be posted again: its age counts from then on."""

kept_messages = Table(
    "kept_messages",
    metadata,
    Column("request_id", String, primary_key=True),
    Column("octets", LargeBinary, nullable=False),
    Column("in_question", Boolean, nullable=False),
    ForeignKeyConstraint(["request_id"], ["requests.request_id"], ondelete="CASCADE"),
)
"""What is acknowledged before it is carried out, as it is until then: the message in our namespaces, in a SOAP envelope."""

spent_ids = Table(
    "spent_ids",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("request_id", String, nullable=False, unique=True),
    Column("accepted_at", UtcDateTime, nullable=False),
)
"""MessageIDs whose requests are forgotten, in the order of being forgotten."""

nonces = Table(
    "nonces",
    metadata,
    Column("nonce", String, primary_key=True),
    Column("request_id", String, nullable=False),
    ForeignKeyConstraint(["request_id"], ["requests.request_id"], ondelete="CASCADE"),
    Index("nonces_by_request_id", "request_id"),
)
"""Digests of the Nonces of accepted requests; they are forgotten with their request."""

key_counters = Table(
    "key_counters",
    metadata,
    Column("key_id", String, primary_key=True),
    Column("next_value", BigInteger, nullable=False),
    Column("tried_from", BigInteger, nullable=False),
    Column("tried_to", BigInteger, nullable=False),
)
"""Our invocation counter of each key, whatever meters share it: below `next_value` all are spent.

From `tried_from` up to `tried_to` they are spent too, or may be: on claims that no meter has proved.
"""

counter_mark = Table(
    "counter_mark",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("store_id", String, nullable=False),
    Column("steps", BigInteger, nullable=False),
    Column("highest", BigInteger, nullable=False),
    Column("floor", BigInteger, nullable=False),
    Column("identity", String, nullable=False),
)
"""One row from the first start on, to compare with the mark outside of the store (`brought_back`).

`steps` counts reservations of counters, no value from `highest` on was reserved under any key, and keys without a row begin at `floor`.
"""

dialled_in = Table(
    "dialled_in",
    metadata,
    Column("mrid", String, primary_key=True),
    Column("listener", Integer, nullable=False),
)
"""By `mrid_key`, the number of the process that has the connection of a meter; a number that nobody has says nothing."""

received_counters = Table(
    "received_counters",
    metadata,
    Column("device", String, primary_key=True),
    Column("key_id", String, primary_key=True),
    Column("channel", String, primary_key=True),
    Column("lowest_acceptable", BigInteger, nullable=False),
)
"""The invocation counter of each meter, by key and by the kind of frames: what is below was accepted before."""

meters = Table(
    "meters",
    metadata,
    Column("mrid", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("source", String, nullable=False),
    Column("entry", Text, nullable=False),
)
"""The registry; `mrid` in the one spelling that mRIDs are compared in, `entry` without secrets."""

meter_keys = Table(
    "meter_keys",
    metadata,
    Column("mrid", String, primary_key=True),
    Column("purpose", String, primary_key=True),
    Column("key_id", String, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    ForeignKeyConstraint(["mrid"], ["meters.mrid"], ondelete="CASCADE"),
)
"""The secrets of the meters, sealed by the master key of `key_id`."""

changed_keys = Table(
    "changed_keys",
    metadata,
    Column("mrid", String, primary_key=True),
    Column("purpose", String, primary_key=True),
    Column("key_id", String, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)
"""Keys that were changed at meters, sealed; they stay when an entry is imported again, and when the meter leaves the registry."""

meter_sources = Table(
    "meter_sources",
    metadata,
    Column("name", String, primary_key=True),
    Column("key_id", String, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)
"""Files of meters that have been imported, each with its digest, which is sealed too."""

reading_series = Table(
    "reading_series",
    metadata,
    Column("series_id", Integer, primary_key=True),
    Column("mrid", String, nullable=False),
    Column("reading_type", String, nullable=False),
    Index("reading_series_by_meter", "mrid", "reading_type", unique=True),
)
"""What is kept of a meter: the number of each of its reading types. The meter may have left the registry meanwhile."""

reading_values = Table(
    "reading_values",
    metadata,
    Column("series_id", Integer, primary_key=True, autoincrement=False),
    Column("time", BigInteger, primary_key=True, autoincrement=False),
    Column("value", Text),
    Column("qualities", Text, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("by_meter", Boolean, nullable=False),
    sqlite_with_rowid=False,
    postgresql_partition_by="RANGE (time)",
)
"""The values; times are milliseconds since 1970. Rows of one series lie together, and nothing beside the key is looked up for each.

In PostgreSQL a partition is a month (`months`), and the one that is always there has what belongs to none.
"""
NO_MONTH = "reading_values_other"
"""In PostgreSQL the partition of what no month is there for."""
for _statement in (
    f"CREATE TABLE {NO_MONTH} PARTITION OF reading_values DEFAULT",
    f"CREATE INDEX {NO_MONTH}_by_time ON {NO_MONTH} (time)",
):
    _make = DDL(_statement)  # type: ignore[no-untyped-call]
    event.listen(reading_values, "after_create", _make.execute_if(dialect="postgresql"))

schedules = Table(
    "schedules",
    metadata,
    Column("schedule_id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("definition", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("next_due_at", UtcDateTime, nullable=False),
)

schedule_runs = Table(
    "schedule_runs",
    metadata,
    Column("run_id", String, primary_key=True),
    Column("schedule_id", String, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("period_start", UtcDateTime, nullable=False),
    Column("period_end", UtcDateTime, nullable=False),
    Column("deadline_at", UtcDateTime, nullable=False),
    Column("parts", Integer, nullable=False),
    Column("meters", Integer, nullable=False),
    Column("delivered", Integer),
    Column("ended_at", UtcDateTime),
    ForeignKeyConstraint(["schedule_id"], ["schedules.schedule_id"], ondelete="CASCADE"),
    Index("schedule_runs_by_schedule", "schedule_id", "due_at"),
)
"""What was done when a schedule was due; the commands are in requests, which are forgotten before."""

schedule_meters = Table(
    "schedule_meters",
    metadata,
    Column("schedule_id", String, primary_key=True),
    Column("mrid", String, primary_key=True),
    Column("complete_until", UtcDateTime, nullable=False),
    ForeignKeyConstraint(["schedule_id"], ["schedules.schedule_id"], ondelete="CASCADE"),
)
"""Up to when a meter has given everything that a schedule asks for: what is behind that is filled by later runs."""

campaigns = Table(
    "campaigns",
    metadata,
    Column("campaign_id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("summary", Text, nullable=False),
    Column("state", String, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("at_once", Integer),
)
"""A campaign is the request of the same id, whose commands are its meters; here is what a request has no column for."""

images = Table(
    "images",
    metadata,
    Column("identifier", String, primary_key=True),
    Column("version", Text, nullable=False),
    Column("version_object", String, nullable=False),
    Column("size", Integer, nullable=False),
    Column("sha256", String, nullable=False),
    Column("imported_at", UtcDateTime, nullable=False),
    Column("complete", Boolean, nullable=False),
)
"""Firmware images."""

image_parts = Table(
    "image_parts",
    metadata,
    Column("identifier", String, primary_key=True),
    Column("first_octet", Integer, primary_key=True, autoincrement=False),
    Column("octets", LargeBinary, nullable=False),
    ForeignKeyConstraint(["identifier"], ["images.identifier"], ondelete="CASCADE"),
)
"""The octets of the images, in the parts in which they came."""

firmware_transfers = Table(
    "firmware_transfers",
    metadata,
    Column("mrid", String, primary_key=True),
    Column("request_id", String, nullable=False),
    Column("identifier", String, nullable=False),
    Column("sha256", String, nullable=False),
    Column("stage", String, nullable=False),
    Column("blocks", Integer, nullable=False),
    Column("there", Integer, nullable=False),
    Column("stuck", Integer, nullable=False),
    Column("refusals", Integer, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("named", String),
    Index("firmware_transfers_by_request", "request_id"),
)
"""Which image is in the image memory of a meter, and how far it is; it stays when the campaign is forgotten."""

meter_scalers = Table(
    "meter_scalers",
    metadata,
    Column("device", String, primary_key=True),
    Column("scaler_units", Text, nullable=False),
)
"""By logical device name the scaler_units that were read first; meters of one model have the same text."""

_OPEN_ALARM = text("alarm IS NOT NULL AND closed_at IS NULL")
device_events = Table(
    "device_events",
    metadata,
    Column("event_id", String, primary_key=True),
    Column("mrid", String, nullable=False),
    Column("meter_name", String, nullable=False),
    Column("code", String, nullable=False),
    Column("code_tail", String, nullable=False),
    Column("source", String, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("by_meter", Boolean, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("secured", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("details", Text, nullable=False),
    Column("issuer_id", String),
    Column("issuer_tracking_id", String),
    Column("alarm", String),
    Column("closed_at", UtcDateTime),
    Index("device_events_by_meter", "mrid", "created_at"),
    Index("device_events_by_time", "created_at", "event_id"),
    Index("device_events_by_received_at", "received_at"),
    Index(
        "device_events_open_alarms", "created_at", "event_id", sqlite_where=_OPEN_ALARM, postgresql_where=_OPEN_ALARM
    ),
)
"""What has happened to meters; the meter may have left the registry meanwhile."""

device_event_changes = Table(
    "device_event_changes",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("verb", String, nullable=False),
    Column("event_id", String, nullable=False),
    ForeignKeyConstraint(["event_id"], ["device_events.event_id"], ondelete="CASCADE"),
)
"""Events that are new, or have ended, and were not handed on to subscribers yet."""

device_event_journal = Table(
    "device_event_journal",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("verb", String, nullable=False),
    Column("event_id", String, nullable=False),
    ForeignKeyConstraint(["event_id"], ["device_events.event_id"], ondelete="CASCADE"),
    Index("device_event_journal_by_event", "event_id"),
)
"""The same in the order in which they were kept, handed on or not, for who follows them. The latest one stays, so that no number is given again."""

event_log_marks = Table(
    "event_log_marks",
    metadata,
    Column("mrid", String, primary_key=True),
    Column("log", String, primary_key=True),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("read_at", UtcDateTime, nullable=False),
)
"""The latest entry of each event log of a meter that was read, by the clock of the meter, and when that was."""

commissioning = Table(
    "commissioning",
    metadata,
    Column("mrid", String, primary_key=True),
    Column("state", String, nullable=False),
    Column("request_id", String, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("steps", Text, nullable=False),
)
"""What came of the latest commissioning of a meter; a meter without a row is new. It stays when the meter leaves the registry, as its changed keys do."""

quarantine = Table(
    "quarantine",
    metadata,
    Column("name", String, primary_key=True),
    Column("system_title", String),
    Column("address", String, nullable=False),
    Column("first_seen_at", UtcDateTime, nullable=False),
    Column("last_seen_at", UtcDateTime, nullable=False),
    Column("calls", Integer, nullable=False),
)
"""Callers that no entry of the registry names, by what they say that they are called; nothing of it is proved."""

trace_arrivals = Table(
    "trace_arrivals",
    metadata,
    Column("request_id", String, primary_key=True),
    Column("began_at", UtcDateTime, nullable=False),
    Column("octets", LargeBinary, nullable=False),
    Index("trace_arrivals_by_time", "began_at"),
    Index("trace_arrivals_by_kind", text('request_id COLLATE "C"')).ddl_if(dialect="postgresql"),
)
"""How a request came: its message and the times until it was planned, packed. It may be there before its request, and after it."""

trace_attempts = Table(
    "trace_attempts",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("request_id", String, nullable=False),
    Column("meter_name", String, nullable=False),
    Column("began_at", UtcDateTime, nullable=False),
    Column("ok", Boolean, nullable=False),
    Column("size", Integer, nullable=False),
    Column("octets", LargeBinary, nullable=False),
    Index("trace_attempts_by_request", "request_id"),
    Index("trace_attempts_by_time", "began_at"),
    Index("trace_attempts_by_kind", text('request_id COLLATE "C"')).ddl_if(dialect="postgresql"),
)
"""What was noted of one attempt at a meter, packed and without secrets."""
usage_points = Table(
    "usage_points",
    metadata,
    Column("point_id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("document", Text, nullable=False),
    Index("usage_points_by_name", "name", "point_id"),
)
"""Usage points that UsagePointConfig has made known, with a meter or without one. Which meter is at one is in the entry of the meter."""

usage_point_keys = Table(
    "usage_point_keys",
    metadata,
    Column("key", String, primary_key=True),
    Column("point_id", String, nullable=False),
    ForeignKeyConstraint(["point_id"], ["usage_points.point_id"], ondelete="CASCADE"),
    Index("usage_point_keys_by_point", "point_id"),
)
"""What they are found by: mRID and names, as they are compared."""

master_data_changes = Table(
    "master_data_changes",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("change_id", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("verb", String, nullable=False),
    Column("document", Text, nullable=False),
)
"""What has changed of meters, links and usage points and was not handed on to subscribers yet."""
audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime, nullable=False),
    Column("request_id", String),
    Column("entry", Text, nullable=False),
    Column("hash", String, nullable=False),
    Index("audit_by_at", "at"),
    Index("audit_by_request", "request_id"),
)
"""The audit log: `entry` is the canonical text that is hashed (`ami_hes.audit`); the other columns are for looking things up."""

audit_chain = Table(
    "audit_chain",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("base_seq", BigInteger, nullable=False),
    Column("base_hash", String, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", String, nullable=False),
)
"""One row: the last entry, and the last of those that were dropped. Who writes entries locks it, so that they come one after the other."""

guard_uses = Table(
    "guard_uses",
    metadata,
    Column("request_id", String, primary_key=True),
    Column("guarded", String, primary_key=True),
    Column("scope", String, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("meters", Integer, nullable=False),
    Index("guard_uses_by_scope", "guarded", "scope", "at"),
    Index("guard_uses_by_at", "at"),
)
"""What accepted requests have used up of a limit: of a principal, of a group, of all."""

approvals = Table(
    "approvals",
    metadata,
    Column("request_id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("guarded", String, nullable=False),
    Column("principal", String, nullable=False),
    Column("summary", Text, nullable=False),
    Column("meters", Integer, nullable=False),
    Column("meters_digest", String, nullable=False),
    Column("meters_listed", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("asked_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("state", String, nullable=False),
    Column("decided_by", String),
    Column("decided_at", UtcDateTime),
    Column("note", Text),
    Index("approvals_by_state", "state", "expires_at"),
    Index("approvals_by_asked_at", "asked_at"),
    Index("approvals_by_decided_at", "decided_at"),
)
"""Requests and campaigns that a second person has to approve, and what came of it."""

seen_messages = Table(
    "seen_messages",
    metadata,
    Column("key", String, primary_key=True),
    Column("until", UtcDateTime, nullable=False),
    Index("seen_messages_by_until", "until"),
)
"""Digests of signatures and nonces of signed messages, as long as these could come again; where several front ends share the store."""

console_sessions = Table(
    "console_sessions",
    metadata,
    Column("digest", String, primary_key=True),
    Column("principal", String, nullable=False),
    Column("roles", String, nullable=False),
    Column("how", String, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False),
    Index("console_sessions_by_end", "ends_at"),
)
"""Who has signed in at the console of one of several front ends, by a digest of the cookie."""

controls_stop = Table(
    "controls_stop",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("stopped", Boolean, nullable=False),
    Column("by", String, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("reason", Text, nullable=False),
)
"""One row once controls were stopped: while `stopped`, nothing that changes a meter leaves for it."""

heartbeat = Table("heartbeat", metadata, Column("number", Integer, primary_key=True))
"""One row that is written again and again, to see whether the store takes writes."""

SCHEMA = Schema(
    role="hes",
    owner="head-end system",
    revision="0026",
    tables=metadata,
    migrations=Path(__file__).parent / "migrations",
    unversioned=("0001", "0002"),
)
