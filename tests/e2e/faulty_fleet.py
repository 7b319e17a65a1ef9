"""A population in which meters have a fault each, with the HES in processes: one is controlled, one is read, one loses its power.

Who asks knows nothing but its XML: what comes back is the reply to one EndDeviceControls, to one GetMeterReadings, and the
EndDeviceEvents of a subscriber.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from answered_readings import Value, values
from asked_meters import Simulator
from free_ports import free_port
from harness import Process, Receiver, System, system, until
from lxml import etree
from patience import PATIENCE_S
from stranger import DISCONNECT

from ami_meter_sim.populating import prepare
from ami_meter_sim.population.shipment import Form
from ami_meter_sim.population.shipment import Receiver as For
from ami_meter_sim.population_settings import PopulationSettings
from ami_meter_sim.shipping import ship

START = datetime(2026, 3, 27, 12, tzinfo=UTC)
IMPORT = "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"
QUARTERS = "0.0.2.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"
TIME_LIMIT_S = 3.0
LAST_GASP = "0.26.38.85"
ENVELOPE = """\
<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>
<RequestMessage xmlns="http://iec.ch/TC57/2011/schema/message">
<Header><Verb>{verb}</Verb><Noun>{noun}</Noun><Timestamp>2026-03-27T12:00:00Z</Timestamp><Source>stranger</Source>
<MessageID>{message_id}</MessageID><CorrelationID>{message_id}</CorrelationID></Header>{content}
</RequestMessage></e:Body></e:Envelope>"""


class Told(NamedTuple):
    """What a reply says of one meter."""

    code: str | None
    level: str | None
    reason: str
    values: tuple[Value, ...] = ()


class Event(NamedTuple):
    """An EndDeviceEvent that came."""

    mrid: str
    code: str
    created_at: datetime


@dataclass
class FaultyFleet:
    """The processes; meters by their place in the population."""

    whole: System
    simulator: Simulator
    names: list[str]
    mrids: list[str]
    subscriber: Receiver

    @property
    def hes(self) -> Process:
        assert self.whole.hes is not None
        return self.whole.hes

    @property
    def meters(self) -> Process:
        return next(one for one in self.whole.processes if one.name.startswith("ami_meter_sim"))

    def disturb(self, rules: Mapping[str, dict[str, Any]]) -> None:
        """Rules by the names of meters."""
        for meter, rule in rules.items():
            self.simulator.post("/faults", rule | {"meters": [meter]})

    def disconnect(self, meters: list[str]) -> dict[str, Told]:
        """What one EndDeviceControls is answered, by the names of its meters."""
        profile = "http://iec.ch/TC57/2011/EndDeviceControls#"
        devices = "".join(f"<EndDevices><mRID>{self._mrid(one)}</mRID></EndDevices>" for one in meters)
        control = f'<EndDeviceControl><EndDeviceControlType ref="{DISCONNECT}"/>{devices}</EndDeviceControl>'
        payload = f'<Payload><EndDeviceControls xmlns="{profile}">{control}</EndDeviceControls></Payload>'
        return self._told(self._ask("create", "EndDeviceControls", payload), meters)

    def read(self, meters: list[str]) -> dict[str, Told]:
        """The same for the import register, as it is now."""
        return self._read(meters, IMPORT, "")

    def read_day(self, meters: list[str]) -> dict[str, Told]:
        """The same for the quarters of four hours."""
        period = f"<end>{START.isoformat()}</end><start>{(START - timedelta(hours=4)).isoformat()}</start>"
        return self._read(meters, QUARTERS, f"<Reading><timePeriod>{period}</timePeriod></Reading>")

    def roll_keys(self, meters: list[str]) -> dict[str, Told]:
        """What the campaign says of a change of their encryption keys, by the names of its meters."""
        token = (self.whole.directory / "hes.tokens").read_text().strip()
        url = f"{self.whole.hes_url}/api/v1/campaigns"
        with httpx.Client(trust_env=False, timeout=PATIENCE_S, headers={"Authorization": f"Bearer {token}"}) as client:
            ordered = client.post(f"{url}/keys", json={"key": "encryption", "meters": meters})
            assert ordered.is_success, ordered.text
            place = f"{url}/{ordered.json()['id']}"
            until(lambda: client.get(place).json()["done"] == len(meters), "the end of the campaign")
            failures = {one["meter"]: one for one in client.get(place).json()["failures"]}
        return {
            name: Told(failures[name]["reply_code"], None, failures[name]["reason"] or "")
            if name in failures
            else Told(None, None, "")
            for name in meters
        }

    def last_gasps(self, count: int) -> list[Event]:
        """Those that the subscriber has, once there are so many; the ends of controls come to it as well."""
        while True:
            bodies = list(self.subscriber.bodies)
            found = [one for body in bodies for one in _events(body) if one.code == LAST_GASP]
            if len(found) >= count:
                return found
            self.subscriber.wait(len(bodies) + 1)

    def _read(self, meters: list[str], code: str, between: str) -> dict[str, Told]:
        devices = "".join(f"<EndDevice><mRID>{self._mrid(one)}</mRID></EndDevice>" for one in meters)
        wanted = f"<ReadingType><mRID>{code}</mRID></ReadingType>"
        profile = "http://iec.ch/TC57/2011/GetMeterReadings#"
        asked = f'<GetMeterReadings xmlns="{profile}">{devices}{between}{wanted}</GetMeterReadings>'
        answer = self._ask("get", "MeterReadings", f"<Request>{asked}</Request>")
        part = "IntervalBlocks" if code == QUARTERS else "Readings"
        has_payload = next(answer.iter("{*}MeterReading"), None) is not None
        read = values(answer, part) if has_payload else {}
        told = self._told(answer, meters)
        return {
            name: one._replace(values=tuple(read.get(self._mrid(name), {}).get(code, ()))) for name, one in told.items()
        }

    def _ask(self, verb: str, noun: str, content: str) -> etree._Element:
        body = ENVELOPE.format(verb=verb, noun=noun, content=content, message_id=uuid.uuid4())
        answer = httpx.post(
            f"{self.whole.hes_url}/cim",
            content=body,
            headers={"Content-Type": "text/xml"},
            trust_env=False,
            timeout=2 * PATIENCE_S,
        )
        assert answer.status_code == 200, answer.text
        return etree.fromstring(answer.content)

    def _told(self, answer: etree._Element, meters: list[str]) -> dict[str, Told]:
        told = {
            one.findtext("{*}ID"): Told(
                one.findtext("{*}code"), one.findtext("{*}level"), one.findtext("{*}reason") or ""
            )
            for one in answer.iter("{*}Error")
        }
        return {name: told.get(self._mrid(name), Told(None, None, "")) for name in meters}

    def _mrid(self, name: str) -> str:
        return self.mrids[self.names.index(name)]


def at_once(*work: Any) -> list[Any]:
    """What these return, begun together."""
    results: list[Any] = [None] * len(work)

    def run(place: int) -> None:
        results[place] = work[place]()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(work))]
    for one in threads:
        one.start()
    for one in threads:
        one.join(2 * PATIENCE_S)
    return results


def _events(body: bytes) -> Iterator[Event]:
    for one in etree.fromstring(body).iter("{*}EndDeviceEvent"):
        device = one.find("{*}Assets/{*}mRID")
        kind = one.find("{*}EndDeviceEventType")
        at = one.findtext("{*}createdDateTime") or ""
        assert device is not None and kind is not None
        yield Event(device.text or "", kind.get("ref") or "", datetime.fromisoformat(at))


@contextmanager
def faulty_fleet(directory: Path, count: int) -> Iterator[FaultyFleet]:
    """So many meters of a model that pushes; nothing is wrong with them yet."""
    subscriber = Receiver()
    with system(directory, meters=1) as whole:
        push = {"to": f"udp://127.0.0.1:{whole.config['hes']['dlms_port']}", "on": ["power-down"]}
        table = {"name": "fleet", "count": count, "seed": "a fleet", "port": free_port(), "model": "single-phase"}
        table |= {"push": push}
        whole.config |= {"meters": [], "populations": [table], "clock": {"mode": "stepped", "start_at": START}}
        whole.config["meter_sim"]["port"] = free_port()
        for section in ("hes", "meter_sim"):
            whole.config[section]["token_file"] = str(directory / f"{section}.tokens")
        path = directory / "shipment.json"
        ship([PopulationSettings.model_validate(table)], (), For.HES, Form.JSON, reference=None, path=path)
        whole.config["hes"] |= {
            "shipments": [str(path)],
            "apdu_timeout_s": TIME_LIMIT_S,
            "deadline_s": 90.0,
            "max_sessions": 60,
            "lanes": {"read": {"attempts": 1, "share": 1.0}},
            "subscribers": [{"name": "oms", "url": subscriber.url, "nouns": ["EndDeviceEvents"]}],
        }
        population = prepare([PopulationSettings.model_validate(table)])[0].population
        identities = population.identities
        names = [identities.name(index) for index in range(identities.count)]
        mrids = [str(identities.mrid(index)) for index in range(identities.count)]
        simulator = None
        try:
            whole.start_together()
            simulator = Simulator(whole)
            yield FaultyFleet(whole, simulator, names, mrids, subscriber)
        finally:
            if simulator is not None:
                simulator.close()
    subscriber.close()
