"""From the buffer of an event log to its events (docs/mapping.md, M-130, M-153). Pure.

An entry whose time is no moment is none: it would be another event with each reading. So is one without a number.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ami_dlms.cosem.profile import OddRow, decode_each_row
from ami_dlms.cosem.selection import CaptureObject
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import DataTag
from ami_dlms.errors import DlmsError
from ami_dlms.obis import Obis
from ami_hes.end_device_events.made import Told, log_event, time_of
from ami_hes.end_device_events.native_names import NativeNames, general_names
from ami_hes.meters import Meter
from ami_hes.store import StoredDeviceEvent
from ami_mapping.alarms import log_of_code

MOST_NUMBER = 0xFFFF
MOST_ENTRIES = 10_000
"""Of one log that are read."""
PUSHED_WITHIN = timedelta(seconds=60)
"""How long after its entry a number may be pushed and be the same event (M-160)."""
DATE_TIME_OCTETS = 12


@dataclass(frozen=True, slots=True)
class LogEntries:
    """What a log says, the oldest first, and how many of its rows can't be used."""

    events: tuple[StoredDeviceEvent, ...]
    odd: int = 0


def number_column(columns: Sequence[CaptureObject]) -> int | None:
    """The place of the column with the numbers of events."""
    return next((place for place, one in enumerate(columns) if log_of_code(one.logical_name) is not None), None)


def entries_of(
    buffer: Data,
    columns: Sequence[CaptureObject],
    log: Obis,
    meter: Meter,
    received_at: datetime,
    names: NativeNames | None = None,
) -> LogEntries:
    """The rows of a buffer with these columns; raises DecodeError for what is no buffer, ValueError for columns that are none of a log and for too many rows."""
    clock = next((place for place, one in enumerate(columns) if one.is_clock), None)
    number = number_column(columns)
    if clock is None or number is None:
        raise ValueError("it has no column with a clock, or none with numbers of events")
    rows = len(buffer.value) if isinstance(buffer.value, Sequence) else 0
    if rows > MOST_ENTRIES:
        raise ValueError(f"{rows} entries came, and {MOST_ENTRIES} are taken at most")
    found: list[StoredDeviceEvent] = []
    names, odd = names or general_names(), 0
    for row in decode_each_row(buffer, columns):
        told = None if isinstance(row, OddRow) else _told(row.values[clock], meter, received_at, names)
        event = None if told is None or isinstance(row, OddRow) else _event(row.values[number], log, told)
        if event is None:
            odd += 1
        else:
            found.append(event)
    return LogEntries(tuple(sorted(found, key=lambda one: one.created_at)), odd)


def not_pushed(entries: Sequence[StoredDeviceEvent], kept: Iterable[StoredDeviceEvent]) -> Iterator[StoredDeviceEvent]:
    """Those entries, the oldest first, that are no event that is kept already because its number was pushed (M-160).

    Each takes the earliest push that can be its own, so that later ones are left to later entries.
    """
    own = {one.event_id for one in entries}
    known: set[str] = set()
    pushed: dict[str, deque[StoredDeviceEvent]] = defaultdict(deque)
    for one in sorted(kept, key=lambda one: one.created_at):
        if one.event_id in own:
            known.add(one.event_id)
        elif one.source == "log":
            pushed[one.details].append(one)
    for entry in sorted(entries, key=lambda one: one.created_at):
        if entry.event_id in known or not _takes_push(entry, pushed[entry.details]):
            yield entry


def _takes_push(entry: StoredDeviceEvent, pushed: deque[StoredDeviceEvent]) -> bool:
    """What was pushed before this entry is that of no later one either."""
    while pushed and pushed[0].created_at < entry.created_at:
        pushed.popleft()
    if not pushed or pushed[0].created_at - entry.created_at > PUSHED_WITHIN:
        return False
    pushed.popleft()
    return True


def _told(said: Data, meter: Meter, received_at: datetime, names: NativeNames) -> Told | None:
    """None for what is no moment of the meter's."""
    at = _moment(said)
    time = None if at is None else time_of(at, received_at)
    return Told(meter, time, received_at, names) if time is not None and time.by_meter else None


def _event(number: Data, log: Obis, told: Told) -> StoredDeviceEvent | None:
    native = number.value
    if not isinstance(native, int) or isinstance(native, bool) or not 0 <= native <= MOST_NUMBER:
        return None
    return log_event(told, log, native)


def _moment(value: Data) -> CosemDateTime | None:
    if value.tag is DataTag.DATE_TIME and isinstance(value.value, CosemDateTime):
        return value.value
    octets = value.value
    if value.tag is not DataTag.OCTET_STRING or not isinstance(octets, bytes) or len(octets) != DATE_TIME_OCTETS:
        return None
    try:
        return CosemDateTime.decode(octets)
    except DlmsError:
        return None
