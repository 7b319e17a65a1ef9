"""What was read of a meter as text, as a serializer writes its element: ten times as fast as making a tree of it and writing that.

An answer about ten thousand meters is nearly nothing else. All that the schema asks of a MeterReading is its order, a reason that there is, moments
and well-formed text, which is what is written here: it is valid as it is. A test compares it with the element that `meter_readings` describes.
"""

from datetime import datetime
from functools import lru_cache

from ami_cim.errors import LocalError
from ami_cim.identity import EndDevice, Name, UsagePoint
from ami_cim.payloads.interval_blocks import IntervalBlock
from ami_cim.payloads.interval_writer import quality_text, rows_of
from ami_cim.payloads.meter_readings import REASONS, MeterReading, Reading
from ami_cim.periods import Period
from ami_cim.xml import format_boolean
from ami_cim.xml_text import moment_text, quoted, text_of

EMPTY = "<MeterReading/>"
"""As a serializer writes one with nothing in it."""
TEXTS_KEPT = 256
_REASONS: dict[str | None, str] = {None: ""} | {reason: f"<reason>{reason}</reason>" for reason in REASONS}


def meter_reading_text(one: MeterReading) -> str:
    """The element MeterReading without a prefix, what is in it in the schema's order; LocalError for what can't be written."""
    if one.unsupported:
        raise LocalError("MeterReading has elements that are not carried", ", ".join(one.unsupported))
    trigger = one.coincident_trigger
    inside = "".join(
        (
            "" if trigger is None else f"<isCoincidentTrigger>{format_boolean(trigger)}</isCoincidentTrigger>",
            *map(_block, one.blocks),
            "" if one.meter is None else _identified("Meter", one.meter),
            *map(_reading, one.readings),
            "" if one.usage_point is None else _identified("UsagePoint", one.usage_point),
            _period("valuesInterval", one.values_interval),
        )
    )
    return f"<MeterReading>{inside}</MeterReading>" if inside else EMPTY


def _block(one: IntervalBlock) -> str:
    return f"<IntervalBlocks>{rows_of(one.columns)}{_reading_type(one.reading_type)}</IntervalBlocks>"


def _reading(one: Reading) -> str:
    if one.reason not in _REASONS:
        raise LocalError("This is no reason of a reading", str(one.reason)[:80])
    return (
        f"<Readings>{_REASONS[one.reason]}{_moment('reportedDateTime', one.reported_at)}{_source(one.source)}"
        f"{_moment('timeStamp', one.taken_at)}{_text('value', one.value)}{''.join(map(quality_text, one.qualities))}"
        f"{_reading_type(one.reading_type)}{_period('timePeriod', one.period)}</Readings>"
    )


@lru_cache(TEXTS_KEPT)
def _reading_type(code: str) -> str:
    """The same few for thousands of meters."""
    return f"<ReadingType ref={quoted(code)}/>"


@lru_cache(TEXTS_KEPT)
def _source(text: str | None) -> str:
    return _text("source", text)


def _identified(name: str, one: EndDevice | UsagePoint) -> str:
    inside = _text("mRID", one.mrid) + "".join(map(_name, one.names))
    return f"<{name}>{inside}</{name}>" if inside else f"<{name}/>"


def _name(one: Name) -> str:
    kind = ""
    if one.name_type is not None:
        authority = _text("name", one.authority)
        within = f"<NameTypeAuthority>{authority}</NameTypeAuthority>" if authority else ""
        kind = f"<NameType>{_text('name', one.name_type)}{within}</NameType>"
    elif one.authority is not None:
        raise LocalError("NameType cannot be written without its name")
    return f"<Names>{_text('name', one.name)}{kind}</Names>"


def _period(name: str, one: Period | None) -> str:
    if one is None:
        return ""
    inside = _moment("end", one.end) + _moment("start", one.start)
    return f"<{name}>{inside}</{name}>" if inside else f"<{name}/>"


def _text(name: str, text: str | None) -> str:
    return "" if text is None else f"<{name}>{text_of(text)}</{name}>"


def _moment(name: str, moment: datetime | None) -> str:
    return "" if moment is None else f"<{name}>{moment_text(moment)}</{name}>"
