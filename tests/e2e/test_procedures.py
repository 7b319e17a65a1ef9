"""Procedures between a utility's systems, in processes: a cover is opened, the power of a feeder goes and comes back, and the CIS knows it.

What else such procedures ask for, and which test answers it, is the table docs/procedures.md. Disconnect and connect with reads before and
after: tests/e2e/test_readings.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from asked_meters import Simulator
from free_ports import free_port
from harness import System, system, until
from patience import PATIENCE_S

from ami_meter_sim.population.shipment import Form, Receiver
from ami_meter_sim.population_settings import PopulationSettings
from ami_meter_sim.shipping import ship

START = datetime(2026, 3, 27, 12, tzinfo=UTC)
COUNT, BEHIND_A_TRANSFORMER = 6, 3
FRAUD, POWER_LOST, COMMUNICATION_AGAIN, VERIFIED = "0.12.0.257", "0.26.38.85", "0.1.0.49", "0.26.0.216"


class Utility:
    """CIS, HES and meters, and what the CIS knows."""

    def __init__(self, whole: System) -> None:
        self.simulator = Simulator(whole)
        self._clients = {section: _client(whole, section) for section in ("cis", "hes")}
        self.meters = [one["name"] for one in self._clients["hes"].get("/meters").json()["meters"]]
        self.now = START

    def move(self, by: timedelta) -> datetime:
        """All clocks, to that moment."""
        self.now += by
        self.simulator.move_to(self.now)
        for client in self._clients.values():
            assert client.post("/clock", json={"to": self.now.isoformat()}).status_code == 200
        return self.now

    def events(self, meter: str, count: int, detail: str) -> list[dict[str, Any]]:
        """What the CIS knows of a meter, oldest first and with this detail, once it is so many."""
        found: list[dict[str, Any]] = []

        def are_there() -> bool:
            answer = self._clients["cis"].get("/device-events", params={"meter": meter})
            assert answer.status_code == 200, answer.text
            known = sorted(answer.json()["events"], key=lambda one: str(one["at"]))
            found[:] = [one for one in known if detail in one["details"]]
            return len(found) >= count

        until(are_there, f"{count} events of {meter} at the CIS")
        return found

    def outages(self) -> dict[str, Any]:
        """What the head-end says of them."""
        answer = self._clients["hes"].get("/outages")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def ping(self, *meters: str, groups: Sequence[str] = ()) -> dict[str, Any]:
        answer = self._clients["hes"].post("/outages/ping", json={"meters": meters, "groups": groups})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def close(self) -> None:
        self.simulator.close()
        for client in self._clients.values():
            client.close()


def _client(whole: System, section: str) -> httpx.Client:
    token = (whole.directory / f"{section}.tokens").read_text().strip()
    url = f"http://127.0.0.1:{whole.config[section]['port']}/api/v1"
    return httpx.Client(base_url=url, trust_env=False, headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE_S)


@pytest.fixture(scope="module")
def utility(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Utility]:
    directory: Path = tmp_path_factory.mktemp("utility")
    with system(directory, meters=1) as whole:
        table: dict[str, Any] = {"name": "u", "count": COUNT, "seed": "u", "port": free_port(), "model": "single-phase"}
        table["push"] = {"to": f"udp://127.0.0.1:{whole.config['hes']['dlms_port']}"}
        table["topology"] = {"meters_per_transformer": BEHIND_A_TRANSFORMER}
        whole.config |= {"meters": [], "populations": [table], "clock": {"mode": "stepped", "start_at": START}}
        whole.config["meter_sim"]["port"] = free_port()
        for section in ("cis", "hes", "meter_sim"):
            whole.config[section]["token_file"] = str(directory / f"{section}.tokens")
        for section, receiver in (("hes", Receiver.HES), ("cis", Receiver.CIS)):
            path = directory / f"shipment-{section}.json"
            ship([PopulationSettings.model_validate(table)], (), receiver, Form.JSON, reference=None, path=path)
            whole.config[section]["shipments"] = [str(path)]
        url = f"http://127.0.0.1:{whole.config['cis']['port']}/cim"
        whole.config["hes"]["subscribers"] = [
            {"name": "cis", "url": url, "event": "typed", "nouns": ["EndDeviceEvents"]}
        ]
        whole.config["hes"] |= {
            "outages": {"verify_every_s": 0.2},
            "apdu_timeout_s": 3.0,
            "lanes": {"read": {"attempts": 1}},
        }
        whole.start_cis("--no-loop").wait_for("ready")
        one = Utility(whole.start_together())
        try:
            yield one
        finally:
            one.close()


@pytest.mark.needs("loopback-block")
def test_a_cover_that_is_opened_is_a_fraud_attempt_at_the_cis(utility: Utility) -> None:
    meter = utility.meters[0]
    utility.simulator.post(f"/meters/{meter}/conditions", {"condition": "terminal_cover", "there": True})
    opened = utility.now
    utility.move(timedelta(minutes=1))
    first = utility.events(meter, 1, "register")[0]
    assert (first["code"], first["reason"]) == (FRAUD, "fraud attempt")
    assert first["details"]["register"].startswith("0-0:97.98.0") and first["details"]["bit"] == "13"
    assert opened <= datetime.fromisoformat(first["at"]) <= utility.now


@pytest.mark.needs("loopback-block")
def test_an_outage_and_its_end_and_another_one_are_told_in_their_order(utility: Utility) -> None:
    """Of the meters behind one transformer, each time with the moment; those behind the other say nothing.

    What the alarm register says when the power is back, that it was gone and is there, comes beside it.
    """
    dark, lit = utility.meters[BEHIND_A_TRANSFORMER:], utility.meters[1]
    moments = []
    for _ in range(2):
        for on in (False, True):
            moments.append(utility.move(timedelta(minutes=10)))
            for meter in dark:
                utility.simulator.post("/power", {"on": on, "name": meter})
            utility.move(timedelta(minutes=1))
            for meter in dark:
                utility.events(meter, len(moments), "pushSetup")
            check_outages(utility, [] if on else dark, moments[-1])
    for meter in dark:
        told = utility.events(meter, 4, "pushSetup")
        assert [one["code"] for one in told] == [POWER_LOST, COMMUNICATION_AGAIN] * 2
        for one, moment in zip(told, moments, strict=True):
            assert timedelta() <= datetime.fromisoformat(one["at"]) - moment <= timedelta(minutes=1)
    assert utility.events(lit, 0, "pushSetup") == []
    assert (utility.outages()["sustained"], utility.outages()["momentary"]) == (2 * len(dark), 0)


def check_outages(utility: Utility, dark: list[str], since: datetime) -> None:
    """What the head-end makes of it: a place and not single meters; a ping tells a meter that is back from one that is not."""
    found = utility.outages()
    if dark:
        (place,) = found["outages"]
        assert (place["level"], place["meters"], place["dark"]) == ("transformer", len(dark), len(dark))
        assert sorted(place["names"]) == sorted(dark) and datetime.fromisoformat(place["since"]) >= since
        asked = utility.ping(utility.meters[1], groups=[f"transformer={place['place']}"])
        assert (asked["answered"], asked["restored"]) == ([utility.meters[1]], [])
        assert sorted(one["meter"] for one in asked["silent"]) == sorted(dark)
        return
    assert (found["outages"], found["dark"]) == ([], 0)
    until(lambda: utility.outages()["unverified"] == 0, "that all are asked whether they are back")
    for meter in utility.meters[BEHIND_A_TRANSFORMER:]:
        assert utility.events(meter, 1, "verifiedBy")[-1]["code"] == VERIFIED
