"""The rows of an interval block out of its elements, column by column.

Where every row has the element of a column, all of them are fetched at once, which keeps their order; where some have not, the rows
are fetched with them, to count at which one each is. The elements are such that the schema has accepted: only ReadingQualities
may be in a row twice."""

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from typing import Any, cast

from lxml import etree

from ami_cim.payloads.interval_columns import IntervalColumns, quality_columns
from ami_cim.quality import QUALITY, Quality
from ami_cim.white_space import SPACE
from ami_cim.xml import Element, parse_datetime

_SEPARATORS = "--T::Z"
"""Every third character of 2026-01-15T12:00:00Z from the fifth on."""
_FEW = 50
"""Gaps of a column, each of which costs a walk over the rows before it."""
_Texts = list[str | None]


def read_columns(block: Element, namespace: str) -> IntervalColumns:
    """The columns of a block."""
    rows = _Rows(block, namespace)
    sets, of = rows.qualities()
    common: dict[str, Any] = {
        "values": rows.column("value", _texts) or (None,) * rows.count,
        "times": rows.column("timeStamp", moments_of),
        "quality_sets": sets,
        "quality_of": of,
    }
    if not rows.has_more():
        return IntervalColumns(**common)
    return IntervalColumns(
        **common,
        starts=rows.column("start", moments_of),
        ends=rows.column("end", moments_of),
        reported=rows.column("reportedDateTime", moments_of),
        sources=rows.column("source", _texts),
    )


class _Rows:
    """The rows of one block."""

    def __init__(self, block: Element, namespace: str) -> None:
        self._block = block
        self._namespace = namespace
        self._row, self._quality = self._tag("IntervalReadings"), self._tag("ReadingQualities")
        self.count = self._number("")
        codes = [element.get("ref", "").strip(SPACE) for element in block.iter(self._tag("ReadingQualityType"))]
        self._codes = codes
        """Of all qualities, whichever rows they are in."""
        self._plain = len(codes) == self._number("/r:ReadingQualities/*")
        """No quality has more than its code: `source` and `timeStamp` are those of rows."""
        self._left = self._number("/*") - len(codes)

    def has_more(self) -> bool:
        """Whether the rows have elements that no column of theirs was asked for."""
        return self._left > 0

    def column(self, name: str, read: Callable[[_Texts], list[Any]]) -> tuple[Any, ...]:
        """What the elements of this name hold, row by row; empty where there is nothing."""
        texts = [element.text for element in self._block.iter(self._tag(name))] if self._plain else []
        self._left -= len(texts)
        if len(texts) != self.count:
            if self._plain and not texts:
                return ()
            texts = self._with_gaps(name, texts)
        found = read(texts)
        return tuple(found) if any(found) else ()

    def _with_gaps(self, name: str, texts: _Texts) -> _Texts:
        """The texts with None at the rows that have none; a few gaps are looked for, many are counted."""
        if self._plain and 0 < self.count - len(texts) <= _FEW:
            for row in self._find(f"[not(.//r:{name})]"):
                texts.insert(self._block.index(row), None)  # rows come before anything else in a block
            return texts
        placed: _Texts = [None] * self.count
        for place, element in self._placed(name):
            placed[place] = element.text
        return placed

    def qualities(self) -> tuple[tuple[tuple[Quality, ...], ...], tuple[int, ...]]:
        """The columns `quality_sets` and `quality_of`."""
        places = {code: place for place, code in enumerate(dict.fromkeys(self._codes))}
        one_each = self._plain and self.count == len(self._codes) == self._number("/r:ReadingQualities[1]")
        if one_each and "" not in places:
            return tuple((Quality(code=code),) for code in places), tuple(map(places.__getitem__, self._codes))
        codec = QUALITY.bind(self._namespace)
        known: dict[str | None, Quality] = {}
        found: list[tuple[Quality, ...]] = [()] * self.count
        for place, element in self._placed("ReadingQualities"):
            code = element[0].get("ref") if len(element) == 1 else None
            quality = known.get(code) or codec.read(element)
            if code is not None:
                known[code] = quality
            found[place] = (*found[place], quality)
        return quality_columns(found)

    def _placed(self, name: str) -> Iterator[tuple[int, Element]]:
        """The elements of this name that are not in a quality, with the number of the row that each is in."""
        place = -1
        for element in self._block.iter(self._row, self._tag(name)):
            if element.tag == self._row:
                place += 1
            elif self._plain or cast(Element, element.getparent()).tag != self._quality:
                yield place, element

    def _tag(self, name: str) -> str:
        return f"{{{self._namespace}}}{name}"

    def _find(self, path: str) -> list[Element]:
        return cast("list[Element]", _compiled(f"r:IntervalReadings{path}", self._namespace)(self._block))

    def _number(self, path: str) -> int:
        return int(cast(float, _compiled(f"count(r:IntervalReadings{path})", self._namespace)(self._block)))


@cache
def _compiled(path: str, namespace: str) -> etree.XPath:
    return etree.XPath(path, namespaces={"r": namespace})


def _texts(texts: _Texts) -> _Texts:
    return [(text or "").strip(SPACE) or None for text in texts]


def moments_of(texts: _Texts) -> list[datetime | None]:
    """xs:dateTime, the spelling that is met most often by the fastest way; None for nothing but white space."""
    read = datetime.fromisoformat
    try:
        return [read(text) if text[4::3] == _SEPARATORS else _moment(text) for text in cast("list[str]", texts)]
    except (TypeError, ValueError):
        return [_moment(text) for text in texts]


def _moment(text: str | None) -> datetime | None:
    return parse_datetime(text) if text and text.strip(SPACE) else None
