"""A [[meters]] entry of a configuration file, or of a shipment file, as a target: read as the head-end reads it.

One entry is taken, so what is wrong with others does not matter. The head-end's system title is not taken over: see
`counters`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ami_cli.meter.errors import ExitCode, MeterError
from ami_cli.meter.options import Reach, WantedAssociation, Wrapping
from ami_dlms.association.vocabulary import format_ciphering, format_mechanism
from ami_dlms.enums import Mechanism
from ami_process.secret_sources import SecretSources
from ami_process.shipment_files import ShipmentFileError, read_rows
from ami_process.toml_texts import parse_toml
from ami_registry import EntryError, Meter, ShipmentError, parse_cell, parse_field, parse_meter, parse_shipment

SHIPMENTS = (".json", ".csv")
SHOWN = 5


@dataclass(frozen=True, slots=True)
class RegistryEntry:
    """What one entry says."""

    name: str
    reach: Reach
    identity: WantedAssociation
    device_name: str
    device_id: str


def read_entry(path: Path, name: str | None, *, environ: Mapping[str, str]) -> RegistryEntry:
    """The entry of this name, or the only one; MeterError with what to mend."""
    rows = _rows(path)
    chosen = [number for number, row in enumerate(rows) if name is None or row.get("name") == name]
    if len(chosen) != 1:
        what = "has more than one meter" if name is None else f"has no meter {name}"
        raise MeterError(ExitCode.USAGE, what, where=str(path), hint=f"give --meter with {_some(rows)}")
    number = chosen[0]
    try:
        meter = parse_meter(number + 1, rows[number], SecretSources(environ))
    except EntryError as error:
        raise _unusable(path, rows[number], error) from None
    if meter.address is None:
        why = (
            f"a sub-meter is read by way of {meter.behind}" if meter.behind else "a meter that dials in can't be called"
        )
        problem = EntryError(number + 1, meter.name, "behind" if meter.behind else "address", why)
        raise _unusable(path, rows[number], problem)
    return RegistryEntry(
        meter.name,
        _reach(meter, meter.address),
        _identity(meter),
        meter.logical_device_name,
        meter.device_id,
    )


class MeterKeys(NamedTuple):
    """What opens a recording with a meter: its title, its keys, its name, and where it is called, if it is."""

    system_title: bytes
    encryption_key: bytes
    authentication_key: bytes | None
    name: str
    address: tuple[str, int] | str | None

    def __repr__(self) -> str:
        """Keys are never shown."""
        return f"MeterKeys({self.name})"


def read_keys(path: Path, *, environ: Mapping[str, str]) -> Iterator[MeterKeys]:
    """Those of every entry that has them; MeterError with what to mend."""
    resolve = SecretSources(environ)
    for number, row in enumerate(_rows(path), 1):
        try:
            title, encryption, authentication, address = (
                parse_field(number, row, name, resolve) if name in row else None
                for name in ("system_title", "encryption_key", "authentication_key", "address")
            )
        except EntryError as error:
            raise _unusable(path, row, error) from None
        if title and encryption:
            yield MeterKeys(title, encryption, authentication, str(row.get("name", "")), address)


def _some(rows: Sequence[Mapping[str, Any]]) -> str:
    names = ", ".join(str(row.get("name")) for row in rows[:SHOWN])
    return f"one of {names}" + (f" and {len(rows) - SHOWN:,} more" if len(rows) > SHOWN else "")


def _unusable(path: Path, row: Mapping[str, Any], error: EntryError) -> MeterError:
    where = f"{path}, meter {row.get('name')}"
    hint = "docs/howto/real-meter.md shows an entry"
    return MeterError(ExitCode.USAGE, f"{error.field}: {error.problem}", where=where, hint=hint)


def _rows(path: Path) -> Sequence[Mapping[str, Any]]:
    rows: object
    try:
        if path.suffix.lower() in SHIPMENTS:
            return parse_shipment(read_rows(path, parse_cell))
        rows = parse_toml(path.read_text("utf-8")).get("meters")
    except OSError as error:
        raise MeterError(ExitCode.USAGE, f"can't be read: {error.strerror}", where=str(path)) from None
    except (ShipmentFileError, ShipmentError) as error:
        raise MeterError(ExitCode.USAGE, str(error), where=str(path)) from None
    except ValueError as error:
        raise MeterError(ExitCode.USAGE, f"is not TOML: {error}", where=str(path)) from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise MeterError(ExitCode.USAGE, "has no [[meters]]", where=str(path), hint="config/demo.toml shows two")
    return rows


def _reach(meter: Meter, address: tuple[str, int] | str) -> Reach:
    if isinstance(address, str):
        where: dict[str, Any] = {
            "device": address,
            "baud": meter.baud,
            "parity": meter.parity,
            "mode_e": meter.mode_e,
        }
    else:
        where = dict(zip(("host", "port"), address, strict=True))
    return Reach(transport=meter.transport, physical=meter.physical_address, address_size=meter.address_size, **where)


def _identity(meter: Meter) -> WantedAssociation:
    unencrypted = meter.authentication is Mechanism.LOWEST  # as for the head-end: no authentication, no ciphering
    return WantedAssociation(
        client=meter.client_wport,
        server=meter.server_wport,
        authentication=format_mechanism(meter.authentication),
        secret=meter.secret,
        encryption_key=None if unencrypted else meter.encryption_key,
        authentication_key=None if unencrypted else meter.authentication_key,
        signing_key=None if meter.signing_key is None else meter.signing_key.octets,
        meter_signing_key=None if meter.meter_signing_key is None else meter.meter_signing_key.octets,
        suite=meter.suite,
        wrapping=Wrapping(format_ciphering(meter.ciphering)),
        meter_title=meter.system_title,
        counter_object=meter.invocation_counter,
        public_client=meter.public_client,
    )
