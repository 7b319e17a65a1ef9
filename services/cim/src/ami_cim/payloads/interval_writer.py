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
from ami_cim.xml import Element, printable
from ami_cim.xml_text import BEYOND, demand_printable, moment_text, quoted, text_of

_TIMES_KEPT, _QUALITIES_KEPT = 8, 256
"""Columns of times (a year of quarter hours takes some megabytes), and qualities, whose text is remembered: all meters of a reading have the same."""
_END = "</IntervalReadings>"
EMPTY_ROW = "<IntervalReadings/>"
"""As a serializer writes a row with nothing in it."""


def block_of(namespace: str, reading_type: str, columns: IntervalColumns) -> Element:
    """The element IntervalBlocks; LocalError for text that XML cannot carry and for moments without zone."""
    text = f"<IntervalBlocks xmlns={quoteattr(namespace)}>{rows_of(columns)}<ReadingType ref={quoted(reading_type)}/></IntervalBlocks>"
    try:
        return etree.fromstring(text, etree.XMLParser(resolve_entities=False, no_network=True))
    except (ValueError, etree.XMLSyntaxError) as error:
        raise LocalError("IntervalBlocks cannot carry this text", str(error)[:200]) from None


def rows_of(columns: IntervalColumns) -> str:
    """The elements IntervalReadings without a prefix, as a serializer writes them, in the schema's order; LocalError as of `block_of`."""
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
    after = f"</value>{''.join(quality_text(quality) for said in columns.quality_sets for quality in said)}{_END}"
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
    demand_printable(joined)
    if any(character in joined for character in "&<>\r"):
        return [text and escape(text, BEYOND) for text in column]
    return column


def _moments(column: Sequence[datetime | None]) -> Iterable[str | None]:
    return [None if one is None else moment_text(one) for one in column]


def _periods(columns: IntervalColumns) -> list[str]:
    ends, starts = _cells("end", columns.ends, _moments), _cells("start", columns.starts, _moments)
    sides = [side for side in (ends, starts) if side]
    both = map("".join, zip(*sides, strict=True)) if sides else ()
    return [f"<timePeriod>{one}</timePeriod>" if one else "" for one in both]


def _quality_cells(columns: IntervalColumns) -> list[str]:
    written = ["".join(map(quality_text, one)) for one in columns.quality_sets]
    return [written[place] for place in columns.quality_of]


@lru_cache(_QUALITIES_KEPT)
def quality_text(quality: Quality) -> str:
    """The element ReadingQualities."""
    comment = "" if quality.comment is None else f"<comment>{text_of(printable(quality.comment))}</comment>"
    source = "" if quality.source is None else f"<source>{text_of(quality.source)}</source>"
    time = "" if quality.assessed_at is None else f"<timeStamp>{moment_text(quality.assessed_at)}</timeStamp>"
    inside = comment + source + time
    return f"<ReadingQualities>{inside}<ReadingQualityType ref={quoted(quality.code)}/></ReadingQualities>"
