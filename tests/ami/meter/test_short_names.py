"""Meters that name their objects by short names: everything that can be done with one by hand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from meter_bench import Ami
from served_meter import Meter, profile, served

from ami_dlms import data
from ami_dlms.association import SN_CONFORMANCE, Security
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.cosem.short_names import NamedObject, ShortNames
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import Conformance, Mechanism
from ami_dlms.obis import Obis
from ami_dlms.security import GlobalKeys, ReceiveCounter, SendCounter

KEY, PASSWORD = bytes(range(16)), b"12345678"
NAMES = ShortNames(
    (
        NamedObject(0x0100, 1, 0, Obis.parse("0-0:42.0.0")),
        NamedObject(0x0200, 3, 0, Obis.parse("1-0:1.8.0")),
        NamedObject(0x0300, 8, 0, Obis.parse("0-0:1.0.0")),
        NamedObject(0x0400, 70, 0, Obis.parse("0-0:96.3.10")),
        NamedObject(0x0500, 7, 1, Obis.parse("1-0:99.1.0")),
        NamedObject(0x0600, 8192, 3, Obis.parse("0-0:128.0.0")),
        NamedObject(0xFA00, 12, 1, Obis.parse("0-0:40.0.0")),
    )
)
NOW = CosemDateTime(2026, 1, 15, 4, 12, 0, 0, 0, 0, 0)
CLOCK, LOAD = Obis.parse("0-0:1.0.0"), Obis.parse("1-0:99.1.0")


def column(class_id: int, obis: Obis) -> Data:
    return data.structure(data.long_unsigned(class_id), data.octet_string(obis), data.integer(2), data.long_unsigned(0))


VALUES: dict[tuple[int, str], dict[int, Data]] = {
    (1, "0-0:42.0.0"): {2: data.octet_string(b"SN00000000000001")},
    (3, "1-0:1.8.0"): {2: data.double_long_unsigned(123456), 3: data.structure(data.integer(-1), data.enum(30))},
    (8, "0-0:1.0.0"): {2: data.octet_string(NOW.encode()), 3: data.long(0)},
    (70, "0-0:96.3.10"): {2: data.boolean(True), 3: data.enum(1), 4: data.enum(4)},
    (7, "1-0:99.1.0"): {
        2: data.array(data.structure(data.octet_string(NOW.encode()), data.double_long_unsigned(123456))),
        3: data.array(column(8, CLOCK), column(3, Obis.parse("1-0:1.8.0"))),
        4: data.double_long_unsigned(900),
        7: data.double_long_unsigned(1),
    },
    (8192, "0-0:128.0.0"): {2: data.unsigned(7)},
    (12, "0-0:40.0.0"): {2: NAMES.encode()},
}


@pytest.fixture
def meter() -> Meter:
    values = {
        AttributeDescriptor(class_id, Obis.parse(obis), number): value
        for (class_id, obis), attributes in VALUES.items()
        for number, value in ({1: data.octet_string(Obis.parse(obis))} | attributes).items()
    }
    methods = {MethodDescriptor(70, Obis.parse("0-0:96.3.10"), 1), MethodDescriptor(12, Obis.parse("0-0:40.0.0"), 8)}
    return Meter(values, frozenset(methods))


@pytest.fixture
def port(meter: Meter) -> Iterator[int]:
    keyed = Security(keys=GlobalKeys(KEY, KEY), system_title=b"METER\0\0\1")
    counters = {"send_counter": SendCounter(1), "receive_counter": ReceiveCounter()}
    named = {"short_names": NAMES, "conformance": SN_CONFORMANCE}
    profiles = (
        profile(meter, client_wport=16, **named),
        profile(meter, **named),
        profile(meter, client_wport=2, mechanism=Mechanism.LOW, secret=PASSWORD, **named),
        profile(meter, client_wport=3, mechanism=Mechanism.GMAC, security=keyed, **counters, **named),
        profile(
            meter, client_wport=4, short_names=NAMES, conformance=SN_CONFORMANCE & ~Conformance.MULTIPLE_REFERENCES
        ),
    )
    with served(meter, *profiles) as one:
        yield one


def where(port: int, client: int = 1) -> tuple[object, ...]:
    return ("--short-names", "--host", "127.0.0.1", "--port", port, "--client", client)


@pytest.mark.parametrize(
    ("client", "options"),
    [
        (16, ()),
        (1, ()),
        (2, ("--authentication", "lls", "--secret", "text:12345678")),
        (3, ("--authentication", "hls-gmac", "--ek", KEY.hex(), "--ak", KEY.hex(), "--invocation-counter", 5)),
    ],
)
def test_reading_with_every_kind_of_client(ami: Ami, port: int, client: int, options: tuple[object, ...]) -> None:
    [found] = ami.run("read", "1-0:1.8.0", "value", "--json", *where(port, client), *options).ok().json
    assert found["text"] == "12345.6 Wh"


@pytest.mark.parametrize("client", [1, 4])
def test_a_scan(ami: Ami, meter: Meter, port: int, client: int) -> None:
    [device] = ami.run("scan", "--json", *where(port, client)).ok().json["devices"]
    found = {(one["obis"], one["attribute_id"]): one for each in device["objects"] for one in each["attributes"]}
    assert len(device["objects"]) == len(NAMES)
    assert found["1-0:1.8.0*255", 2]["text"] == "12345.6 Wh" and found["0-0:128.0.0*255", 2]["value"] == 7
    assert found["0-0:96.3.10*255", 3]["text"] == "1 (connected)"
    assert found["0-0:1.0.0*255", 4]["error"] == "read-write-denied"
    assert ("0-0:128.0.0*255", 3) not in found and ("0-0:40.0.0*255", 5) not in found  # may be methods
    assert (meter.gets < 16) == (client == 1)


def test_writing_calling_and_a_profile(ami: Ami, meter: Meter, port: int) -> None:
    written = ami.run("write", "1-0:1.8.0", "value", 5, "--json", *where(port)).ok().json
    assert (written["before"], written["after"]) == ("123456", "5")
    called = ami.run("invoke", "0-0:96.3.10", "remote_disconnect", "--yes", *where(port)).ok()
    assert "success" in called.out
    rows = ami.run("profile", "1-0:99.1.0", "--json", *where(port)).ok().json["rows"]
    assert rows == [["2026-01-15T12:00:00+00:00", "12345.6"]]
    assert "2026-01-15T12:00:00" in ami.run("clock", *where(port)).ok().out


def test_a_new_secret_is_hidden(ami: Ami, port: int) -> None:
    secret = ("0-0:40.0.0", 5, "text:swordfish", "--class", 12, "--type", "octet-string")
    result = ami.run("invoke", *secret, "-v", *where(port))
    assert b"swordfish".hex().upper() not in "".join(result.err.split()) and "not shown" in result.err


def test_what_has_no_short_name(ami: Ami, port: int) -> None:
    missing = ami.run("read", "1-0:2.8.0", 2, "--class", 3, *where(port))
    assert missing.code == 1 and "object-undefined" in missing.err
    model = ami.run("scan", "--save-model", "never.toml", *where(port))
    assert model.code == 2 and "short names" in model.err


def test_logical_names_where_the_meter_has_short_ones(ami: Ami, port: int) -> None:
    without = [one for one in where(port) if one != "--short-names"]
    refused = ami.run("read", "1-0:1.8.0", 2, *without)
    assert refused.code == 5 and "--short-names" in refused.err
