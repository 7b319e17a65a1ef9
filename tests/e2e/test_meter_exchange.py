"""A meter is exchanged from the CIS on: CIS, head-end and simulated meters in one process, over real sockets, and what each of them has afterwards."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import tomli_w
from free_ports import free_port
from patience import PATIENCE_S
from reported import ignore

from ami_cim.reading_type_names import reading_type_of
from ami_cis.__main__ import main
from ami_cis.app import running as running_cis
from ami_cis.settings import Cis
from ami_cis.settings import Settings as CisSettings
from ami_hes.app import running as running_hes
from ami_hes.settings import Settings as HesSettings
from ami_meter_sim.app import start
from ami_meter_sim.settings import Settings as SimulatorSettings
from ami_process.environment import Environment

POINT, POINT_MRID = "UP-500", str(uuid.UUID(int=500))
OLD, NEW, OTHER = "M1001", "M1002", "M1003"


def entry(name: str, *points: str) -> dict[str, Any]:
    number = int(name[1:])
    return {
        "name": name,
        "mrid": str(uuid.UUID(int=number)),
        "usage_points": list(points),
        "address": f"127.0.0.1:{free_port()}",
        "encryption_key": "00" * 16,
        "authentication_key": "11" * 16,
        "system_title": f"414D49000000{number:04x}",
        "logical_device_name": f"AMI000000000{number}",
        "device_id": str(number),
    }


@dataclass
class Whole:
    """All three, asked over their APIs."""

    cis: str
    hes: str
    client: httpx.AsyncClient
    simulated: Any

    async def command(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
        capsys.readouterr()
        code = await asyncio.to_thread(main, ["meters", *arguments, "--url", self.cis, "--json"])
        return code, json.loads(capsys.readouterr().out)

    async def words(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
        """As a person gets it."""
        capsys.readouterr()
        assert await asyncio.to_thread(main, ["meters", *arguments, "--url", self.cis]) == 0
        return capsys.readouterr().out

    async def points(self, name: str) -> list[str]:
        found = (await self.client.get(f"{self.hes}/api/v1/meters/{name}")).json()
        points: list[str] = found["entry"].get("usage_points", [])
        return points


@pytest.fixture
async def whole(tmp_path: Path) -> AsyncIterator[Whole]:
    entries = [entry(OLD, POINT_MRID, POINT), entry(NEW), entry(OTHER, "UP-600")]
    simulated_ones = [one | {"simulated": {"model": "single-phase"}} for one in entries]
    path = tmp_path / "meters.toml"
    path.write_text(tomli_w.dumps({"meter_sim": {"state": str(tmp_path / "state")}, "meters": simulated_ones}))
    simulator = SimulatorSettings.load(path)
    async with AsyncExitStack() as stack:
        environment = Environment(emit=ignore)
        simulated = await start(simulator, simulator.meters, environment)
        stack.push_async_callback(simulated.stop)
        hes = HesSettings(hes={"port": 0, "dlms_port": 0, "store": tmp_path / "hes.sqlite"})
        hes_at, *_ = await stack.enter_async_context(running_hes(hes, environment))
        cis = CisSettings(cis=Cis(port=0, store=tmp_path / "cis.sqlite", hes_url=f"http://{hes_at}"))
        system = await stack.enter_async_context(running_cis(cis, environment, 0))
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=3 * PATIENCE_S, trust_env=False))
        rows = [{"place": one["name"], "columns": one} for one in entries]
        shipped = await client.post(f"http://{hes_at}/api/v1/meters", json={"rows": rows})
        assert {one["outcome"] for one in shipped.json()["rows"]} == {"accepted"}, shipped.text
        yield Whole(f"http://{system.listen}", f"http://{hes_at}", client, simulated)


async def test_a_meter_is_exchanged_with_its_last_and_first_readings(
    whole: Whole, capsys: pytest.CaptureFixture[str]
) -> None:
    code, listed = await whole.command(capsys, "list")
    assert (code, [one["name"] for one in listed["meters"]]) == (0, [OLD, NEW, OTHER])
    assert [one["name"] for one in (await whole.command(capsys, "list", "--limit", "1"))[1]["meters"]] == [OLD]
    order = ("exchange", "--usage-point", POINT, "--new", NEW, "--type", "import")
    code, done = await whole.command(capsys, *order)
    assert (code, done["exchanged"], done["old"], done["reason"]) == (0, True, OLD, ""), done
    kinds = [[(one["meter"], one["reading_type"]) for one in done[which]] for which in ("final", "first")]
    assert kinds == [[(OLD, reading_type_of("import"))], [(NEW, reading_type_of("import"))]]
    assert (await whole.points(OLD), await whole.points(NEW)) == ([], [POINT_MRID, POINT])
    code, shown = await whole.command(capsys, "show", NEW)
    assert (code, shown["usage_points"], shown["meter"]["serial_number"]) == (0, [POINT_MRID, POINT], "1002")
    code, again = await whole.command(capsys, *order)
    assert (code, again["exchanged"], again["final"], len(again["first"])) == (0, True, [], 1), "it was done already"
    assert [one["step"] for one in again["steps"]] == ["look", "first readings"]
    shown_words = await whole.words(capsys, *order)
    assert f"at {POINT}: {NEW} is there" in shown_words and "first readings" in shown_words and "import" in shown_words
    assert NEW in await whole.words(capsys, "list") and "usage point: none" in await whole.words(capsys, "show", OLD)


async def test_nothing_is_changed_where_it_could_not_come_to_its_end(
    whole: Whole, capsys: pytest.CaptureFixture[str]
) -> None:
    for new, old, reason in (
        (OTHER, None, "M1003 is at the usage point UP-600"),
        ("M9999", None, "does not know the meter M9999"),
        (NEW, OTHER, "at UP-500 is M1001, and not M1003"),
    ):
        more = () if old is None else ("--old", old)
        code, done = await whole.command(capsys, "exchange", "--usage-point", POINT, "--new", new, *more)
        assert (code, done["exchanged"]) == (1, False) and reason in done["reason"], done
    code, done = await whole.command(capsys, "exchange", "--usage-point", "UP-700", "--new", NEW, "--old", OLD)
    assert (code, done["exchanged"]) == (1, False) and f"M1001 is at the usage point {POINT}" in done["reason"]
    assert await whole.points(OLD) == [POINT_MRID, POINT] and await whole.points(NEW) == []


async def test_a_meter_that_can_not_be_read_any_more_is_exchanged_when_that_is_said(
    whole: Whole, capsys: pytest.CaptureFixture[str]
) -> None:
    """It keeps no usage point; what of it is known stays under its own name."""
    moved = {"place": OLD, "columns": entry(OLD, POINT_MRID, POINT)}  # where nothing listens
    await whole.client.post(f"{whole.hes}/api/v1/meters", json={"rows": [moved]})
    order = ("exchange", "--usage-point", POINT_MRID, "--new", NEW, "--type", "import")
    code, done = await whole.command(capsys, *order)
    assert (code, done["exchanged"]) == (1, False) and done["reason"].endswith("nothing was changed"), done
    assert await whole.points(OLD) == [POINT_MRID, POINT]
    code, done = await whole.command(capsys, *order, "--without-final")
    assert (code, done["exchanged"], done["final"], len(done["first"])) == (0, True, [], 1), done
    assert (await whole.points(OLD), await whole.points(NEW)) == ([], [POINT_MRID, POINT])
