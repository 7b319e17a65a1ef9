"""Octets that a person gives on the command line, by the rule of `ami_registry.references`; and public keys and certificates.

What is wrong is reported with the name of the option, never with the value: a mistyped key is still a key.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from ssl import PEM_cert_to_DER_cert
from typing import TypeVar

from ami_cli.meter.errors import ExitCode, MeterError
from ami_dlms.errors import LocalError
from ami_dlms.security import PublicKey, public_key_in
from ami_process.secret_sources import SecretSources
from ami_registry import FORMS, parse_secret
from ami_registry.references import Given, take_apart

PEM = b"-----BEGIN"
T = TypeVar("T")


def given(option: str, text: str, *, environ: Mapping[str, str], prefixes: tuple[str, ...]) -> Given:
    """One option taken apart, its content fetched from where it is kept; a prefix that is none of ours is content."""
    return _or_wrong(option, lambda: take_apart(text, SecretSources(environ), prefixes))


def octets(option: str, text: str, *, environ: Mapping[str, str], password: bool = False) -> bytes:
    """The octets behind one option; MeterError when there are none, or for a `password` that may be meant in two ways."""
    return _or_wrong(option, lambda: parse_secret(text, SecretSources(environ), password=password))


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
        raise wrong(option, f"the certificate {path} can't be read ({type(error).__name__})") from None


def wrong(option: str, problem: str) -> MeterError:
    """What was given can't be used."""
    return MeterError(ExitCode.USAGE, problem, where=option, hint=f"give {FORMS}")


def _or_wrong(option: str, parse: Callable[[], T]) -> T:
    try:
        return parse()
    except ValueError as error:
        raise wrong(option, str(error)) from None


def _checked(option: str, make: Callable[[bytes], PublicKey], found: bytes) -> PublicKey:
    try:
        return make(found)
    except LocalError as error:
        raise MeterError(ExitCode.USAGE, str(error), where=option) from None
