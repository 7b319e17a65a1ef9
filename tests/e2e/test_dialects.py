"""Two products that speak dialects of their own, on the whole way: their XML to the process of the HES, DLMS to simulated meters, and back.

What is answered is read as each of them reads it, and compared with what the simulator says of the meters over its own API."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

import httpx
import pytest
from asked_meters import IMPORT, QUARTERS, START, STATE, Simulator
from free_ports import free_port
from harness import Receiver, System, system
from lxml import etree
from patience import PATIENCE_S

ABSTRACT, MESSAGE = "http://iec.ch/TC57/2011/abstract", "http://iec.ch/TC57/2011/schema/message"
C4E = "http://iec.ch/TC57/CIM-c4e#"
SOAP = '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>{}</e:Body></e:Envelope>'


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with system(tmp_path_factory.mktemp("dialects")) as one:
        one.config["clock"] = {"mode": "stepped", "start_at": START}
        one.config["meter_sim"]["port"] = free_port()
        for section in ("hes", "meter_sim"):
            one.config[section]["token_file"] = str(one.directory / f"{section}.tokens")
        for meter in one.config["meters"]:
            meter["simulated"] |= {"model": "three-phase", "time_zone_minutes": -60}
        one.config["hes"]["partners"] = [
            {"name": "mdm", "source": "MDM", "dialect": "oracle-adk-cim"},
            {"name": "erp", "source": "C4E", "dialect": "sap-c4e"},
        ]
        yield one.start_together()


@pytest.fixture
def simulator(whole: System) -> Iterator[Simulator]:
    one = Simulator(whole)
    yield one
    one.close()


def header(verb: str, noun: str, source: str, more: str = "") -> str:
    name = str(uuid.uuid4())
    return (
        f"<m:Header><m:Verb>{verb}</m:Verb><m:Noun>{noun}</m:Noun><m:Timestamp>{START.isoformat()}</m:Timestamp>"
        f"<m:Source>{source}</m:Source>{more}<m:MessageID>{name}</m:MessageID><m:CorrelationID>{name}</m:CorrelationID></m:Header>"
    )


def post(whole: System, body: str) -> etree._Element:
    headers = {"Content-Type": "text/xml"}
    answer = httpx.post(
        f"{whole.hes_url}/cim", content=SOAP.format(body), headers=headers, trust_env=False, timeout=PATIENCE_S
    )
    assert answer.status_code == 200, answer.text
    return etree.fromstring(answer.content)[0][0]


def texts(element: etree._Element, name: str) -> list[str]:
    return [one.text or "" for one in element.iter(f"{{*}}{name}")]


def mdm_asks(whole: System, reading_type: str, *meters: str, period: str = "", more: str = "") -> etree._Element:
    devices = "".join(
        f"<EndDevice><Names><name>{one}</name><NameType><name>meterID</name></NameType></Names></EndDevice>"
        for one in meters
    )
    query = (
        f'<GetMeterReadings xmlns="http://iec.ch/TC57/2011/GetMeterReadings#">{devices}'
        f"<ReadingType><Names><name>{reading_type}</name></Names></ReadingType>{period}</GetMeterReadings>"
    )
    return post(
        whole,
        f'<a:Request xmlns:a="{ABSTRACT}" xmlns:m="{MESSAGE}"><a:message>{header("get", "MeterReadings", "MDM", more)}'
        f"<m:Request>{query}</m:Request></a:message></a:Request>",
    )


def test_an_mdm_reads_a_scalar_and_is_told_which_meter_is_none(whole: System, simulator: Simulator) -> None:
    name = whole.config["meters"][0]["name"]
    answer = mdm_asks(whole, IMPORT, name, "M0000")
    assert (answer.tag, answer[0].tag) == (f"{{{ABSTRACT}}}Response", f"{{{ABSTRACT}}}message")
    assert (texts(answer, "Result"), texts(answer, "code")) == (["PARTIAL"], ["2.4"])
    assert [Decimal(one) for one in texts(answer, "value")] == [simulator.value(name, IMPORT)]
    (meter,) = answer.iter("{*}Meter")
    assert texts(meter, "name") == [name, "meterID", "com.company.assets"]


def test_an_mdm_gets_intervals_with_their_periods_at_its_reply_address(whole: System) -> None:
    receiver = Receiver()
    try:
        start, end = START - timedelta(hours=2), START - timedelta(hours=1)
        period = (
            f"<TimeSchedule><scheduleInterval><end>{end.isoformat()}</end><start>{start.isoformat()}</start>"
            "</scheduleInterval></TimeSchedule>"
        )
        more = f"<m:AsyncReplyFlag>true</m:AsyncReplyFlag><m:ReplyAddress>{receiver.url}</m:ReplyAddress>"
        name = whole.config["meters"][1]["name"]
        assert texts(mdm_asks(whole, QUARTERS, name, period=period, more=more), "code") == ["0.3"]
        (octets,) = receiver.wait()
    finally:
        receiver.close()
    answer = etree.fromstring(octets)[0][0]
    assert (answer.tag, texts(answer, "Result")) == (f"{{{ABSTRACT}}}Response", ["OK"])
    (reading,) = answer.iter("{*}MeterReading")
    assert [etree.QName(one).localname for one in reading] == ["Meter", "IntervalBlocks"]
    intervals = list(reading.iter("{*}IntervalReadings"))
    assert len(intervals) == 4
    for one in intervals:
        ends, starts = (datetime.fromisoformat(texts(one, name)[0]) for name in ("end", "start"))
        assert (ends - starts, texts(one, "end")) == (timedelta(minutes=15), texts(one, "timeStamp"))


def operation(number: int, verb: str, noun: str, payload: str) -> str:
    return (
        f"<m:Operation><m:operationId>{number}</m:operationId><m:noun>{noun}</m:noun><m:verb>{verb}</m:verb>"
        f"<m:elementOperation>false</m:elementOperation><m:timesliceOperation>false</m:timesliceOperation>{payload}</m:Operation>"
    )


def test_an_erp_switches_and_reads_in_one_set(whole: System, simulator: Simulator) -> None:
    """Names before the code, as it has them; what is read in between is what the first operation has done."""
    name = whole.config["meters"][0]["name"]
    device = f"<Names><name>{name}</name></Names>"

    def control(code: str) -> str:
        inside = f'<EndDevices>{device}</EndDevices><EndDeviceControlType ref="{code}"/>'
        return f'<EndDeviceControls xmlns="{C4E}"><EndDeviceControl>{inside}</EndDeviceControl></EndDeviceControls>'

    kind = f"<ReadingType><Names><name>{STATE}</name></Names></ReadingType>"
    query = f'<GetMeterReadings xmlns="{C4E}"><EndDevice>{device}</EndDevice>{kind}</GetMeterReadings>'
    before = simulator.value(name, STATE)
    operations = "".join(
        (
            operation(1, "create", "EndDeviceControls", control("3.31.0.23")),
            operation(2, "get", "MeterReadings", query),
            operation(3, "create", "EndDeviceControls", control("3.31.0.18")),
            operation(4, "create", "MeterConfig", f'<MeterConfig xmlns="{C4E}"/>'),
        )
    )
    answer = post(
        whole,
        f'<m:RequestMessage xmlns:m="{MESSAGE}">{header("execute", "OperationSet", "C4E")}'
        f"<m:Payload><m:OperationSet>{operations}</m:OperationSet></m:Payload></m:RequestMessage>",
    )
    found = {number: code for code, number in zip(texts(answer, "code"), texts(answer, "operationId"), strict=False)}
    assert texts(answer, "Result") == ["PARTIAL"] and found["4"] == "1.7"
    (payload,) = answer.iter(f"{{{C4E}}}MeterReadings")
    (value,) = texts(payload, "value")
    assert Decimal(value) != before == simulator.value(name, STATE), "off when it was read, and on again behind it"
