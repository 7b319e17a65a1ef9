"""scan: everything a meter shows; and a scan saved as a model, served by meter-sim, is scanned once more the same."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from meter_bench import Ami, Fleet, free_port, meter

from ami_dlms import data
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import DataAccessResult
from ami_dlms.obis import Obis
from ami_meter_sim.objects.model_files import load_model
from ami_packs.document import ModelError
from ami_packs.model import MANAGEMENT
from ami_packs.model_files import model_text

MOVING = {
    ("0-0:1.0.0*255", 2),
    ("0-0:43.1.0*255", 2),
    ("0-0:43.1.1*255", 2),
    ("0-0:43.0.0*255", 4),
}
"""What is another value at every look: time, invocation counters, and who asks."""
LOAD = "1-0:99.1.0"
CAPTURES = {(f"{LOAD}*255", 2), (f"{LOAD}*255", 7)}
"""What becomes more when a quarter of an hour is over."""


def flat(scanned: Any) -> dict[tuple[str, int], tuple[Any, ...]]:
    """Attributes of a scan by object and number, without what moves."""
    return {
        (one["obis"], one["attribute_id"]): (one["class_id"], one["version"], one["access"], one["a_xdr"], one["error"])
        for device in scanned["devices"]
        for each in device["objects"]
        for one in each["attributes"]
        if (one["obis"], one["attribute_id"]) not in MOVING
    }


def differing(one: Any, other: Any) -> dict[tuple[str, int], Any]:
    """What two scans show differently, or only one of them."""
    left, right = flat(one), flat(other)
    return {place: (left.get(place), right.get(place)) for place in left | right if left.get(place) != right.get(place)}


def methods(scanned: Any) -> dict[str, Any]:
    return {each["obis"]: each["methods"] for device in scanned["devices"] for each in device["objects"]}


def test_everything_with_names_units_and_rights(ami: Ami) -> None:
    scanned = ami.on("GMAC", "scan", "--json").ok().json
    assert scanned["logical_devices"] == [{"sap": 1, "name": "AMI0000000001001"}]
    [device] = scanned["devices"]
    assert device["error"] is None and device["system_title"] == "414D4900000003E9" and "GET" in device["conformance"]
    assert len(device["objects"]) == 18
    found = {(one["obis"], one["attribute"]): one for each in device["objects"] for one in each["attributes"]}
    energy = found["1-0:1.8.0*255", "value"]
    assert energy["unit"] == "Wh" and energy["quantity"] == str(energy["value"]) and "energy" in energy["name"]
    secret = found["0-0:40.0.0*255", "secret"]
    assert (secret["access"], secret["value"], secret["error"]) == ("–", None, None)
    assert found["0-0:40.0.0*255", "authentication_mechanism_name"]["text"] == "2.16.756.5.8.2.5 (gmac)"
    assert {"method_id": 1, "access": "call"} in methods(scanned)["0-0:96.3.10*255"]


def test_the_public_client_sees_less(ami: Ami) -> None:
    shown = ami.at("GMAC", "scan").ok().out
    assert "Logical device 1: 6 objects" in shown and "1-0:1.8.0" not in shown and "AMI0000000001001" in shown


def test_csv_has_a_row_an_attribute(ami: Ami) -> None:
    rows = ami.on("LLS", "scan", "--csv", "--skip-buffers").ok().csv
    assert len(rows) > 70 and {row["logical_device"] for row in rows} == {"1"}
    buffers = [row for row in rows if row["attribute"] == "buffer"]
    assert len(buffers) == 2 and all("skip-buffers" in row["note"] and not row["a_xdr"] for row in buffers)


def test_all_logical_devices(ami: Ami) -> None:
    scanned = ami.on("FIRST", "scan", "--all-devices", "--skip-buffers", "--json").ok().json
    assert scanned["logical_devices"] == [
        {"sap": 1, "name": "AMI0000000001008"},
        {"sap": 2, "name": "AMI0000000001009"},
    ]
    assert [device["sap"] for device in scanned["devices"]] == [1, 2]
    assert [len(device["objects"]) for device in scanned["devices"]] == [18, 18]


@pytest.mark.parametrize("kind", ["GMAC", "CLEAR"])
def test_a_saved_model_is_served_and_scanned_the_same(ami: Ami, tmp_path: Path, kind: str) -> None:
    ami.on(kind, "disconnect", "--yes").ok()
    ami.on(kind, "connect", "--yes").ok()
    saved = tmp_path / "saved.toml"
    first = ami.on(kind, "scan", "--json", "--save-model", saved).ok()
    assert f"saved {saved}" in first.err
    entry = ami.fleet.entries[kind] | {"address": f"127.0.0.1:{free_port()}", "simulated": {"model": str(saved)}}
    with Fleet(tmp_path, [entry]) as served:
        again = Ami(served).on(kind, "scan", "--json").ok().json
        assert differing(again, first.json).keys() <= CAPTURES and methods(again) == methods(first.json)
        assert again["logical_devices"] == first.json["logical_devices"]
        Ami(served).on(kind, "disconnect", "--yes").ok()
        [events] = [Ami(served).on(kind, "profile", "0-0:99.98.2", "--json").ok().json]
        before = [one for one in first.json["devices"][0]["objects"] if one["obis"] == "0-0:99.98.2*255"]
        rows = next(one for one in before[0]["attributes"] if one["attribute"] == "buffer")["value"]
        assert len(events["rows"]) >= len(rows)


def load_rows() -> list[Data]:
    """Three quarters of an hour: time, status, import, export."""

    def at(quarter: int) -> Data:
        return data.octet_string(CosemDateTime(2026, 1, 1, 4, 0, 15 * quarter, 0, 0, 0, 0).encode())

    return [
        data.structure(at(quarter), data.unsigned(0), data.double_long_unsigned(wh), data.double_long_unsigned(0))
        for quarter, wh in enumerate((1000, 1250, 1250))
    ]


MAIL = {"2": "120019", "4": data.encode(data.octet_string(b"swordfish")).hex()}


def strange_model(directory: Path) -> Path:
    """A model with what no residential model has: classes without code, refusals, other rights, wide versions."""
    model = tomllib.loads(model_text("residential"))
    value = data.encode(data.array(data.structure(data.octet_string(b"week"), data.unsigned(7)))).hex()
    name = {"1": data.encode(data.octet_string(bytes((0, 0, 13, 0, 0, 255)))).hex()}
    calendar = {
        "obis": "0-0:13.0.0",
        "class_id": 20,
        "version": 0,
        "name": "activity calendar",
        "source": "test",
        "static": True,
        "attributes": name | {"2": "0a0141", "3": value},
        "errors": {"4": "temporary-failure"},
        "listed": {"attributes": [1, 2, 3, 4, 9, -1], "methods": [1]},
        "selectors": {"3": [2]},
        "management": {
            "read": [1, 2, 3, 4],
            "write": [2],
            "methods": [1],
            "modes": {"2": 6, "3": 4},
            "method_modes": {"1": 2},
        },
    }
    load = next(one for one in model["objects"] if one["obis"] == LOAD)
    load |= {"capture_period": 0, "rows": [data.encode(row).hex() for row in load_rows()]}  # nothing captures on
    limiter = calendar | {"obis": "0-0:17.0.0", "class_id": 9971, "version": 200}
    mail = calendar | {"obis": "0-0:25.5.0", "class_id": 46, "errors": {}, "selectors": {}, "attributes": name | MAIL}
    mail |= {"listed": {"attributes": [1, 2, 4], "methods": []}, "management": {"read": [1, 2, 4]}}
    model["objects"] += [calendar, limiter, mail]
    path = directory / "strange.toml"
    path.write_text(tomli_w.dumps(model))
    return path


def test_classes_without_code_are_served_as_they_were_scanned(tmp_path: Path, ami: Ami) -> None:
    model, saved = strange_model(tmp_path), tmp_path / "saved.toml"
    entry = meter("ODD", 2001, free_port(), authentication="none", simulated={"model": str(model)})
    with Fleet(tmp_path, [entry]) as served:
        odd = Ami(served)
        first = odd.on("ODD", "scan", "--json", "--save-model", saved).ok().json
        table = odd.on("ODD", "scan").ok().out
        assert "a secret, not shown" in table and b"swordfish".hex().upper() not in table + saved.read_text()
        load = odd.on("ODD", "profile", LOAD, "--json").ok().json["rows"]
        assert [row[2] for row in load] == ["1000", "1250", "1250"] and load[2][0] == "2026-01-01T00:30:00+00:00"
        assert "temporary-failure" in table and "1 refused" not in table and "2 refused" in table
        assert "activity_calendar v0" in table and "class 9971 v200" in table and "rw, authenticated" in table
        assert odd.on("ODD", "write", "0-0:13.0.0", "2", "hello", "--type", "visible-string").ok()
        assert "hello" in odd.on("ODD", "read", "0-0:13.0.0", "2", "--class", 20).ok().out
        wrong = odd.on("ODD", "write", "0-0:13.0.0", "2", "1", "--type", "unsigned", "--class", 20)
        assert wrong.code == 1 and "type-unmatched" in wrong.err
        method = odd.on("ODD", "invoke", "0-0:13.0.0", "1")
        assert method.code == 1 and "object-unavailable" in method.out
    entry = entry | {"address": f"127.0.0.1:{free_port()}", "simulated": {"model": str(saved)}}
    (tmp_path / "again").mkdir()
    with Fleet(tmp_path / "again", [entry]) as served:
        again = Ami(served).on("ODD", "scan", "--json").ok().json
        assert Ami(served).on("ODD", "profile", LOAD, "--json").ok().json["rows"] == load
        assert "read-write-denied" in Ami(served).on("ODD", "read", "0-0:25.5.0", 4).out
    assert (differing(again, first), methods(again)) == ({}, methods(first))


def test_a_scan_without_an_association_shows_nothing(tmp_path: Path, ami: Ami) -> None:
    entry = meter("SLOW", 2002, free_port(), authentication="none", simulated={"answer_delay_s": 0.5})
    with Fleet(tmp_path, [entry]) as served:
        nothing = Ami(served).on("SLOW", "scan", "--timeout", 0.1)
        assert nothing.code == 4 and "--timeout" in nothing.err and nothing.out == ""


def test_a_model_file_that_can_not_be_written(ami: Ami, tmp_path: Path) -> None:
    result = ami.on("CLEAR", "scan", "--skip-buffers", "--save-model", tmp_path / "no" / "where.toml")
    assert result.code == 2 and "can't be written" in result.err


def test_a_saved_model_as_the_loader_sees_it(tmp_path: Path) -> None:
    model = load_model(str(strange_model(tmp_path)))
    described = model.objects[20, Obis.parse("0-0:13.0.0")]
    assert described.static and described.errors == {4: DataAccessResult.TEMPORARY_FAILURE}
    rights = model.rights[MANAGEMENT]
    assert rights.attribute(AttributeDescriptor(20, described.obis, 2)) == 3
    assert rights.attribute(AttributeDescriptor(20, described.obis, 9)) == 0


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[objects.listed]", "[objects.listing]"),
        ('"temporary-failure"', '"bad-mood"'),
        ("0a0141", "0a0241"),
        ("0a0141", "zz"),
    ],
)
def test_models_that_can_not_be_served(tmp_path: Path, old: str, new: str) -> None:
    path = strange_model(tmp_path)
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ModelError, match="strange"):
        load_model(str(path))
