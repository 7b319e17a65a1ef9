"""One value of an entry: what it has to look like. Every parser raises ValueError with what was expected, never with a secret."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

from ami_dlms.errors import LocalError
from ami_dlms.obis import Obis
from ami_dlms.security import PrivateKey, PublicKey
from ami_dlms.security.aead import SYSTEM_TITLE_LENGTH
from ami_registry.references import FORMS, Resolve, parse_secret

T = TypeVar("T")
Parser = Callable[[object, Resolve], object]
DIALS_IN = "dials-in"
LOGICAL_DEVICE_NAME_OCTETS = 16
_PACK = re.compile(r"[a-z0-9][a-z0-9.-]{0,39}", re.ASCII)
TAG = re.compile(r"[a-z][a-z0-9_]{0,62}")
MAX_TAGS, MAX_TAG_CHARACTERS = 32, 256
MAX_CHARACTERS = 1_000
"""Of a text; a CIM name of another length or with characters that XML has not could be put into no message."""


def text(value: object, _: Resolve) -> str:
    """A text that is not empty, printable, without white space around it."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text that is not empty was expected")
    found = value.strip()
    if len(found) > MAX_CHARACTERS:
        raise ValueError(f"a text of at most {MAX_CHARACTERS} characters was expected, and it has {len(found)}")
    if not found.isprintable():
        raise ValueError("a printable text was expected, and it has characters of control")
    return found


def pack_name(value: object, resolve: Resolve) -> str:
    """The name of a folder of packs."""
    found = text(value, resolve)
    if _PACK.fullmatch(found) is None:
        raise ValueError("the name of a pack was expected: small letters, digits, dots and hyphens")
    return found


def texts(value: object, resolve: Resolve) -> tuple[str, ...]:
    """A list of such."""
    if not isinstance(value, list | tuple):
        raise ValueError("a list of texts was expected")
    return tuple(text(item, resolve) for item in value)


def tags(value: object, resolve: Resolve) -> Mapping[str, str]:
    """What groups a meter: the value of each tag by its name, in the order of the names."""
    if not isinstance(value, Mapping) or len(value) > MAX_TAGS:
        raise ValueError(f"a table of at most {MAX_TAGS} texts was expected")
    for name in value:
        if not isinstance(name, str) or TAG.fullmatch(name) is None:
            raise ValueError(
                "the name of a tag begins with a letter and has lower-case letters, digits and _, 63 at most"
            )
    found = {name: text(value[name], resolve) for name in sorted(value)}
    if any(len(one) > MAX_TAG_CHARACTERS for one in found.values()):
        raise ValueError(f"the value of a tag has at most {MAX_TAG_CHARACTERS} characters")
    return found


def identification(value: object, resolve: Resolve) -> str:
    """That of a meter on an M-Bus."""
    found = text(value, resolve)
    if re.fullmatch(r"\d{8}", found, re.ASCII) is None:
        raise ValueError("an identification on the M-Bus has eight digits")
    return found


def manufacturer(value: object, resolve: Resolve) -> str:
    """A maker as the M-Bus has it."""
    found = text(value, resolve)
    if re.fullmatch(r"[A-Z]{3}", found, re.ASCII) is None:
        raise ValueError("a manufacturer on the M-Bus has three capital letters")
    return found


def device_name(value: object, resolve: Resolve) -> str:
    """A logical device name."""
    found = text(value, resolve)
    if len(found) > LOGICAL_DEVICE_NAME_OCTETS or not found.isascii():
        raise ValueError(f"a logical device name has at most {LOGICAL_DEVICE_NAME_OCTETS} ASCII characters")
    return found


def whole_number(lowest: int, highest: int) -> Parser:
    """A whole number within these bounds."""

    def parse(value: object, _: Resolve) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
            raise ValueError(f"a whole number from {lowest} to {highest} was expected")
        return value

    return parse


def true_or_false(value: object, _: Resolve) -> bool:
    """A boolean of TOML."""
    if not isinstance(value, bool):
        raise ValueError("true or false was expected")
    return value


def of_word(parse_word: Callable[[str], T]) -> Callable[[object, Resolve], T]:
    """One of the words that `parse_word` knows."""

    def parse(value: object, _: Resolve) -> T:
        return _without_local_error(parse_word, str(value))

    return parse


def address(value: object, resolve: Resolve) -> tuple[str, int] | str | None:
    """Host and port, a device, or None for a meter that dials in; an IPv6 address has brackets around it."""
    found = text(value, resolve)
    if found == DIALS_IN:
        return None
    if found.startswith("/"):
        return found
    host, separator, port = found.rpartition(":")
    if not separator or not host or not (port.isascii() and port.isdecimal()) or not 0 < int(port) < 0x10000:
        raise ValueError(f'expected "host:port", "/dev/..." or "{DIALS_IN}", and not "{found}"')
    return host.strip("[]"), int(port)


def secret(value: object, resolve: Resolve, *, password: bool = False) -> bytes:
    """Octets by reference."""
    if not isinstance(value, str):
        raise ValueError(f"{FORMS} was expected")
    return parse_secret(value, resolve, password=password)


password = partial(secret, password=True)


def system_title(value: object, resolve: Resolve) -> bytes:
    """A system title."""
    found = secret(value, resolve)
    if len(found) != SYSTEM_TITLE_LENGTH:
        raise ValueError(f"a system title has {SYSTEM_TITLE_LENGTH} octets, and not {len(found)}")
    return found


def private_key(value: object, resolve: Resolve) -> PrivateKey:
    """A private key of suite 1 or 2."""
    return _without_local_error(PrivateKey, secret(value, resolve))


def public_key(value: object, resolve: Resolve) -> PublicKey:
    """A public key, x and y one after the other."""
    return _without_local_error(PublicKey, secret(value, resolve))


def obis(value: object, resolve: Resolve) -> Obis:
    """A logical name."""
    return _without_local_error(Obis.parse, text(value, resolve))


V = TypeVar("V")


def _without_local_error(make: Callable[[V], T], value: V) -> T:
    try:
        return make(value)
    except LocalError as error:
        raise ValueError(str(error)) from None
