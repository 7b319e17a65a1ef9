"""Octets out of text as people paste it: hex dumps, logs, source code, plain hex; each form by its tokens and columns.

What can be read in two ways is refused, with the place and what was seen there. A remark begins with #, // or a lone -.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from ami_cli.decode.dumps import is_dump, read_dumps
from ami_cli.decode.errors import NotOctets, at
from ami_cli.decode.literals import read_decimals, read_literals
from ami_cli.decode.tokens import Token, TokenKind, octets_of_line

LONG = 8
"""Digits of a line that is nothing but hex: such lines may be broken within an octet."""


def read_text(text: str) -> list[bytes]:
    """The octets of each line, or of each dump or literal; those of nothing else. NotOctets says where reading ended."""
    text = text.removeprefix("\ufeff")
    lines = text.splitlines()
    if is_dump(lines):  # before literals, which the text column of a dump may look like
        return read_dumps(lines)
    if (found := read_literals(text)) is not None:
        return found
    if (found := read_decimals(text)) is not None:
        return found
    rows = [row for number, line in enumerate(lines, 1) if (row := octets_of_line(line, number))]
    if not rows:
        _refuse(lines)
    return _octets_of_rows(rows)


def _refuse(lines: Sequence[str]) -> None:
    for number, line in enumerate(lines, 1):
        for column, letter in enumerate(line.partition("#")[0], 1):
            if not letter.isspace() and letter not in "0123456789abcdefABCDEF":
                raise at(number, column, letter, "is no hex digit")
    raise NotOctets("nothing to decode: give hex, a file, or - for standard input")


def _octets_of_rows(rows: list[list[Token]]) -> list[bytes]:
    explicit = [row[0].kind is TokenKind.EXPLICIT for row in rows]
    if any(explicit) and not all(explicit):
        wrong = rows[explicit.index(False)][0]
        raise at(wrong.line, wrong.column, wrong.text, "has no 0x, unlike octets on other lines")
    _check_digits(rows)
    _check_numbering(rows)
    return [bytes.fromhex("".join(row)) for row in _joined(rows)]


def _check_digits(rows: list[list[Token]]) -> None:
    """Single digits are octets where no octet has a leading zero; an odd number of more is never one."""
    tokens = [token for row in rows for token in row]
    odd = [token for token in tokens if token.kind is TokenKind.ODD]
    if not odd or _is_wrapped(rows):
        return
    halves = _halves(rows)
    for token in odd:
        if len(token.digits) > 1:
            raise NotOctets(
                f"line {token.line} has {len(token.digits)} hex digits, and two make an octet: {token.text[:40]!r}"
            )
    padded = next((token for token in tokens if token.kind is TokenKind.OCTETS and token.digits.startswith("0")), None)
    long = next((token for token in tokens if len(token.digits) > 2), None)
    if (padded or long) and not halves.issuperset(odd):
        wrong = next(token for token in odd if token not in halves)
        raise at(wrong.line, wrong.column, wrong.text, "is one hex digit, and two make an octet")
    if padded is None and halves.issuperset(odd):
        raise at(
            odd[0].line,
            odd[0].column,
            odd[0].text,
            "may be half an octet, broken at the end of the line, or a whole one",
        )


def _check_numbering(rows: list[list[Token]]) -> None:
    """The first octets of lines that count like offsets or line numbers may be just that; the second half of an octet is not."""
    if not _halves(rows).isdisjoint(row[0] for row in rows[1:]):
        return
    counts, first = [len(row) for row in rows], [row[0].digits[:8] for row in rows]
    width = counts[0] - 1
    if len(rows) < 2 or width < 2 or any(count != counts[0] for count in counts[:-1]):
        return
    is_offset = not int(first[0], 16) and _steps(first, 16) == {width}
    is_number = len(rows) > 2 and int(first[0], 16) < 2 and {1} in (_steps(first, 16), _steps(first, 10))
    if is_offset or is_number:
        token = rows[1][0]
        raise at(token.line, token.column, token.text, "may be an offset, a line number or an octet")


def _steps(numbers: Sequence[str], base: int) -> set[int]:
    if base == 10 and not all(number.isdecimal() for number in numbers):
        return set()
    return {int(other, base) - int(one, base) for one, other in pairwise(numbers)}


def _is_wrapped(rows: list[list[Token]]) -> bool:
    """Lines of nothing but hex, broken within octets."""
    return (
        len(rows) > 1
        and all(len(row) == 1 and len(row[0].digits) >= LONG for row in rows[:-1])
        and len(rows[-1]) == 1
        and sum(len(row[0].digits) for row in rows) % 2 == 0
    )


def _halves(rows: list[list[Token]]) -> set[Token]:
    """Single digits at the end of a line where the next one begins with another: the two may be one octet."""
    found: set[Token] = set()
    for one, other in pairwise(rows):
        if one[-1].kind is other[0].kind is TokenKind.ODD and one[-1] not in found:
            found |= {one[-1], other[0]}
    return found


def _joined(rows: list[list[Token]]) -> list[list[str]]:
    """The digits of each line; half an octet goes to the line on which it began."""
    found: list[list[str]] = []
    if _is_wrapped(rows) and any(row[0].kind is TokenKind.ODD for row in rows):
        return [["".join(row[0].digits for row in rows)]]
    halves = _halves(rows)
    half = False
    for row in rows:
        digits = [token.digits for token in row]
        if half:
            found[-1].append(digits.pop(0))
            half = False
        if digits and len(digits[-1]) == 1 and row[-1] in halves and row[-1].kind is TokenKind.ODD:
            half = row is not rows[-1]
        if digits:
            whole = digits[:-1] if half else digits
            found.append([one.zfill(2) for one in whole] + digits[len(whole) :])
    return found
