"""The shipment file of a population: what a manufacturer sends along with its meters, for the head-end and for the CIS.

Strategy: one row per meter with the fields of a [[meters]] entry, so that a head-end reads it as such, and beside them what an
enterprise system wants to know: usage point, place in the network, time zone, coordinates. Rows are made one by one from the
population's identities; no meter has to run, and a million rows need no memory. Keys are plain, or wrapped by a transport key
(RFC 3394) under names that say so. What is for the CIS has neither keys nor addresses.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TextIO

from ami_dlms.association import Ciphering
from ami_dlms.association.vocabulary import format_ciphering, format_mechanism
from ami_dlms.enums import Mechanism
from ami_dlms.security import PublicKey, SecuritySuite, wrap_key
from ami_dlms.security.keywrap import SHIPPED_LENGTHS
from ami_meter_sim.population.certification import Certification
from ami_meter_sim.population.credentials import Credentials
from ami_meter_sim.population.identity import Identities
from ami_meter_sim.population.topology import Topology
from ami_packs.model import Offered
from ami_process.shipment_files import FORMAT, SEVERAL
from ami_registry import DIALS_IN
from ami_registry.shipments import OF_ASSOCIATION, WRAPPED

FOR_THE_CIS = (
    "name",
    "mrid",
    "device_id",
    "usage_points",
    "usage_point_mrid",
    "model",
    "time_zone_minutes",
    "substation",
    "feeder",
    "transformer",
    "phase",
    "latitude",
    "longitude",
    "main_address",
)
ShipmentRow = dict[str, object]


class Form(StrEnum):
    """How a shipment is written."""

    JSON = "json"
    CSV = "csv"


class Receiver(StrEnum):
    """Whom a shipment file is for."""

    HES = "hes"
    CIS = "cis"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What all meters of a population have in common. `place` gives host, port and server wrapper port of an index.

    `further`: the associations with keys that they offer beside the management one.
    """

    model: str
    place: Callable[[int], tuple[str, int, int]]
    dials_in: bool = False
    transport: str = "wrapper"
    client_wport: int = 1
    public_client: bool = True
    mechanism: Mechanism = Mechanism.GMAC
    suite: SecuritySuite = SecuritySuite.AES_GCM_128
    ciphering: Ciphering | None = Ciphering.GENERAL_GLO
    three_phase: bool = False
    time_zone_minutes: int = 0
    further: tuple[Offered, ...] = ()
    client_signing_key: PublicKey | None = None
    """Of the head-end, for ECDSA; None: the one that the seed gives it, whose private half is in the file."""


