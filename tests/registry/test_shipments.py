"""Shipment files: what the simulator writes of a population is what a head-end's registry reads."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ami_dlms.association import Ciphering
from ami_dlms.enums import Mechanism
from ami_dlms.security import SecuritySuite
from ami_hes.meters.registry import Registry
from ami_hes.meters.shipments import read_shipments
from ami_meter_sim.population.identity import Identities, KeyPurpose
from ami_meter_sim.population.shipment import Form, Shipment, Terms, for_the_cis, write
from ami_meter_sim.population.topology import Topology
from ami_process.settings import SettingsError
from ami_process.shipment_files import ShipmentFileError, parse_rows
from ami_registry import EntryError, Meter, ShipmentError, parse_cell, parse_meter, parse_shipment

KEY = bytes(range(16))
IDENTITIES = Identities("a seed", first=500, count=30)


def shipment(transport_key: bytes | None = None, **terms: object) -> Shipment:
    given: dict[str, object] = {"model": "residential", "place": lambda index: ("127.1.0.1", 4059, 16 + index)}
    return Shipment(IDENTITIES, Topology(), Terms(**given | terms), transport_key)  # type: ignore[arg-type]


def written(rows: Shipment, form: Form) -> str:
    out = io.StringIO()
    assert write(rows.rows(), form, out) == IDENTITIES.count
    return out.getvalue()


def parsed(text: str, transport_key: bytes | None = None) -> list[Mapping[str, object]]:
    return parse_shipment(parse_rows(text, parse_cell), transport_key)


def tags_of(index: int) -> dict[str, str]:
    place = Topology().place(index)
    return {
        "model": "residential",
        "substation": place.substation,
        "feeder": place.feeder,
        "transformer": place.transformer,
        "phase": place.phase,
    }


def nothing(_scheme: str, _rest: str) -> str:
    raise AssertionError("a shipment names no other place")


def meters(tables: list[Mapping[str, object]]) -> list[Meter]:
    return [parse_meter(f"meter {number}", table, nothing) for number, table in enumerate(tables, 1)]


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize("transport_key", [None, KEY, bytes(32)])
@pytest.mark.parametrize("suite", SecuritySuite)
def test_a_registry_reads_what_is_written(form: Form, transport_key: bytes | None, suite: SecuritySuite) -> None:
    text = written(shipment(transport_key, suite=suite), form)
    read = meters(parsed(text, transport_key))
    assert len(read) == IDENTITIES.count
    meter = read[7]
    octets, pairs = suite.key_length, bool(suite.coordinate_length)
    assert meter == Meter(
        name=IDENTITIES.name(7),
        mrid=str(IDENTITIES.mrid(7)),
        usage_points=(IDENTITIES.usage_point(7), str(IDENTITIES.usage_point_mrid(7))),
        address=("127.1.0.1", 4059),
        server_wport=23,
        authentication=Mechanism.GMAC,
        suite=suite,
        ciphering=Ciphering.GENERAL_GLO,
        encryption_key=IDENTITIES.key(7, KeyPurpose.ENCRYPTION, octets),
        authentication_key=IDENTITIES.key(7, KeyPurpose.AUTHENTICATION, octets),
        master_key=IDENTITIES.key(7, KeyPurpose.MASTER, octets),
        signing_key=IDENTITIES.client_key(suite) if pairs else None,
        meter_signing_key=IDENTITIES.private_key(7, KeyPurpose.SIGNING, suite).public_key if pairs else None,
        system_title=IDENTITIES.system_title(7),
        logical_device_name=IDENTITIES.logical_device_name(7).decode(),
        device_id=IDENTITIES.device_id(7),
        tags=tags_of(7),
    )
    assert meter.problem() is None


@pytest.mark.parametrize("mechanism", [Mechanism.LOWEST, Mechanism.LOW, Mechanism.MD5, Mechanism.SHA256])
def test_every_mechanism_has_the_secret_that_it_needs(mechanism: Mechanism) -> None:
    text = written(shipment(mechanism=mechanism), Form.JSON)
    assert all(meter.problem() is None for meter in meters(parsed(text)))
    assert ("encryption_key" in text) is (mechanism is not Mechanism.LOWEST)


@pytest.mark.parametrize("form", Form)
def test_what_is_wrapped_shows_no_key(form: Form) -> None:
    text = written(shipment(KEY), form).upper()
    for purpose in KeyPurpose:
        assert IDENTITIES.key(3, purpose).hex().upper() not in text


@pytest.mark.parametrize("form", Form)
def test_the_cis_gets_neither_keys_nor_addresses(form: Form) -> None:
    out = io.StringIO()
    write(for_the_cis(shipment().rows()), form, out)
    text = out.getvalue()
    assert IDENTITIES.name(3) in text
    assert str(IDENTITIES.usage_point_mrid(3)) in text
    assert IDENTITIES.device_id(3) in text, "the number on the case"
    assert "key" not in text
    assert "127.1" not in text
    assert IDENTITIES.key(3, KeyPurpose.ENCRYPTION).hex().upper() not in text.upper()


def test_the_same_seed_writes_the_same_octets() -> None:
    assert written(shipment(KEY), Form.JSON) == written(shipment(KEY), Form.JSON)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "name is missing"),
        ("{", "not JSON"),
        ("{" * 100_000, "not JSON"),
        ('{"format": 2, "meters": []}', "format 2 is not 1"),
        ('{"format": 1, "meters": {}}', "not a list"),
        ('{"format": 1, "meters": [1]}', "not a list"),
        ("a,b\n1,2\n", "name is missing"),
        ("name,suite\nM1,0,7\n", "line 2"),
        ("name,suite\nM1\n", "line 2"),
        ('name,suite\nM1,"0\n', "line"),
        (
            '{"format": 1, "meters": [{"name": "M1", "encryption_key_wrapped": "00"}]}',
            "meter 1, encryption_key_wrapped: is wrapped",
        ),
    ],
)
def test_what_is_no_shipment_is_refused_with_the_place(text: str, why: str) -> None:
    with pytest.raises((ShipmentFileError, ShipmentError), match=why):
        parsed(text)


@pytest.mark.parametrize(
    ("value", "why"), [("xy", "hexadecimal"), (7, "hexadecimal"), ("00" * 24, "another transport key"), ("", "another")]
)
def test_what_does_not_unwrap_is_refused(value: object, why: str) -> None:
    text = json.dumps({"format": 1, "meters": [{"name": "M1", "secret_wrapped": value}]})
    with pytest.raises(ShipmentError, match=why):
        parsed(text, KEY)


@given(st.text(max_size=300) | st.text('{}[]",:0123456789namesuit\n;', max_size=300))
def test_any_text_is_a_shipment_or_is_refused(text: str) -> None:
    try:
        tables = parsed(text, KEY)
    except (ShipmentFileError, ShipmentError):
        return
    for table in tables:
        try:
            parse_meter("meter", table, nothing)
        except EntryError:
            continue


class TestHeadEnd:
    def test_shipped_meters_stand_beside_those_of_the_configuration(self, tmp_path: Path) -> None:
        path = tmp_path / "shipment.csv"
        path.write_text(written(shipment(KEY), Form.CSV))
        own = {"name": "M1", "mrid": "a", "address": "dials-in", "logical_device_name": "X", "device_id": "1"}
        own |= {"authentication": "none"}
        registry = Registry([own], shipped=read_shipments([path], KEY.hex()))
        assert len(registry.meters) == IDENTITIES.count + 1
        found = registry.find_by_usage_point_mrid(str(IDENTITIES.usage_point_mrid(2)))
        assert found is not None
        assert found is registry.find_by_mrid(str(IDENTITIES.mrid(2)))
        assert found is registry.find_by_usage_point(IDENTITIES.usage_point(2))

    def test_a_meter_that_is_shipped_twice_is_refused_with_both_places(self, tmp_path: Path) -> None:
        for name in ("one.json", "two.json"):
            (tmp_path / name).write_text(written(shipment(), Form.JSON))
        with pytest.raises(EntryError, match=r"two\.json, meter 1 .*already belongs to AMI0000000500"):
            Registry(shipped=read_shipments([tmp_path / "one.json", tmp_path / "two.json"], None))

    @pytest.mark.parametrize(
        ("content", "key", "why"),
        [
            (None, None, "can't be read: No such file"),
            (b"\xff\xfe", None, "no text in UTF-8"),
            (b"{", None, "not JSON"),
            (b"", "nothing", "hes.transport_key: "),
        ],
    )
    def test_a_file_that_cannot_be_used_is_named(
        self, tmp_path: Path, content: bytes | None, key: str | None, why: str
    ) -> None:
        path = tmp_path / "shipment.json"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(SettingsError, match=why):
            read_shipments([path], key)
