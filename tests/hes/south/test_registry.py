"""The registry refuses what can't be right, says where and why, and never shows a key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ami_cim.identity import mrid_key
from ami_dlms.association import Ciphering
from ami_dlms.enums import Mechanism
from ami_hes.meters.registry import Meter, Registry, RegistryError
from ami_process.secret_sources import SecretSources
from ami_registry import format_meter

KEY = "000102030405060708090A0B0C0D0E0F"
OTHER_KEY = "F0F1F2F3F4F5F6F7F8F9FAFBFCFDFEFF"


def entry(**changes: Any) -> dict[str, Any]:
    values = {
        "name": "M1001",
        "mrid": "42932298-B7B6-415E-A2D2-C34197BED259",
        "usage_points": ["UP-1001"],
        "address": "127.0.0.1:4061",
        "encryption_key": KEY,
        "authentication_key": OTHER_KEY,
        "system_title": "414D4900000003E9",
        "logical_device_name": "AMI0000000001001",
        "device_id": "1001",
        "simulated": {"control_mode": 4},
    } | changes
    return {name: value for name, value in values.items() if value is not None}


def other(**changes: Any) -> dict[str, Any]:
    return entry(
        **{
            "name": "M1002",
            "mrid": "47cb61c2-bc00-41a0-8501-70b464e9e464",
            "usage_points": [],
            "address": "127.0.0.1:4062",
            "system_title": "414D4900000003EA",
            "logical_device_name": "AMI0000000001002",
        }
        | changes
    )


def test_a_meter_is_found_by_each_of_its_names() -> None:
    registry = Registry([entry(), other()])
    meter = registry.find_by_name("M1001")
    assert meter is not None and meter.address == ("127.0.0.1", 4061)
    assert registry.find_by_mrid(" 42932298-b7b6-415e-a2d2-c34197bed259") is meter
    assert registry.find_by_usage_point("UP-1001") is meter
    assert registry.find_by_logical_device_name("AMI0000000001001") is meter
    assert registry.find_by_system_title(bytes.fromhex("414D4900000003E9")) is meter
    assert (
        registry.find_by_name("M9999") is registry.find_by_mrid("") is registry.find_by_usage_point("UP-1002") is None
    )
    assert (meter.authentication, meter.ciphering) == (Mechanism.GMAC, Ciphering.GENERAL_GLO)
    assert str(meter.invocation_counter) == "0-0:43.1.1*255"


def test_dials_in_has_no_address() -> None:
    (meter,) = Registry([entry(address="dials-in")]).meters
    assert meter.address is None


def test_keys_by_environment_and_by_file(tmp_path: Path) -> None:
    (tmp_path / "ak").write_text(OTHER_KEY + "\n")
    entries = [entry(encryption_key="env:EK", authentication_key="file:ak")]
    (meter,) = Registry(entries, resolve=SecretSources({"EK": KEY}, tmp_path)).meters
    assert (meter.encryption_key, meter.authentication_key) == (bytes.fromhex(KEY), bytes.fromhex(OTHER_KEY))


@pytest.mark.parametrize("given", ["text:12345678", "hex:3132333435363738", "3132333435363738", "env:PW", "file:pw"])
def test_a_password_of_digits(tmp_path: Path, given: str) -> None:
    (tmp_path / "pw").write_text("text:12345678\n")
    entries = [entry(authentication="lls", secret=given)]
    (meter,) = Registry(entries, resolve=SecretSources({"PW": "text:12345678"}, tmp_path)).meters
    assert meter.secret == b"12345678"


@pytest.mark.parametrize("given", ["12345678", "123", "env:PW"])
def test_digits_alone_are_not_silently_hex(given: str) -> None:
    with pytest.raises(RegistryError, match=r"secret: .* is digits alone") as refused:
        Registry([entry(authentication="lls", secret=given)], resolve=SecretSources({"PW": "12345678"}))
    assert "12345678" not in str(refused.value)


def test_keys_are_not_shown() -> None:
    (meter,) = Registry([entry(secret=KEY)]).meters
    shown = repr(meter) + str(meter) + meter.key_id
    assert KEY.lower() not in shown.lower() and repr(bytes.fromhex(KEY)) not in shown


def test_key_id_tells_keys_apart() -> None:
    (one,), (two,) = Registry([entry()]).meters, Registry([entry(encryption_key=OTHER_KEY)]).meters
    assert one.key_id != two.key_id


def test_authentication_none_means_in_clear_even_with_keys() -> None:
    (meter,) = Registry([entry(authentication="none")]).meters
    assert not meter.ciphered and not meter.keyed


@pytest.mark.parametrize(
    ("changes", "field", "problem"),
    [
        ({"name": None}, "name", "is missing"),
        ({"mrid": None}, "mrid", "is missing"),
        ({"address": None}, "address", "is missing"),
        ({"device_id": " "}, "device_id", "not empty"),
        ({"adress": "x:1"}, "adress", "does not exist"),
        ({"address": "localhost"}, "address", "host:port"),
        ({"address": "localhost:0"}, "address", "host:port"),
        ({"address": "localhost:70000"}, "address", "host:port"),
        ({"client_wport": 0}, "client_wport", "from 1 to 65535"),
        ({"server_wport": "1"}, "server_wport", "from 1 to 65535"),
        ({"suite": 3}, "suite", "from 0 to 2"),
        ({"authentication": "hls"}, "authentication", "none, lls, hls-md5"),
        ({"ciphering": "glo"}, "ciphering", "general-glo"),
        ({"usage_points": "UP-1"}, "usage_points", "list of texts"),
        ({"logical_device_name": "AMI00000000010011"}, "logical_device_name", "at most 16"),
        ({"system_title": "0102"}, "system_title", "8 octets"),
        ({"encryption_key": KEY[:-1]}, "encryption_key", "hexadecimal"),
        ({"encryption_key": KEY[:-2]}, "encryption_key", "has 15 octets"),
        ({"encryption_key": KEY, "suite": 2}, "encryption_key", "wants 32"),
        ({"encryption_key": None}, "encryption_key", "is missing"),
        ({"authentication_key": None}, "authentication_key", "is missing"),
        ({"authentication": "lls"}, "secret", "is missing"),
        ({"encryption_key": "env:NOWHERE"}, "encryption_key", "no variable NOWHERE"),
        ({"encryption_key": "file:nowhere"}, "encryption_key", "can't be read"),
        ({"encryption_key": "vault:x"}, "encryption_key", '"env:NAME"'),
        ({"encryption_key": 5}, "encryption_key", '"env:NAME"'),
        ({"invocation_counter": "43.1"}, "invocation_counter", "OBIS"),
        ({"device_id_object": "96.1.0"}, "device_id_object", "OBIS"),
        ({"disconnect_object": 70}, "disconnect_object", "a text"),
        ({"disconnect_version": 1}, "disconnect_version", "is no field any more: take it out"),
    ],
)
def test_refusal_names_entry_field_and_problem(changes: dict[str, Any], field: str, problem: str) -> None:
    with pytest.raises(RegistryError) as refusal:
        Registry([other(), entry(**changes)], resolve=SecretSources({}))
    text = str(refusal.value)
    assert text.startswith("[[meters]] entry 2")
    assert f", {field}: " in text and problem in text
    assert KEY not in text and KEY[:-2] not in text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "M1001"),
        ("mrid", "42932298-b7b6-415e-a2d2-c34197bed259"),
        ("usage_points", ["UP-7", "UP-1001"]),
        ("logical_device_name", "AMI0000000001001"),
        ("system_title", "414D4900000003E9"),
        ("address", "127.0.0.1:4061"),
    ],
)
def test_two_meters_share_nothing(field: str, value: Any) -> None:
    owner = "a meter with another mRID" if field == "name" else "M1001"
    with pytest.raises(RegistryError, match=rf"entry 2 .*{field}: .* already belongs to {owner}"):
        Registry([entry(), other(**{field: value})])


def test_one_address_may_hold_meters_behind_several_wrapper_ports() -> None:
    one, two = Registry([entry(), other(address="127.0.0.1:4061", server_wport=2)]).meters
    assert one.address == two.address


def test_an_entry_is_a_table() -> None:
    with pytest.raises(RegistryError, match="a table was expected"):
        Registry(["M1001"])


class Packed(dict[str, Meter]):
    """Whose meters cost too much to be looked at for a number."""

    def __getitem__(self, mrid: str) -> Meter:
        raise AssertionError(mrid)

    get = __getitem__  # type: ignore[assignment]


def test_meters_are_counted_without_being_unpacked() -> None:
    tags = {"feeder": "F12"}
    plain = Registry([entry(tags=tags), other(tags=tags)])
    registry = Registry(meters=Packed({mrid_key(one.mrid): one for one in plain}))
    for meter in plain:
        registry.add(format_meter(meter).table)
    assert registry.number_of("feeder", "F12") == 2
    assert registry.number_of("feeder", "F12", at_usage_points=True) == 1
    assert registry.number_of("feeder", "F13", at_usage_points=True) == 0
    assert [registry.knows(one) for one in (" 42932298-b7b6-415e-a2d2-c34197bed259", "", "M1002")] == [
        True,
        False,
        False,
    ]
