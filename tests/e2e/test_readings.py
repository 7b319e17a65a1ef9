"""GetMeterReadings on its whole way: SOAP to the process of the HES, DLMS to simulated three-phase meters, and back as a payload.

Who asks knows no more of it than its XML. What the meters say by DLMS is compared, value by value, with what the simulator says of
them over its own API, where no association and no fault is in between.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from answered_readings import PAYLOAD, found, values
from asked_meters import (
    EXPORT,
    IMPORT,
    NO_TYPE,
    NOT_IN_METER,
    NOT_SERVED,
    POWER,
    QUARTERS,
    START,
    STATE,
    VOLTAGE,
    Simulator,
    running,
)
from free_ports import free_port
from harness import Receiver, System, system
from lxml import etree
from patience import PATIENCE_S
from stranger import CONNECT, DISCONNECT, Stranger, by_mrid

from ami_mapping.reading_types import ReadingType

ENVELOPE = """\
<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>
<RequestMessage xmlns="http://iec.ch/TC57/2011/schema/message">
<Header><Verb>get</Verb><Noun>MeterReadings</Noun><Timestamp>2026-01-15T12:00:00Z</Timestamp><Source>stranger</Source>{late}
<MessageID>{message_id}</MessageID><CorrelationID>{message_id}</CorrelationID></Header>
<Request>{request}</Request>
</RequestMessage></e:Body></e:Envelope>"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with running(tmp_path_factory.mktemp("readings")) as one:
        yield one


@pytest.fixture
def moved(tmp_path: Path) -> Iterator[System]:
    """One whose clocks are moved."""
    with running(tmp_path) as one:
        yield one


@pytest.fixture
def simulator(whole: System) -> Iterator[Simulator]:
    one = Simulator(whole)
    yield one
    one.close()


def post(whole: System, request: str, *, late: str = "", message_id: str = "") -> etree._Element:
    body = ENVELOPE.format(request=request, late=late, message_id=message_id or str(uuid.uuid4()))
    answer = httpx.post(
        f"{whole.hes_url}/cim", content=body, headers={"Content-Type": "text/xml"}, trust_env=False, timeout=PATIENCE_S
    )
    assert answer.status_code == 200, answer.text
    return etree.fromstring(answer.content)


def query(
    meters: Iterable[str],
    types: Iterable[str] = (),
    period: tuple[datetime, datetime] | None = None,
    source: str = "",
) -> str:
    """The profile: devices, then the time, then the types, then usage points."""
    named = [one if one.startswith("<") else f"<EndDevice><mRID>{one}</mRID></EndDevice>" for one in meters]
    devices = "".join(one for one in named if "UsagePoint" not in one)
    points = "".join(one for one in named if "UsagePoint" in one)
    wanted = "".join(f"<ReadingType><mRID>{one}</mRID></ReadingType>" for one in types)
    between = f"<Reading><source>{source}</source></Reading>" if source else ""
    if period is not None:
        start, end = (one.isoformat() for one in period)
        said = f"<source>{source}</source>" if source else ""
        between = f"<Reading>{said}<timePeriod><end>{end}</end><start>{start}</start></timePeriod></Reading>"
    profile = "http://iec.ch/TC57/2011/GetMeterReadings#"
    return f'<GetMeterReadings xmlns="{profile}">{devices}{between}{wanted}{points}</GetMeterReadings>'


