"""Meters are commissioned over real sockets: a whole head-end and simulated meters in one process; what the meters hold afterwards is read over DLMS."""

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

from ami_hes.app import running
from ami_hes.operations import commission
from ami_hes.settings import Settings as HesSettings
from ami_meter_sim.app import start
from ami_meter_sim.settings import Settings as SimulatorSettings
from ami_process.environment import Environment

COMMISSIONING = "/api/v1/campaigns/commissioning"
PUSH = {"setup": "0-4:25.9.0", "destination": "127.0.0.1:4059"}
LATE = timedelta(minutes=7)
"""By which the meters' clocks are slow."""


def entry(number: int, **more: Any) -> dict[str, Any]:
    """A meter that listens, with the keys that it came with."""
    small = SmallMeter(number, encryption_key=bytes(16), authentication_key=bytes(range(16)))
    keys = {"master_key": "11" * 16, "default_keys": True}
    address = {"address": f"127.0.0.1:{free_port()}", "simulated": {"model": "single-phase"}}
    return small.entry(**keys | address | more)


@dataclass
class Site:
    """Simulated meters, and a head-end that may have several lives."""

    directory: Path
    entries: list[dict[str, Any]]
    believed: list[dict[str, Any]] | None = None
    """What the registry says of them, where that is something else."""
    client: httpx.AsyncClient = field(default_factory=lambda: httpx.AsyncClient(timeout=PATIENCE_S, trust_env=False))

    @asynccontextmanager
    async def meters(self) -> AsyncIterator[None]:
        path = self.directory / "meters.toml"
        path.write_text(tomli_w.dumps({"meter_sim": {"state": str(self.directory / "s")}, "meters": self.entries}))
        settings = SimulatorSettings.load(path)
        now = lambda: datetime.now(UTC) - LATE  # noqa: E731
        simulated = await start(settings, settings.meters, Environment(emit=ignore, now=now))
        try:
            yield
        finally:
            await simulated.stop()

    @asynccontextmanager
    async def head_end(self, *push: dict[str, Any], master_key: bool = False) -> AsyncIterator[str]:
        hes = {"port": 0, "dlms_port": 0, "store": self.directory / "hes.sqlite", "max_sessions": 8}
        hes |= {"commissioning": {"push": push, "master_key": master_key}, "lanes": {"campaign": {"attempts": 1}}}
        known = [{k: v for k, v in one.items() if k != "simulated"} for one in self.believed or self.entries]
        async with running(HesSettings(hes=hes, meters=known), Environment(emit=ignore)) as listening:
            yield f"http://{listening[0]}"

    async def commission(self, url: str, **order: Any) -> dict[str, Any]:
        answer = await self.client.post(url + COMMISSIONING, json=order)
        assert answer.status_code == 200, answer.text
        return await self.ended(f"{url}/api/v1/campaigns/{answer.json()['id']}")

    async def ended(self, campaign: str) -> dict[str, Any]:
        async with asyncio.timeout(3 * PATIENCE_S):
            while (found := (await self.client.get(campaign)).json())["done"] < found["meters"]:
                await asyncio.sleep(0)
        assert isinstance(found, dict)
        return found

    async def shown(self, url: str, name: str) -> dict[str, Any]:
        found = (await self.client.get(f"{url}/api/v1/meters/{name}")).json()
        assert isinstance(found, dict)
        return found

    async def names(self, url: str, state: str) -> list[str]:
        listed = (await self.client.get(f"{url}/api/v1/meters", params={"state": state})).json()
        return [one["name"] for one in listed["meters"]]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    one = Site(tmp_path, [entry(1001), entry(1002), entry(1003, simulated={"model": "three-phase"})])
    async with one.client, one.meters():
        yield one


def steps(shown: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["step"], one["result"]) for one in shown["commissioning"]["steps"]]


