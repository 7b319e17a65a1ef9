"""The command `cis`: `send`, which asks a CIS that serves, and what its exit code says; `serve` as a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cis_stand_in import METERS, StandInHes, acknowledging, answering, failed_meter
from patience import PATIENCE_S

from ami_cim.message import Reply, ReplyError
from ami_cis.__main__ import main
from ami_cis.app import running
from ami_cis.settings import Settings
from ami_process.environment import Environment
from ami_process.events import Event

MRID_1 = METERS[0].mrid or ""


@pytest.fixture
def config(tmp_path: Path, hes: StandInHes) -> Path:
    return written(tmp_path, hes.url)


def written(directory: Path, hes_url: str, port: int = 0, more: str = "") -> Path:
    meters = "".join(f'[[meters]]\nname = "{meter.name}"\nmrid = "{meter.mrid}"\n' for meter in METERS)
    path = directory / "ami.toml"
    path.write_text(
        f'[demo]\nperiod_s = 0.05\nconnect_after_s = 0.01\n[cis]\nport = {port}\nhes_url = "{hes_url}"\n'
        f'store = "{directory / "cis.sqlite"}"\n{more}\n{meters}'
    )
    return path


async def sent(config: Path, *arguments: str) -> int:
    """`cis send` to a CIS that serves with this configuration."""
    async with running(Settings.load(config), Environment(emit=silent), 0) as system:
        return await asyncio.to_thread(
            main, ["send", "--url", f"http://127.0.0.1:{system.listen.rpartition(':')[2]}", *arguments]
        )


def silent(_: Event) -> None:
    """What the CIS says is looked at where it is a process."""


async def test_ok_is_a_table_and_exit_code_0(hes: StandInHes, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = await sent(config, "--code", "3.31.0.23", "--meter", "M1001", "--meter", "M1002", "--message-id", "mine")
    printed = capsys.readouterr().out
    assert code == 0
    assert printed.startswith("create EndDeviceControls 3.31.0.23 (disconnect): OK, ")
    assert "MessageID mine" in printed
    assert printed.splitlines()[3].split() == ["meter", "result", "code", "reason"]
    assert [line.split() for line in printed.splitlines()[4:]] == [["M1001", "ok"], ["M1002", "ok"]]
    assert [device.mrid for device in hes.control.end_devices] == [meter.mrid for meter in METERS]


async def test_partial_says_who_and_why_and_is_not_0(
    hes: StandInHes, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    errors = (
        failed_meter("2.4", "nobody knows it", "M9999", "name"),
        failed_meter("0.0", "connected", MRID_1),
        ReplyError(code="5.4"),
    )
    hes.behaviour = answering(Reply(result="PARTIAL", errors=errors))
    code = await sent(config, "--code", "3.31.0.18", "--meter", "M1001", "--meter", "M9999", "--usage-point", "UP-1")
    printed = capsys.readouterr().out
    assert code == 1
    assert "(connect): PARTIAL" in printed
    rows = [" ".join(line.split()) for line in printed.splitlines()[4:]]
    assert rows[:3] == ["M1001 ok 0.0 connected", "M9999 failed 2.4 nobody knows it", "UP-1 ok"]
    assert rows[3].startswith("- failed 5.4 ")
    assert hes.control.end_devices[1].mrid is None


async def test_failed_as_a_whole_leaves_nobody_done(
    hes: StandInHes, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hes.behaviour = answering(Reply(result="FAILED", errors=(ReplyError(code="2.9", reason="not here"),)))
    assert await sent(config, "--code", "3.31.0.23", "--mrid", MRID_1, "--verb", "delete") == 1
    printed = capsys.readouterr().out
    assert printed.startswith("delete EndDeviceControls")
    assert f"{MRID_1}  not done" in printed
    assert "2.9" in printed and "not here" in printed


async def test_a_reason_moves_no_cursor_and_makes_no_line(
    hes: StandInHes, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hes.behaviour = answering(Reply(result="FAILED", errors=(ReplyError(code="2.9", reason="not\x9b2J\nM1001  ok"),)))
    assert await sent(config, "--code", "3.31.0.23", "--mrid", MRID_1) == 1
    lines = capsys.readouterr().out.split("\n")
    assert all(map(str.isprintable, lines)) and not any(line.startswith("M1001") for line in lines)


async def test_asynchronous_json(hes: StandInHes, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hes.behaviour = acknowledging(Reply(result="PARTIAL", errors=(failed_meter("4.1", "silent", MRID_1),)))
    assert await sent(config, "--code", "3.31.0.23", "--meter", "M1001", "--asynchronous", "--json") == 1
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert hes.requests[0].header.async_reply_flag is True
    assert (told["result"], told["confirmed"], told["meters"]) == ("PARTIAL", False, ["M1001"])
    assert told["errors"] == [{"code": "4.1", "reason": "silent", "meter": "M1001", "level": None}]


async def test_a_hes_that_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = written(tmp_path, "http://127.0.0.1:1")
    assert await sent(config, "--code", "3.31.0.23", "--meter", "M1001") == 1
    printed = capsys.readouterr().out
    assert "NO REPLY" in printed
    assert "http://127.0.0.1:1 cannot be reached" in printed


async def test_usage_errors_are_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = written(tmp_path, "http://127.0.0.1:1")
    assert await sent(config, "--code", "3.31.0.23") == 2
    assert "at least one --meter" in capsys.readouterr().err
    assert await sent(config, "--code", "3.31.0.23", "--meter", "M\n1") == 2
    assert "--meter: has to be printable text" in capsys.readouterr().err
    bad = written(tmp_path, "http://127.0.0.1:1", more="prot = 1")
    assert await asyncio.to_thread(main, ["serve", "--config", str(bad)]) == 2
    assert "cis.prot: unknown key" in capsys.readouterr().err
    alone = tmp_path / "alone.toml"
    alone.write_text("[cis]\nport = 0\n")
    assert await asyncio.to_thread(main, ["serve", "--config", str(alone)]) == 2
    assert "no [[meters]]" in capsys.readouterr().err
    tokens = tmp_path / "tokens"
    everywhere = written(tmp_path, "http://127.0.0.1:1", more=f'host = "0.0.0.0"\ntoken_file = "{tokens}"')
    asked = ("--code", "3.31.0.23", "--meter", "M1001", "--asynchronous")
    assert await sent(everywhere, *asked) == 2
    assert "cis.token_file" in capsys.readouterr().err
    assert await sent(everywhere, *asked, "--token-file", str(tokens)) == 2
    assert "cis.reply_address" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--at", "--until", "--start"])
@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
async def test_a_time_that_no_message_can_say_is_2(
    capsys: pytest.CaptureFixture[str], option: str, moment: str
) -> None:
    asked = ("control", "clock-set", "--meter", "M1001", option, moment, "--url", "http://127.0.0.1:1")
    assert await asyncio.to_thread(main, [*asked]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"cis: control: {option}: ") and "before the year 1 or after 9999" in said


async def test_no_cis_is_3_and_a_lost_answer_says_how_to_ask_again(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("send", "--code", "3.31.0.23", "--meter", "M1001", "--message-id", "mine", "--url")
    assert await asyncio.to_thread(main, [*asked, "http://127.0.0.1:1"]) == 3
    assert "http://127.0.0.1:1 cannot be reached" in capsys.readouterr().err

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert await asyncio.to_thread(main, [*asked, f"http://127.0.0.1:{port}"]) == 1
    said = capsys.readouterr().err
    assert "it is not known what became of the control" in said and "--message-id mine" in said


async def test_a_place_that_cannot_be_had_is_exit_code_98(tmp_path: Path) -> None:
    async with a_process(written(tmp_path, "http://127.0.0.1:1", more='host = "203.0.113.1"')) as process:
        told = [event async for event in events(process)]
        assert await process.wait() == 98
    assert [event["event"] for event in told] == ["cannot_listen"]


@asynccontextmanager
async def a_process(config: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AMI_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "ami_cis",
        "serve",
        "--config",
        str(config),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        env=environment,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def events(process: asyncio.subprocess.Process) -> AsyncIterator[dict[str, Any]]:
    assert process.stdout is not None
    async for line in process.stdout:
        yield json.loads(line)


async def test_the_process_runs_its_cycles_and_says_so_in_json(hes: StandInHes, config: Path) -> None:
    async with a_process(config, "--cycles", "2") as process:
        told = [event async for event in events(process)]
        assert await process.wait() == 0
    assert [event["event"] for event in told] == ["ready", *["request_sent", "reply_received"] * 4, "done"]
    assert all("at" in event for event in told)
    assert (told[-1]["cycles"], told[-1]["commands"], told[-1]["confirmed"], told[-1]["failed"]) == (2, 4, 4, 0)
    assert told[-1]["median_ms"] > 0


@pytest.mark.parametrize(("number", "arguments"), [(signal.SIGTERM, ()), (signal.SIGINT, ("--no-loop",))])
async def test_it_stops_cleanly_when_told(tmp_path: Path, number: signal.Signals, arguments: tuple[str, ...]) -> None:
    async with a_process(written(tmp_path, "http://127.0.0.1:1"), *arguments) as process:
        told = events(process)
        assert (await anext(told))["event"] == "ready"
        if not arguments:
            assert (await anext(told))["event"] == "waiting_for"
        process.send_signal(number)
        async with asyncio.timeout(PATIENCE_S):
            rest = [event async for event in told]
            assert await process.wait() == 0
    assert [event["event"] for event in rest] == ([] if arguments else ["done"])


async def test_a_request_in_flight_does_not_hold_the_stop_up(tmp_path: Path, hes: StandInHes) -> None:
    asked = asyncio.Event()

    async def hang(_: object, __: object) -> Any:
        asked.set()
        await asyncio.Event().wait()

    hes.behaviour = hang
    async with a_process(written(tmp_path, hes.url)) as process:
        await asked.wait()
        process.terminate()
        async with asyncio.timeout(PATIENCE_S):
            told = [event["event"] async for event in events(process)]
            assert await process.wait() == 0
    assert told == ["ready", "request_sent", "done"]


async def test_a_taken_port_is_exit_code_98(tmp_path: Path, hes: StandInHes) -> None:
    port = int(hes.url.rpartition(":")[2])
    async with a_process(written(tmp_path, hes.url, port)) as process:
        told = [event async for event in events(process)]
        assert await process.wait() == 98
    assert [(event["event"], event["address"], event["setting"]) for event in told] == [
        ("port_taken", f"127.0.0.1:{port}", "cis.port")
    ]