@dataclass(frozen=True)
class Shipment:
    """The rows of one population. `transport_key` wraps all keys; None leaves them plain."""

    identities: Identities
    topology: Topology
    terms: Terms
    transport_key: bytes | None = None
    _credentials: Credentials = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        terms = self.terms
        credentials = Credentials(self.identities, terms.mechanism, terms.suite, terms.client_signing_key)
        object.__setattr__(self, "_credentials", credentials)

    @cached_property
    def _certification(self) -> Certification:
        return self._credentials.certification

    def rows(self, indexes: Iterable[int] | None = None) -> Iterator[ShipmentRow]:
        """For the head-end, of these meters or of all."""
        for index in range(self.identities.count) if indexes is None else indexes:
            yield self.row(index)

    def row(self, index: int) -> ShipmentRow:
        """One meter: a [[meters]] entry, and what else there is to know."""
        identities, terms = self.identities, self.terms
        host, port, server_wport = terms.place(index)
        at = self.topology.place(index, three_phase=terms.three_phase)
        return {
            "name": identities.name(index),
            "mrid": str(identities.mrid(index)),
            "usage_points": [identities.usage_point(index)],
            "usage_point_mrid": str(identities.usage_point_mrid(index)),
            "address": DIALS_IN if terms.dials_in else f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
            "transport": terms.transport,
            "client_wport": terms.client_wport,
            "server_wport": server_wport,
            "public_client": terms.public_client,
            "authentication": format_mechanism(terms.mechanism),
            "suite": int(terms.suite),
            "ciphering": format_ciphering(terms.ciphering),
            **self._keys(index),
            "system_title": identities.system_title(index).hex().upper(),
            "logical_device_name": identities.logical_device_name(index).decode("ascii"),
            "device_id": identities.device_id(index),
            "model": terms.model,
            "time_zone_minutes": terms.time_zone_minutes,
            "substation": at.substation,
            "feeder": at.feeder,
            "transformer": at.transformer,
            "phase": at.phase,
            "latitude": at.latitude,
            "longitude": at.longitude,
            "main_address": at.main_address,
        }

    def _keys(self, index: int) -> ShipmentRow:
        """Those of the management association, then those of each further one, under its name."""
        if self.terms.mechanism is Mechanism.LOWEST:
            return {}
        credentials = self._credentials
        row = (
            self._written("", index, 1, credentials.secret(index))
            | self._signing_keys(index)
            | self._certificates(index)
        )
        for one in self.terms.further:
            place = one.name + OF_ASSOCIATION
            row |= {place + "client_wport": one.client_wport, place + "authentication": format_mechanism(one.mechanism)}
            row |= self._written(place, index, one.security_setup, credentials.further_secret(index, one))
        return row

    def _written(self, place: str, index: int, security_setup: int, secret: bytes | None) -> ShipmentRow:
        keys = self._credentials.keys(index, security_setup)
        named = {
            "encryption_key": keys.encryption_key,
            "authentication_key": keys.authentication_key,
            "master_key": keys.master_key,
            "secret": secret,
        }
        return dict(self._cell(place + name, key) for name, key in named.items() if key is not None)

    def _signing_keys(self, index: int) -> ShipmentRow:
        """The meter's public key, and the head-end's private one if it comes from here."""
        signing, client = self._credentials.asymmetric(index).signing, self._credentials.own_client_key
        row: ShipmentRow = {} if signing is None else {"meter_signing_key": signing.public_key.octets.hex().upper()}
        return row if client is None else row | dict([self._cell("signing_key", client.octets)])

    def _certificates(self, index: int) -> ShipmentRow:
        """In suites 1 and 2 what the population's authority has issued, and its own certificate."""
        if not self._credentials.paired:
            return {}
        issued = self._certification.of(index)
        found = {
            "meter_signing_certificate": issued.signature,
            "meter_agreement_certificate": issued.agreement,
            "issuer_certificate": self._certification.authority,
        }
        return {name: der.hex().upper() for name, der in found.items()}

    def _cell(self, name: str, key: bytes) -> tuple[str, str]:
        if self.transport_key is None:
            return name, key.hex().upper()
        return name + WRAPPED, wrap_key(self.transport_key, key, SHIPPED_LENGTHS).hex().upper()


def for_the_cis(rows: Iterable[ShipmentRow]) -> Iterator[ShipmentRow]:
    """The same without keys and addresses."""
    return ({name: row[name] for name in FOR_THE_CIS} for row in rows)


def write(rows: Iterable[ShipmentRow], form: Form, out: TextIO) -> int:
    """Write them one by one; returns their number."""
    written = _write_csv if form is Form.CSV else _write_json
    return sum(1 for _ in written(rows, out))


def _write_json(rows: Iterable[ShipmentRow], out: TextIO) -> Iterator[ShipmentRow]:
    """An object with a row per line, so that a large file can be read and compared line by line."""
    out.write(f'{{"format": {FORMAT}, "meters": [')
    separator = "\n"
    for row in rows:
        out.write(separator + json.dumps(row))
        separator = ",\n"
        yield row
    out.write("\n]}\n")


def _write_csv(rows: Iterable[ShipmentRow], out: TextIO) -> Iterator[ShipmentRow]:
    writer: csv.DictWriter[str] | None = None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(out, list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow({name: _cell(value) for name, value in row.items()})
        yield row


def _cell(value: object) -> object:
    if isinstance(value, list):
        return SEVERAL.join(value)
    return str(value).lower() if isinstance(value, bool) else value
