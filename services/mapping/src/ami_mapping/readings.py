"""The rows of the table of readings: an attribute of a COSEM object in a context <-> a ReadingType (table data/readings.csv).

A row alone decides nothing: which of them answer a request, and in which order, is `ami_mapping.lookup`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, partial
from itertools import chain, islice

from ami_mapping.patterns import CodePattern, ObisPattern
from ami_mapping.tables import MAX_PROBLEMS, TableError, number, packaged, read_table

COLUMNS = (
    *("id", "obis", "class_id", "attribute", "context", "reading_type", "dlms_unit", "direction", "confidence"),
    *("decision", "computed", "first", "same_as", "collides_with", "aliases", "partner_aliases"),
    *("meaning", "source", "note"),
)
_CONTEXT_COLUMNS = ("context", "reads", "capture_period_s", "macro_period", "measuring_period", "medium", "meaning")


class Direction(StrEnum):
    """Which way a row is used."""

    BOTH = "both"
    TO_CIM = "to_cim"
    FROM_CIM = "from_cim"


class Confidence(StrEnum):
    """What a row rests on: a code seen in public, the rules, or a choice without evidence (M-124)."""

    FIELD = "field"
    DERIVED = "derived"
    UNSURE = "unsure"


class Reads(StrEnum):
    """How a value of a context is got: one attribute, or a column of a profile's buffer by selective access."""

    ATTRIBUTE = "attribute"
    PROFILE = "profile"


@dataclass(frozen=True, slots=True)
class CaptureContext:
    """Where a value was captured; macro and measuring period are those that its codes have, None when they differ.

    `medium` is that of an M-Bus channel, empty for the meter's own values.
    """

    name: str
    reads: Reads
    capture_period_s: int | None
    macro_period: int | None
    measuring_period: int | None
    medium: str
    meaning: str


@dataclass(frozen=True, slots=True)
class ReadingRow:
    """One row. `obis` is None when the value is computed from other rows; `computed` says that the meter has no such value."""

    id: str
    obis: ObisPattern | None
    class_id: int
    attribute: int
    context: CaptureContext
    code: CodePattern
    dlms_unit: int | None
    direction: Direction
    confidence: Confidence
    decision: str
    computed: bool
    first: str
    same_as: tuple[str, ...]
    collides_with: tuple[str, ...]
    aliases: tuple[CodePattern, ...]
    partner_aliases: tuple[CodePattern, ...]
    meaning: str
    source: str
    note: str


@cache
def contexts() -> dict[str, CaptureContext]:
    """All contexts by name."""
    file = "contexts.csv"
    return {one.name: one for one in read_table(packaged(file), file, _context, _CONTEXT_COLUMNS)}


@cache
def all_rows() -> tuple[ReadingRow, ...]:
    """Every row of the package, the unsure ones too, checked as a whole."""
    file = "readings.csv"
    return tuple(parse_rows(packaged(file), file))


def parse_rows(text: str, file: str, *, alone: bool = True) -> list[ReadingRow]:
    """The rows of a CSV with the columns of data/readings.csv; TableError with all faults of all lines.

    Rows that are not `alone` may name rows of another table: the two are checked together by `check_references`.
    """
    lines: dict[str, int] = {}
    rows = read_table(text, file, partial(_row, contexts(), lines), COLUMNS)
    if alone:
        check_references(rows, lambda row: f"{file}:{lines[row.id]}")
    return rows


def check_references(rows: Iterable[ReadingRow], place: Callable[[ReadingRow], str]) -> None:
    """Rows that share a code say so, what they name is there, an alias means one code; TableError otherwise (M-123)."""
    by_id = {row.id: row for row in rows}
    by_code: dict[CodePattern, list[ReadingRow]] = {}
    for row in by_id.values():
        by_code.setdefault(row.code, []).append(row)
    faults = chain(
        ((row, fault) for row in by_id.values() for fault in _lost_names(row, by_id)),
        ((row, fault) for row in by_id.values() for fault in _unnamed(row, by_code[row.code])),
        _ambiguous(by_id.values(), by_code),
    )
    problems = [f"{place(row)}: {fault}" for row, fault in islice(faults, MAX_PROBLEMS)]
    if problems:
        raise TableError(problems)


def _lost_names(row: ReadingRow, by_id: Mapping[str, ReadingRow]) -> Iterator[str]:
    for name in sorted({row.first, *row.same_as, *row.collides_with} - {""}):
        if name not in by_id or by_id[name].code != row.code:
            yield f"{row.id} names {name}, which is no row with the same code"


