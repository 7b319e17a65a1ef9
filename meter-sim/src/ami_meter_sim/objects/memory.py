"""What a meter remembers beyond the columns of its row: attributes that were changed over the model, and what happened to it.

Strategy: two narrow doors, `Kept` and `History`, behind which lie sparse tables and a journal that are on disk before an answer leaves.
The implementations here keep everything in memory: for meters that are made for a moment, and for tests of objects.
"""

from bisect import insort
from collections.abc import Sequence
from datetime import datetime
from enum import IntEnum, unique
from typing import NamedTuple, Protocol

from ami_dlms.data import Data
from ami_dlms.obis import Obis


@unique
class RecordKind(IntEnum):
    """What a record says; the numbers are on disk and never change."""

    EVENT = 1
    """An event code; `source` is the log, `number` the code."""
    SWITCH = 2
    """`number` is the control_state after it."""
    CLOCK = 3
    """`number` is the clock's new offset from the process's time in seconds."""
    POWER_DOWN = 4
    POWER_UP = 5
    RESET = 6
    """`source` is the register or profile; `number` what it held, in its own unit."""
    TARIFF = 7
    """`number` is the tariff that counts from here on."""
    BILLING = 8
    """The end of a billing period; `number` counts them."""
    FIRMWARE = 9
    KEY = 10
    LOAD = 11
    """`number` is the power in watts that flows in addition to what is behind the meter from here on; negative: is fed in."""
    CLOCK_RULES = 12
    """Time zone or daylight saving are others from here on; `detail` is what they were before (`base.ClockRules`)."""
    CONDITIONS = 13
    """`number` are the conditions of the network at the meter from here on, a bit for each (`conditions.Condition`)."""
    CLOCK_INVALID = 14
    """The clock has lost its time, until it is set."""


class Record(NamedTuple):
    """Something that happened. `at`: aware, UTC, the process's time and not that of the meter's clock."""

    at: datetime
    kind: RecordKind
    source: Obis | None = None
    number: int = 0
    detail: bytes = b""
    """What this kind needs beyond that; at most 1,024 octets."""


class Kept(Protocol):
    """Attributes that were written or changed over what the model says; they outlive the process."""

    @property
    def empty(self) -> bool:
        """Whether nothing was changed, as in nearly all meters."""

    def get(self, class_id: int, obis: Obis, attribute_id: int) -> Data | None:
        """The changed value; None where the model's counts."""

    def put(self, class_id: int, obis: Obis, attribute_id: int, value: Data | None) -> None:
        """Change it; None goes back to the model's."""


class History(Protocol):
    """What happened to one meter, in the order of time."""

    def happened(self, record: Record) -> None:
        """Add a record; on disk before the answer that follows from it leaves."""

    def records(
        self, kind: RecordKind, since: datetime | None = None, until: datetime | None = None, source: Obis | None = None
    ) -> Sequence[Record]:
        """Those of this kind, and of this source if one is given, with since <= at < until, the oldest first."""

    def forget(self, kind: RecordKind, source: Obis | None, keep: int) -> None:
        """Of this kind and source only the newest `keep` count from now on."""

    @property
    def version(self) -> int:
        """Another number whenever there is another record, or one less."""


def chosen(
    records: Sequence[Record], since: datetime | None, until: datetime | None, source: Obis | None
) -> Sequence[Record]:
    """Those of this source, if one is given, with since <= at < until."""
    if since is None and until is None and source is None:
        return records
    return [
        one
        for one in records
        if (since is None or since <= one.at)
        and (until is None or one.at < until)
        and (source is None or one.source == source)
    ]


class KeptInMemory:
    """Lost with the process."""

    __slots__ = ("_values",)

    def __init__(self) -> None:
        self._values: dict[tuple[int, Obis, int], Data] = {}

    @property
    def empty(self) -> bool:
        """As `Kept`."""
        return not self._values

    def get(self, class_id: int, obis: Obis, attribute_id: int) -> Data | None:
        """As `Kept`."""
        return self._values.get((class_id, obis, attribute_id))

    def put(self, class_id: int, obis: Obis, attribute_id: int, value: Data | None) -> None:
        """As `Kept`."""
        if value is None:
            self._values.pop((class_id, obis, attribute_id), None)
        else:
            self._values[class_id, obis, attribute_id] = value


class HistoryInMemory:
    """Lost with the process."""

    __slots__ = ("_records", "version")

    def __init__(self) -> None:
        self._records: list[Record] = []
        self.version = 0

    def happened(self, record: Record) -> None:
        """As `History`."""
        self.version += 1
        insort(self._records, record, key=lambda one: one.at)

    def forget(self, kind: RecordKind, source: Obis | None, keep: int) -> None:
        """As `History`."""
        self.version += 1
        found = [one for one in self._records if one.kind is kind and one.source == source]
        dropped = {id(one) for one in found[: max(len(found) - keep, 0)]}
        self._records = [one for one in self._records if id(one) not in dropped]

    def records(
        self, kind: RecordKind, since: datetime | None = None, until: datetime | None = None, source: Obis | None = None
    ) -> Sequence[Record]:
        """As `History`."""
        return chosen([one for one in self._records if one.kind is kind], since, until, source)
