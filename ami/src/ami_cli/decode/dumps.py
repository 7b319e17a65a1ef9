"""Hex dumps: an offset, octets, and perhaps the same octets as characters (xxd, od, hexdump -C, tcpdump -x, Wireshark).

A column of characters can look like hex, so nothing is guessed: the offsets of the next line say how many octets a line has,
and characters count as such only if they are those of the octets before them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ami_cli.decode.errors import NotOctets, at

_LINE = re.compile(r"\s*(?:0x)?(?P<offset>[0-9A-Fa-f]{4,16})(?P<colon>:?)(?:(?P<gap>[ \t]+)(?P<rest>\S.*))?\s*$")
_SAME = re.compile(r"\s*\*\s*$")
_GROUP = re.compile(r"(?:[0-9A-Fa-f]{2})+(?![^\s-])")
_BASES = (16, 10, 8)
_MARKS = "|<>*"
UNPRINTABLE = ". "
LONGEST = 1000
MOST = 1 << 24
"""What the lines that a dump leaves out as repetitions may be put together."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a dump; `rest` is what follows the offset and begins in column `column`."""

    number: int
    offset: str
    rest: str
    column: int
    colon: bool


def is_dump(lines: Sequence[str]) -> bool:
    """Whether offsets stand in front: the first is 0 and no group of octets, or each fits the line before it."""
    found = [match for line in lines if (match := _LINE.match(line))]
    if not found or not found[0]["rest"] or not _GROUP.match(found[0]["rest"]):
        return False
    first = found[0]
    if first["colon"]:
        return True
    pairs = len(_leading_groups(first["rest"])[0]) == 2
    if int(first["offset"], 16) == 0:
        return pairs or len(first["offset"]) > 4
    return pairs and len(found) > 1 and any(_follows(found[0], found[1], base) for base in _BASES)


def _leading_groups(rest: str) -> list[str]:
    return [group for group in re.split(r"[\s-]+", rest.strip()) if _GROUP.fullmatch(group)]


def _follows(one: re.Match[str], other: re.Match[str], base: int) -> bool:
    try:
        step = int(other["offset"], base) - int(one["offset"], base)
    except ValueError:
        return False
    return 0 < step <= len(_leading_groups(one["rest"] or "")) and step in (8, 16, 32)


def read_dumps(lines: Sequence[str]) -> list[bytes]:
    """The octets of each dump; an offset that is again the first one begins the next. NotOctets where one does not fit."""
    failure = NotOctets("no dump")
    for base in _BASES:
        try:
            return [octets for octets in _read_all(lines, base) if octets]
        except NotOctets as error:
            failure = failure if str(failure) != "no dump" else error
    raise failure


def _read_all(lines: Sequence[str], base: int) -> list[bytes]:
    found = [bytearray()]
    rows = _rows(lines)
    first = 0
    has_column: bool | None = None
    last = b""
    for place, row in enumerate(rows):
        if isinstance(row, int):
            continue
        offset = _number(row, base)
        if not found[-1] or (offset == first and place and row.rest):
            found.append(bytearray())
            first = offset
        if place and isinstance(rows[place - 1], int):
            _repeat(found[-1], last, offset - first)
        if len(found[-1]) != offset - first:
            raise at(row.number, 1, row.offset, f"does not fit: {len(found[-1])} octets stand before it")
        if row.rest:
            last, column = _octets(row, _wanted(rows, place, offset, base), has_column)
            has_column = column if has_column is None else has_column
            found[-1] += last
    return [bytes(one) for one in found]


def _rows(lines: Sequence[str]) -> list[Line | int]:
    """Lines of a dump, and the number of each line that means repetitions; titles are left out."""
    found: list[Line | int] = []
    for number, text in enumerate(lines, 1):
        match = _LINE.match(text)
        if match:
            found.append(
                Line(number, match["offset"], match["rest"] or "", match.start("rest") + 1, bool(match["colon"]))
            )
        elif _SAME.match(text):
            found.append(number)
        elif _leading_groups(text):
            raise at(number, 1, text.strip(), "has no offset, unlike the lines before it")
    return found


