"""An import: the rows of a file in parts that the process takes, each with its report, over a connection that may break."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from rich.console import Console

from ami_hes.api import paths
from ami_hes.api.values.meters import MAX_ROWS, ImportedRow, ImportReport, MeterImport, RowResult
from ami_hes.client.asking import show, show_json
from ami_process.asking import NOT_OK, NOT_REACHED, OK, USAGE, RunningProcess
from ami_process.rest_client import AnswerLost, NotReached, ProcessRefused
from ami_process.shipment_files import ShipmentFileError, read_placed_rows
from ami_process.text_files import UnreadableText, read_text
from ami_process.toml_texts import parse_toml

PART_OCTETS = 90_000
"""Of the rows of one request; the process takes a little more."""
OUTCOMES = ("accepted", "changed", "unchanged", "refused")
MAX_TOML = 64_000_000
SIMULATED = "simulated"


class _Report:
    """What became of the rows so far."""

    def __init__(self, file: Path, *, check: bool) -> None:
        self.rows: list[RowResult] = []
        self.counts: Counter[str] = Counter()
        self._file = file
        self._check = check

    def add(self, rows: Iterable[RowResult], *, keep_all: bool) -> None:
        for row in rows:
            self.counts[row.outcome] += 1
            if keep_all or row.outcome == "refused":
                self.rows.append(row)

    def line(self, row: RowResult) -> str:
        where = f"{self._file}, {row.place}"
        if row.outcome == "refused":
            return f"{where}: refused: {row.reason.removeprefix(row.place).strip(', ')}"
        return f"{where}: {row.outcome}: {row.meter}"

    def summary(self) -> str:
        counted = ", ".join(f"{self.counts[outcome]} {outcome}" for outcome in OUTCOMES)
        return f"{'nothing is kept; it would be: ' if self._check else ''}{counted}"


def run(hes: RunningProcess, file: Path, *, check: bool, verbose: bool, as_json: bool) -> int:
    """The exit code."""
    report = _Report(file, check=check)
    try:
        _import(hes, file, report, check=check, keep_all=verbose or as_json)
    except (ShipmentFileError, UnreadableText) as problem:
        raise hes.ended(f"{file}: {problem}{_so_far(report)}", USAGE) from None
    except NotReached as problem:
        raise hes.ended(f"{problem}{_so_far(report)}", NOT_OK if report.counts else NOT_REACHED) from None
    except (AnswerLost, ProcessRefused) as problem:
        raise hes.ended(f"{problem}{_so_far(report)}", NOT_OK) from None
    if as_json:
        show_json(ImportReport(rows=tuple(report.rows)))
    else:
        show(*map(report.line, report.rows), report.summary())
    return NOT_OK if report.counts["refused"] else OK


def _import(hes: RunningProcess, file: Path, report: _Report, *, check: bool, keep_all: bool) -> None:
    with Console(stderr=True).status("reading the file") as status:
        for part in _parts(_rows(file)):
            content = MeterImport(rows=tuple(part), check=check).model_dump_json()
            report.add(hes.ask(paths.METERS, ImportReport, "POST", content).rows, keep_all=keep_all)
            status.update(f"{report.counts.total()} rows: {report.summary()}")


def _so_far(report: _Report) -> str:
    if not report.counts:
        return "; nothing was imported"
    again = "import the file again, since what is kept already is unchanged then"
    return f"; of the rows before, {report.summary()}, and the others are not known: {again}"


def _rows(file: Path) -> Iterator[ImportedRow]:
    from ami_registry import parse_cell  # it brings ciphers; no other command has use for them

    rows = _toml_rows(file) if file.suffix == ".toml" else read_placed_rows(file, parse_cell)
    for place, columns in rows:
        yield ImportedRow(place=place, columns=dict(columns))


def _toml_rows(file: Path) -> Iterator[tuple[str, Mapping[str, object]]]:
    """The [[meters]] of a configuration."""
    try:
        meters = parse_toml(read_text(file, MAX_TOML)).get("meters", [])
    except ValueError as problem:
        raise ShipmentFileError(f"not TOML: {problem}") from None
    if not isinstance(meters, list) or not all(isinstance(entry, dict) for entry in meters):
        raise ShipmentFileError("[[meters]] was expected")
    for number, entry in enumerate(meters, 1):
        yield f"[[meters]] entry {number}", {name: value for name, value in entry.items() if name != SIMULATED}


def _parts(rows: Iterable[ImportedRow]) -> Iterator[list[ImportedRow]]:
    """As many rows as go into one request, in order."""
    part: list[ImportedRow] = []
    octets = 0
    for row in rows:
        try:
            size = len(json.dumps(row.columns, default=str, ensure_ascii=False).encode()) + len(row.place) + 40
        except UnicodeEncodeError:
            raise ShipmentFileError(f"{row.place} has half of a character (a surrogate alone)") from None
        if size > PART_OCTETS:
            raise ShipmentFileError(f"{row.place} has more than {PART_OCTETS} octets")
        if part and (octets + size > PART_OCTETS or len(part) == MAX_ROWS):
            yield part
            part, octets = [], 0
        part.append(row)
        octets += size
    if part:
        yield part
