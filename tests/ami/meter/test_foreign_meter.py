"""`ami meter scan` of a meter that is not ours: gurux-dlms in a process and virtual environment of its own, where installed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from meter_bench import AK, EK, PASSWORD, ROOT, Ami

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
