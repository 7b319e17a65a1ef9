"""Octets that a person gives on the command line or in a file: hex digits, `env:NAME`, `file:PATH`, or `text:12345678`.

What is wrong is said with the name of the option, never with the value: a mistyped key is still a key.
"""

from collections.abc import Mapping
from pathlib import Path

from ami.meter.errors import ExitCode, MeterError


def octets(option: str, text: str, *, environ: Mapping[str, str]) -> bytes:
    """The octets behind one option; MeterError when there are none."""
    scheme, separator, rest = text.strip().partition(":")
    if not separator:
        return _from_hex(option, scheme, "the value")
    if scheme == "env":
        if rest not in environ:
            raise _wrong(option, f"the environment has no variable {rest}")
        return _from_hex(option, environ[rest], f"the variable {rest}")
    if scheme == "file":
        try:
            return _from_hex(option, Path(rest).read_text("ascii"), f"the file {rest}")
        except (OSError, UnicodeDecodeError) as error:
            raise _wrong(option, f"the file {rest} can't be read ({type(error).__name__})") from None
    if scheme == "text":
        return rest.encode("utf-8")
    raise _wrong(option, "what stands before the colon is none of env, file and text")


def _from_hex(option: str, digits: str, place: str) -> bytes:
    try:
        return bytes.fromhex(digits.strip())
    except ValueError:
        raise _wrong(option, f"{place} is not an even number of hexadecimal digits") from None


def _wrong(option: str, problem: str) -> MeterError:
    return MeterError(
        ExitCode.USAGE, problem, where=option, hint="give hex digits, env:NAME, file:PATH, or text:PASSWORD"
    )