def test_registers_of_several_meters_are_what_the_meters_say(whole: System, simulator: Simulator) -> None:
    first, second, third = whole.config["meters"]
    by_name = f"<EndDevice><Names><name>{second['name']}</name></Names></EndDevice>"
    by_point = f"<UsagePoint><Names><name>{third['usage_points'][0]}</name></Names></UsagePoint>"
    types = (IMPORT, EXPORT, POWER, VOLTAGE, STATE)
    answer = post(whole, query([first["mrid"], by_name, by_point], types), message_id="r-1")
    assert (found(answer, "Verb"), found(answer, "Noun"), found(answer, "Result")) == (
        ["reply"],
        ["MeterReadings"],
        ["OK"],
    )
    read = values(answer)
    assert read.keys() == {one["mrid"] for one in (first, second, third)}
    for meter in (first, second, third):
        assert read[meter["mrid"]].keys() == set(types)
        for code, (one,) in read[meter["mrid"]].items():
            assert Decimal(one.text) == simulator.value(meter["name"], code), (meter["name"], code)
            assert (one.at, one.source) == (START, "meter, time of the head-end system")
    assert len({read[one["mrid"]][IMPORT][0].text for one in (first, second, third)}) == 3
    assert etree.tostring(
        post(whole, query([first["mrid"], by_name, by_point], types), message_id="r-1")
    ) == etree.tostring(answer), "the same message again is answered by what is kept"
    assert whole.hes is not None
    done = whole.hes.wait_for("meter_done", message_id="r-1", meter=first["name"])
    assert (done["operation"], done["ok"], done["details"]) == ("read_meter", True, {"values": 5, "not_read": []})


def test_all_that_a_meter_has(whole: System, simulator: Simulator) -> None:
    meter = whole.config["meters"][0]
    answer = post(whole, query([meter["mrid"]]))
    assert found(answer, "Result") == ["OK"], found(answer, "reason")
    read = values(answer)[meter["mrid"]]
    assert len(read) > 50
    compared = 0
    for code, (one,) in read.items():
        if ReadingType.parse(code).unit in (108, 114):  # a time, a text
            continue
        assert Decimal(one.text) == simulator.value(meter["name"], code), code
        compared += 1
    assert compared > 50


def test_what_can_be_read_is_given_beside_what_can_not(whole: System, simulator: Simulator) -> None:
    meter, unknown = whole.config["meters"][0], str(uuid.uuid4())
    answer = post(whole, query([unknown, meter["mrid"]], (IMPORT, NOT_SERVED, VOLTAGE, NOT_IN_METER, NO_TYPE, STATE)))
    assert found(answer, "Result") == ["PARTIAL"]
    assert sorted(found(answer, "code")) == ["2.10", "2.4", "2.6", "5.6"]
    reasons = {one.findtext("{*}code"): one.findtext("{*}reason") or "" for one in answer.iter("{*}Error")}
    for code, reading_type in (("2.10", NOT_SERVED), ("2.6", NO_TYPE), ("5.6", NOT_IN_METER)):
        assert reading_type in reasons[code]
    read = values(answer)
    assert read.keys() == {meter["mrid"]} and read[meter["mrid"]].keys() == {IMPORT, VOLTAGE, STATE}
    for code, (one,) in read[meter["mrid"]].items():
        assert Decimal(one.text) == simulator.value(meter["name"], code)


@pytest.mark.parametrize(
    ("request_body", "code"),
    [
        (query(["{mrid}"], (NOT_SERVED,)), "2.10"),
        (query(["{mrid}"], ("1.2.3",)), "2.6"),
        (query([str(uuid.uuid4())], (IMPORT,)), "2.4"),
        (query([]), "1.7"),
        ("", "1.7"),
        (query(["{mrid}"], (QUARTERS,), (START, START - timedelta(hours=1))), "1.6"),
        (query(["{mrid}"], (), (START - timedelta(hours=1), START + timedelta(days=1))), "5.2"),
        (query(["{mrid}"], (QUARTERS,), (START - timedelta(days=500), START)), "3.1"),
        (query(["<EndDeviceGroup><mRID>feeder-1</mRID></EndDeviceGroup>"], (IMPORT,)), "2.4"),
        (query(["<EndDeviceGroup><Names><name>F9</name></Names></EndDeviceGroup>"], (IMPORT,)), "2.4"),
    ],
)
def test_what_can_not_be_read_is_refused_with_its_reason(whole: System, request_body: str, code: str) -> None:
    body = request_body.replace("{mrid}", whole.config["meters"][0]["mrid"])
    answer = post(whole, body)
    assert (found(answer, "Result"), found(answer, "code")) == (["FAILED"], [code])
    assert list(answer.iter(PAYLOAD)) == [] and "switched" not in found(answer, "reason")[0]


