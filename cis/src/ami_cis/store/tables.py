"""The tables; each change of them is a revision in `migrations`."""

from pathlib import Path

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

from ami_process.store.columns import UtcDateTime
from ami_process.store.schema import Schema

METADATA = MetaData()

REQUESTS = Table(
    "requests",
    METADATA,
    Column("message_id", String, primary_key=True),
    Column("correlation_id", String, nullable=False, index=True),
    Column("verb", String, nullable=False),
    Column("noun", String, nullable=False),
    Column("code", String, nullable=False),
    Column("meters", JSON, nullable=False),
    Column("asynchronous", Boolean, nullable=False),
    Column("sent_at", UtcDateTime, nullable=False),
    Column("state", String, nullable=False, index=True),
    Column("reason", String),
)

REPLIES = Table(
    "replies",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("request", ForeignKey(REQUESTS.c.message_id), nullable=False),
    Column("digest", String, nullable=False),
    Column("final", Boolean, nullable=False),
    Column("result", String, nullable=False),
    Column("errors", JSON, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    UniqueConstraint("request", "digest"),
)

OUTGOING = Table(
    "outgoing",
    METADATA,
    Column("message_id", ForeignKey(REQUESTS.c.message_id, ondelete="CASCADE"), primary_key=True),
    Column("octets", LargeBinary, nullable=False),
)
"""Requests whose end is not known yet, as they went out, so that they can be sent again as they were."""

EVENTS = Table(
    "events",
    METADATA,
    Column("message_id", String, primary_key=True),
    Column("verb", String, nullable=False),
    Column("noun", String, nullable=False),
    Column("octets", LargeBinary, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
)

READINGS = Table(
    "readings",
    METADATA,
    Column("meter", String, primary_key=True),
    Column("reading_type", String, primary_key=True),
    Column("at", UtcDateTime, primary_key=True, index=True),
    Column("start", UtcDateTime),
    Column("value", String),
    Column("qualities", String, nullable=False),
    Column("source", String),
    Column("said_at", UtcDateTime, nullable=False),
    Column("message_id", String, nullable=False, index=True),
)
"""A value of a ReadingType at a moment, once; `value` is an exact decimal as text (of a clock a moment in UTC), `qualities` codes with spaces between them."""

DEVICE_EVENTS = Table(
    "device_events",
    METADATA,
    Column("event_id", String, primary_key=True),
    Column("meter", String, nullable=False),
    Column("code", String, nullable=False),
    Column("at", UtcDateTime, nullable=False, index=True),
    Column("reason", String),
    Column("issuer_tracking_id", String),
    Column("details", JSON, nullable=False),
    Column("closed_at", UtcDateTime),
    Column("said_at", UtcDateTime, nullable=False),
    Column("message_id", String, nullable=False),
    Column("acknowledged_at", UtcDateTime),
    Column("acknowledged_by", String),
)
"""What has happened to meters, each event once, by the mRID that the HES gives it; and who has said that they have seen it."""

PLACES = Table(
    "places",
    METADATA,
    Column("usage_point", String, primary_key=True),
    Column("latitude", Double, nullable=False),
    Column("longitude", Double, nullable=False),
    Column("main_address", String),
    Column("said_at", UtcDateTime, nullable=False),
)
"""Where usage points are, in degrees of WGS 84."""

HEARTBEAT = Table("heartbeat", METADATA, Column("number", Integer, primary_key=True))
"""One row that is written again and again, to see whether the store takes writes."""

SCHEMA = Schema(
    role="cis",
    owner="customer information system",
    revision="0007",
    tables=METADATA,
    migrations=Path(__file__).parent / "migrations",
    unversioned=("0001", "0002"),
)
