"""One line of a log or of source code, token by token: which are octets, which are clocks, labels and remarks.

Digits of two tokens are never put together. What could be read in two ways is refused with its place, because octets that
are silently read as others cost more than asking again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from ami_cli.decode.dumps import without_column
from ami_cli.decode.errors import at

_REMARK = re.compile(r"#.*|(?<!:)//.*|/\*[^*]*\*/")
_SEMICOLON, _NO_HEX = re.compile(r"\s;\s"), re.compile(r"[g-zG-Z]")
_HOUR, _SIXTY, _FRACTION = r"(?:[01]?\d|2[0-3])", r"[0-5]\d", r"(?:[.,:]\d+)?(?:\s?[AP]M)?"
_TIME = rf"(?:{_HOUR}:{_SIXTY}(?::{_SIXTY})?{_FRACTION}|{_HOUR}\.{_SIXTY}\.{_SIXTY}{_FRACTION})"
_DATE = r"(?:\d{4}[-/.]\d\d[-/.]\d\d|\d{1,2}[./]\d{1,2}[./](?:\d{4}|\d\d)|\d{8}(?=T))"
_MONTH = (
    r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\s+)?(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\s+\d{1,2}(?:\s+\d{4})?"
)
_MOMENT = re.compile(
    rf"\s*(?:[\[(]\s*)?(?:{_MONTH}|{_DATE}(?:[T ]{_TIME})?(?:Z|[+-]\d\d:?\d\d)?|{_TIME})\s*[\])]?[:,]?(?=\s|\[|\(|$)",
    re.IGNORECASE,
)
_PIECE = re.compile(r"\([^()\s\"']*\)|[^\s,;{}()\"']+")
_EDGE = "<>|=→←⟶⟵⇒⇐+~\\"
_BRACKETS = "[]()"
_PUNCTUATION = _EDGE + _BRACKETS + "-–:.*·"
_EXPLICIT = re.compile(r"0[xX]([0-9A-Fa-f]{1,2}|(?:[0-9A-Fa-f]{2})+)[uU]?")
_HEX = re.compile(r"[0-9A-Fa-f]+")
_PARTED = re.compile(r"[0-9A-Fa-f]{2}(?:[0-9A-Fa-f]{2})*(?:([:._|-])(?:[0-9A-Fa-f]{2})+)(?:\1(?:[0-9A-Fa-f]{2})+)*")
_STRANGELY_PARTED = re.compile(r"[0-9A-Fa-f]{2}(?:[^0-9A-Za-z]{1,2}[0-9A-Fa-f]{2})+")
_LETTERS = re.compile(r"[A-Fa-f]")
_COUNTED = frozenset(
    [
        "len",
        "length",
        "size",
        "count",
        "bytes",
        "octets",
        "no",
        "nr",
        "num",
        "number",
        "id",
        "seq",
        "frame",
        "packet",
        "line",
        "port",
        "index",
    ]
)
_DIVIDERS = frozenset(("-", "--", "–", "|"))
_MISTYPED = 0.75


class TokenKind(Enum):
    """What a token is."""

    OCTETS = auto()
    EXPLICIT = auto()
    ODD = auto()
    WORD = auto()
    DIVIDER = auto()
    BRACKETED = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a line; `digits` are the hex digits of octets, and `parted` what is between them."""

    kind: TokenKind
    text: str
    line: int
    column: int
    digits: str = ""
    parted: str = ""


def octets_of_line(text: str, line: int) -> list[Token]:
    """The tokens of one line that are its octets; NotOctets when something on it can be read in two ways."""
    tokens = list(_tokens(text, line))
    if any(token.kind is TokenKind.EXPLICIT for token in tokens):
        return _explicit(tokens)
    return _run(_without_remark(tokens))


