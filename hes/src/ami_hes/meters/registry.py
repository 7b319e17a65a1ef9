"""The meter registry: which meters there are, where they are, and how to speak to each of them.

Built once from the [[meters]] entries of the configuration file. An entry that can't be right is refused at the
start with its name, its field and what to mend; so are two meters that share a name, an mRID, a usage point,
a logical device name or a system title. Keys are never shown: not in a repr, not in a refusal.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from ami_cim.identity import mrid_key
from ami_dlms.errors import LocalError
from ami_dlms.obis import Obis
from ami_hes.meters.keys import FORMS, read_key

K = TypeVar("K")
E = TypeVar("E", bound=StrEnum)

DIALS_IN = "dials-in"
INVOCATION_COUNTER = Obis.parse("0-0:43.1.1*255")  # of what the meter has taken from client 1
DEVICE_ID = Obis.parse("0-0:96.1.0*255")
_KEY_OCTETS = {0: 16, 1: 16, 2: 32}
_IGNORED = frozenset({"simulated"})  # how a simulated meter behaves is none of the HES's business


class RegistryError(ValueError):
    """An entry of the meter registry can't be used; the text says which, where and why."""


class Authentication(StrEnum):
    NONE = "none"
    LLS = "lls"
    HLS_GMAC = "hls-gmac"


class CipheringForm(StrEnum):
    NONE = "none"
    GENERAL_GLO = "general-glo"
    SERVICE_SPECIFIC = "service-specific"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """One meter as the registry knows it; `address` is None for a meter that dials in."""

    name: str
    mrid: str
    usage_points: tuple[str, ...] = ()
    address: tuple[str, int] | None
    client_wport: int = 1
    server_wport: int = 1
    authentication: Authentication = Authentication.HLS_GMAC
    suite: int = 0
    ciphering: CipheringForm = CipheringForm.GENERAL_GLO
    encryption_key: bytes | None = field(default=None, repr=False)
    authentication_key: bytes | None = field(default=None, repr=False)
    secret: bytes | None = field(default=None, repr=False)
    system_title: bytes | None = None
    logical_device_name: str
    device_id: str
    device_id_object: Obis = DEVICE_ID
    disconnect_object: Obis | None = None
    """Where its disconnect control is; None: where the mapping's table says."""
    disconnect_version: int = 0
    """Version of its class 70: both known ones have the same attributes and methods."""
    invocation_counter: Obis = INVOCATION_COUNTER

    @property
    def ciphered(self) -> bool:
        """Whether its APDUs are ciphered; authentication "none" means that nothing is."""
        return (
            self.authentication is not Authentication.NONE
            and self.ciphering is not CipheringForm.NONE
            and self.encryption_key is not None
        )

    @property
    def keyed(self) -> bool:
        """Whether its association needs keys, and so an invocation counter."""
        return self.ciphered or self.authentication is Authentication.HLS_GMAC

    @property
    def key_id(self) -> str:
        """A short name of the encryption key that tells two keys apart and gives neither away."""
        return sha256(b"key-id" + (self.encryption_key or b"")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class _Sources:
    environ: Mapping[str, str]
    directory: Path


class Registry:
    """The meters by each of the names that a request, a notification or a dialled-in connection can use."""

    def __init__(
        self,
        entries: Iterable[object] = (),
        *,
        environ: Mapping[str, str] | None = None,
        directory: Path | None = None,
    ) -> None:
        sources = _Sources(os.environ if environ is None else environ, directory or Path())
        self.meters = tuple(_meter(number, _fields(entry), sources) for number, entry in enumerate(entries, 1))
        self._by_mrid = self._index("mrid", lambda meter: [mrid_key(meter.mrid)])
        self._by_name = self._index("name", lambda meter: [meter.name])
        self._by_usage_point = self._index("usage_points", lambda meter: meter.usage_points)
        self._by_usage_point_mrid = self._index(
            "usage_points", lambda meter: {mrid_key(point) for point in meter.usage_points}
        )
        self._by_device_name = self._index("logical_device_name", lambda meter: [meter.logical_device_name])
        self._index("address", _place)
        self._by_title = self._index("system_title", lambda meter: [meter.system_title] if meter.system_title else [])

    def find_by_mrid(self, mrid: str) -> Meter | None:
        return self._by_mrid.get(mrid_key(mrid))

    def find_by_name(self, name: str) -> Meter | None:
        return self._by_name.get(name)

    def find_by_usage_point(self, usage_point: str) -> Meter | None:
        return self._by_usage_point.get(usage_point)

    def find_by_usage_point_mrid(self, mrid: str) -> Meter | None:
        return self._by_usage_point_mrid.get(mrid_key(mrid))

    def find_by_logical_device_name(self, name: str) -> Meter | None:
        return self._by_device_name.get(name)

    def find_by_system_title(self, title: bytes) -> Meter | None:
        return self._by_title.get(title)

    def _index(self, field_name: str, names_of: Callable[[Meter], Iterable[K]]) -> dict[K, Meter]:
        index: dict[K, Meter] = {}
        for number, meter in enumerate(self.meters, 1):
            for name in names_of(meter):
                if name in index:
                    shown = name.hex().upper() if isinstance(name, bytes) else name
                    raise _refusal(number, meter.name, field_name, f"{shown} already belongs to {index[name].name}")
                index[name] = meter
        return index


def _place(meter: Meter) -> list[str]:
    """Where a meter is: one address may hold several, each behind a server wrapper port of its own."""
    if meter.address is None:
        return []
    host, port = meter.address
    return [f"{host}:{port} with server_wport {meter.server_wport}"]


def _refusal(number: int, name: object, field_name: str, problem: str) -> RegistryError:
    called = f" ({name})" if isinstance(name, str) and name else ""
    return RegistryError(f"[[meters]] entry {number}{called}, {field_name}: {problem}")


def _fields(entry: object) -> dict[str, object]:
    if isinstance(entry, Mapping):
        return dict(entry)
    dump = getattr(entry, "model_dump", None)
    if dump is None:
        raise RegistryError(f"an entry of [[meters]] is a {type(entry).__name__}; a table was expected")
    return {name: value for name, value in dump(mode="python").items() if value is not None}


def _meter(number: int, fields: dict[str, object], sources: _Sources) -> Meter:
    name = fields.get("name")
    values: dict[str, object] = {}
    for field_name, value in fields.items():
        if field_name in _IGNORED:
            continue
        if field_name not in _PARSERS:
            raise _refusal(number, name, field_name, "this field does not exist; known are " + ", ".join(_PARSERS))
        try:
            values[field_name] = _PARSERS[field_name](value, sources)
        except (TypeError, ValueError) as error:
            raise _refusal(number, name, field_name, str(error)) from None
    for field_name in ("name", "mrid", "address", "logical_device_name", "device_id"):
        if field_name not in values:
            raise _refusal(number, name, field_name, "is missing")
    meter = Meter(**values)  # type: ignore[arg-type]  # every value has come through its field's parser
    problem = _inconsistency(meter)
    if problem:
        raise _refusal(number, name, *problem)
    return meter


def _inconsistency(meter: Meter) -> tuple[str, str] | None:
    """The first field that does not fit the others, and why."""
    if meter.authentication is Authentication.NONE:
        return None
    if meter.authentication is Authentication.LLS and not meter.secret:
        return "secret", "is missing: authentication lls is a password"
    if meter.authentication is Authentication.HLS_GMAC and meter.encryption_key is None:
        return "encryption_key", "is missing: authentication hls-gmac computes with it"
    if meter.authentication is Authentication.HLS_GMAC and meter.authentication_key is None:
        return "authentication_key", "is missing: authentication hls-gmac computes with it"
    for field_name in ("encryption_key", "authentication_key"):
        key: bytes | None = getattr(meter, field_name)
        if key is not None and len(key) != _KEY_OCTETS[meter.suite]:
            wanted = _KEY_OCTETS[meter.suite]
            return field_name, f"has {len(key)} octets; security suite {meter.suite} wants {wanted}"
    if meter.ciphered and meter.authentication_key is None:
        return "authentication_key", "is missing: ciphering authenticates with it"
    return None


def _text(value: object, _: _Sources) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text that is not empty was expected")
    return value.strip()


def _device_name(value: object, sources: _Sources) -> str:
    text = _text(value, sources)
    if len(text) > 16 or not text.isascii():
        raise ValueError("a logical device name has at most 16 ASCII characters")
    return text


def _texts(value: object, sources: _Sources) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError("a list of texts was expected")
    return tuple(_text(item, sources) for item in value)


def _number(lowest: int, highest: int) -> Callable[[object, _Sources], int]:
    def parse(value: object, _: _Sources) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
            raise ValueError(f"a whole number from {lowest} to {highest} was expected")
        return value

    return parse


def _choice(choices: type[E]) -> Callable[[object, _Sources], E]:
    def parse(value: object, _: _Sources) -> E:
        try:
            return choices(str(value))
        except ValueError:
            raise ValueError("one of " + ", ".join(choices) + " was expected") from None

    return parse


def _address(value: object, sources: _Sources) -> tuple[str, int] | None:
    text = _text(value, sources)
    if text == DIALS_IN:
        return None
    host, separator, port = text.rpartition(":")
    if not separator or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f'"host:port" or "{DIALS_IN}" was expected, and not "{text}"')
    return host.strip("[]"), int(port)