def _unnamed(row: ReadingRow, sharing: Iterable[ReadingRow]) -> Iterator[str]:
    named = {row.id, *row.same_as, *row.collides_with}
    for other in sharing:
        if other.id not in named and row.id not in (*other.same_as, *other.collides_with):
            yield f"{row.id} has the code of {other.id} and neither same_as nor collides_with names it"


def _ambiguous(
    rows: Iterable[ReadingRow], by_code: Mapping[CodePattern, Sequence[ReadingRow]]
) -> Iterator[tuple[ReadingRow, str]]:
    attributes: dict[tuple[object, ...], ReadingRow] = {}
    aliases: dict[CodePattern, ReadingRow] = {}
    for row in rows:
        key = (row.obis, row.class_id, row.attribute, row.context.name)
        if row.obis is not None and attributes.setdefault(key, row) is not row:
            yield row, f"{row.id} is the attribute and context of {attributes[key].id} again"
        for alias in row.aliases:
            free = alias.without_multiplier()
            taken = [*by_code.get(alias, ()), *by_code.get(free, ()), aliases.setdefault(free, row)]
            if taken[0].code != row.code or free == row.code:
                yield row, f"alias {alias} of {row.id} means {taken[0].id} already"


def _context(cells: dict[str, str], line: int) -> CaptureContext:
    return CaptureContext(
        cells["context"],
        Reads(cells["reads"]),
        _optional(cells, "capture_period_s", 10_000_000),
        _optional(cells, "macro_period", 32),
        _optional(cells, "measuring_period", 200),
        cells["medium"],
        cells["meaning"],
    )


def _row(known: dict[str, CaptureContext], lines: dict[str, int], cells: dict[str, str], line: int) -> ReadingRow:
    if not cells["id"] or lines.setdefault(cells["id"], line) != line:
        raise ValueError(f"the id {cells['id'][:20]!r} is empty or taken by another row")
    if cells["context"] not in known:
        raise ValueError(f"no context {cells['context'][:40]!r}")
    row = ReadingRow(
        id=cells["id"],
        obis=ObisPattern.parse(cells["obis"]) if cells["obis"] else None,
        class_id=number(cells["class_id"], "class_id"),
        attribute=number(cells["attribute"], "attribute", highest=127),
        context=known[cells["context"]],
        code=CodePattern.parse(cells["reading_type"]),
        dlms_unit=_optional(cells, "dlms_unit", 255),
        direction=Direction(cells["direction"]),
        confidence=Confidence(cells["confidence"]),
        decision=cells["decision"],
        computed=_flag(cells["computed"]),
        first=cells["first"],
        same_as=tuple(cells["same_as"].split()),
        collides_with=tuple(cells["collides_with"].split()),
        aliases=tuple(map(CodePattern.parse, cells["aliases"].split())),
        partner_aliases=tuple(map(CodePattern.parse, cells["partner_aliases"].split())),
        meaning=cells["meaning"],
        source=cells["source"],
        note=cells["note"],
    )
    _check(row)
    return row


def _check(row: ReadingRow) -> None:
    unknown = row.code.known.unknown()
    if unknown:
        raise ValueError(f"{row.id}: no list has {', '.join(unknown)}")
    for name in ("macro_period", "measuring_period"):
        wanted, found = getattr(row.context, name), row.code.field(name)
        if wanted is not None and found != wanted:
            raise ValueError(f"{row.id}: {name} is {found} and in the context {row.context.name} it is {wanted}")
    tariff_in_obis = row.obis is not None and "t" in row.obis.groups
    if row.obis is not None and tariff_in_obis != (row.code.field("tou") == "t"):
        raise ValueError(f"{row.id}: the tariff is open in one of obis and reading_type only")
    if row.obis is None and not row.computed:
        raise ValueError(f"{row.id}: a row without an OBIS code is computed")
    if not (row.meaning and row.source and row.decision):
        raise ValueError(f"{row.id}: meaning, source and decision are needed")


def _optional(cells: dict[str, str], name: str, highest: int) -> int | None:
    return number(cells[name], name, highest=highest) if cells[name] else None


def _flag(text: str) -> bool:
    if text not in ("", "yes"):
        raise ValueError(f"computed is {text[:20]!r} and neither empty nor yes")
    return text == "yes"