def _tokens(text: str, line: int) -> Iterator[Token]:
    text = _without_comment(text)
    place = 0
    if not _PARTED.fullmatch(text.strip()):
        while moment := _MOMENT.match(text, place):
            place = moment.end()
        if place and (other := _colliding(text[:place], text[place:])):
            raise at(line, 1, text[:place].strip(), f"may be a clock or octets beside {other!r}")
    for piece in _PIECE.finditer(text, place):
        shown = piece[0].strip(_EDGE)
        if not shown.strip(_PUNCTUATION):
            yield Token(TokenKind.DIVIDER, piece[0], line, piece.start() + 1)
        else:
            yield _token(shown, line, piece.start() + piece[0].find(shown) + 1)


def _without_comment(text: str) -> str:
    """A line up to what is no octets by its form; between octets a semicolon is none."""
    text = _REMARK.sub(lambda match: " " * len(match[0]), text)
    semicolon = _SEMICOLON.search(text)
    if semicolon and _NO_HEX.search(text, semicolon.end()):
        text = text[: semicolon.start()]
    return without_column(text)


def _colliding(moment: str, rest: str) -> str:
    """A token behind a clock that is written in the same way: then the clock may be octets as well."""
    for piece in _PIECE.findall(rest):
        match = _PARTED.fullmatch(piece.strip(_EDGE))
        if match and match[1] in moment and match[1] in ":.-":
            return str(piece)
    return ""


def _token(text: str, line: int, column: int) -> Token:
    bare = text.strip(_BRACKETS)
    if match := _EXPLICIT.fullmatch(bare):
        return Token(TokenKind.EXPLICIT, bare, line, column, match[1].zfill(2))
    pieces = [piece for piece in re.split(r"[\[\]]+", text) if piece]
    if len(pieces) > 1 and all(_HEX.fullmatch(piece) and len(piece) % 2 == 0 for piece in pieces):
        return Token(TokenKind.OCTETS, text, line, column, "".join(pieces))
    if (
        bare != text
        and bare
        and text[0] in _BRACKETS
        and text[-1] in _BRACKETS
        and _HEX.fullmatch(bare)
        and len(bare) < 8
    ):
        return Token(TokenKind.BRACKETED, text, line, column, bare)
    column += text.find(bare)
    whole = bare.removesuffix("-")
    if _HEX.fullmatch(whole):
        return Token(TokenKind.ODD if len(whole) % 2 else TokenKind.OCTETS, bare, line, column, whole)
    if match := _PARTED.fullmatch(bare.rstrip(":.-").lstrip("->")):
        return Token(TokenKind.OCTETS, bare, line, column, match[0].replace(match[1], ""), match[1])
    if _HEX.fullmatch(bare.rstrip(":")):
        raise at(line, column, bare, "may be a label or octets")
    if bare.isalnum() and len(bare) >= 6 and any(letter.isdigit() for letter in bare):
        hexadecimal = sum(bool(_HEX.fullmatch(letter)) for letter in bare)
        if hexadecimal >= _MISTYPED * len(bare):
            wrong = next(place for place, letter in enumerate(bare) if not _HEX.fullmatch(letter))
            raise at(line, column + wrong, bare[wrong], "is no hex digit")
    if _STRANGELY_PARTED.fullmatch(bare) and _LETTERS.search(bare):
        raise at(line, column, bare, "may be octets with a sign between them that is not known")
    return Token(TokenKind.WORD, bare, line, column)


def _explicit(tokens: Sequence[Token]) -> list[Token]:
    """Where octets have 0x in front, nothing else is one; a number right beside them is refused."""
    places = [place for place, token in enumerate(tokens) if token.kind is TokenKind.EXPLICIT]
    for place in range(places[0] - 1, min(places[-1] + 2, len(tokens))):
        token = tokens[place] if place >= 0 else tokens[0]
        if token.kind in (TokenKind.OCTETS, TokenKind.ODD):
            raise at(token.line, token.column, token.text, "has no 0x, unlike the octets beside it")
        if token.kind is TokenKind.WORD and places[0] < place < places[-1]:
            raise at(token.line, token.column, token.text, "is no octet")
    return [tokens[place] for place in places]


