"""Octets that a person gives on the command line or in a file: hex digits, `env:NAME`, `file:PATH`, or `text:12345678`.

What is wrong is said with the name of the option, never with the value: a mistyped key is still a key.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from ssl import PEM_cert_to_DER_cert

from ami.meter.errors import ExitCode, MeterError
from dlms.errors import LocalError
from dlms.security import PublicKey, public_key_in

PEM = b"-----BEGIN"


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


def public_key(option: str, text: str, *, environ: Mapping[str, str]) -> PublicKey:
    """A public key, x and y, or the one in a certificate (`cert:PATH`, PEM or DER); MeterError when it is none."""
    scheme, _, path = text.strip().partition(":")
    if scheme != "cert":
        return _checked(option, PublicKey, octets(option, text, environ=environ))
    try:
        content = Path(path).read_bytes()
        der = PEM_cert_to_DER_cert(content.decode("ascii")) if content.startswith(PEM) else content
    except (OSError, ValueError) as error:
        raise _wrong(option, f"the certificate {path} can't be read ({type(error).__name__})") from None
    return _checked(option, public_key_in, der)


def _checked(option: str, make: Callable[[bytes], PublicKey], found: bytes) -> PublicKey:
    try:
        return make(found)
    except LocalError as error:
        raise MeterError(ExitCode.USAGE, str(error), where=option) from None


def _from_hex(option: str, digits: str, place: str) -> bytes:
    try:
        return bytes.fromhex(digits.strip())
    except ValueError:
        raise _wrong(option, f"{place} is not an even number of hexadecimal digits") from None


def _wrong(option: str, problem: str) -> MeterError:
    return MeterError(
        ExitCode.USAGE, problem, where=option, hint="give hex digits, env:NAME, file:PATH, or text:PASSWORD"
    )