def test_intervals_of_the_day_of_23_hours(whole: System, simulator: Simulator) -> None:
    meter = whole.config["meters"][0]
    day = datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC)
    answer = post(whole, query([meter["mrid"]], (QUARTERS,), day))
    assert found(answer, "Result") == ["OK"], found(answer, "reason")
    intervals = values(answer, "IntervalBlocks")[meter["mrid"]][QUARTERS]
    assert [one.at for one in intervals] == [day[0] + timedelta(minutes=15 * number) for number in range(1, 93)]
    assert {one.qualities[0] for one in intervals} == {"1.0.0"}
    assert sorted(intervals, key=lambda one: Decimal(one.text)) == intervals
    (now,) = values(post(whole, query([meter["mrid"]], (IMPORT,))))[meter["mrid"]][IMPORT]
    answer = post(whole, query([meter["mrid"]], (QUARTERS,), (START - timedelta(minutes=30), START)))
    *_, last = values(answer, "IntervalBlocks")[meter["mrid"]][QUARTERS]
    assert (last.at, last.text) == (START, now.text), "the register stands where the last interval has ended"


def test_days_say_their_period(whole: System) -> None:
    meter, days = whole.config["meters"][0], "11.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"
    answer = post(whole, query([meter["mrid"]], (days,), (datetime(2026, 3, 27, 23, tzinfo=UTC), START)))
    assert found(answer, "Result") == ["OK"], found(answer, "reason")
    assert [one.at for one in values(answer)[meter["mrid"]][days]] == [
        datetime(2026, 3, 28, 23, tzinfo=UTC),
        datetime(2026, 3, 29, 22, tzinfo=UTC),
    ]
    periods = [(one.findtext("{*}start"), one.findtext("{*}end")) for one in answer.iter("{*}timePeriod")]
    assert periods == [(None, "2026-03-28T23:00:00Z"), ("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z")]


def test_a_group_is_its_meters(whole: System, simulator: Simulator) -> None:
    first, second, third = whole.config["meters"]
    of_feeder, of_transformer = (
        f"<EndDeviceGroup><Names><name>{value}</name><NameType><name>{tag}</name></NameType></Names></EndDeviceGroup>"
        for tag, value in (("feeder", "F0"), ("transformer", "T2"))
    )
    answer = post(whole, query([of_feeder], (IMPORT,)))
    read = values(answer)
    assert found(answer, "Result") == ["OK"] and read.keys() == {first["mrid"], second["mrid"]}
    for meter in (first, second):
        assert Decimal(read[meter["mrid"]][IMPORT][0].text) == simulator.value(meter["name"], IMPORT)
    assert values(post(whole, query([of_feeder + of_transformer], (IMPORT,)))).keys() == {*read, third["mrid"]}


def test_a_group_of_usage_points_is_the_meters_at_them(whole: System, simulator: Simulator) -> None:
    first, second, _ = whole.config["meters"]
    names = "<Names><name>F0</name><NameType><name>feeder</name></NameType></Names>"
    body = query([], (IMPORT,)).replace(
        "</GetMeterReadings>", f"<UsagePointGroup>{names}</UsagePointGroup></GetMeterReadings>"
    )
    answer = post(whole, body)
    read = values(answer)
    assert found(answer, "Result") == ["OK"] and read.keys() == {first["mrid"], second["mrid"]}
    for meter in (first, second):
        assert Decimal(read[meter["mrid"]][IMPORT][0].text) == simulator.value(meter["name"], IMPORT)
    answer = post(whole, body.replace("F0", "F9"))
    assert (found(answer, "Result"), found(answer, "code")) == (["FAILED"], ["2.12"])