def _without_remark(tokens: list[Token]) -> list[Token]:
    """What precedes a divider that a word follows; a divider between octets is refused unless it is between all."""
    octets = [place for place, token in enumerate(tokens) if token.kind in (TokenKind.OCTETS, TokenKind.ODD)]
    if not octets:
        return tokens
    dividers = [place for place, token in enumerate(tokens) if token.text in _DIVIDERS and place > octets[0]]
    word = max((place for place, token in enumerate(tokens) if token.kind is TokenKind.WORD), default=0)
    for place in dividers:
        if place < word:
            return tokens[:place]
        token = tokens[place]
        if token.text != "|" and octets[-1] > place and len(dividers) < len(octets) - 1:
            raise at(token.line, token.column, token.text, "may begin a remark or be a part of the octets")
    return tokens


def _run(tokens: Sequence[Token]) -> list[Token]:
    """The octets of a line stand together, with words before or behind."""
    places = [place for place, token in enumerate(tokens) if token.kind in (TokenKind.OCTETS, TokenKind.ODD)]
    if not places:
        return []
    run = tokens[places[0] : places[-1] + 1]
    for token in run:
        if token.kind in (TokenKind.WORD, TokenKind.BRACKETED):
            _refuse_word(token)
    found = [tokens[place] for place in places]
    before = next((token for token in reversed(tokens[: places[0]]) if token.kind is not TokenKind.DIVIDER), None)
    behind = next((token for token in tokens[places[-1] + 1 :] if token.kind is not TokenKind.DIVIDER), None)
    _check_before(before, found)
    _check_behind(behind, found)
    _check_forms(found)
    if len(found) > 2 and len(found[0].digits) > 3 and all(len(token.digits) == 2 for token in found[1:]):
        raise at(
            found[0].line,
            found[0].column,
            found[0].text,
            "may be an offset, a number or octets: write it like those behind it",
        )
    return found


def _check_forms(found: Sequence[Token]) -> None:
    """A number with points is none among plain octets, nor is a word of the letters a to f among capital ones."""
    cases = {token.digits.isupper() for token in found if not token.digits.isalpha() and not token.digits.isdecimal()}
    for token in found:
        if token.parted and token.digits.isdecimal() and any(one.parted != token.parted for one in found):
            raise at(token.line, token.column, token.text, "may be a clock, a number or octets")
        if token.digits.isalpha() and len(token.digits) > 1 and cases and token.digits.isupper() not in cases:
            raise at(token.line, token.column, token.text, "may be a word or octets")


def _refuse_word(token: Token) -> None:
    wrong = next((place for place, letter in enumerate(token.text) if not _HEX.fullmatch(letter)), 0)
    said = "is no hex digit" if token.kind is TokenKind.WORD else "may be a number or octets"
    what = token.text[wrong] if token.kind is TokenKind.WORD else token.text
    raise at(token.line, token.column + wrong, what, said)


def _check_before(token: Token | None, found: Sequence[Token]) -> None:
    if token is None:
        return
    if token.kind is TokenKind.BRACKETED:
        raise at(token.line, token.column, token.text, "may be a number of the log or octets")
    if token.text.rstrip(":").lower() in _COUNTED and found[0].digits.isdecimal():
        raise at(
            found[0].line, found[0].column, found[0].text, f"may be the number that {token.text!r} announces, or octets"
        )


def _check_behind(token: Token | None, found: Sequence[Token]) -> None:
    if token is None:
        return
    if token.kind is TokenKind.BRACKETED and int(sum(len(one.digits) for one in found) / 2) != _decimal(token.digits):
        raise at(token.line, token.column, token.text, "is not the number of octets before it")
    if token.kind is TokenKind.WORD and len(token.text) <= 2 and token.text.isalnum():
        _refuse_word(token)


def _decimal(digits: str) -> int:
    return int(digits) if digits.isdecimal() else -1
