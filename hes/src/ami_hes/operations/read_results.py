"""What a reading operation is asked for and what it hands back: the body of its commands and the payload of their outcomes.

Both are JSON. A value is the text that the reading will have; no float comes between the meter and the message.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which ReadingTypes (as they were asked for; none is all that the meter has), and of which time."""

    reading_types: tuple[str, ...] = ()

    def format(self) -> str:
        """The body of a command."""
        return json.dumps({"types": self.reading_types}, separators=(",", ":"))

    @classmethod
    def parse(cls, body: str) -> "Wanted":
        """What `format` wrote."""
        return cls(tuple(json.loads(body)["types"]))


@dataclass(frozen=True, slots=True)
class ReadValue:
    """One value as it was read: `reading_type` is the code with its multiplier."""

    reading_type: str
    value: str
    at: datetime
    by_meter: bool
    """Whether `at` is what the meter says, and not when its answer came."""
    qualities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotRead:
    """A ReadingType that was asked for and has no value: what goes into the reply."""

    reading_type: str
    code: str
    level: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReadValues:
    """What came of reading one meter."""

    values: tuple[ReadValue, ...] = ()
    not_read: tuple[NotRead, ...] = ()

    def format(self) -> str:
        """The payload of an outcome."""
        values = [[one.reading_type, one.value, _number(one.at), one.by_meter, one.qualities] for one in self.values]
        not_read = [[one.reading_type, one.code, one.level, one.reason] for one in self.not_read]
        return json.dumps({"values": values, "not_read": not_read}, separators=(",", ":"))

    @classmethod
    def parse(cls, payload: str) -> "ReadValues":
        """What `format` wrote; nothing for a command that came to no reading."""
        if not payload:
            return cls()
        written = json.loads(payload)
        values = tuple(
            ReadValue(code, value, _moment(at), by_meter, tuple(qualities))
            for code, value, at, by_meter, qualities in written["values"]
        )
        return cls(values, tuple(NotRead(*one) for one in written["not_read"]))


def _number(moment: datetime) -> int:
    """Milliseconds since 1970."""
    return (moment - _EPOCH) // _MILLISECOND


def _moment(number: int) -> datetime:
    return _EPOCH + number * _MILLISECOND
