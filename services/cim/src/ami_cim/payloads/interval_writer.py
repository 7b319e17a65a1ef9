"""The rows of an interval block as text: a tenth of the time that their elements take one by one, and less where no tree is made of them.

All that the schema asks of a row is its order, moments and well-formed text, which is what is written here: `rows_of` is valid as it is.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from operator import add
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from ami_cim.errors import LocalError
from ami_cim.payloads.interval_columns import IntervalColumns
from ami_cim.quality import Quality
from ami_cim.xml import Element, format_datetime, is_printable, printable

_BEYOND = {"\r": "&#13;"}
"""What a parser would make another character of, beside & < >."""
_TIMES_KEPT, _QUALITIES_KEPT = 8, 256
"""Columns of times (a year of quarter hours takes some megabytes), and qualities, whose text is remembered: all meters of a reading have the same."""
_END = "</IntervalReadings>"
EMPTY_ROW = "<IntervalReadings/>"
"""As a serializer writes a row with nothing in it."""


def block_of(namespace: str, reading_type: str, columns: IntervalColumns) -> Element:
    """The element IntervalBlocks; LocalError for text that XML cannot carry and for moments without zone."""
    text = f"<IntervalBlocks xmlns={quoteattr(namespace)}>{_rows(columns)}<ReadingType ref={_quoted(reading_type)}/></IntervalBlocks>"
    try:
        return etree.fromstring(text, etree.XMLParser(resolve_entities=False, no_network=True))
    except (ValueError, etree.XMLSyntaxError) as error:
        raise LocalError("IntervalBlocks cannot carry this text", str(error)[:200]) from None


def rows_of(columns: IntervalColumns) -> bytes:
    """The elements IntervalReadings without a prefix, as a serializer writes them; LocalError as of `block_of`."""
    return _rows(columns).encode()


def _rows(columns: IntervalColumns) -> str:
    """The elements of a row come in the schema's order."""
    return _plain_rows(columns) if _is_plain(columns) else _any_rows(columns)


def _is_plain(columns: IntervalColumns) -> bool:
    """Whether rows are nothing but a time in UTC, a value and the same qualities for all of them."""
    beyond = columns.starts or columns.ends or columns.reported or columns.sources
    return (
        not beyond
        and len(columns.times) > 0
        and len(columns.quality_sets) == len(set(columns.quality_of))
        and len(columns.quality_sets) < 2
        and None not in columns.values
        and None not in columns.times
        and {one.tzinfo for one in columns.times if one is not None} == {UTC}
    )


def _plain_rows(columns: IntervalColumns) -> str:
    """As `_any_rows` writes them."""
    after = f"</value>{''.join(_quality(quality) for said in columns.quality_sets for quality in said)}{_END}"
    return after.join(map(add, _before_values(columns.times), _texts(columns.values))) + after


@lru_cache(_TIMES_KEPT)
def _before_values(times: tuple[datetime, ...]) -> list[str]:
    """Of moments in UTC: equal ones have the same text."""
    return [f"<IntervalReadings>{time}<value>" for time in _cells("timeStamp", times, _moments)]


def _any_rows(columns: IntervalColumns) -> str:
    cells = [
        _cells("reportedDateTime", columns.reported, _moments),
        _cells("source", columns.sources, _texts),
        _cells("timeStamp", columns.times, _moments),
        _cells("value", columns.values, _texts),
        _quality_cells(columns),
        _periods(columns),
    ]
    given = [column for column in cells if column]
    if not given:
        return EMPTY_ROW * len(columns)
    rows = map("".join, zip(*given, strict=True))
    return "".join([f"<IntervalReadings>{row}{_END}" if row else EMPTY_ROW for row in rows])


def _cells(name: str, column: Sequence[Any], texts: Callable[[Sequence[Any]], Iterable[str | None]]) -> list[str]:
    before, after = f"<{name}>", f"</{name}>"
    return ["" if text is None else f"{before}{text}{after}" for text in texts(column)]


def _texts(column: Sequence[Any]) -> Iterable[Any]:
    joined = "".join(filter(None, column))
    _demand_printable(joined)
    if any(character in joined for character in "&<>\r"):
        return [text and escape(text, _BEYOND) for text in column]
    return column


def _moments(column: Sequence[datetime | None]) -> Iterable[str | None]:
    try:
        return [None if one is None else _moment(one) for one in column]
    except ValueError as error:
        raise LocalError("IntervalReadings need moments", str(error)) from None


def _moment(one: datetime) -> str:
    return f"{one.isoformat()[:-6]}Z" if one.tzinfo is UTC else format_datetime(one)


def _periods(columns: IntervalColumns) -> list[str]:
    ends, starts = _cells("end", columns.ends, _moments), _cells("start", columns.starts, _moments)
    sides = [side for side in (ends, starts) if side]
    both = map("".join, zip(*sides, strict=True)) if sides else ()
    return [f"<timePeriod>{one}</timePeriod>" if one else "" for one in both]


def _quality_cells(columns: IntervalColumns) -> list[str]:
    written = ["".join(map(_quality, one)) for one in columns.quality_sets]
    return [written[place] for place in columns.quality_of]


@lru_cache(_QUALITIES_KEPT)
def _quality(quality: Quality) -> str:
    comment = () if quality.comment is None else _cells("comment", (printable(quality.comment),), _texts)
    source = () if quality.source is None else _cells("source", (quality.source,), _texts)
    time = () if quality.assessed_at is None else _cells("timeStamp", (quality.assessed_at,), _moments)
    inside = "".join((*comment, *source, *time))
    return f"<ReadingQualities>{inside}<ReadingQualityType ref={_quoted(quality.code)}/></ReadingQualities>"


def _demand_printable(text: str) -> None:
    if not is_printable(text):
        raise LocalError("IntervalBlocks cannot carry this text", "a character that XML has not")


def _quoted(text: str) -> str:
    _demand_printable(text)
    return quoteattr(text, {"\r": "&#13;", "\n": "&#10;", "\t": "&#9;"})
