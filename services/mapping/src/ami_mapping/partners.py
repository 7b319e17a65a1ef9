"""Partner profiles: what one partner's codes are where they differ from the general ones (M-125).

A profile is a TOML text of switches and names of rows, and may bring a CSV of rows of its own with the columns of
data/readings.csv. It is checked as a whole: what can no longer be distinguished is refused with every fault, nothing half-done.
"""

from __future__ import annotations

import csv
import io
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any

from ami_cim.reading_type_words import field_words
from ami_mapping.lookup import ReadingTable
from ami_mapping.patterns import CodePattern
from ami_mapping.readings import Confidence, ReadingRow, all_rows, check_references, parse_rows
from ami_mapping.tables import MAX_OCTETS, MAX_PROBLEMS, TableError

Change = Callable[[CodePattern], CodePattern]
VOLTAGE, ENERGY_UNITS, POWER_KINDS = 54, (63, 73), (8, 37)
DAILY, TWENTY_FOUR_HOURS = 11, 4


def _reactive(plus: int, minus: int) -> Change:
    flows = {5: plus, 13: minus}

    def change(code: CodePattern) -> CodePattern:
        flow = code.field("flow_direction")
        if code.field("unit") not in ENERGY_UNITS or flow not in flows:
            return code
        return code.changed(flow_direction=flows[int(flow)])

    return change


def _primary(code: CodePattern) -> CodePattern:
    return code.changed(commodity=2) if code.field("commodity") == 1 else code


def _plain_phases(code: CodePattern) -> CodePattern:
    phases = {129: 128, 65: 64, 33: 32}
    phase = code.field("phases")
    if code.field("measurement_kind") != VOLTAGE or phase not in phases:
        return code
    return code.changed(phases=phases[int(phase)])


def _day_as_measuring_period(code: CodePattern) -> CodePattern:
    if code.field("macro_period") != DAILY:
        return code
    return code.changed(macro_period=0, measuring_period=TWENTY_FOUR_HOURS)


def _unchanged(code: CodePattern) -> CodePattern:
    return code


SWITCHES: Mapping[str, Mapping[str, Change]] = {
    "reactive_pair": {"5/13": _unchanged, "1/19": _reactive(1, 19), "2/3": _reactive(2, 3)},
    "commodity": {"1": _unchanged, "2": _primary},
    "voltage_phases": {"129": _unchanged, "128": _plain_phases},
    "day": {"macro": _unchanged, "measuring": _day_as_measuring_period},
}
"""Name of a switch -> its positions, the general one first; each changes whole rules, so both directions stay consistent."""
MAX_LINES = 2_000
"""Of a profile, in which the place of a fault is looked for."""
_QUOTED, _WORD = re.compile(r"'([^']{1,80})'"), re.compile(r"[A-Za-z_0-9.]{2,80}")
KEYS = ("switches", "unsure", "drop", "partner_aliases", "aliases")


@dataclass(frozen=True, slots=True)
class PartnerProfile:
    """One partner's differences. `unsure`, `drop` and `partner_aliases` are ids of rows; `aliases` is code -> id."""

    name: str
    switches: Mapping[str, str]
    unsure: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    partner_aliases: tuple[str, ...] = ()
    aliases: Mapping[str, str] | None = None
    rows: tuple[ReadingRow, ...] = ()

    def table(self) -> ReadingTable:
        """The rows that are served to this partner; TableError with all faults when they cannot be distinguished."""
        known = {row.id: row for row in all_rows()}
        problems = list(islice(chain(self._unknown_switches(), self._unknown_rows(known)), MAX_PROBLEMS))
        if problems:
            raise TableError(problems)
        served = [row for row in known.values() if self._serves(row)]
        changed = [*without_lost_names(list(map(self._changed, served))), *self.rows]
        rows = [self._with_aliases(row) for row in _drop_taken_aliases(changed, self._own_aliases())]
        check_references(rows, lambda row: f"{self.name}: {row.id}")
        return ReadingTable(rows, self.partner_aliases)

    def _serves(self, row: ReadingRow) -> bool:
        return row.id not in self.drop and (row.confidence is not Confidence.UNSURE or row.id in self.unsure)

    def _changed(self, row: ReadingRow) -> ReadingRow:
        code = row.code
        for name, position in self.switches.items():
            code = SWITCHES[name][position](code)
        return row if code == row.code else replace(row, code=code, aliases=(*row.aliases, row.code))

    def _with_aliases(self, row: ReadingRow) -> ReadingRow:
        added = tuple(code for code, name in self._own_aliases().items() if name == row.id)
        return replace(row, aliases=(*row.aliases, *added)) if added else row

    def _own_aliases(self) -> dict[CodePattern, str]:
        return {CodePattern.parse(code): name for code, name in (self.aliases or {}).items()}

    def _unknown_switches(self) -> Iterable[str]:
        for name, position in self.switches.items():
            if name not in SWITCHES:
                yield f"{self.name}: no switch {name[:40]!r}; there are {', '.join(SWITCHES)}"
            elif position not in SWITCHES[name]:
                yield f"{self.name}: switch {name} is {position[:40]!r} and not one of {', '.join(SWITCHES[name])}"

    def _unknown_rows(self, known: Mapping[str, ReadingRow]) -> Iterable[str]:
        for key, names in (
            ("unsure", self.unsure),
            ("drop", self.drop),
            ("partner_aliases", self.partner_aliases),
            ("aliases", tuple((self.aliases or {}).values())),
        ):
            yield from (
                f"{self.name}: {key} names {name[:40]!r}, which is no row" for name in names if name not in known
            )
        yield from (f"{self.name}: the id {row.id} is one of the general table" for row in self.rows if row.id in known)


