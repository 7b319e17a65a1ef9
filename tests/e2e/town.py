"""A population of meters whose day is collected by schedule, with HES and CIS in processes; and what the physics of its houses says."""

from __future__ import annotations

import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy
from asked_meters import Simulator
from free_ports import free_port
from harness import Process, System, system, until
from patience import PATIENCE_S

from ami_meter_sim.populating import prepare
from ami_meter_sim.population.shipment import Form, Receiver
from ami_meter_sim.population_settings import PopulationSettings
from ami_meter_sim.shipping import ship

START = datetime(2026, 3, 27, 12, tzinfo=UTC)
IMPORT, EXPORT = "0.0.2.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0", "0.0.2.1.19.1.12.0.0.0.0.0.0.0.0.3.72.0"
TYPES = (IMPORT, EXPORT)
QUARTER_S, WS_PER_WH = 900, 3_600
SLOWEST_METERS_PER_S = 10
"""On a machine that others use too; only a failing test waits so long."""
AT_LEAST_S = 120.0
LOOKS_PER_METER_S = 50e-6
"""How long is waited between two looks, for each meter: looking costs the head-end time."""
ASKED_AT_MOST = 200
"""Meters whose values are asked of the API, which has to say what the store of the CIS holds, where those of all are read."""
FROM_THE_FIRST: dict[str, dict[str, Any]] = {"half-open": {"after": 0}}
"""What a rule says more: a day is one request where an association is still open, and the fault would wait for the second."""


class Kept(NamedTuple):
    """A value as the CIS has it."""

    value: str | None
    qualities: tuple[str, ...]


Day = dict[tuple[str, str], dict[datetime, Kept]]
"""By meter and ReadingType, by the ends of the intervals."""


