"""`ami meter scan` of a meter that is not ours: gurux-dlms in a process and virtual environment of its own, where installed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from meter_bench import AK, EK, PASSWORD, ROOT, Ami, Fleet, free_port, meter

from ami_dlms import data
from ami_dlms.data import Data
from ami_dlms.obis import Obis

PYTHON = ROOT / ".venv" / "interop" / "gurux" / "bin" / "python"
SERVER = ROOT / "tests" / "interop" / "peers" / "gurux_server.py"
TITLE = "4752580000000001"
pytestmark = pytest.mark.needs("gurux-dlms")

OBJECTS: dict[tuple[int, str], dict[int, Data]] = {
    (1, "0-0:42.0.0"): {2: data.octet_string(b"GRX0000000000001")},
    (17, "0-0:41.0.0"): {2: data.array(data.structure(data.long_unsigned(1), data.octet_string(b"GRX0000000000001")))},
    (3, "1-0:1.8.0"): {
        2: data.double_long_unsigned(123456),
        3: data.structure(data.integer(-1), data.enum(30)),
    },
    (70, "0-0:96.3.10"): {2: data.boolean(True), 3: data.enum(1), 4: data.enum(4)},
    (8, "0-0:1.0.0"): {2: data.octet_string(bytes.fromhex("07EA0B1506000000FF000000"))},
}


def object_list() -> Data:
    def rights(numbers: list[int]) -> Data:
        modes = (data.structure(data.integer(one), data.enum(1), data.null()) for one in numbers)
        return data.structure(data.array(*modes), data.array())

    rows = [((15, "0-0:40.0.0"), [1]), *((place, [1, *found]) for place, found in OBJECTS.items())]
    return data.array(
        *(
            data.structure(
                data.long_unsigned(class_id), data.unsigned(0), data.octet_string(Obis.parse(obis)), rights(numbers)
            )
            for (class_id, obis), numbers in rows
        )
    )


def served() -> dict[str, str]:
    """Every attribute by class, name and number, as the peer wants them."""
    found = OBJECTS | {(15, "0-0:40.0.0"): {2: object_list()}}
    values = {
        class_id.to_bytes(2, "big") + Obis.parse(obis) + bytes((number,)): data.encode(value)
        for (class_id, obis), attributes in found.items()
        for number, value in ({1: data.octet_string(Obis.parse(obis))} | attributes).items()
    }
    return {key.hex(): value.hex() for key, value in values.items()}


@contextmanager
def foreign_meter(mechanism: str, **more: object) -> Iterator[int]:
    given = {
        "mechanism": mechanism,
        "secret": PASSWORD.encode().hex(),
        "ciphering": "general-glo",
        "system_title": TITLE,
        "objects": served(),
    }
    command = [str(PYTHON), str(SERVER), json.dumps(given | more)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


KEYED = {"policy": "both", "encryption_key": EK, "authentication_key": AK, "invocation_counter": 10}
WITH_KEYS = ("--ek", EK, "--ak", AK, "--invocation-counter", 100)


@pytest.mark.parametrize(
    ("mechanism", "more", "options"),
    [
        ("none", {}, ()),
        ("LLS", {}, ("--authentication", "lls", "--secret", f"text:{PASSWORD}")),
        ("HLS 5 GMAC", KEYED, ("--authentication", "hls-gmac", *WITH_KEYS)),
        ("HLS 6 SHA-256", KEYED, ("--authentication", "hls-sha256", "--secret", f"text:{PASSWORD}", *WITH_KEYS)),
    ],
)
def test_a_scan_of_a_foreign_meter(
    ami: Ami, mechanism: str, more: dict[str, object], options: tuple[object, ...]
) -> None:
    with foreign_meter(mechanism, **more) as port:
        where = ("--host", "127.0.0.1", "--port", port, "--client", 1)
        scanned = ami.run("scan", "--json", *where, *options).ok().json
    assert scanned["logical_devices"] == [{"sap": 1, "name": "GRX0000000000001"}]
    found = {
        (one["obis"], one["attribute"]): one["text"]
        for each in scanned["devices"][0]["objects"]
        for one in each["attributes"]
    }
    assert found["1-0:1.8.0*255", "value"] == "12345.6 Wh"
    assert found["0-0:96.3.10*255", "control_state"] == "1 (connected)"
    assert len(found) == 1 + 2 + 2 + 3 + 4 + 2


def test_a_foreign_meter_saved_as_a_model_is_served_and_scanned_the_same(ami: Ami, tmp_path: Path) -> None:
    """Values and refusals of what is no more than data; clock, switch, SAP assignment and association come to life."""
    registry, saved = tmp_path / "foreign.toml", tmp_path / "saved.toml"
    with foreign_meter("none") as port:
        foreign = {"name": "GRX", "address": f"127.0.0.1:{port}", "authentication": "none", "public_client": False}
        foreign |= {"logical_device_name": "GRX0000000000001", "device_id": "1"}
        registry.write_text(tomli_w.dumps({"meters": [foreign]}))
        first = ami.run("scan", "--json", "--save-model", saved, "--registry", registry, "--meter", "GRX")
    entry = meter(
        "TWIN", 2101, free_port(), authentication="none", public_client=False, simulated={"model": str(saved)}
    )
    with Fleet(tmp_path, [entry]) as served:
        again = Ami(served).on("TWIN", "scan", "--json").ok().json
        switched = Ami(served).on("TWIN", "disconnect", "--yes")
    (before,), (after,) = first.ok().json["devices"], again["devices"]
    assert names(before) == names(after)
    energy = ("1-0:1.8.0*255", "value")
    assert texts(before)[energy] == texts(after)[energy] == "12345.6 Wh"
    assert texts(after)["0-0:96.3.10*255", "control_state"] == "1 (connected)"
    assert switched.code == 1, "the foreign meter gave no right to a method"


def names(device: dict[str, Any]) -> list[tuple[str, int, int]]:
    return sorted((one["obis"], one["class_id"], one["version"]) for one in device["objects"])


def texts(device: dict[str, Any]) -> dict[tuple[str, str], str]:
    return {(one["obis"], one["attribute"]): one["text"] for each in device["objects"] for one in each["attributes"]}
