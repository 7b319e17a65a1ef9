"""Shipment files, which come along with delivered meters, as rows: the one reader of the format, whatever is wanted of a row.

JSON is an object with `format` and `meters`, CSV has one line of names and one line per meter. What the columns mean is for
the reader: names of CIM for a CIS, the way to the meter and its keys for a head-end (`ami_registry.shipments`).
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from ami_process.text_files import UnreadableText, read_text

FORMAT = 1
MOST_CHARACTERS = 1 << 30
"""About a million meters."""
USAGE_POINTS = "usage_points"
SEVERAL = ";"
"""Between several usage points in one cell of CSV."""
BYTE_ORDER_MARK = "\ufeff"
"""Spreadsheets begin a CSV in UTF-8 with it."""
ParseCell = Callable[[str, str], object]
"""The value of a cell of CSV, by the name of its column: JSON has types, CSV has none."""


class ShipmentFileError(ValueError):
    """A file is no shipment; the text says where and why, without the name of the file."""


def text_of_cell(_: str, cell: str) -> object:
    """A cell as it is."""
    return cell


def read_rows(path: Path, parse_cell: ParseCell = text_of_cell) -> Iterable[Mapping[str, object]]:
    """The rows of a file, in order. Raises ShipmentFileError, for CSV as late as when the row is reached."""
    return parse_rows(_text_of(path), parse_cell)


def read_placed_rows(path: Path, parse_cell: ParseCell = text_of_cell) -> Iterator[tuple[str, Mapping[str, object]]]:
    """The same with the words for the place of each row: `line 17` of CSV, `meter 17` of JSON."""
    return _placed(_text_of(path), parse_cell)


def parse_rows(text: str, parse_cell: ParseCell = text_of_cell) -> Iterable[Mapping[str, object]]:
    """The rows of the text of a file; as above."""
    text = text.removeprefix(BYTE_ORDER_MARK)
    return _from_json(text) if _is_json(text) else (row for _, row in _lines_of_csv(text, parse_cell))


def _placed(text: str, parse_cell: ParseCell) -> Iterator[tuple[str, Mapping[str, object]]]:
    text = text.removeprefix(BYTE_ORDER_MARK)
    if _is_json(text):
        return ((f"meter {number}", row) for number, row in enumerate(_from_json(text), 1))
    return ((f"line {line}", row) for line, row in _lines_of_csv(text, parse_cell))


def _text_of(path: Path) -> str:
    try:
        return read_text(path, MOST_CHARACTERS)
    except UnreadableText as error:
        raise ShipmentFileError(str(error)) from None


def _is_json(text: str) -> bool:
    return text.lstrip()[:1] == "{"


def _from_json(text: str) -> Iterator[Mapping[str, object]]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ShipmentFileError(f"not JSON: {error}") from None
    if content.get("format") != FORMAT:
        raise ShipmentFileError(f"format {content.get('format')!r} is not {FORMAT}, the one that is known here")
    rows = content.get("meters")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ShipmentFileError("meters is not a list of objects")
    return _handed_over(rows)


def _handed_over(rows: list[Mapping[str, object]]) -> Iterator[Mapping[str, object]]:
    """One by one and not kept: of a hundred thousand they are some hundred megabytes."""
    rows.reverse()
    while rows:
        yield rows.pop()


def _lines_of_csv(text: str, parse_cell: ParseCell) -> Iterator[tuple[int, Mapping[str, object]]]:
    """Each row with the line that it ends at."""
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        names = reader.fieldnames or ()
        if "name" not in names:
            raise ShipmentFileError("the first line does not name the columns: name is missing")
        for row in reader:
            if None in row or None in row.values():
                raise ShipmentFileError(f"line {reader.line_num} has not as many cells as the first line has names")
            yield (
                reader.line_num,
                {
                    name: cell.split(SEVERAL) if name == USAGE_POINTS else parse_cell(name, cell)
                    for name, cell in row.items()
                    if cell
                },
            )
    except csv.Error as error:
        raise ShipmentFileError(f"line {reader.line_num}: {error}") from None