def parse_profile(text: str, file: str, rows: str = "", rows_file: str = "rows.csv") -> PartnerProfile:
    """A profile of a TOML text, and of the CSV with rows of its own where there is one; TableError with all faults."""
    if len(text) > MAX_OCTETS:
        raise TableError([f"{file}: more than {MAX_OCTETS} characters"])
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as fault:
        raise TableError([f"{file}: {fault}"]) from None
    problems = [f"{file}: no key {key[:40]!r}; there are {', '.join(KEYS)}" for key in document if key not in KEYS]
    switches = _words(document, "switches", file, problems)
    aliases = _words(document, "aliases", file, problems)
    problems += [f"{file}: {wrong}" for code in aliases if (wrong := _pattern_fault(code))]
    lists = {key: _list(document, key, file, problems) for key in ("unsure", "drop", "partner_aliases")}
    if problems:
        raise TableError(_with_lines(problems[:MAX_PROBLEMS], file, text))
    own = tuple(parse_rows(rows, rows_file, alone=False)) if rows else ()
    profile = PartnerProfile(file, switches, aliases=aliases, rows=own, **lists)
    try:
        profile.table()
    except TableError as fault:
        raise TableError(_with_lines(fault.problems, file, text)) from None
    return profile


def export(table: ReadingTable) -> str:
    """The effective list as CSV: a code per line with what it means, its unit and its interval, and what it is read from."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ("reading_type", "meaning", "unit", "measuring_period", "obis", "class_id", "attribute", "context", "id")
    )
    words = field_words()
    for row in table.rows:
        unit = words["unit"][row.code.known.unit]
        period = words["measuring_period"][row.code.known.measuring_period]
        obis = "" if row.obis is None else str(row.obis)
        cells = (str(row.code), row.meaning, unit, period, obis, row.class_id, row.attribute, row.context.name, row.id)
        writer.writerow(cells)
    return out.getvalue()


def without_lost_names(rows: Sequence[ReadingRow]) -> list[ReadingRow]:
    """A row names only rows that are served and still have its code: a switch moves a pair together or not at all."""
    codes = {row.id: row.code for row in rows}

    def kept(row: ReadingRow, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if codes.get(name) == row.code)

    return [
        replace(
            row,
            first=row.first if codes.get(row.first) == row.code else "",
            same_as=kept(row, row.same_as),
            collides_with=kept(row, row.collides_with),
        )
        for row in rows
    ]


def _drop_taken_aliases(rows: Sequence[ReadingRow], own: Iterable[CodePattern]) -> list[ReadingRow]:
    """A general alias that a switch has made the code of a row, or that the partner uses itself, is no alias any more."""
    taken = {row.code.without_multiplier() for row in rows} | {code.without_multiplier() for code in own}
    return [
        replace(row, aliases=tuple(alias for alias in row.aliases if alias.without_multiplier() not in taken))
        for row in rows
    ]


def _words(document: Mapping[str, Any], key: str, file: str, problems: list[str]) -> dict[str, str]:
    found = document.get(key, {})
    if isinstance(found, dict) and all(isinstance(value, str) for value in found.values()):
        return dict(found)
    problems.append(f"{file}: {key} is a table of texts")
    return {}


def _list(document: Mapping[str, Any], key: str, file: str, problems: list[str]) -> tuple[str, ...]:
    found = document.get(key, [])
    if isinstance(found, list) and all(isinstance(value, str) for value in found):
        return tuple(found)
    problems.append(f"{file}: {key} is a list of ids of rows")
    return ()


def _pattern_fault(code: str) -> str:
    try:
        CodePattern.parse(code)
    except ValueError as fault:
        return str(fault)
    return ""


def _with_lines(problems: Sequence[str], file: str, text: str) -> list[str]:
    """Each problem of the profile with the line of the first key or text in it that the problem names."""
    lines = text.splitlines()[:MAX_LINES]

    def with_line(problem: str) -> str:
        start, _, said = problem.partition(f"{file}: ")
        if start or not said:
            return problem
        words = dict.fromkeys((*_QUOTED.findall(said), *_WORD.findall(said)))
        places = (number for word in words for number, line in enumerate(lines, 1) if _names(line, word))
        number = next(places, None)
        return problem if number is None else f"{file}:{number}: {said}"

    return list(map(with_line, problems))


def _names(line: str, word: str) -> bool:
    return f'"{word}"' in line or f"'{word}'" in line or line.partition("=")[0].strip() == word
