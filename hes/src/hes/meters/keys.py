"""Where a key of the registry comes from: hex digits in the file itself, "env:NAME" or "file:PATH".

A refusal names the place and what is wrong with it, never the value.
"""

from collections.abc import Mapping
from pathlib import Path


def read_key(text: str, *, environ: Mapping[str, str], directory: Path) -> bytes:
    """The octets behind a key's reference; ValueError says what a person has to mend."""
    digits, place = _digits(text, environ, directory)
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise ValueError(f"{place} is not an even number of hexadecimal digits") from None


def _digits(text: str, environ: Mapping[str, str], directory: Path) -> tuple[str, str]:
    scheme, separator, rest = text.partition(":")
    if not separator:
        return text, "the value"
    if scheme == "env":
        if rest not in environ:
            raise ValueError(f"the environment has no variable {rest}")
        return environ[rest], f"environment variable {rest}"
    if scheme == "file":
        return _file(directory / rest), f"file {rest}"
    raise ValueError('a key is hexadecimal digits, "env:NAME" or "file:PATH"')


def _file(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise ValueError(f"file {path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"file {path} holds more than hexadecimal digits") from None