async def test_a_new_meter_is_commissioned_step_by_step_and_again_there_is_nothing_to_do(site: Site) -> None:
    async with site.head_end(PUSH) as url:
        assert await site.names(url, "new") == ["M1001", "M1002", "M1003"]
        found = await site.commission(url, meters=["M1001"])
        assert (found["ok"], found["failures"]) == (1, [])
        first = await site.shown(url, "M1001")
        assert first["state"] == "commissioned"
        changed = [("clock", "done"), ("push", "done"), ("keys", "done"), ("keys", "done")]
        assert steps(first) == [("identity", "done"), ("objects", "done"), *changed]
        assert "push to" not in str(first) and PUSH["destination"] in first["commissioning"]["steps"][3]["reason"]
        assert (await site.names(url, "new"), await site.names(url, "commissioned")) == (["M1002", "M1003"], ["M1001"])
    async with site.head_end(PUSH) as url:  # another life, which has the former keys in its configuration
        assert (await site.commission(url, meters=["M1001"]))["ok"] == 1
        left = [("clock", "left"), ("push", "left"), ("keys", "left"), ("keys", "left")]
        assert steps(await site.shown(url, "M1001"))[2:] == left
        found = await site.commission(url, all_new=True)
        assert (found["meters"], found["ok"], found["summary"]) == (2, 2, "commission all new")
        answer = await site.client.post(url + COMMISSIONING, json={"all_new": True})
        assert (answer.status_code, answer.json()) == (422, {"error": "no meter is new"})
        listed = (await site.client.get(f"{url}/api/v1/meters", params={"state": "newer"})).status_code
        assert listed == 422


async def test_a_step_that_fails_ends_it_with_its_reason_and_what_was_done_before_is_kept(site: Site) -> None:
    missing = {"setup": "0-9:25.9.0", "destination": "127.0.0.1:4059"}
    other = site.entries[1] | {"device_id": "1003"}
    site.believed = [site.entries[0], other]
    async with site.head_end(PUSH, missing) as url:
        found = await site.commission(url, meters=["M1001", "M1002"])
        reasons = {one["meter"]: one["reason"] for one in found["failures"]}
        assert (found["ok"], sorted(reasons)) == (0, ["M1001", "M1002"])
        assert "M1001: push: " in reasons["M1001"] and "0-9:25.9.0" in reasons["M1001"]
        assert "Seen done before it: identity, objects, clock, push." in reasons["M1001"]
        assert "Something that changes the meter was sent" in reasons["M1001"]
        assert "the registry says 1003, the meter says 1002" in reasons["M1002"]
        assert "was sent" not in reasons["M1002"] and "before it: no step" in reasons["M1002"]
        first = await site.shown(url, "M1001")
        assert (first["state"], steps(first)[-1]) == ("failed", ("push", "failed"))
        assert await site.names(url, "failed") == ["M1001", "M1002"]
    async with site.head_end(PUSH) as url:  # what failed can be ordered again
        assert await site.names(url, "failed") == ["M1001", "M1002"]
        assert (await site.commission(url, meters=["M1001"]))["ok"] == 1
        assert (await site.shown(url, "M1001"))["state"] == "commissioned"


async def test_what_is_begun_in_one_life_comes_to_its_end_in_the_next(site: Site) -> None:
    async with site.head_end(PUSH) as url:
        ordered = (await site.client.post(url + COMMISSIONING, json={"all_new": True})).json()
    async with site.head_end() as url:  # the order says what they are to have, whatever is configured by now
        found = await site.ended(f"{url}/api/v1/campaigns/{ordered['id']}")
        assert (found["meters"], found["ok"], found["failures"]) == (3, 3, [])
        said = {one["step"]: one["reason"] for one in (await site.shown(url, "M1002"))["commissioning"]["steps"]}
        assert PUSH["destination"] in said["push"], "done in whichever life"
        assert await site.names(url, "commissioned") == ["M1001", "M1002", "M1003"]


async def test_a_default_master_key_is_changed_before_what_goes_under_it(site: Site) -> None:
    async with site.head_end(master_key=True) as url:
        found = await site.commission(url, meters=["M1003"])
        assert (found["ok"], found["failures"]) == (1, [])
        shown = await site.shown(url, "M1003")
        keys = [one["reason"] for one in shown["commissioning"]["steps"] if one["step"] == "keys"]
        assert keys == [
            "a new master_key is in force",
            "a new encryption_key is in force",
            "authentication_key was changed before",
        ]
    async with site.head_end(master_key=True) as url:
        assert (await site.commission(url, meters=["M1003"]))["ok"] == 1
        assert steps(await site.shown(url, "M1003"))[-3:] == [("keys", "left")] * 3


async def test_a_meter_that_does_not_call_holds_no_place_for_days(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commission, "LONGEST_S", 0.1)
    site.believed = [site.entries[0] | {"address": "dials-in"}]
    async with site.head_end() as url:
        found = await site.commission(url, meters=["M1001"])
        (failure,) = found["failures"]
        assert "M1001: identity: " in failure["reason"] and "before it: no step" in failure["reason"]
        assert (await site.shown(url, "M1001"))["state"] == "failed"
