"""A TOML text as nodes that know their file and line, and the primitives that read them or say what is wrong.

Strategy: a reader of one value raises `Wrong`; a reader of a table catches it for each key, notes the problem and goes on, so that one run
shows everything there is to change. What a file says is bounded before it is read: octets, depth, number of keys.
"""

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, TypeVar

from ami_dlms.errors import DlmsError
from ami_dlms.obis import Obis
from ami_packs.positions import LimitExceeded, Path, lines_of

T = TypeVar("T")

MAX_CHARACTERS = 4 * 1024 * 1024
MAX_PROBLEMS = 50
MAX_TEXT = 500
MAX_WORDS = 24
Table = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something to change in a file; `line` counts from 1."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


class ModelError(Exception):
    """A model can't be used; one line of text for each problem, with its file and line."""

    def __init__(self, *problems: Problem | str) -> None:
        shown = [str(one) for one in problems[:MAX_PROBLEMS]]
        if len(problems) > len(shown):
            shown.append(f"and {len(problems) - len(shown)} problems more")
        super().__init__("\n".join(shown))
        self.problems = tuple(one for one in problems if isinstance(one, Problem))


@dataclass(frozen=True, slots=True)
class Node:
    """A value of a file, and where it is."""

    value: Any
    file: str
    path: Path = ()
    lines: Mapping[Path, int] = field(default_factory=dict, repr=False)

    @property
    def line(self) -> int:
        """Of its key, or of what it is part of."""
        for end in range(len(self.path), -1, -1):
            if self.path[:end] in self.lines:
                return self.lines[self.path[:end]]
        return 1

    def problem(self, text: str) -> Problem:
        """Something that is wrong here."""
        return Problem(self.file, self.line, text)

    def table(self) -> dict[str, "Node"]:
        """The values of a table by their keys."""
        if not isinstance(self.value, dict):
            raise Wrong(self, f"a table was expected, not {_kind(self.value)}")
        return {key: self._below(key, value) for key, value in self.value.items()}

    def array(self) -> list["Node"]:
        """The elements of an array."""
        if not isinstance(self.value, list):
            raise Wrong(self, f"a list was expected, not {_kind(self.value)}")
        return [self._below(index, value) for index, value in enumerate(self.value)]

    def _below(self, key: str | int, value: Any) -> "Node":
        return Node(value, self.file, (*self.path, key), self.lines)


class Wrong(Exception):
    """A value can't be what its key wants."""

    def __init__(self, node: Node, text: str) -> None:
        super().__init__(text)
        self.problem = node.problem(text)


Read = Callable[[Node], T]


@dataclass(frozen=True, slots=True)
class Key:
    """What may be behind a key: how it is read, how it is called in a message, and what it means."""

    read: Read[Any]
    value: str
    meaning: str
    needed: bool = False


