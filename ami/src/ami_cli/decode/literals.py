"""Octets as source code has them: string literals with escapes (Python, C, JavaScript), and lists of decimal numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ami_cli.decode.errors import NotOctets, at

_LITERAL = re.compile(
    r"""(?<![\w\\])(?P<prefix>[bB]?)(?P<quote>["'])(?P<body>(?:\\.|(?!(?P=quote))[^\\\n])*)(?P=quote)"""
)
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|([0-7]{1,3})|(.))", re.DOTALL)
_SIMPLE = {"t": 9, "n": 10, "r": 13, "0": 0, "a": 7, "b": 8, "v": 11, "f": 12, "\\": 92, "'": 39, '"': 34, "e": 27}
_BARE = re.compile(r"(?:\\x[0-9A-Fa-f]{2})+")
_DECIMALS = re.compile(r"[\[({]\s*(-?\d{1,3}(?:\s*,\s*-?\d{1,3})*)\s*,?\s*[\])}]")
_HEX_WORD = re.compile(r"(?<![\w.])(?:[0-9A-Fa-f]{2}){2,}(?![\w.])")


def read_literals(text: str) -> list[bytes] | None:
    """The octets of all literals in a text, those of one line together; None when there is none with an escape or a b before it."""
    found: list[bytes] = []
    for number, line in enumerate(text.splitlines(), 1):
        counted = [one for one in _LITERAL.finditer(line) if one["prefix"] or "\\x" in one["body"]]
        if counted:
            _check_outside(line, number, counted)
            found.append(b"".join(_unescape(one["body"], number, one.start("body") + 1) for one in counted))
            continue
        bare = [one[0] for one in _BARE.finditer(line)]
        if bare and not _BARE.sub("", line).strip(" \t,;\\"):
            found.append(bytes.fromhex("".join(bare).replace("\\x", "")))
        elif bare:
            raise at(number, line.index(bare[0]) + 1, bare[0], "is outside of a string literal")
        elif found and (stray := _HEX_WORD.search(line)):
            raise at(number, stray.start() + 1, stray[0], "is beside literals: octets or a number?")
    return found or None


def _check_outside(line: str, number: int, counted: Sequence[re.Match[str]]) -> None:
    """Quotation marks that do not pair up may hide a literal."""
    inside = [range(*one.span()) for one in counted]
    for escape in _BARE.finditer(line):
        if not any(escape.start() in span for span in inside):
            raise at(number, escape.start() + 1, escape[0], "is outside of a string literal")


def _unescape(body: str, line: int, column: int) -> bytes:
    octets = bytearray()
    place = 0
    for escape in _ESCAPE.finditer(body):
        octets += _plain(body[place : escape.start()], line, column + place)
        hexadecimal, octal, simple = escape.groups()
        value = int(hexadecimal, 16) if hexadecimal else int(octal, 8) if octal else _SIMPLE.get(simple, -1)
        if not 0 <= value <= 0xFF:
            raise at(line, column + escape.start(), escape[0], "is no escape of an octet")
        octets.append(value)
        place = escape.end()
    octets += _plain(body[place:], line, column + place)
    return bytes(octets)


def _plain(text: str, line: int, column: int) -> bytes:
    if not text.isascii():
        raise at(line, column, text, "is no ASCII, so its octets are not known")
    return text.encode("ascii")


def read_decimals(text: str) -> list[bytes] | None:
    """Lists of decimal numbers, which only one of three digits or a negative one makes certain; None when there is none."""
    lists = [(match, match[1].replace(" ", "").replace("\n", "").split(",")) for match in _DECIMALS.finditer(text)]
    lists = [(match, numbers) for match, numbers in lists if len(numbers) > 1]
    if not any(len(number) > 2 for _, numbers in lists for number in numbers):
        _refuse_uncertain(text, lists)
        return None
    return [_octets_of(numbers) for _, numbers in lists]


def _refuse_uncertain(text: str, lists: Sequence[tuple[re.Match[str], list[str]]]) -> None:
    for match, numbers in lists:
        if any(number == "0" or not number.startswith("0") for number in numbers):
            line = text.count("\n", 0, match.start()) + 1
            column = match.start() - text.rfind("\n", 0, match.start())
            raise at(
                line, column, match[0], "may be decimal or hex: write 0x before the numbers, or leave out the brackets"
            )


def _octets_of(numbers: Sequence[str]) -> bytes:
    try:
        values = [int(number) for number in numbers]
        return bytes(value + 256 if -128 <= value < 0 else value for value in values)
    except ValueError:
        raise NotOctets("a number in a list of decimal ones is no octet") from None
