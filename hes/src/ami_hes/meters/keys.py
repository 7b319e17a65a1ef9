"""Where a key of the registry comes from: hex digits in the file itself, "text:...", "env:NAME" or "file:PATH".

What a variable or a file holds is read by the same rule. A password of digits alone could be meant as text as well as hex:
unless its octets spell text, a prefix has to say which. A refusal names the place and what is wrong with it, never the value.
"""

from collections.abc import Mapping
from pathlib import Path

FORMS = 'hexadecimal digits, "text:...", "env:NAME" or "file:PATH"'


def read_key(text: str, *, environ: Mapping[str, str], directory: Path, password: bool = False) -> bytes:
    """The octets behind a key's reference; ValueError says what a person has to mend."""
    given, place = _content(text, environ, directory)
    prefix, separator, rest = given.partition(":")
    if separator and prefix == "text":
        return rest.encode("utf-8")
    digits = rest if separator and prefix == "hex" else given
    if password and not separator and is_ambiguous(digits):
        raise ValueError(f'{place} is digits alone: write "text:..." for a password, or "hex:..."')
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise ValueError(f"{place} is not an even number of hexadecimal digits") from None


def is_ambiguous(digits: str) -> bool:
    """Whether it may be text as well as hex: decimal digits, unless their octets spell text."""
    if not (digits.isascii() and digits.isdecimal()):
        return False
    return len(digits) % 2 == 1 or not all(0x20 <= octet < 0x7F for octet in bytes.fromhex(digits))


def _content(text: str, environ: Mapping[str, str], directory: Path) -> tuple[str, str]:
    scheme, separator, rest = text.partition(":")
    if not separator or scheme in ("hex", "text"):
        return text, "the value"
    if scheme == "env":
        if rest not in environ:
            raise ValueError(f"the environment has no variable {rest}")
        return environ[rest], f"environment variable {rest}"
    if scheme == "file":
        return _file(directory / rest), f"file {rest}"
    raise ValueError(f"a key is {FORMS}")


def _file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(f"file {path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"file {path} holds more than text") from None
