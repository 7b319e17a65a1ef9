"""A second noun on its whole way: SOAP to the process of the HES, DLMS to a simulated meter, and back as a payload that is valid.

Who asks knows no more of it than its XML. The HES is the one of this repository with the noun added as production code would be
(`second_noun_tree`); what that costs, and that nothing else was touched, is counted.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from free_ports import free_port
from harness import Receiver, System, system
from lxml import etree
from patience import PATIENCE_S
from second_noun_tree import ADDED, GENERATED, ROWS, added, build, changed, lines

ENERGY, NOT_THERE = "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0", "0.0.0.1.1.1.12.0.0.0.0.0.0.0.128.3.72.0"
START = datetime(2026, 1, 15, 12, tzinfo=UTC)
ENVELOPE = """\
<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>
<RequestMessage xmlns="http://iec.ch/TC57/2011/schema/message">
<Header><Verb>get</Verb><Noun>MeterAssetReading</Noun><Timestamp>2026-01-15T12:00:00Z</Timestamp><Source>stranger</Source>{late}
<MessageID>{message_id}</MessageID><CorrelationID>{message_id}</CorrelationID></Header>
<Request><GetMeterAssetReading xmlns="http://iec.ch/TC57/2011/GetMeterAssetReading#">{devices}
<ReadingType><mRID>{reading_type}</mRID></ReadingType></GetMeterAssetReading></Request>
</RequestMessage></e:Body></e:Envelope>"""
PAYLOAD = "{http://iec.ch/TC57/2011/MeterAssetReading#}MeterAssetReading"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("second_noun"))


@pytest.fixture(scope="module")
def whole(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with system(tmp_path_factory.mktemp("whole")) as one, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tree))
        one.config["clock"] = {"mode": "stepped", "start_at": START}  # so that a register stays as it is
        one.config["meter_sim"]["port"] = free_port()
        for section in ("hes", "meter_sim"):
            one.config[section]["token_file"] = str(one.directory / f"{section}.tokens")
        yield one.start_together()


def ask(whole: System, *mrids: str, reading_type: str = ENERGY, message_id: str = "", late: str = "") -> etree._Element:
    devices = "".join(f"<EndDevice><mRID>{mrid}</mRID></EndDevice>" for mrid in mrids)
    body = ENVELOPE.format(
        devices=devices, reading_type=reading_type, message_id=message_id or str(uuid.uuid4()), late=late
    )
    answer = httpx.post(
        f"{whole.hes_url}/cim/GetMeterAssetReading",
        content=body,
        headers={"Content-Type": "text/xml"},
        trust_env=False,
        timeout=PATIENCE_S,
    )
    assert answer.status_code == 200, answer.text
    return etree.fromstring(answer.content)


def found(answer: etree._Element, name: str) -> list[str]:
    return [one.text or "" for one in answer.iter(f"{{*}}{name}")]


def readings(tree: Path, answer: etree._Element) -> dict[str, str]:
    """The value of each meter, out of the one payload, which the noun's schema takes."""
    (payload,) = answer.iter(PAYLOAD)
    etree.XMLSchema(file=str(tree / "ami_cim/schemas/xsd/MeterAssetReading.xsd")).assertValid(payload)
    return {
        one.findtext("{*}Meter/{*}mRID") or "": one.findtext("{*}Readings/{*}value") or ""
        for one in payload.iterfind("{*}MeterReading")
    }


def read_by_hand(whole: System, name: str) -> float:
    """What the meter itself says to another client."""
    arguments = ("meter", "read", "1-0:1.8.0", "value", "--json", "--registry", str(whole.directory / "meters.toml"))
    done = subprocess.run(
        [sys.executable, "-m", "ami_cli", *arguments, "--meter", name],
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        | {"AMI_METER_COUNTERS": str(whole.directory / "counters.json")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (quantity,) = re.findall(r'"quantity": "([0-9.]+)"', done.stdout)
    return float(quantity)


def test_registers_are_read_and_come_back_as_a_valid_payload(whole: System, tree: Path) -> None:
    mrids = [one["mrid"] for one in whole.config["meters"]]
    answer = ask(whole, *mrids, message_id="r-1")
    assert (found(answer, "Verb"), found(answer, "Noun"), found(answer, "Result")) == (
        ["reply"],
        ["MeterAssetReading"],
        ["OK"],
    )
    values = readings(tree, answer)
    assert values.keys() == set(mrids)
    assert float(values[mrids[0]]) == read_by_hand(whole, whole.config["meters"][0]["name"]) > 0
    assert etree.tostring(ask(whole, *mrids, message_id="r-1")) == etree.tostring(answer), "the same message again"
    assert whole.hes is not None
    (accepted,) = whole.hes.wait_for_some("request_accepted", 1)
    assert (accepted["verb"], accepted["noun"], accepted["summary"]) == ("get", "MeterAssetReading", ENERGY)
    done = whole.hes.wait_for("meter_done", message_id="r-1", meter=whole.config["meters"][0]["name"])
    assert (done["operation"], done["ok"]) == ("read_register", True)
    assert done["details"] == {"obis": "1-0:1.8.0*255", "value": values[mrids[0]]}


def test_an_unknown_meter_is_one_error_and_the_others_are_read(whole: System, tree: Path) -> None:
    known, unknown = whole.config["meters"][0]["mrid"], str(uuid.uuid4())
    answer = ask(whole, unknown, known)
    assert (found(answer, "Result"), found(answer, "code")) == (["PARTIAL"], ["2.4"])
    assert readings(tree, answer).keys() == {known}


def test_a_register_that_is_not_there_fails_and_no_switching_is_spoken_of(whole: System) -> None:
    answer = ask(whole, whole.config["meters"][0]["mrid"], reading_type=NOT_THERE)
    assert (found(answer, "Result"), found(answer, "code"), list(answer.iter(PAYLOAD))) == (["FAILED"], ["5.3"], [])
    (reason,) = found(answer, "reason")
    assert "no such object" in reason and "switched" not in reason and "control" not in reason


def test_a_late_answer_has_its_payload_too(whole: System, tree: Path) -> None:
    receiver = Receiver()
    try:
        mrid = whole.config["meters"][0]["mrid"]
        late = f"<AsyncReplyFlag>true</AsyncReplyFlag><ReplyAddress>{receiver.url}</ReplyAddress>"
        assert found(ask(whole, mrid, late=late), "code") == ["0.3"]
        (delivered,) = receiver.wait()
        assert readings(tree, etree.fromstring(delivered)).keys() == {mrid}
    finally:
        receiver.close()


def test_it_costs_five_files_and_a_hundred_and_twenty_lines_at_most(tree: Path) -> None:
    """The schemas of the payload and of the query are counted beside the code; nothing else differs from the packages."""
    code = {path for path in added() if path.endswith(".py")} | ROWS.keys()
    schemas = {path for path in added() if path.endswith(".xsd")}
    assert changed(tree) == code | schemas | GENERATED
    assert len(code) <= 5 and len(schemas) <= 2
    costs = {path: lines(path) for path in code}
    assert costs["ami_cim/payloads/meter_asset_reading.py"] <= 60
    assert sum(costs.values()) <= 120, costs


def test_its_modules_use_nothing_of_jobs_store_engine_and_inbox() -> None:
    rooms = ("ami_hes.jobs", "ami_hes.store", "ami_hes.engine", "ami_hes.inbox")
    for path in added():
        text = (ADDED / path).read_text()
        assert not [room for room in rooms if room in text]
