"""Rows in columns that fit a terminal: no moment, MessageID or code is broken, since people copy them.

Where a table is wider than the terminal, the offset that all times of a column have goes to its heading, and what is the same in all rows
is said once above them. Then text is continued below itself between words, and a column whose words are still too long has lines of its own
below its rows.
"""

import re
from collections.abc import Collection, Iterator, Sequence

from rich.cells import cell_len

from ami_process.terminal_text import printable

GAP = 2
LONGEST_WORD = 60
"""No column is wider for a word alone: longer ones are broken."""
LEAST_SAID_ONCE = 6
"""Shorter texts stay in their column: it is hardly wider than its heading."""
INDENT = "  "
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)([+-]\d\d:\d\d)", re.ASCII)


class Rows:
    """The cells of a table below its headings; `numbers` are the columns that are aligned to the right, `whole` those that are never broken."""

    def __init__(self, *headings: str, numbers: Collection[int] = (), whole: Collection[int] = ()) -> None:
        self.headings = headings
        self.numbers = frozenset(numbers)
        self.whole = frozenset(whole)
        self.rows: list[tuple[str, ...]] = []

    def add_row(self, *cells: str) -> None:
        """As many cells as there are headings; what a terminal would obey is not in them any more."""
        self.rows.append(tuple(map(printable, cells)))

    def lines(self, width: int) -> list[str]:
        """What fits `width` columns, the headings first unless something is said once before them."""
        return _Layout(self, width).lines()


class _Layout:
    def __init__(self, table: Rows, width: int) -> None:
        self._table = table
        self._width = width
        self._columns = list(range(len(table.headings)))
        self._texts = [[heading, *(row[at] for row in table.rows)] for at, heading in enumerate(table.headings)]
        self._wanted = [max(map(_width_of, texts)) for texts in self._texts]
        self._once: list[int] = []
        self._below: list[int] = []
        self._shorten_moments()
        self._say_once()
        self._least = [self._least_of(at) for at in range(len(self._texts))]
        self._put_below()

    def lines(self) -> list[str]:
        widths = self._widths()
        said = [line for at in self._once for line in self._said(at)]
        rows = [line for row in range(len(self._table.rows) + 1) for line in self._row(row, widths)]
        return said + rows

    def _shorten_moments(self) -> None:
        for at, (heading, *cells) in enumerate(self._texts):
            if self._taken(self._wanted) <= self._width:
                return
            moments = [_MOMENT.fullmatch(cell) for cell in cells if cell]
            offsets = {None if one is None else one[2] for one in moments}
            if len(offsets) == 1 and None not in offsets:
                (offset,) = offsets
                self._texts[at] = [f"{heading} ({offset})", *(cell.removesuffix(str(offset)) for cell in cells)]
                self._wanted[at] = max(map(_width_of, self._texts[at]))

    def _say_once(self) -> None:
        """The widest first, until the rest fits; the first column is what a row is about, and numbers are compared."""
        same = [at for at in self._columns[1:] if at not in self._table.numbers and self._is_the_same(at)]
        for at in sorted(same, key=lambda one: -self._wanted[one]):
            if self._taken(self._wanted) <= self._width:
                return
            self._columns.remove(at)
            self._once.append(at)

    def _is_the_same(self, at: int) -> bool:
        _, *cells = self._texts[at]
        return len(set(cells)) == 1 and LEAST_SAID_ONCE <= _width_of(cells[0]) <= LONGEST_WORD

    def _least_of(self, at: int) -> int:
        if at in self._table.whole:  # a moment with a blank in it
            return self._wanted[at]
        return max(min(max(map(_width_of, text.split() or [""])), LONGEST_WORD) for text in self._texts[at])

    def _put_below(self) -> None:
        while len(self._columns) > 1 and self._taken(self._least) > self._width:
            widest = max(self._columns, key=lambda one: self._least[one])
            self._columns.remove(widest)
            self._below.append(widest)

    def _taken(self, widths: Sequence[int]) -> int:
        return sum(widths[at] for at in self._columns) + GAP * (len(self._columns) - 1)

    def _widths(self) -> dict[int, int]:
        """Each column has its longest word, and what is left goes to those that want more."""
        left, open_columns = self._width - self._taken(self._least), len(self._columns)
        widths = {}
        for at in sorted(self._columns, key=lambda one: self._wanted[one] - self._least[one]):
            more = max(min(self._wanted[at] - self._least[at], left // open_columns), 0)
            left, open_columns = left - more, open_columns - 1
            widths[at] = self._least[at] + more
        return widths

    def _said(self, at: int) -> Iterator[str]:
        yield from _wrapped(f"{self._texts[at][0]}: {self._texts[at][1]}", self._width)

    def _row(self, row: int, widths: dict[int, int]) -> Iterator[str]:
        cells = [_wrapped(self._texts[at][row], widths[at]) for at in self._columns]
        for line in range(max(map(len, cells))):
            parts = [
                _padded(cell[line] if line < len(cell) else "", widths[at], at in self._table.numbers)
                for at, cell in zip(self._columns, cells, strict=True)
            ]
            yield (" " * GAP).join(parts).rstrip()
        for at in self._below:
            if self._texts[at][row]:
                room = max(self._width - len(INDENT), LONGEST_WORD)
                yield from (INDENT + line for line in _wrapped(self._texts[at][row], room))


def _width_of(text: str) -> int:
    return len(text) if text.isascii() else cell_len(text)


def _padded(text: str, width: int, to_the_right: bool) -> str:
    blanks = " " * (width - _width_of(text))
    return blanks + text if to_the_right else text + blanks


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width`, broken between words, and within one that is longer."""
    if _width_of(text) <= width:
        return [text]
    lines, line = [], ""
    for word in text.split(" "):
        joined = f"{line} {word}" if line else word
        if _width_of(joined) <= width:
            line = joined
            continue
        if line:
            lines.append(line)
        line = word
        while _width_of(line) > width:
            head = _head(line, width)
            lines.append(head)
            line = line[len(head) :]
    return [*lines, line] if line or not lines else lines


def _head(word: str, width: int) -> str:
    end = width
    while end > 1 and _width_of(word[:end]) > width:
        end -= 1
    return word[:end]
