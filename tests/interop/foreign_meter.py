"""`ami conformance run` against a meter made of gurux-dlms, and what is known of its findings: whose they are, and why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agreed import CLIENT_WPORT, KEYS, SERVER_TITLE, for_meter, name_of
from loopback import SERVER_WPORT, stored
from matrix import GMAC, GURUX_METER, Row
from typer.testing import CliRunner

from ami_cli.__main__ import app
from ami_conformance.plan import rows as plan_rows
from ami_dlms import data
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.obis import Obis

OWN_LIST = Obis.parse("0-0:40.0.0*255")
PLAIN = Row(ours="client", peer=GURUX_METER, mechanism="none")
KEYED = Row(ours="client", peer=GURUX_METER, mechanism=GMAC, policy="both", ciphering="general-glo")
VERSIONS = {7: 1, 8: 0, 1: 0, 15: 1}
LAST_ATTRIBUTE = 2
LIBRARY, SCRIPT = "library", "script"
BOTH, ONE = (PLAIN, KEYED), (KEYED,)
NAMED = {BOTH: "both", ONE: "GMAC", (PLAIN,): "none"}


@dataclass(frozen=True, slots=True)
class Known:
    """Why a test fails: in which rows, by whose doing."""

    rows: tuple[Row, ...]
    whose: str
    why: str


STATELESS = "serves whoever asks: it keeps no state of an association"
NO_COUNTER = "looks at no counter of what comes"
NO_TAG = "verifies no tag where text is authenticated and encrypted"
ANEW = "begins its invocation counter anew with every AARQ: initialization vectors come twice"
FINDINGS = {
    "AS-01": Known(BOTH, SCRIPT, STATELESS),
    "AS-02": Known(ONE, SCRIPT, "has one mechanism for all clients, and so no public client"),
    "AS-03": Known(ONE, LIBRARY, ANEW),
    "AS-06": Known(ONE, LIBRARY, "takes a ciphered InitiateRequest in a plain context"),
    "AS-07": Known(BOTH, LIBRARY, "answers a calling invocation id with a responding AE qualifier that is an integer"),
    "AS-08": Known(ONE, LIBRARY, "takes a mechanism without its value"),
    "AS-15": Known(BOTH, LIBRARY, "rejects DLMS version 7 instead of answering with 6"),
    "AS-18": Known(BOTH, SCRIPT, "serves what was not negotiated"),
    "AS-19": Known(BOTH, LIBRARY, "takes a PDU size of 0, no limit, for too small a one"),
    "AS-24": Known(BOTH, SCRIPT, STATELESS),
    "AS-28": Known((PLAIN,), LIBRARY, "knows one client a connection, and crashes on the second"),  # no public client
    "AS-30": Known(ONE, SCRIPT, STATELESS),
    "AS-31": Known(ONE, SCRIPT, STATELESS),
    "AS-32": Known(ONE, LIBRARY, "takes challenges of any length"),
    "BT-02": Known(BOTH, SCRIPT, "sends the next block whatever number is confirmed"),
    "BT-03": Known(BOTH, SCRIPT, "crashes on a next block of no transfer"),
    "C8-01": Known(BOTH, SCRIPT, "holds a clock of twelve zeros"),
    "WR-04": Known(BOTH, SCRIPT, "is the logical device of every port"),
    "WR-05": Known(BOTH, SCRIPT, "serves whoever asks: it has no list of clients"),
    "SE-02": Known(ONE, LIBRARY, NO_COUNTER),
    "SE-03": Known(ONE, LIBRARY, NO_COUNTER),
    "SE-04": Known(ONE, LIBRARY, NO_COUNTER),
    "SE-06": Known(ONE, LIBRARY, NO_TAG),
    "SE-07": Known(ONE, LIBRARY, NO_TAG),
    "SE-08": Known(ONE, SCRIPT, "asks for no protection of requests"),
    "SE-09": Known(ONE, LIBRARY, "does not compare the suite of a request with its own"),
    "SE-10": Known(ONE, LIBRARY, ANEW),
    "SE-11": Known(ONE, LIBRARY, "crashes on a request under the dedicated key"),
    "SE-15": Known(ONE, LIBRARY, "takes another system title within a session"),
    "SV-04": Known(BOTH, SCRIPT, "answers services that it does not have with an empty APDU"),
    "SV-15": Known(BOTH, SCRIPT, "says success to every method"),
}


def expected(row: Row) -> set[str]:
    """The tests that are known to fail."""
    return {test for test, known in FINDINGS.items() if row in known.rows}


def section() -> str:
    """What the page of sessions says of it."""
    plan = plan_rows()
    lines = [
        f"| {test} | {plan[test].title} | {NAMED[known.rows]} | {known.whose} | {known.why} |"
        for test, known in FINDINGS.items()
    ]
    return SECTION + "\n".join(lines) + "\n\n"


SECTION = """## A conformance run against gurux-dlms as a meter

`ami conformance run --allow s1` ([test-a-meter](howto/test-a-meter.md)) against `tests/interop/peers/gurux_server.py`, once without security and
once with HLS 5 GMAC, authenticated and encrypted. Each test that fails stands here, and no other does
(`tests/interop/test_conformance.py`): what is the library's doing, and what that of the script, which serves a few objects by hand and is no
meter. "none" is without security, "both" with and without it.

| test | about | in | by the | which |
|---|---|---|---|---|
"""


def objects() -> dict[str, str]:
    """Those of the loopback server, with their names and a list of them."""
    values = stored()
    for one in list(values):
        values[AttributeDescriptor(one.class_id, one.instance_id, 1)] = data.octet_string(one.instance_id)
    own = [AttributeDescriptor(15, OWN_LIST, number) for number in (1, 2)]
    values[own[0]] = data.octet_string(OWN_LIST)
    names = sorted({(one.class_id, bytes(one.instance_id)) for one in values})
    values[own[1]] = data.array(*(_line(class_id, name) for class_id, name in names))
    return {name_of(descriptor): data.encode(value).hex() for descriptor, value in values.items()}


def _line(class_id: int, name: bytes) -> data.Data:
    rights = [
        data.structure(data.integer(number), data.enum(1), data.null()) for number in range(1, LAST_ATTRIBUTE + 1)
    ]
    return data.structure(
        data.long_unsigned(class_id),
        data.unsigned(VERSIONS[class_id]),
        data.octet_string(name),
        data.structure(data.array(*rights), data.array()),
    )


def given(row: Row) -> Mapping[str, Any]:
    """What the peer's script is started with."""
    return {**for_meter(row), "objects": objects()}


def conformance_run(row: Row, port: int, directory: Path) -> dict[str, Any]:
    """The report of a run with S0 and S1."""
    report = directory / "report.json"
    words = ["--host", "127.0.0.1", "--port", str(port), "--client", str(CLIENT_WPORT), "--server", str(SERVER_WPORT)]
    words += ["--allow", "s1", "--silence", "0.4", "--timeout", "3", "--patience", "1"]
    words += ["--json", str(report), "--journal", str(directory / "journal.jsonl")]
    environment = {"AMI_METER_COUNTERS": str(directory / "counters.json")}
    if row is KEYED:
        words += [
            "--authentication",
            "hls-gmac",
            "--ek",
            KEYS.encryption_key.hex(),
            "--ak",
            KEYS.authentication_key.hex(),
        ]
        words += ["--invocation-counter", "1000", "--meter-title", SERVER_TITLE.hex()]
    result = CliRunner(env=environment).invoke(app, ["conformance", "run", *words])
    assert report.exists(), result.output
    found: dict[str, Any] = json.loads(report.read_text("utf-8"))
    return found
