"""On which line of a TOML text each key and each element is; `tomllib` reads values and forgets where they were.

Strategy: a scanner of a few tokens over the same text beside `tomllib`, which alone decides whether the text is TOML and what it says;
so a fault of this module can cost a wrong line number in a message and nothing else. (Of the libraries that are well kept, tomlkit keeps
comments and spaces for writing a file back and offers no positions.) The scanner runs first, and its limits protect `tomllib`, which
recurses into nested values and whose dotted keys take quadratic time.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

Path = tuple[str | int, ...]
"""Keys of tables and indexes of arrays from the root."""

MAX_DEPTH = 16
MAX_POSITIONS = 300_000
_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r]+|\#[^\n]*)
  | (?P<newline>\n)
  | (?P<text>\"{3}(?:[^\\]|\\.)*?\"{3,5}|'{3}.*?'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')
  | (?P<mark>[\[\]{}=,.])
  | (?P<bare>[^\s\[\]{}=,.\#"']+)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)


class LimitExceeded(Exception):
    """A text is larger or deeper than a model can be; the text says where."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


def lines_of(text: str) -> Mapping[Path, int]:
    """The line, counted from 1, of every key and element. Of a text that is no TOML: of some. LimitExceeded beyond the limits."""
    return _Scanner(text).lines


def _tokens(text: str) -> Iterator[_Token]:
    line = 1
    for match in _TOKEN.finditer(text):
        kind, found = match.lastgroup or "other", match.group()
        if kind != "space":
            yield _Token(kind, found, line)
        line += found.count("\n")
    yield _Token("end", "", line)


class _Scanner:
    """One pass over the tokens of a text."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Path, int] = {(): 1}
        self._tokens = _tokens(text)
        self._next = next(self._tokens)
        self._last: dict[Path, int] = {}
        prefix: Path = ()
        while self._next.kind != "end":
            if self._next.text == "[":
                prefix = self._header()
            elif self._next.kind in ("text", "bare"):
                self._pair(prefix)
            else:
                self._take()

    def _take(self) -> _Token:
        token = self._next
        self._next = next(self._tokens, token)
        return token

    def _mark(self, path: Path, line: int) -> None:
        if len(path) > MAX_DEPTH:
            raise LimitExceeded(line, f"is nested more than {MAX_DEPTH} levels deep")
        if len(self.lines) >= MAX_POSITIONS:
            raise LimitExceeded(line, f"has more than {MAX_POSITIONS} keys and elements")
        self.lines.setdefault(path, line)

    def _header(self) -> Path:
        """[table] or [[array of tables]]; a part that is an array of tables means its last element."""
        line = self._take().line
        is_array = self._next.text == "["
        if is_array:
            self._take()
        path: Path = ()
        keys = self._keys("]")
        for number, key in enumerate(keys, 1):
            path = (*path, key)
            self._mark(path, line)
            if is_array and number == len(keys):
                self._last[path] = self._last.get(path, -1) + 1
            if path in self._last:
                path = (*path, self._last[path])
                self._mark(path, line)
        while self._next.text == "]":
            self._take()
        return path

    def _pair(self, prefix: Path) -> None:
        """key = value, with a dotted key if need be."""
        line = self._next.line
        path = prefix
        for key in self._keys("="):
            path = (*path, key)
            self._mark(path, line)
        if self._next.text == "=":
            self._take()
            self._value(path)

    def _keys(self, end: str) -> list[str]:
        """The parts of a dotted key up to `end`, which is left."""
        found = []
        while self._next.kind not in ("end", "newline") and self._next.text != end:
            token = self._take()
            if token.kind in ("bare", "text"):
                found.append(_unquoted(token.text) if token.kind == "text" else token.text)
            if len(found) > MAX_DEPTH:
                raise LimitExceeded(token.line, f"has a key of more than {MAX_DEPTH} parts")
        return found

    def _value(self, path: Path) -> None:
        self._mark(path, self._next.line)
        if self._next.text == "[":
            self._array(path)
        elif self._next.text == "{":
            self._inline_table(path)
        else:
            while self._next.kind not in ("end", "newline") and self._next.text not in (",", "]", "}"):
                self._take()

    def _array(self, path: Path) -> None:
        self._take()
        index = 0
        while self._next.kind != "end" and self._next.text != "]":
            if self._next.kind == "newline" or self._next.text in (",", "}"):
                self._take()
            else:
                self._value((*path, index))
                index += 1
        self._take()

    def _inline_table(self, path: Path) -> None:
        self._take()
        while self._next.kind != "end" and self._next.text != "}":
            if self._next.kind in ("text", "bare"):
                self._pair(path)
            else:
                self._take()
        self._take()


def _unquoted(text: str) -> str:
    try:
        return str(tomllib.loads(f"key = {text}")["key"])
    except ValueError:
        return text
