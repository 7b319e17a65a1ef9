"""A meter of each pack does what the level of its pack says, over real sockets: a whole head-end and simulated meters in one process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import tomli_w
from free_ports import free_port
from patience import PATIENCE_S
from reported import ignore
from small_meter import SmallMeter

from ami_dlms import data
from ami_dlms.data import Data
from ami_hes.app import running
from ami_hes.settings import Settings as HesSettings
from ami_meter_sim.app import start
from ami_meter_sim.control import FleetControl
from ami_meter_sim.settings import Settings as SimulatorSettings
from ami_packs.event_list import Occurrence
from ami_packs.pack import Level
from ami_packs.pack_folders import shipped_packs
from ami_process.environment import Environment

PAST = timedelta(days=3)
"""Of the meters, which have captured profiles by then."""
DESTINATION = 3
COVER = Occurrence.METER_COVER_OPENED


@dataclass(frozen=True)
class Served:
    """A model of a pack, and what is seen of it: an entry of a log by its number and code, an alarm by its register, bit and code."""

    model: str
    logged: tuple[Occurrence, str, int, str] | None = None
    alarm: tuple[str, int, str] | None = None
    entry: dict[str, Any] = field(default_factory=dict)
    alarm_setup: str = "0-4:25.9.0"
    register: str = "1-0:1.8.0"
    interval: str = "0.0.2.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0"
    since: timedelta = timedelta(hours=3)

    @property
    def pack(self) -> str:
        return self.model.partition("/")[0]


FRAUD: dict[str, Any] = {
    "logged": (COVER, "0-0:99.98.1*255", 44, "0.12.141.212"),
    "alarm": ("0-0:97.98.0*255", 13, "0.12.0.257"),
}
UTILITY_SETTING = {"client_wport": 48, "invocation_counter": "0-0:43.1.3"}
INDIAN: dict[str, Any] = {
    "logged": (COVER, "0-0:99.98.5*255", 251, "0.12.29.39"),
    "alarm": ("0-0:94.91.18*255", 83, "0.12.29.39"),
    "entry": UTILITY_SETTING,
    "interval": "0.0.5.4.1.1.12.0.0.0.0.0.0.0.0.0.72.0",
}
DUTCH: dict[str, Any] = {"alarm_setup": "0-1:25.9.0", "interval": "0.0.1.12.1.1.37.0.0.0.0.0.0.0.0.0.38.0", **FRAUD}
DUTCH["entry"] = {"invocation_counter": "0-0:43.1.0"}
GAS: dict[str, Any] = {
    "register": "0.0.0.9.1.7.58.0.0.0.0.1.0.0.0.0.167.0",
    "interval": "11.0.0.1.1.7.58.0.0.0.0.0.0.0.0.0.167.0",
    "since": timedelta(days=3),
}
SERVED = (
    Served("idis-like/three-phase", **FRAUD),
    Served("is15959/single-phase", **INDIAN),
    Served("generic/single-phase", **FRAUD),
    Served("is15959/ct", **INDIAN),
    *(Served(f"dsmr-smr5{version}/three-phase", **DUTCH) for version in ("", ".1", ".2", ".5")),
    Served("uni-ts-11291/gas", **GAS),
)


def entry(number: int, one: Served, port: int) -> dict[str, Any]:
    meter = SmallMeter(number, encryption_key=bytes([number % 256] * 16), authentication_key=bytes(range(16)))
    simulated = {"model": one.model}
    return meter.entry(address=f"127.0.0.1:{port}", pack=one.pack, simulated=simulated, **one.entry)


def pushed_to(port: int) -> Data:
    """send_destination_and_method: TCP, A-XDR."""
    return data.structure(data.enum(0), data.octet_string(f"127.0.0.1:{port}".encode()), data.enum(0))


@dataclass
class Site:
    """Meters that have been there for some hours, and a head-end."""

    url: str
    client: httpx.AsyncClient
    control: FleetControl

    async def campaign(self, kind: str, **order: Any) -> dict[str, Any]:
        answer = await self.client.post(f"{self.url}/api/v1/campaigns/{kind}", json=order)
        assert answer.status_code == 200, answer.text
        campaign = f"{self.url}/api/v1/campaigns/{answer.json()['id']}"
        async with asyncio.timeout(3 * PATIENCE_S):
            while (found := (await self.client.get(campaign)).json())["done"] < found["meters"]:
                await asyncio.sleep(0)
        return dict(found)

    async def steps(self, name: str) -> dict[str, str]:
        shown = (await self.client.get(f"{self.url}/api/v1/meters/{name}")).json()
        return {one["step"]: one["reason"] for one in shown["commissioning"]["steps"]}

    async def read(self, name: str, reading_type: str, **order: str) -> list[dict[str, Any]]:
        body = {"meters": [name], "reading_types": [reading_type], **order}
        answer = (await self.client.post(f"{self.url}/api/v1/readings", json=body)).json()
        assert answer.get("result") == "OK", (name, answer)
        return list(answer["readings"])

    async def events(self, name: str, number: int) -> list[dict[str, Any]]:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found = (await self.client.get(f"{self.url}/api/v1/events", params={"meter": name})).json()["events"]
                if len(found) >= number:
                    return list(found)
                await asyncio.sleep(0)


@asynccontextmanager
async def site(directory: Path, packs: Path | None = None, *served: Served) -> AsyncIterator[Site]:
    """Each meter is called as its number, from M1001 on."""
    dlms = free_port()
    entries = [entry(1001 + place, one, free_port()) for place, one in enumerate(served)]
    section = {"state": str(directory / "s")} | ({} if packs is None else {"packs": str(packs)})
    path = directory / "meters.toml"
    path.write_text(tomli_w.dumps({"meter_sim": section, "meters": entries}))
    settings, late = SimulatorSettings.load(path), [PAST]
    now = lambda: datetime.now(UTC) - late[0]  # noqa: E731
    simulated = await start(settings, settings.meters, Environment(emit=ignore, now=now))
    late[0] = timedelta()
    hes = {"port": 0, "dlms_port": dlms, "store": directory / "hes.sqlite", "packs": packs}
    hes |= {"lanes": {"campaign": {"attempts": 1}}}
    known = [{k: v for k, v in one.items() if k != "simulated"} for one in entries]
    try:
        async with (
            httpx.AsyncClient(timeout=PATIENCE_S, trust_env=False) as client,
            running(HesSettings(hes=hes, meters=known), Environment(emit=ignore)) as listening,
        ):
            control = FleetControl(simulated.fleet)
            for place, one in enumerate(served):
                if one.alarm is not None:
                    control.write(f"M{1001 + place}", 40, one.alarm_setup, DESTINATION, pushed_to(dlms))
            yield Site(f"http://{listening[0]}", client, control)
    finally:
        await simulated.stop()


@pytest.mark.parametrize("chosen", [SERVED[:2], pytest.param(SERVED, marks=pytest.mark.ci)], ids=["two", "all"])
async def test_meters_of_each_pack_are_commissioned_and_read_and_their_events_understood(
    tmp_path: Path, chosen: tuple[Served, ...]
) -> None:
    async with site(tmp_path, None, *chosen) as one:
        ordered = await one.campaign("commissioning", all_new=True)
        assert (ordered["ok"], ordered["failures"]) == (len(chosen), [])
        names = {f"M{1001 + place}": served for place, served in enumerate(chosen)}
        for name, served in names.items():
            assert f"as {served.model} with all of its objects" in (await one.steps(name))["objects"]
            (register,) = await one.read(name, served.register)
            assert float(register["value"]) > 0
            since = datetime.now(UTC) - served.since
            rows = await one.read(name, served.interval, **{"from": since.isoformat()})
            assert len(rows) >= 2 and all(row["value"] is not None for row in rows), served.model
            if served.logged is not None:
                one.control.occur(name, served.logged[0])
        read = await one.campaign("event-logs", meters=list(names))
        assert read["ok"] == len(names), read["failures"]
        for name, served in names.items():
            await understood(one, name, served)


async def understood(one: Site, name: str, served: Served) -> None:
    """The entry of the log has its code, and the alarm that it raised was pushed and has its own."""
    if served.logged is None:
        return
    _, log, number, code = served.logged
    found = await one.events(name, 1)
    assert {"log": log, "number": str(number)}.items() <= next(
        said["details"] for said in found if said["source"] == "log" and said["type"] == code
    ).items()
    if served.alarm is not None:
        register, bit, alarm_code = served.alarm
        raised = {"register": register, "bit": str(bit)}
        while not (alarms := [said for said in found if raised.items() <= said["details"].items()]):
            found = await one.events(name, len(found) + 1)
        assert [said["type"] for said in alarms] == [alarm_code]


def test_every_pack_of_meters_is_among_them() -> None:
    packs = shipped_packs()
    assert {one.pack for one in SERVED} == {name for name in packs.names if packs.pack(name).level is not Level.LIST}