class Problems:
    """All that is wrong, in the order in which it was found."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, node: Node, text: str) -> None:
        """Note a problem."""
        self.found.append(node.problem(text))

    def attempt(self, read: Read[T], node: Node, otherwise: T) -> T:
        """What `read` makes of the node, or `otherwise` and a problem."""
        try:
            return read(node)
        except Wrong as wrong:
            self.found.append(wrong.problem)
            return otherwise

    def table(self, node: Node | None) -> dict[str, Node]:
        """The values of a table; none where there is no table."""
        nothing: dict[str, Node] = {}
        return nothing if node is None else self.attempt(Node.table, node, nothing)

    def elements(self, node: Node | None) -> list[Node]:
        """The elements of an array; none where there is no array."""
        nothing: list[Node] = []
        return nothing if node is None else self.attempt(Node.array, node, nothing)

    def raise_any(self) -> None:
        """ModelError with all problems, if there are any."""
        if self.found:
            raise ModelError(*sorted(self.found, key=lambda one: (one.file, one.line)))

    def read_keys(self, given: Mapping[str, Node], keys: Mapping[str, Key], owner: Node, what: str) -> dict[str, Any]:
        """The values of the keys that are given and right; unknown and missing ones are problems of `owner`."""
        found: dict[str, Any] = {}
        for name, node in given.items():
            if name not in keys:
                self.add(node, f"{what} has no key `{name}`; {suggestion(name, keys)}")
                continue
            try:
                found[name] = keys[name].read(node)
            except Wrong as wrong:
                self.found.append(wrong.problem)
                found[name] = None
        for name, key in keys.items():
            if key.needed and name not in found:
                self.add(owner, f"{what} needs the key `{name}` ({key.value}: {key.meaning})")
        return {name: value for name, value in found.items() if value is not None}


def parse_document(text: str, file: str) -> Node:
    """The root table of a TOML text; ModelError when it is none, or too large."""
    if len(text) > MAX_CHARACTERS:
        raise ModelError(Problem(file, 1, f"has more than {MAX_CHARACTERS} characters"))
    try:
        lines = lines_of(text)
        return Node(tomllib.loads(text), file, (), lines)
    except LimitExceeded as error:
        raise ModelError(Problem(file, error.line, str(error))) from None
    except ValueError as error:  # a TOMLDecodeError, or a number of thousands of digits
        raise ModelError(Problem(file, _line_in(str(error), text), f"is not TOML: {error}")) from None


def suggestion(name: str, known: Mapping[str, Any] | Iterator[str] | tuple[str, ...]) -> str:
    """What was probably meant, or all that is known."""
    words = list(known)
    near = get_close_matches(name, words, 1)
    if near:
        return f"did you mean `{near[0]}`?"
    more = f" and {len(words) - MAX_WORDS} more (docs/models.md)" if len(words) > MAX_WORDS else ""
    return f"known are {', '.join(words[:MAX_WORDS]) or 'none'}{more}"


def as_it_is(node: Node) -> Node:
    """For what is read later, when more is known."""
    return node


def text(node: Node) -> str:
    """A text that is not empty."""
    if not isinstance(node.value, str) or not node.value.strip():
        raise Wrong(node, f"a text was expected, not {_kind(node.value)}")
    if len(node.value) > MAX_TEXT:
        raise Wrong(node, f"has more than {MAX_TEXT} characters")
    return node.value


def true_or_false(node: Node) -> bool:
    """A boolean."""
    if not isinstance(node.value, bool):
        raise Wrong(node, f"true or false was expected, not {_kind(node.value)}")
    return node.value


def whole_number(low: int, high: int) -> Read[int]:
    """A whole number within these limits."""

    def read(node: Node) -> int:
        if not isinstance(node.value, int) or isinstance(node.value, bool):
            raise Wrong(node, f"a whole number was expected, not {_kind(node.value)}")
        if not low <= node.value <= high:
            raise Wrong(node, f"{node.value} is not within {low} and {high}")
        return node.value

    return read


def one_of(known: Mapping[str, T]) -> Read[T]:
    """One of these words."""

    def read(node: Node) -> T:
        word = text(node)
        if word not in known:
            raise Wrong(node, f"`{word}` is not known here; {suggestion(word, known)}")
        return known[word]

    return read


def list_of(read: Read[T], most: int = 10_000) -> Read[tuple[T, ...]]:
    """A list of such values."""

    def read_all(node: Node) -> tuple[T, ...]:
        elements = node.array()
        if len(elements) > most:
            raise Wrong(node, f"has more than {most} elements")
        return tuple([read(one) for one in elements])

    return read_all


def obis(node: Node) -> Obis:
    """An OBIS code, "A-B:C.D.E" or "A-B:C.D.E*F"."""
    try:
        return Obis.parse(text(node))
    except DlmsError as error:
        raise Wrong(node, str(error)) from None


def octets(node: Node) -> bytes:
    """Hexadecimal digits, of any length."""
    if not isinstance(node.value, str):
        raise Wrong(node, f"hexadecimal digits were expected, not {_kind(node.value)}")
    try:
        return bytes.fromhex(node.value)
    except ValueError:
        raise Wrong(node, "hexadecimal digits were expected, two for each octet") from None


def _kind(value: object) -> str:
    """A value in a message: its kind, and itself where it is short."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    return f"{value!r}" if len(repr(value)) <= 40 else "a long text"


def _line_in(message: str, text: str) -> int:
    """tomllib says "(at line 3, column 1)", or "(at end of document)"."""
    if message.endswith("(at end of document)"):
        return max(len(text.splitlines()), 1)
    _, _, rest = message.partition("(at line ")
    digits = rest.partition(",")[0]
    return int(digits) if digits.isdecimal() else 1
