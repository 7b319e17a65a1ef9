"""One parser of [[meters]]: which words it knows, what it refuses, and that all programs mean the same by an entry."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from ami_cli.meter.errors import MeterError
from ami_cli.meter.registry import read_entry
from ami_dlms.association import Ciphering, ClientSettings, vocabulary
from ami_dlms.enums import Mechanism
from ami_dlms.errors import LocalError
from ami_dlms.security import PrivateKey
from ami_hes.meters.registry import Registry
from ami_meter_sim.settings import Settings
from ami_process.secret_sources import SecretSources
from ami_registry import EntryError, client_settings, format_meter, parse_meter

OURS, THE_METERS = PrivateKey(bytes(31) + b"\x07"), PrivateKey(bytes(31) + b"\x09")
TITLE = bytes.fromhex("414D490000000001")


def entry(**changes: Any) -> dict[str, Any]:
    return {
        "name": "M1",
        "mrid": "42932298-b7b6-415e-a2d2-c34197bed259",
        "address": "[::1]:4061",
        "encryption_key": "00" * 16,
        "authentication_key": "11" * 16,
        "secret": "text:SWORDFISH",
        "system_title": "414D4900000003E9",
        "logical_device_name": "AMI0000000001001",
        "device_id": "1001",
    } | changes


def settings_of(table: dict[str, Any]) -> ClientSettings:
    (meter,) = Registry([table], resolve=SecretSources({})).meters
    return client_settings(meter, TITLE)


@pytest.mark.parametrize("mechanism", [one for one in Mechanism if one not in (Mechanism.HIGH, Mechanism.UNKNOWN)])
@pytest.mark.parametrize("ciphering", [None, *Ciphering])
def test_every_mechanism_and_ciphering_of_the_core_has_a_word(
    mechanism: Mechanism, ciphering: Ciphering | None
) -> None:
    words = vocabulary.format_mechanism(mechanism), vocabulary.format_ciphering(ciphering)
    assert (vocabulary.parse_mechanism(words[0]), vocabulary.parse_ciphering(words[1])) == (mechanism, ciphering)
    signing = {"signing_key": OURS.octets.hex(), "meter_signing_key": THE_METERS.public_key.octets.hex(), "suite": 1}
    found = settings_of(entry(authentication=words[0], ciphering=words[1], **signing))
    assert found.mechanism is mechanism
    ciphered = found.security is not None and found.security.ciphered
    assert ciphered == (ciphering is not None and mechanism is not Mechanism.LOWEST)
    if ciphered:
        assert found.security is not None and found.security.ciphering is ciphering


def test_hls_of_a_manufacturer_has_no_word() -> None:
    with pytest.raises(LocalError, match="no word"):
        vocabulary.format_mechanism(Mechanism.HIGH)


@pytest.mark.parametrize(("suite", "octets"), [(0, 16), (1, 16), (2, 32)])
def test_every_suite(suite: int, octets: int) -> None:
    keys = {"encryption_key": "22" * octets, "authentication_key": "33" * octets}
    found = settings_of(entry(suite=suite, **keys))
    assert found.security is not None and found.security.suite == suite


@pytest.mark.parametrize(
    ("changes", "field", "problem"),
    [
        ({"authentication": "hls-ecdsa"}, "suite", "needs suite 1 or 2"),
        ({"authentication": "hls-ecdsa", "suite": 1}, "signing_key", "is missing"),
        ({"authentication": "hls-ecdsa", "suite": 1, "signing_key": OURS.octets.hex()}, "meter_signing_key", "missing"),
        ({"signing_key": "SWORDFISH"}, "signing_key", "hexadecimal"),
        ({"signing_key": "00" * 32}, "signing_key", "range of the curve"),
        ({"meter_signing_key": "01" * 64}, "meter_signing_key", "point of the curve"),
        ({"signing_key": OURS.octets.hex(), "suite": 2, "encryption_key": "00" * 32, "authentication_key": "11" * 32}, "signing_key", "of suite 1"),
        ({"authentication": "hls-sha256", "secret": ""}, "secret", "is missing"),
        ({"public_client": "no"}, "public_client", "true or false"),
        ({"public_client": False, "address": "dials-in"}, "public_client", "dials in"),
        ({"address": "host:\u0664"}, "address", "host:port"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together(changes: dict[str, Any], field: str, problem: str) -> None:
    with pytest.raises(EntryError, match=rf"^\[\[meters\]\] entry 1 \(M1\), {field}: .*{problem}") as refusal:
        settings_of(entry(**changes))
    assert "SWORDFISH" not in str(refusal.value) and OURS.octets.hex() not in str(refusal.value)


@pytest.mark.parametrize("field", ["name", "mrid", "device_id", "usage_points", "tags"])
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("M\x001", "printable"),
        ("M\x1b[2J1", "printable"),
        ("M\n1", "printable"),
        ("M\ud8001", "printable"),
        ("M" * 1001, "at most 1000 characters"),
    ],
)
def test_a_text_that_no_message_can_have_is_refused(field: str, text: str, problem: str) -> None:
    shaped = {"usage_points": [text], "tags": {"feeder": text}}
    with pytest.raises(EntryError, match=rf"^\[\[meters\]\] entry 1.*, {field}: .*{problem}") as refusal:
        parse_meter(1, entry(**{field: shaped.get(field, text)}), SecretSources({}))
    assert str(refusal.value).isprintable() and len(str(refusal.value)) < 1_500


def test_all_programs_mean_the_same_by_an_entry(tmp_path: Path) -> None:
    table = entry(authentication="hls-sha256", ciphering="general-ciphering", invocation_counter="0-0:43.1.2")
    path = tmp_path / "ami.toml"
    path.write_text(tomli_w.dumps({"meters": [table | {"simulated": {}}]}))
    (ours,) = Registry([table], resolve=SecretSources({})).meters
    simulated = Settings.load(path).meters[0]
    by_hand = read_entry(path, None, environ={})
    assert simulated.meter == ours == parse_meter(1, table, SecretSources({}))
    assert simulated.listens_on == "[::1]:4061"
    assert (by_hand.reach.host, by_hand.reach.port) == ours.address
    found = by_hand.identity.settings(TITLE, None, bytes)
    wanted = client_settings(ours, TITLE)
    for name in ("client_wport", "server_wport", "mechanism", "secret"):
        assert getattr(found, name) == getattr(wanted, name)
    assert found.security is not None and wanted.security is not None
    for name in ("keys", "suite", "ciphering", "peer_system_title", "ciphered"):
        assert getattr(found.security, name) == getattr(wanted.security, name)


@pytest.mark.parametrize("suffix", [".json", ".csv"])
def test_one_meter_of_a_shipment_file_is_a_target_as_an_entry_is(tmp_path: Path, suffix: str) -> None:
    table = entry(ciphering="general-ciphering")
    other = {"name": "another", "model": "minimal", "feeder": "S1-F1"}
    path, config = tmp_path / f"shipment{suffix}", tmp_path / "ami.toml"
    config.write_text(tomli_w.dumps({"meters": [table]}))
    rows = [other, table]
    if suffix == ".json":
        path.write_text(json.dumps({"format": 1, "meters": rows}))
    else:
        cells = [row | {"usage_points": ";".join(row.get("usage_points", []))} for row in rows]
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, sorted(set().union(*cells)))
            writer.writeheader()
            writer.writerows(cells)
    assert read_entry(path, table["name"], environ={}) == read_entry(config, None, environ={})


def test_a_choice_among_many_meters_names_a_few(tmp_path: Path) -> None:
    path = tmp_path / "shipment.json"
    path.write_text(json.dumps({"format": 1, "meters": [{"name": f"M{number}"} for number in range(1000)]}))
    with pytest.raises(MeterError) as told:
        read_entry(path, None, environ={})
    assert told.value.hint == "give --meter with one of M0, M1, M2, M3, M4 and 995 more"


@pytest.mark.parametrize(
    ("content", "problem"),
    [("{", "not JSON"), ('{"format": 7}', "format 7 is not 1"), ('{"format": 1}', "meters is not a list")],
)
def test_a_shipment_that_is_none_is_a_sentence(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "shipment.json"
    path.write_text(content)
    with pytest.raises(MeterError, match=problem):
        read_entry(path, None, environ={})


def test_a_misspelt_section_is_refused_by_the_simulator_too(tmp_path: Path) -> None:
    path = tmp_path / "ami.toml"
    path.write_text("[meter_simulator]\n")
    with pytest.raises(Exception, match="unknown section or key 'meter_simulator'"):
        Settings.load(path)


def sub_meter(**changes: Any) -> dict[str, Any]:
    return {
        "name": "G1",
        "mrid": "42932298-b7b6-415e-a2d2-c34197bed25a",
        "usage_points": ["UP-G1"],
        "behind": "M1",
        "channel": 2,
        "identification": "00123456",
        "manufacturer": "ELS",
        "tags": {"feeder": "F1"},
    } | changes


def test_a_sub_meter_is_found_by_its_names_and_has_no_way_of_its_own() -> None:
    registry = Registry([entry(), sub_meter()], resolve=SecretSources({}))
    found = registry.find_by_usage_point("UP-G1")
    assert found is not None and (found.behind, found.channel, found.place) == ("M1", 2, "channel 2 of M1")
    assert registry.find_by_logical_device_name("") is None
    assert [one.name for one in registry.members("feeder", "F1")] == ["G1"]
    registry.remove(format_meter(found).table)
    assert registry.owner("name", "G1") is None
    registry.check(7, sub_meter(mrid="42932298-b7b6-415e-a2d2-c34197bed25b"))


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"address": "h:1"}, "address", "of the meter that it is behind"),
        ({"encryption_key": "00" * 16}, "encryption_key", "of the meter that it is behind"),
        ({"channel": 0}, "channel", "from 1 to 63"),
        ({"identification": "1234567"}, "identification", "eight digits"),
        ({"identification": "1234567\u0661"}, "identification", "eight digits"),
        ({"manufacturer": "els"}, "manufacturer", "three capital letters"),
        ({"behind": "G1"}, "behind", "is the meter itself"),
    ],
)
def test_what_a_sub_meter_can_not_be_is_refused(changes: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(EntryError, match=words) as refused:
        Registry([sub_meter(**changes)], resolve=SecretSources({}))
    assert refused.value.field == field


@pytest.mark.parametrize("missing", ["behind", "channel", "identification", "manufacturer", "mrid"])
def test_a_sub_meter_says_where_and_who_it_is(missing: str) -> None:
    table = sub_meter()
    del table[missing]
    with pytest.raises(EntryError, match="is missing") as refused:
        Registry([table], resolve=SecretSources({}))
    assert refused.value.field == missing


def test_two_sub_meters_are_not_on_one_channel() -> None:
    other = sub_meter(
        name="G2", mrid="42932298-b7b6-415e-a2d2-c34197bed25b", usage_points=[], identification="00000001"
    )
    with pytest.raises(EntryError, match="channel 2 of M1 already belongs to G1"):
        Registry([sub_meter(), other], resolve=SecretSources({}))
    assert len(Registry([sub_meter(), other | {"channel": 3}], resolve=SecretSources({}))) == 2
