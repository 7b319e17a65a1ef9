"""Octets that a person gives: `hex:00112233`, `text:12345678`, `env:NAME`, `file:PATH`, or hexadecimal digits alone.

What a variable or a file holds is read by the same rule, without its line end. A password of digits alone could be meant as
text as well as hex: unless its octets spell text, a prefix has to say which. A refusal names the place and what is wrong
with it, never the value: a mistyped key is still a key.
"""

from collections.abc import Callable
from typing import NamedTuple

FORMS = 'hexadecimal digits, "text:...", "env:NAME" or "file:PATH"'
HEX, TEXT, ENV, FILE = "hex", "text", "env", "file"
HERE, ELSEWHERE = (HEX, TEXT), (ENV, FILE)
PRINTABLE = range(0x20, 0x7F)

Resolve = Callable[[str, str], str]
"""What `env` NAME or `file` PATH holds; ValueError with a sentence when it can't be had."""


class Given(NamedTuple):
    """What was given: its prefix (empty: none), what follows it, and where that came from, for a person."""

    prefix: str
    rest: str
    place: str

    @property
    def is_ambiguous(self) -> bool:
        """Whether it is digits alone, which may be text as well as hex; octets that spell text are meant as hex."""
        digits = "".join(self.rest.split())
        if self.prefix or not (digits.isascii() and digits.isdecimal()):
            return False
        if len(digits) % 2:
            return True
        return not all(octet in PRINTABLE for octet in bytes.fromhex(digits))


def take_apart(text: str, resolve: Resolve, prefixes: tuple[str, ...] = HERE) -> Given:
    """Prefix and content, fetched from where it is kept; a prefix that is not one of these is content. Raises ValueError."""
    prefix, separator, rest = text.partition(":")
    if not separator or prefix not in (*prefixes, *ELSEWHERE):
        return Given("", text, "the value")
    if prefix not in ELSEWHERE:
        return Given(prefix, rest, "the value")
    content = resolve(prefix, rest).rstrip("\r\n")
    place = f"the environment variable {rest}" if prefix == ENV else f"the file {rest}"
    inner, separator, more = content.partition(":")
    return Given(inner, more, place) if separator and inner in prefixes else Given("", content, place)


def parse_secret(text: str, resolve: Resolve, *, password: bool = False) -> bytes:
    """The octets of a key, a title or a `password`. ValueError says what is wrong and never holds the value."""
    given = take_apart(text.strip(), resolve)
    if given.prefix == TEXT:
        return given.rest.encode("utf-8")
    if not given.prefix and ":" in given.rest:
        raise ValueError(f"{given.place} begins with none of the known prefixes: give {FORMS}")
    if password and given.is_ambiguous:
        raise ValueError(ambiguous(given.place))
    try:
        return bytes.fromhex(given.rest.strip())
    except ValueError:
        raise ValueError(f"{given.place} is not an even number of hexadecimal digits") from None


def ambiguous(place: str) -> str:
    """What to say of digits that may be text as well as hex."""
    return f'{place} is digits alone, text or hex: write "text:..." for a password, or "hex:..."'