class Town:
    """The processes, their clocks and what they say."""

    def __init__(self, whole: System, table: dict[str, Any]) -> None:
        self.whole = whole
        self.simulator = Simulator(whole)
        self._cis, self._hes = (_client(whole, section) for section in ("cis", "hes"))
        self._population = prepare([PopulationSettings.model_validate(table)])[0].population
        identities = self._population.identities
        self.names = [identities.name(index) for index in range(identities.count)]
        self._patience_s = AT_LEAST_S + len(self.names) / SLOWEST_METERS_PER_S
        self._look_s = 0.02 + len(self.names) * LOOKS_PER_METER_S

    @property
    def hes(self) -> Process:
        assert self.whole.hes is not None
        return self.whole.hes

    def order_days(self) -> None:
        """Both registers of all meters, every day at half past midnight."""
        order = {"reading_types": TYPES, "group": "model=residential", "time_zone": "UTC", "at": "00:30"}
        answer = self._hes.put("/schedules/days", json=order)
        assert answer.status_code == 200, answer.text

    def collect(self, day: datetime) -> dict[str, Any]:
        """Let the day pass and be collected; its run, once everything of it has been taken by the CIS."""
        due = day + timedelta(days=1, minutes=30)
        self.simulator.move_to(due)
        for one in (self._cis, self._hes):
            assert one.post("/clock", json={"to": due.isoformat()}).status_code == 200
        self.hes.wait_for("schedule_begun", self._patience_s, due_at=due.isoformat())
        until(lambda: self._run(due)["ended_at"] is not None, f"the end of the run of {day}", **self._waiting)
        until(lambda: self._number("hes_replies_owed") == 0, "the last event", **self._waiting)
        assert self._number("hes_dead_letters") == 0
        return self._run(due)

    def kept(self, day: datetime) -> Day:
        """What the CIS has of it: all that is in its store, which of some meters is what its API says."""
        found: Day = defaultdict(dict)
        query = "SELECT meter, reading_type, at, value, qualities FROM readings WHERE at > ? AND at <= ?"
        moments: dict[str, datetime] = {}
        with closing(sqlite3.connect(self.whole.config["cis"]["store"], timeout=20)) as store:
            period = [f"{one:%Y-%m-%d %H:%M:%S.%f}" for one in (day, day + timedelta(days=1))]
            for meter, code, text, value, qualities in store.execute(query, period):
                if (at := moments.get(text)) is None:
                    at = moments[text] = datetime.fromisoformat(text).replace(tzinfo=UTC)
                found[meter, code][at] = Kept(value, tuple(qualities.split()))
        for name in self.names[:: -(-len(self.names) // ASKED_AT_MOST)]:
            assert self._asked(name, day) == {key: values for key, values in found.items() if key[0] == name}
        return found

    def _asked(self, name: str, day: datetime) -> Day:
        """What its API says of a meter."""
        found: Day = defaultdict(dict)
        period = {"from": day.isoformat(), "to": (day + timedelta(days=1)).isoformat()}
        answer = self._cis.get("/readings", params={"meter": name, **period})
        assert answer.status_code == 200, answer.text
        assert answer.json()["complete"]
        for one in answer.json()["readings"]:
            at = datetime.fromisoformat(one["at"])
            found[one["meter"], one["reading_type"]][at] = Kept(one["value"], tuple(one["qualities"]))
        return found

    @property
    def _waiting(self) -> dict[str, float]:
        return {"patience_s": self._patience_s, "every_s": self._look_s}

    def physics(self, day: datetime) -> dict[tuple[str, str], dict[datetime, Decimal]]:
        """What the registers show at the end of each quarter, in kWh, by the closed forms of the houses alone."""
        ends = int(day.timestamp()) + QUARTER_S * numpy.arange(1, 97)
        moments = [datetime.fromtimestamp(int(end), UTC) for end in ends]
        shown: dict[tuple[str, str], dict[datetime, Decimal]] = {}
        for index, name in enumerate(self.names):
            house = self._population.site(index).house
            for code, energies in ((IMPORT, house.imports_ws(ends)), (EXPORT, house.exports_ws(ends))):
                hours = numpy.broadcast_to(energies, ends.shape) // WS_PER_WH
                shown[name, code] = {at: Decimal(int(wh)).scaleb(-3) for at, wh in zip(moments, hours, strict=True)}
        return shown

    def disturb(self, faults: Mapping[str, str]) -> None:
        """Give meters their faults, by their names."""
        for fault in dict.fromkeys(faults.values()):
            meters = [meter for meter, one in faults.items() if one == fault]
            self.simulator.post("/faults", {"fault": fault, "meters": meters} | FROM_THE_FIRST.get(fault, {}))

    def close(self) -> None:
        self.simulator.close()
        self._cis.close()
        self._hes.close()

    def _run(self, due: datetime) -> dict[str, Any]:
        (schedule,) = self._hes.get("/schedules").json()["schedules"]
        runs: list[dict[str, Any]] = schedule["runs"]
        return next(one for one in runs if datetime.fromisoformat(one["due_at"]) == due)

    def _number(self, metric: str) -> float:
        url = f"{self.whole.hes_url}/metrics"
        text = httpx.get(url, headers=dict(self._hes.headers), trust_env=False, timeout=PATIENCE_S).text
        found = re.search(rf"^{metric} (\S+)$", text, re.MULTILINE)
        assert found is not None, text
        return float(found[1])


@contextmanager
def town(directory: Path, count: int) -> Iterator[Town]:
    """With a schedule of days, before the first of them has passed."""
    with system(directory, meters=1) as whole:
        table = {"name": "town", "count": count, "seed": "a town", "port": free_port(), "model": "residential"}
        whole.config |= {"meters": [], "populations": [table], "clock": {"mode": "stepped", "start_at": START}}
        whole.config["meter_sim"]["port"] = free_port()
        for section in ("hes", "meter_sim", "cis"):
            whole.config[section]["token_file"] = str(directory / f"{section}.tokens")
        for section, receiver in (("hes", Receiver.HES), ("cis", Receiver.CIS)):
            path = directory / f"shipment-{section}.json"
            ship([PopulationSettings.model_validate(table)], (), receiver, Form.JSON, reference=None, path=path)
            whole.config[section]["shipments"] = [str(path)]
        url = f"http://127.0.0.1:{whole.config['cis']['port']}/cim"
        whole.config["hes"] |= {
            "apdu_timeout_s": 3.0,
            "lanes": {"campaign": {"attempts": 1}},
            "subscribers": [{"name": "cis", "url": url, "event": "typed"}],
        }
        whole.start_cis("--no-loop").wait_for("ready")
        one = Town(whole.start_together(), table)
        try:
            one.order_days()
            yield one
        finally:
            one.close()


def _client(whole: System, section: str) -> httpx.Client:
    token = (whole.directory / f"{section}.tokens").read_text().strip()
    url = f"http://127.0.0.1:{whole.config[section]['port']}/api/v1"
    return httpx.Client(base_url=url, trust_env=False, headers={"Authorization": f"Bearer {token}"}, timeout=60)