def _number(row: Line, base: int) -> int:
    try:
        return int(row.offset, base)
    except ValueError:
        raise at(row.number, 1, row.offset, f"is no offset to the base {base}") from None


def _repeat(octets: bytearray, last: bytes, offset: int) -> None:
    """At a star the last line is repeated up to the next offset."""
    missing = offset - len(octets)
    if last and 0 < missing <= MOST and missing % len(last) == 0:
        octets += last * (missing // len(last))


def _wanted(rows: Sequence[Line | int], place: int, offset: int, base: int) -> int | None:
    """How many octets a line has, as the next offset says; None for the last, and before a star."""
    following = rows[place + 1] if place + 1 < len(rows) else None
    if following is None or isinstance(following, int):
        return None
    count = _number(following, base) - offset
    return count if count > 0 else None


def _octets(row: Line, wanted: int | None, has_column: bool | None) -> tuple[bytes, bool]:
    """The octets of a line, and whether characters follow them."""
    if len(row.rest) > LONGEST:
        raise at(row.number, row.column, row.rest, "is too long for a line of a dump")
    if not row.colon and any(len(group) > 2 for group in _leading_groups(row.rest)[:2]):
        raise at(
            row.number,
            row.column,
            row.rest,
            "are words of 16 bits or more in the order of some machine: use hexdump -C or od -t x1",
        )
    cuts = [cut for cut in _cuts(row.rest) if wanted in (None, len(cut.octets))]
    for cut in cuts:
        if cut.is_verified and has_column is not False:
            return cut.octets, True
    for cut in cuts:
        invisible = has_column and not cut.octets.strip()
        if (not cut.left and (invisible or not (has_column and wanted is None))) or (
            wanted is not None and cut.is_apart
        ):
            return cut.octets, bool(cut.left)
    said = "is no octets" if wanted is None else f"is not the {wanted} octets that the next offset asks for"
    raise at(row.number, row.column, row.rest, said)


@dataclass(frozen=True, slots=True)
class Cut:
    """The first octets of a line, and the text that is left behind them."""

    octets: bytes
    left: str
    is_apart: bool
    """Two blanks or more stand between."""

    @property
    def is_verified(self) -> bool:
        """Whether what is left are the characters of the octets."""
        return bool(self.left) and self.is_apart and is_rendering(self.left, self.octets)


def _cuts(rest: str) -> list[Cut]:
    """Every way to take octets from the beginning of a line, the longest first."""
    cuts: list[Cut] = []
    place, octets = 0, b""
    while group := _GROUP.match(rest, place):
        octets += bytes.fromhex(group[0])
        end = group.end()
        left = rest[end:]
        place = end + len(left) - len(left.lstrip(" \t-"))
        cuts.append(Cut(octets, left.strip(), left[:2].isspace() and len(left) > 1))
        if place == end:
            break
    return cuts[::-1]


def is_rendering(text: str, octets: bytes) -> bool:
    """Whether a text shows octets as characters, with a sign of its own for those that are not printable."""
    text = text.strip()
    if len(text) > 1 and text[0] in _MARKS and text[-1] in _MARKS and len(text) - 2 == len(octets):
        text = text[1:-1]
    shown = "".join(chr(octet) if 0x20 <= octet < 0x7F else "\0" for octet in octets)
    text, shown = text.strip(), shown.strip()
    return len(text) == len(shown) and all(
        one == other or (other == "\0" and (one in UNPRINTABLE or not one.isascii()))
        for one, other in zip(text, shown, strict=True)
    )


def without_column(line: str) -> str:
    """A line without the characters that show its octets again, if there are any."""
    if len(line) > LONGEST:
        return line
    for match in re.finditer(r"[ \t]{2,}|[ \t]+(?=\|)", line):
        groups = line[: match.start()].split()
        if groups and all(_GROUP.fullmatch(group) for group in groups):
            octets = bytes.fromhex("".join(groups))
            if is_rendering(line[match.end() :], octets):
                return line[: match.start()]
    return line
