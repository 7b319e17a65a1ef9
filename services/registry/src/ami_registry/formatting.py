"""A meter as the table of its entry again, its secrets beside it and not in it, and what counts beside what it says.

`parse_meter` reads the table back to the same meter. A field at its default is left out, as it may be in any entry.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from enum import Enum
from typing import Any, NamedTuple

from ami_dlms.association.vocabulary import format_ciphering, format_mechanism
from ami_dlms.obis import Obis
from ami_dlms.security import PrivateKey, PublicKey
from ami_registry.meter import BEHIND, OF_ALL, Meter, Transport
from ami_registry.values import DIALS_IN

SECRETS = ("encryption_key", "authentication_key", "master_key", "secret", "signing_key")
"""The fields that are shown nowhere."""


class FormattedMeter(NamedTuple):
    """`table`: texts, numbers, lists and tables, as in JSON; `secrets`: the octets of each by its field."""

    table: dict[str, object]
    secrets: dict[str, bytes]


def format_meter(meter: Meter) -> FormattedMeter:
    """The entry of this meter."""
    table: dict[str, object] = {}
    secrets: dict[str, bytes] = {}
    for field in fields(meter):
        value = getattr(meter, field.name)
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if value == default and (field.name != "address" or meter.behind):  # no address: it dials in
            continue
        if field.name in SECRETS:
            secrets[field.name] = value.octets if isinstance(value, PrivateKey) else value
        else:
            table[field.name] = _FORMATS.get(field.name, _plain)(value)
    return FormattedMeter(table, secrets)


def defaults_of(meter: Meter) -> dict[str, object]:
    """What counts where the entry says nothing: the other fields of the table, those without an effect on this meter left out.

    Of a meter without an encryption key the ciphering is none, whatever it would be with one.
    """
    said = {*format_meter(meter).table, *SECRETS}
    found: dict[str, object] = {}
    for field in fields(meter):
        value = getattr(meter, field.name)
        if field.name in said or not _has_effect(meter, field.name) or value in (None, "", (), {}):
            continue
        value = None if field.name == "ciphering" and not meter.ciphered else value
        found[field.name] = _FORMATS.get(field.name, _plain)(value)
    return found


def _has_effect(meter: Meter, field: str) -> bool:
    if meter.behind or field in BEHIND:
        return field in OF_ALL
    if field in ("baud", "parity", "mode_e"):
        return meter.transport is Transport.SERIAL
    if field == "suite":
        return meter.titled
    return meter.keyed if field == "invocation_counter" else True


def _plain(value: object) -> object:
    match value:
        case Enum():
            return value.value
        case Obis():  # octets too
            return str(value)
        case bytes():
            return value.hex()
        case PublicKey():
            return value.octets.hex()
        case tuple():
            return list(value)
        case Mapping():
            return dict(value)
        case bool() | int() | str():
            return value
        case _:
            raise TypeError(f"no entry holds a {type(value).__name__}")


def _address(address: tuple[str, int] | str | None) -> str:
    if not isinstance(address, tuple):
        return address or DIALS_IN
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


_FORMATS: dict[str, Callable[[Any], object]] = {
    "address": _address,
    "authentication": format_mechanism,
    "ciphering": format_ciphering,
}