@pytest.mark.ci
def test_a_gas_meter_behind_an_electricity_meter(tmp_path: Path) -> None:
    volume = "0.0.0.1.1.7.58.0.0.0.0.0.0.0.0.0.42.0"
    gas = {"name": "G1", "mrid": str(uuid.uuid4()), "usage_points": ["UP-GAS"], "behind": "", "channel": 1}
    gas |= {"identification": "12345678", "manufacturer": "AMI"}
    stranger_on_it = gas | {"name": "G2", "mrid": str(uuid.uuid4()), "usage_points": [], "channel": 2}
    with system(tmp_path, meters=1) as one:
        one.config["clock"] = {"mode": "stepped", "start_at": START}
        one.config["meter_sim"] |= {"port": free_port(), "token_file": str(tmp_path / "meter_sim.tokens")}
        (meter,) = one.config["meters"]
        meter["simulated"] |= {"model": "gas-submeter", "time_zone_minutes": -60}
        one.config["meters"] += [each | {"behind": meter["name"]} for each in (gas, stranger_on_it)]
        one.start_together()
        simulator = Simulator(one)
        try:
            by_point = "<UsagePoint><Names><name>UP-GAS</name></Names></UsagePoint>"
            answer = post(one, query([by_point, meter["mrid"], stranger_on_it["mrid"]], (volume, IMPORT)))
            read = values(answer)
            assert {mrid: set(found) for mrid, found in read.items()} == {
                gas["mrid"]: {volume},
                meter["mrid"]: {IMPORT},
            }
            (value,) = read[gas["mrid"]][volume]
            litres = simulator.read(meter["name"], 4, "0-1:24.2.1", 2)
            assert (Decimal(value.text), value.at, value.source) == (Decimal(litres) / 1000, START, "meter")
            assert Decimal(read[meter["mrid"]][IMPORT][0].text) == simulator.value(meter["name"], IMPORT)
            assert sorted(found(answer, "code")) == ["5.2", "5.6", "5.6"], "channel 2 has nobody on it"
        finally:
            simulator.close()


def test_values_of_one_quality(whole: System) -> None:
    meter = whole.config["meters"][0]
    asked = query([meter["mrid"]], (QUARTERS, IMPORT), (START - timedelta(hours=1), START))
    wanted = '<ReadingQuality><ReadingQualityType ref="{}"/></ReadingQuality>'
    body = asked.replace("<ReadingType>", wanted.format("2.8.0") + wanted.format("1.0.0") + "<ReadingType>", 1)
    answer = post(whole, body)
    assert (found(answer, "Result"), found(answer, "code")) == (["PARTIAL"], ["5.7"])
    quarters = values(answer, "IntervalBlocks")[meter["mrid"]][QUARTERS]
    assert {one.qualities[0] for one in quarters} == {"1.0.0"} and len(quarters) == 4
    answer = post(whole, body.replace("1.0.0", "9.9.9"))
    assert (found(answer, "Result"), found(answer, "code")) == (["FAILED"], ["2.15"])


def test_values_come_from_the_store_where_that_is_asked_for(whole: System, simulator: Simulator) -> None:
    meter = whole.config["meters"][2]
    hours = START - timedelta(hours=2), START - timedelta(hours=1), START
    post(whole, query([meter["mrid"]], (QUARTERS,), hours[:2]))
    post(whole, query([meter["mrid"]], (IMPORT,)))
    answer = post(whole, query([meter["mrid"]], (QUARTERS,), (hours[0], hours[2]), "store first"))
    assert found(answer, "Result") == ["OK"], found(answer, "reason")
    both = values(answer, "IntervalBlocks")[meter["mrid"]][QUARTERS]
    assert [one.source for one in both] == ["store"] * 4 + ["meter"] * 4
    answer = post(whole, query([meter["mrid"]], (QUARTERS, IMPORT), (hours[0], hours[2]), "store"))
    kept = values(answer, "IntervalBlocks")[meter["mrid"]][QUARTERS]
    assert [one._replace(source="") for one in kept] == [one._replace(source="") for one in both]
    ((one,),) = values(answer)[meter["mrid"]].values()
    assert (Decimal(one.text), one.source) == (simulator.value(meter["name"], IMPORT), "store")
    answer = post(whole, query([meter["mrid"]], (QUARTERS,), (hours[0], hours[2]), "the moon"))
    assert (found(answer, "Result"), found(answer, "code")) == (["FAILED"], ["5.2"])


