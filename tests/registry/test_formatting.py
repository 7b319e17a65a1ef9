"""A meter written as an entry again is read back as the same meter, field by field, and shows no secret."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ami_dlms.association import vocabulary
from ami_dlms.security import PrivateKey
from ami_registry import FIELDS, SECRETS, EntryError, defaults_of, format_meter, parse_meter
from ami_registry.entries import BEHIND, NEEDED

NEEDED_HERE = {"name": "M1", "address": "[::1]:4061", "logical_device_name": "AMI0000000001001", "device_id": "1001"}
SUB_METER = {"name": "G1", "behind": "M1", "channel": 1, "identification": "12345678", "manufacturer": "AMI"}
OURS, THE_METERS = PrivateKey(bytes(31) + b"\x07"), PrivateKey(bytes(31) + b"\x09")
OF_EACH_FIELD: dict[str, list[Any]] = {
    "name": ["M2"],
    "mrid": ["42932298-b7b6-415e-a2d2-c34197bed259"],
    "usage_points": [["UP-1", "5a0b7c1e-0000-4000-8000-000000000001"], []],
    "behind": ["M2"],
    "channel": [1, 63],
    "identification": ["00123456"],
    "manufacturer": ["ELS"],
    "address": ["dials-in", "192.0.2.7:4059", "[2001:db8::7]:4059", "meter.example:4060", "/dev/ttyUSB0"],
    "transport": ["wrapper", "udp", "hdlc", "serial"],
    "baud": [300, 115200],
    "parity": ["none", "even", "odd"],
    "mode_e": [True, False],
    "physical_address": [0, 16383],
    "address_size": [1, 2, 4],
    "client_wport": [1, 16, 65535],
    "server_wport": [1, 65535],
    "public_client": [True, False],
    "authentication": list(vocabulary.MECHANISMS),
    "suite": [0, 1, 2],
    "ciphering": list(vocabulary.CIPHERINGS),
    "encryption_key": ["00" * 16, "3132" * 16],
    "authentication_key": ["11" * 16],
    "master_key": ["22" * 32],
    "secret": ["text:SWORDFISH", "text:12345678", "hex:12345678", "C0FFEE"],
    "signing_key": [OURS.octets.hex()],
    "meter_signing_key": [THE_METERS.public_key.octets.hex()],
    "default_keys": [True, False],
    "system_title": ["414D4900000003E9", "1234567890123456"],
    "logical_device_name": ["XYZ"],
    "device_id": ["7"],
    "device_id_object": ["0-0:96.1.1*255"],
    "disconnect_object": ["0-0:96.3.10*255"],
    "invocation_counter": ["0-0:43.1.0*255"],
    "pack": ["idis-like", "smr5.2"],
    "tags": [{"feeder": "F12", "transformer": "T7"}, {}],
}


def nothing(_scheme: str, _rest: str) -> str:
    raise AssertionError("an entry that was written names no other place")


def test_every_field_has_an_example() -> None:
    assert list(OF_EACH_FIELD) == [field.name for field in FIELDS]
    assert set(NEEDED) == set(NEEDED_HERE)


@pytest.mark.parametrize(("field", "value"), [(field, one) for field, all_ in OF_EACH_FIELD.items() for one in all_])
def test_what_is_written_is_read_back(field: str, value: object) -> None:
    needed = SUB_METER if field in BEHIND else NEEDED_HERE
    meter = parse_meter(1, needed | {field: value}, nothing)
    table, secrets = format_meter(meter)
    assert not set(table) & set(SECRETS)
    written = json.loads(json.dumps(table))
    read = parse_meter(1, written | {name: f"hex:{octets.hex()}" for name, octets in secrets.items()}, nothing)
    assert read == meter
    assert (field in secrets) is (field in SECRETS)


@pytest.mark.parametrize(
    ("tags", "why"),
    [
        ("F12", "a table"),
        ({"Feeder": "F12"}, "begins with a letter"),
        ({"feeder": 12}, "text"),
        ({"feeder": " "}, "text"),
        ({"feeder": "F" * 257}, "256"),
        ({f"t{number}": "x" for number in range(33)}, "32"),
    ],
)
def test_a_tag_is_a_short_text_by_a_plain_name(tags: object, why: str) -> None:
    with pytest.raises(EntryError, match=f"tags: .*{why}"):
        parse_meter(1, NEEDED_HERE | {"tags": tags}, nothing)


def test_what_counts_is_what_the_entry_says_and_the_defaults_beside_it() -> None:
    keys = {"encryption_key": "00" * 16, "authentication_key": "11" * 16, "system_title": "414D4900000003E9"}
    meter = parse_meter("a file", NEEDED_HERE | keys | {"server_wport": 17, "ciphering": "general-ciphering"}, _nothing)
    said, beside = format_meter(meter).table, defaults_of(meter)
    assert not said.keys() & beside.keys() and not {*said, *beside} & set(SECRETS)
    assert (beside["client_wport"], beside["suite"], beside["transport"], beside["public_client"]) == (
        1,
        0,
        "wrapper",
        True,
    )
    assert beside["invocation_counter"] == "0-0:43.1.1*255" and "baud" not in beside and "ciphering" not in beside
    assert parse_meter("a file", {**beside, **said, **keys}, _nothing) == meter


def test_a_sub_meter_has_no_default_of_an_association() -> None:
    meter = parse_meter("a file", SUB_METER, _nothing)
    assert format_meter(meter).table == SUB_METER and defaults_of(meter).keys() <= {"mrid", "usage_points", "tags"}


def test_defaults_without_an_effect_are_left_out() -> None:
    unsafe = parse_meter("a file", NEEDED_HERE | {"authentication": "none"}, _nothing)
    assert (
        defaults_of(unsafe)["ciphering"] == "none" and not {"suite", "invocation_counter"} & defaults_of(unsafe).keys()
    )
    line = {"address": "/dev/ttyUSB0", "transport": "serial", "authentication": "none"}
    on_a_line = defaults_of(parse_meter("a file", NEEDED_HERE | line, _nothing))
    assert (on_a_line["baud"], on_a_line["parity"], on_a_line["mode_e"]) == (9600, "none", False)


def _nothing(scheme: str, _: str) -> str:
    raise AssertionError(scheme)
