"""Octets that a person gives on the command line or in a file: `hex:00112233`, `text:12345678`, `env:NAME`, `file:PATH`.

Without a prefix they are hex digits; what an environment variable or a file holds is read by the same rule, with its own
prefix or none. A password of digits alone could be meant as text as well as hex: unless its octets spell text, it is refused
until a prefix says which. What is wrong is reported with the name of the option, never with the value: a mistyped key is
still a key.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from ssl import PEM_cert_to_DER_cert
from typing import NamedTuple

from ami_cli.meter.errors import ExitCode, MeterError
from ami_dlms.errors import LocalError
from ami_dlms.security import PublicKey, public_key_in

PEM = b"-----BEGIN"
HEX, TEXT, ENV, FILE = "hex", "text", "env", "file"
HERE, ELSEWHERE = (HEX, TEXT), (ENV, FILE)
LONGEST_FILE = 1 << 20


class Given(NamedTuple):
    """What was given: its prefix (empty: none), what stands behind it, and where that stood, for a person."""

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
        return not all(0x20 <= octet < 0x7F for octet in bytes.fromhex(digits))


def given(option: str, text: str, *, environ: Mapping[str, str], prefixes: tuple[str, ...] = HERE) -> Given:
    """One option taken apart, its content fetched from where it is kept; a prefix that is none of ours is content."""
    prefix, separator, rest = text.partition(":")
    if not separator or prefix not in (*prefixes, *ELSEWHERE):
        return Given("", text, "the value")
    if prefix not in ELSEWHERE:
        return Given(prefix, rest, "the value")
    content, place = _elsewhere(option, prefix, rest, environ)
    inner, separator, more = content.partition(":")
    return Given(inner, more, place) if separator and inner in prefixes else Given("", content, place)


def octets(option: str, text: str, *, environ: Mapping[str, str], password: bool = False) -> bytes:
    """The octets behind one option; MeterError when there are none, or for a `password` that may be meant in two ways."""
    found = given(option, text.strip(), environ=environ)
    if found.prefix == TEXT:
        return found.rest.encode("utf-8")
    if not found.prefix and ":" in found.rest:
        raise _wrong(option, "what stands before the colon is none of hex, text, env and file")
    if password and found.is_ambiguous:
        raise ambiguous(option, found.place)
    return from_hex(option, found)


def ambiguous(option: str, place: str) -> MeterError:
    """Digits alone where text is as likely as hex."""
    hint = "write text: before the digits of a password, or hex: before hexadecimal digits"
    return MeterError(ExitCode.USAGE, f"{place} is digits alone, text or hex", where=option, hint=hint)


def public_key(option: str, text: str, *, environ: Mapping[str, str]) -> PublicKey:
    """A public key, x and y, or the one in a certificate (`cert:PATH`, PEM or DER); MeterError when it is none."""
    scheme, _, path = text.strip().partition(":")
    if scheme != "cert":
        return _checked(option, PublicKey, octets(option, text, environ=environ))
    return _checked(option, public_key_in, certificate(option, path))


def certificate(option: str, path: str) -> bytes:
    """A certificate in DER, from a file in PEM or DER."""
    try:
        content = Path(path).read_bytes()
        return PEM_cert_to_DER_cert(content.decode("ascii")) if content.startswith(PEM) else content
    except (OSError, ValueError) as error:
        raise _wrong(option, f"the certificate {path} can't be read ({type(error).__name__})") from None


def from_hex(option: str, found: Given) -> bytes:
    """The octets of hexadecimal digits."""
    try:
        return bytes.fromhex(found.rest.strip())
    except ValueError:
        raise _wrong(option, f"{found.place} is not an even number of hexadecimal digits") from None


def _elsewhere(option: str, prefix: str, rest: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """What a variable or a file holds, without the line end, and what it is called."""
    if prefix == ENV:
        if rest not in environ:
            raise _wrong(option, f"the environment has no variable {rest}")
        return environ[rest].rstrip("\r\n"), f"the variable {rest}"
    try:
        with Path(rest).open(encoding="utf-8") as file:
            content = file.read(LONGEST_FILE + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(option, f"the file {rest} can't be read ({type(error).__name__})") from None
    if len(content) > LONGEST_FILE:
        raise _wrong(option, f"the file {rest} has more than {LONGEST_FILE} letters")
    return content.rstrip("\r\n"), f"the file {rest}"


def _checked(option: str, make: Callable[[bytes], PublicKey], found: bytes) -> PublicKey:
    try:
        return make(found)
    except LocalError as error:
        raise MeterError(ExitCode.USAGE, str(error), where=option) from None


def _wrong(option: str, problem: str) -> MeterError:
    return MeterError(
        ExitCode.USAGE, problem, where=option, hint="give hex digits, text:PASSWORD, env:NAME or file:PATH"
    )