def test_the_readings_of_a_store_as_csv(moved: System) -> None:
    meter = moved.config["meters"][0]
    read = values(post(moved, query([meter["mrid"]], (IMPORT, VOLTAGE))))[meter["mrid"]]
    assert moved.hes is not None and moved.hes.stop() == 0
    path = moved.directory / "readings.csv"
    command = [
        sys.executable,
        "-m",
        "ami_hes",
        "store",
        "readings",
        "--config",
        str(moved.directory / "hes.toml"),
        str(path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, f"2 readings are in {path}\n"), done.stderr
    assert path.stat().st_mode & 0o777 == 0o600, "what people use is no affair of others on this machine"
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(one["mrid"], one["time"], one["time_of"]) for one in lines] == [
        (meter["mrid"], "2026-03-30T04:00:00Z", "head-end")
    ] * 2
    by_type = {one["reading_type"]: Decimal(one["value"]) for one in lines}
    assert by_type == {
        IMPORT.replace(".3.72.", ".0.72."): Decimal(read[IMPORT][0].text) * 1000,
        VOLTAGE: Decimal(read[VOLTAGE][0].text),
    }
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 2, "no file is replaced"


def test_the_older_get_has_ids_alone(whole: System, simulator: Simulator) -> None:
    meter = whole.config["meters"][1]
    ids = f'<ID kind="name" objectType="EndDevice">{meter["name"]}</ID><ID objectType="ReadingType">{IMPORT}</ID>'
    ((one,),) = values(post(whole, ids))[meter["mrid"]].values()
    assert Decimal(one.text) == simulator.value(meter["name"], IMPORT)


def test_a_late_answer_has_its_payload_too(whole: System) -> None:
    receiver = Receiver()
    try:
        mrid = whole.config["meters"][0]["mrid"]
        late = f"<AsyncReplyFlag>true</AsyncReplyFlag><ReplyAddress>{receiver.url}</ReplyAddress>"
        assert found(post(whole, query([mrid], (IMPORT,)), late=late), "code") == ["0.3"]
        (delivered,) = receiver.wait()
        assert values(etree.fromstring(delivered))[mrid].keys() == {IMPORT}
    finally:
        receiver.close()


def test_reads_before_and_after_a_disconnect_and_a_connect(moved: System) -> None:
    meter, stranger, simulator = moved.config["meters"][0], Stranger(moved.hes_url), Simulator(moved)
    hes = httpx.Client(base_url=moved.hes_url, trust_env=False, timeout=PATIENCE_S)
    hes.headers["Authorization"] = f"Bearer {(moved.directory / 'hes.tokens').read_text().strip()}"

    def read(moment: datetime) -> dict[str, Decimal]:
        simulator.move_to(moment)
        assert hes.post("/api/v1/clock", json={"to": moment.isoformat()}).status_code == 200
        read = values(post(moved, query([meter["mrid"]], (IMPORT, POWER, STATE))))[meter["mrid"]]
        assert {one.at for (one,) in read.values()} == {moment}
        for code, (one,) in read.items():
            assert Decimal(one.text) == simulator.value(meter["name"], code)
        return {code: Decimal(one.text) for code, (one,) in read.items()}

    hour = timedelta(hours=1)
    try:
        before = read(START + hour)
        assert before[STATE] == 1 and before[POWER] > 0
        assert stranger.switch(DISCONNECT, [by_mrid(meter)]).result == "OK"
        off, later = read(START + hour), read(START + 2 * hour)
        assert off[STATE] == later[STATE] == 0 and later[POWER] == 0
        assert before[IMPORT] == off[IMPORT] == later[IMPORT], "nothing flows through an open switch"
        assert stranger.switch(CONNECT, [by_mrid(meter)]).result == "OK"
        after = read(START + 3 * hour)
        assert after[STATE] == 1 and after[IMPORT] > later[IMPORT]
    finally:
        hes.close()
        simulator.close()
