"""Collecting by schedule on its whole way: the head-end asks simulated meters when it is due, and subscribers get what they say, our CIS among them.

Two days pass by the clocks of the processes, the second of them with 23 hours. What has arrived is compared, value by value, with what
the simulator says of its meters over its own API.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from answered_readings import Value, found, values
from asked_meters import QUARTERS, Simulator
from free_ports import free_port
from harness import Receiver, System, system
from lxml import etree
from patience import PATIENCE_S

START = datetime(2026, 3, 28, 12, tzinfo=UTC)
FIRST_DUE, SECOND_DUE = datetime(2026, 3, 28, 23, 30, tzinfo=UTC), datetime(2026, 3, 29, 22, 30, tzinfo=UTC)
"""Half past midnight in Berlin, before and after its clocks go forward."""
DAYS = (
    datetime(2026, 3, 27, 23, tzinfo=UTC),
    datetime(2026, 3, 28, 23, tzinfo=UTC),
    datetime(2026, 3, 29, 22, tzinfo=UTC),
)
QUARTER = timedelta(minutes=15)


BUFFER, SCALER = "1-0:99.1.0", "1-0:1.8.0"


@pytest.fixture
def subscriber() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.close()


@pytest.fixture
def whole(tmp_path: Path, subscriber: Receiver) -> Iterator[System]:
    with system(tmp_path, meters=3) as one:
        one.config["clock"] = {"mode": "stepped", "start_at": START}
        one.config["meter_sim"]["port"] = free_port()
        for section in ("hes", "meter_sim", "cis"):
            one.config[section]["token_file"] = str(one.directory / f"{section}.tokens")
        one.config["hes"] |= {"apdu_timeout_s": 1.0, "lanes": {"campaign": {"attempts": 1}}}
        cis = f"http://127.0.0.1:{one.config['cis']['port']}"
        one.config["hes"]["subscribers"] = [
            {"name": "mdm", "url": subscriber.url, "values_per_message": 200},
            {"name": "cis", "url": f"{cis}/cim", "event": "typed"},
        ]
        for meter in one.config["meters"]:
            meter["simulated"] |= {"model": "three-phase", "time_zone_minutes": -60}
            meter["tags"] = {"feeder": "F12"}
        one.start_cis("--no-loop").wait_for("ready")
        yield one.start_together()


class Clocks:
    """The clocks of the processes, that of the meters ahead, and the API of the head-end."""

    def __init__(self, whole: System) -> None:
        self.simulator = Simulator(whole)
        self.cis, self.hes = (_api(whole, section) for section in ("cis", "hes"))

    def move_to(self, moment: datetime) -> None:
        self.simulator.move_to(moment)
        for one in (self.cis, self.hes):
            assert one.post("/clock", json={"to": moment.isoformat()}).status_code == 200

    def silence(self, meter: str) -> int:
        answer = self.simulator.post("/faults", {"fault": "silent", "meters": [meter]})
        return int(answer["number"])

    def close(self) -> None:
        self.simulator.close()
        self.cis.close()
        self.hes.close()


def _api(whole: System, section: str) -> httpx.Client:
    token = (whole.directory / f"{section}.tokens").read_text().strip()
    url = f"http://127.0.0.1:{whole.config[section]['port']}/api/v1"
    return httpx.Client(base_url=url, trust_env=False, headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE_S)


@pytest.fixture
def clocks(whole: System) -> Iterator[Clocks]:
    one = Clocks(whole)
    yield one
    one.close()


def quarters(simulator: Simulator, meter: str, start: datetime, end: datetime) -> dict[datetime, Decimal]:
    """By the ends of the intervals, in kWh, as the simulator has it."""
    scaler = simulator.read(meter, 3, SCALER, 3)[0]["value"]
    said: dict[datetime, Decimal] = {}
    for row in simulator.read(meter, 7, BUFFER, 2):
        at, _, imported, _ = (one["value"] for one in row["value"])
        octets = bytes.fromhex(at)
        local = datetime(int.from_bytes(octets[:2]), octets[2], octets[3], *octets[5:8], tzinfo=UTC)
        moment = local + timedelta(minutes=int.from_bytes(octets[9:11], signed=True))
        if start < moment <= end:
            said[moment] = Decimal(imported) * Decimal(10) ** (scaler - 3)
    return said


def arrived(bodies: list[bytes]) -> dict[str, dict[datetime, list[Value]]]:
    """What the events say, by mRID of the meter and end of the interval."""
    by_meter: dict[str, dict[datetime, list[Value]]] = defaultdict(lambda: defaultdict(list))
    for body in bodies:
        event = etree.fromstring(body)
        assert (found(event, "Verb"), found(event, "Noun")) == (["created"], ["MeterReadings"])
        assert found(event, "AckRequired") == ["true"]
        for mrid, of_types in values(event, "IntervalBlocks").items():
            assert of_types.keys() == {QUARTERS}
            for one in of_types[QUARTERS]:
                by_meter[mrid][one.at].append(one)
    return by_meter


def kept_by_cis(clocks: Clocks, meter: str) -> dict[datetime, Decimal]:
    answer = clocks.cis.get("/readings", params={"meter": meter, "type": QUARTERS})
    assert answer.status_code == 200, answer.text
    return {datetime.fromisoformat(one["at"]): Decimal(one["value"]) for one in answer.json()["readings"]}


ORDER = """\
<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>
<CreateMeterReadSchedule xmlns="http://iec.ch/TC57/2011/MeterReadScheduleMessage" xmlns:m="http://iec.ch/TC57/2011/schema/message">
<Header><m:Verb>create</m:Verb><m:Noun>MeterReadSchedule</m:Noun><m:Timestamp>2026-03-28T12:00:00Z</m:Timestamp><m:Source>mdm</m:Source>
<m:MessageID>daily</m:MessageID><m:CorrelationID>daily</m:CorrelationID></Header>
<Payload><MeterReadSchedule xmlns="http://iec.ch/TC57/2011/MeterReadSchedule#">
<EndDeviceGroup><Names><name>F12</name></Names></EndDeviceGroup><ReadingType><mRID>{reading_type}</mRID></ReadingType>
<TimeSchedule><offset>1800</offset><recurrencePattern>Europe/Berlin</recurrencePattern><recurrencePeriod>86400</recurrencePeriod>
<scheduleInterval><start>2026-03-28T23:00:00Z</start></scheduleInterval></TimeSchedule></MeterReadSchedule></Payload>
</CreateMeterReadSchedule></e:Body></e:Envelope>"""


def test_two_days_one_of_23_hours_and_a_meter_that_was_silent_on_the_first(
    whole: System, clocks: Clocks, subscriber: Receiver
) -> None:
    assert whole.hes is not None
    first, second, silent = whole.config["meters"]
    order = ORDER.format(reading_type=QUARTERS)
    answer = httpx.post(
        f"{whole.hes_url}/cim", content=order, headers={"Content-Type": "text/xml"}, trust_env=False, timeout=PATIENCE_S
    )
    assert found(etree.fromstring(answer.content), "Result") == ["OK"], answer.text
    (ordered,) = clocks.hes.get("/schedules").json()["schedules"]
    assert (ordered["name"], datetime.fromisoformat(ordered["next_due_at"])) == ("daily", FIRST_DUE)

    rule = clocks.silence(silent["name"])
    clocks.move_to(FIRST_DUE)
    behind = whole.hes.wait_for("schedule_behind", schedule="daily")
    assert (behind["meters"], behind["delivered"]) == (3, 2)
    came = arrived(subscriber.wait())
    assert came.keys() == {first["mrid"], second["mrid"]}
    assert {len(one) for one in came.values()} == {96}

    clocks.simulator.delete(f"/faults/{rule}")
    clocks.move_to(SECOND_DUE)
    collected = whole.hes.wait_for("schedule_collected", schedule="daily")
    assert (collected["meters"], collected["delivered"]) == (3, 3)
    cis = next(one for one in whole.processes if one.name.startswith("ami_cis serve"))
    assert [one["values"] for one in cis.wait_for_some("readings_kept", 2)] == [2 * 96, 2 * 92 + 96 + 92]
    came = arrived(subscriber.wait(3))  # at most 200 values each: 2 x 96, then 2 x 92, then 96 + 92
    for meter in (first, second, silent):
        there = came[meter["mrid"]]
        expected = quarters(clocks.simulator, meter["name"], DAYS[0], DAYS[2])
        assert len(expected) == 96 + 92
        assert {at: Decimal(one.text) for at, (one,) in there.items()} == expected, meter["name"]
        assert {one.qualities[0] for (one,) in there.values()} == {"1.0.0"}
        assert kept_by_cis(clocks, meter["name"]) == expected
    ids = [text for body in subscriber.bodies for text in found(etree.fromstring(body), "MessageID")]
    assert len(set(ids)) == len(ids)

    _the_cis_orders_and_shows(clocks, whole)
    (listed,) = clocks.hes.get("/schedules").json()["schedules"]
    assert [(one["meters"], one["delivered"]) for one in listed["runs"]] == [(3, 3), (3, 2)]
    assert listed["runs"][1]["percent"] == pytest.approx(200 / 3, abs=0.001)


def _the_cis_orders_and_shows(clocks: Clocks, whole: System) -> None:
    """Schedules as the CIS has them from the head-end, and one of its own, from its begin to its end."""
    names = [meter["name"] for meter in whole.config["meters"]]
    order = {"reading_types": ["load-profile-register"], "meters": names[:2], "at": "01:15", "message_id": "of the cis"}
    ordered = clocks.cis.post("/schedules", json=order | {"time_zone": "Europe/Berlin"}).json()
    assert (ordered["result"], ordered["name"]) == ("OK", "of the cis"), ordered
    assert ordered["first_due_at"] == "2026-03-30T01:15:00+02:00"
    listed = clocks.cis.get("/schedules").json()
    assert listed["schedules"], clocks.cis.get("/schedules/daily").json()
    there = listed["schedules"]
    assert [(one["name"], one["enabled"], one["every"], one["at"], one["time_zone"]) for one in there] == [
        ("daily", True, "day", "00:30", "Europe/Berlin"),
        ("of the cis", True, "day", "01:15", "Europe/Berlin"),
    ]
    assert [(one["meters"], one["group"]) for one in there] == [([], "feeder=F12"), (names[:2], None)]
    shown = clocks.cis.get("/schedules/daily").json()
    assert shown["kept"] == []  # who is in a group is known to the head-end alone
    shown = clocks.cis.get("/schedules/of the cis").json()
    assert {one["meter"]: one["values"] for one in shown["kept"]} == dict.fromkeys(names[:2], 96 + 92)
    assert clocks.cis.delete("/schedules/of the cis", params={"keep": "true"}).json()["result"] == "OK"
    assert clocks.cis.get("/schedules/of the cis").json()["schedule"]["enabled"] is False
    assert clocks.cis.delete("/schedules/of the cis").json()["result"] == "OK"
    gone = clocks.cis.get("/schedules/of the cis").json()
    assert (gone["result"], [one["code"] for one in gone["errors"]], gone["schedule"]) == ("FAILED", ["2.4"], None)
    again = clocks.cis.post("/schedules", json=order | {"time_zone": "Europe/Berlin"}).json()
    assert (again["result"], [one["code"] for one in again["errors"]]) == ("FAILED", ["2.4"]), again
