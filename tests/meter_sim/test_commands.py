"""The command line over the API of a process that runs: `meter-sim meters` and `meter-sim fault`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from test_control_api import served
from typer.testing import CliRunner

from ami_meter_sim.__main__ import app
from ami_process.tokens import load

SWITCH = ("70", "0-0:96.3.10*255", "4")


async def run(url: str, *words: str, fails: bool = False) -> str:
    """What a command writes; it runs in a thread, as the process that it asks runs in this one."""
    found = await asyncio.to_thread(CliRunner().invoke, app, [*words, "--url", url])
    assert (found.exit_code != 0) is fails, found.output
    return found.output


async def test_meters(tmp_path: Path) -> None:
    async with served(tmp_path) as api:
        url = str(api.client.base_url)
        assert (await run(url, "meters", "list", "--name", "M*")).splitlines() == ["M1001 connected", "M1002 connected"]
        assert (await run(url, "meters", "list", "--limit", "2")).splitlines()[-1] == "and more: --skip 2"
        assert (await run(url, "meters", "list", "--no-connected")) == ""
        assert json.loads(await run(url, "meters", "show", "M1001"))["device_id"] == "1001"
        assert "0-0:96.3.10*255" in await run(url, "meters", "objects", "M1001")
        assert json.loads(await run(url, "meters", "read", "M1001", *SWITCH)) == {"type": "enum", "value": 4}
        wanted = '{"type": "enum", "value": 2}'
        assert json.loads(await run(url, "meters", "set", "M1001", *SWITCH, wanted)) == {"type": "enum", "value": 2}
        pressed = json.loads(await run(url, "meters", "press", "M1001", "disconnect"))
        assert pressed["switch"]["output_state"] is False
        assert json.loads(await run(url, "meters", "household", "M1001", "shop"))["household"] == "shop"
        assert "kind" in await run(url, "meters", "household", "M1001", "castle", fails=True)


async def test_faults(tmp_path: Path) -> None:
    async with served(tmp_path) as api:
        url = str(api.client.base_url)
        keys = ("seconds=0.5", "when.class=[7, 3]", "when.service=get", 'meters=["M*"]', "seed=3")
        made = json.loads(await run(url, "fault", "set", "slow", *keys))
        assert made["rule"]["when"] == {"service": ["get"], "class": [7, 3]} and made["rule"]["seconds"] == 0.5
        assert (await run(url, "meters", "list", "--fault", "slow")).splitlines() == [
            "M1001 connected slow",
            "M1002 connected slow",
        ]
        listed = await run(url, "fault", "list")
        assert listed.startswith("1 slow ") and "when.class=[7,3]" in listed and "group" not in listed
        again = json.loads(await run(url, "fault", "set", *listed.split()[1:]))
        assert again["rule"] == made["rule"], "it is what `fault set` takes"
        assert json.loads(await run(url, "fault", "reset", "1")) == {"rules": 1}
        await run(url, "fault", "reset", "2")
        named = json.loads(await run(url, "fault", "set", "silent", "meters=M1001,M1002"))
        assert named["rule"]["meters"] == ["M1001", "M1002"]
        assert json.loads(await run(url, "fault", "reset")) == {"rules": 1, "conditions": 0}


async def test_scenarios(tmp_path: Path) -> None:
    async with served(tmp_path) as api:
        url = str(api.client.base_url)
        file = tmp_path / "mine.toml"
        file.write_text(
            'name = "mine"\nabout = "a test"\nlasts_s = 3600.0\n[[disturbances]]\nrule = { fault = "slow" }\n'
        )
        assert json.loads(await run(url, "scenario", "run", str(file)))["status"] == "running"
        shown = json.loads(await run(url, "scenario", "show", "--json"))
        assert (shown["name"], shown["places"]) == ("mine", [])
        assert (await run(url, "scenario", "show")).splitlines()[1] == "meters: none on a track"
        assert (await run(url, "fault", "list")).startswith("1 ")
        assert json.loads(await run(url, "scenario", "stop"))["status"] == "stopped"
        assert (await run(url, "fault", "list")) == ""
        assert "no scenario 'flood'" in await run(url, "scenario", "run", "flood", fails=True)
    listed = CliRunner().invoke(app, ["scenario", "list"]).output
    assert "chaos" in listed and "A head-end should" in listed


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("words", [("faults",), ("scenario", "list")])
def test_long_lists_fit_the_terminal(monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], columns: int) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    whole = CliRunner().invoke(app, words).output
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = CliRunner().invoke(app, words).output
    assert max(map(len, shown.splitlines())) <= columns < max(map(len, whole.splitlines()))
    assert shown.split() == whole.split()


def test_every_help_looks_the_same() -> None:
    """Groups that are loaded late are made by themselves, and typer's own ways are others."""
    groups = ["meters", "fault", "snapshot", "clock", "scenario", "store"]
    for words in [[], *([one] for one in groups)]:
        shown = CliRunner().invoke(app, [*words, "--help"]).output
        assert shown.startswith("Usage: ") and "install-completion" not in shown, words


async def test_a_scenario_is_followed_as_a_table(tmp_path: Path) -> None:
    async with served(tmp_path) as api:
        url = str(api.client.base_url)
        assert await run(url, "scenario", "show") == "no scenario has run\n"
        file = tmp_path / "mine.toml"
        file.write_text(
            'name = "mine"\nabout = "a test"\n[[tracks]]\nname = "door"\n[[tracks.steps]]\ndo = "set_condition"\n'
            'condition = "terminal_cover"\n[[tracks.steps]]\nwait_for = "switched"\nwithin_s = 3600\n'
        )
        await run(url, "scenario", "run", str(file), "--meters", "M*", "--share", "1")
        while len(api.wire.events("condition_changed")) < 2:
            await asyncio.sleep(0)
        shown = (await run(url, "scenario", "show", "--meter", "*2")).splitlines()
        assert shown[0].startswith("mine: running, since ") and shown[1] == "meters: 2 under way"
        assert shown[3].split() == ["METER", "TRACK", "STEP", "STATE", "WAITS", "FOR", "UNTIL"]
        assert shown[4].split()[:-1] == ["M1002", "door", "2", "of", "2", "under", "way", "switched"]
        assert [line.split("  ")[-1].strip() for line in shown[6:]] == [
            "WHAT",
            "set_condition terminal_cover on",
            "wait for switched",
        ]


async def test_what_goes_wrong_is_said(tmp_path: Path) -> None:
    async with served(tmp_path) as api:
        url = str(api.client.base_url)
        assert "did you mean 'slow'?" in await run(url, "fault", "set", "slw", fails=True)
        assert "there is no 'lazy'" in await run(url, "fault", "set", "lazy", fails=True)
        assert "is not key=value" in await run(url, "fault", "set", "slow", "seconds", fails=True)
        assert "no meter 'M7'" in await run(url, "meters", "show", "M7", fails=True)
        assert "notes no magnet_on" in await run(url, "meters", "occur", "M1001", "magnet_on", fails=True)
    assert "cannot be reached" in await run(url, "meters", "list", fails=True)


async def test_with_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    load(file, "meter_sim.token_file")
    async with served(tmp_path / "state", file) as api:
        url = str(api.client.base_url)
        assert "bearer token" in await run(url, "meters", "list", fails=True)
        monkeypatch.setenv("METER_SIM_TOKEN_FILE", str(file))
        assert len((await run(url, "meters", "list")).splitlines()) == 3