def _key(value: object, sources: _Sources, *, password: bool = False) -> bytes:
    if not isinstance(value, str):
        raise ValueError(f"a key is {FORMS}")
    return read_key(value.strip(), environ=sources.environ, directory=sources.directory, password=password)


def _title(value: object, sources: _Sources) -> bytes:
    title = _key(value, sources)
    if len(title) != 8:
        raise ValueError(f"a system title has 8 octets, and not {len(title)}")
    return title


def _obis(value: object, sources: _Sources) -> Obis:
    try:
        return Obis.parse(_text(value, sources))
    except LocalError as error:
        raise ValueError(str(error)) from None


_PARSERS: dict[str, Callable[[object, _Sources], object]] = {
    "name": _text,
    "mrid": _text,
    "usage_points": _texts,
    "address": _address,
    "client_wport": _number(1, 65535),
    "server_wport": _number(1, 65535),
    "authentication": _choice(Authentication),
    "suite": _number(0, 2),
    "ciphering": _choice(CipheringForm),
    "encryption_key": _key,
    "authentication_key": _key,
    "secret": partial(_key, password=True),
    "system_title": _title,
    "logical_device_name": _device_name,
    "device_id": _text,
    "device_id_object": _obis,
    "disconnect_object": _obis,
    "disconnect_version": _number(0, 1),
    "invocation_counter": _obis,
}
