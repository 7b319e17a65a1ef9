"""Events of meters that the CIS keeps: each once, however often and in whichever message it comes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ami_cis.store.tables import DEVICE_EVENTS

_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class KeptDeviceEvent:
    """One row. `details` are names and values of EndDeviceEventDetails; `said_at` is when the message was made that says so."""

    event_id: str
    meter: str
    code: str
    at: datetime
    reason: str | None
    issuer_tracking_id: str | None
    details: tuple[tuple[str, str], ...]
    closed_at: datetime | None
    said_at: datetime
    message_id: str
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None


_NAMES = tuple(KeptDeviceEvent.__slots__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceEventQuery:
    """Which events; what is None or empty is not asked for. `until` is excluded. A code of any device (0 or *) is one of each, and the other way round."""

    meters: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    most: int = 1_000


def add_device_events(connection: Connection, events: Sequence[KeptDeviceEvent]) -> None:
    """What is known already stays as it is, but for the end of an alarm, which is noted whenever it comes."""
    if not events:
        return
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    added = dialect.insert(DEVICE_EVENTS)
    closing = added.on_conflict_do_update(
        index_elements=["event_id"],
        set_={"closed_at": added.excluded.closed_at},
        where=DEVICE_EVENTS.c.closed_at.is_(None) & added.excluded.closed_at.is_not(None),
    )
    for at in range(0, len(events), _BATCH):
        connection.execute(closing, [_values(one) for one in events[at : at + _BATCH]])


def find_device_events(connection: Connection, wanted: DeviceEventQuery) -> list[KeptDeviceEvent]:
    """The latest first."""
    query = select(DEVICE_EVENTS).order_by(DEVICE_EVENTS.c.at.desc(), DEVICE_EVENTS.c.event_id).limit(wanted.most)
    if wanted.meters:
        query = query.where(DEVICE_EVENTS.c.meter.in_(wanted.meters))
    if wanted.codes:
        query = query.where(or_(*map(_has_code, wanted.codes)))
    if wanted.since is not None:
        query = query.where(DEVICE_EVENTS.c.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(DEVICE_EVENTS.c.at < wanted.until)
    return [_event(row) for row in connection.execute(query).mappings()]


def device_events_with(connection: Connection, message_ids: Sequence[str]) -> list[KeptDeviceEvent]:
    """Those that came with these messages first, in the order in which they happened."""
    query = select(DEVICE_EVENTS).where(DEVICE_EVENTS.c.message_id.in_(message_ids)).order_by(DEVICE_EVENTS.c.at)
    return [_event(row) for row in connection.execute(query).mappings()]


def some_device_events(connection: Connection, event_ids: Sequence[str]) -> list[KeptDeviceEvent]:
    """By their ids, as far as they are kept."""
    query = select(DEVICE_EVENTS).where(DEVICE_EVENTS.c.event_id.in_(event_ids)).order_by(DEVICE_EVENTS.c.at)
    return [_event(row) for row in connection.execute(query).mappings()]


def acknowledge_device_events(connection: Connection, event_ids: Sequence[str], at: datetime, by: str) -> int:
    """Note who has seen them; how many nobody had acknowledged before."""
    open_ones = (DEVICE_EVENTS.c.event_id.in_(event_ids), DEVICE_EVENTS.c.acknowledged_at.is_(None))
    values = {"acknowledged_at": at, "acknowledged_by": by}
    return connection.execute(update(DEVICE_EVENTS).where(*open_ones).values(values)).rowcount


def forget_device_events(connection: Connection, before: datetime) -> int:
    """Drop those that were said before this moment; how many."""
    return connection.execute(delete(DEVICE_EVENTS).where(DEVICE_EVENTS.c.said_at < before)).rowcount


def _has_code(code: str) -> ColumnElement[bool]:
    device, _, tail = code.partition(".")
    if device in ("0", "*"):
        return DEVICE_EVENTS.c.code.endswith(f".{tail}", autoescape=True)
    return DEVICE_EVENTS.c.code.in_((code, f"0.{tail}"))


def _values(one: KeptDeviceEvent) -> dict[str, Any]:
    return {name: getattr(one, name) for name in _NAMES} | {"details": [list(each) for each in one.details]}


def _event(row: RowMapping) -> KeptDeviceEvent:
    values = {name: row[name] for name in _NAMES}
    return KeptDeviceEvent(**values | {"details": tuple((name, value) for name, value in row["details"])})
