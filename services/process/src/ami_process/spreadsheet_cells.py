"""Text that came from elsewhere, as a cell of a CSV file that a spreadsheet may open.

A spreadsheet takes a cell that begins with one of a few characters for a formula, which may fetch, send or start something. Such a text has an
apostrophe before it, by which a spreadsheet knows a text; a number has none, whatever its sign, so that programs read values as they are.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?", re.ASCII)


def as_cell(text: str) -> str:
    """The text itself, unless a spreadsheet would take it for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) and _NUMBER.fullmatch(text) is None else text


def csv_lines(rows: Iterable[Sequence[str | None]]) -> str:
    """Rows as lines of CSV (RFC 4180, ended by a line feed), whatever is in them; None is an empty cell."""
    text = io.StringIO()
    cells = ([None if one is None else as_cell(one) for one in row] for row in rows)
    csv.writer(text, lineterminator="\n").writerows(cells)
    return text.getvalue()
