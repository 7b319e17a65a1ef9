"""The head-end and `ami meter` work the same simulated meter over each transport, from the same registry entry."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tty
from pathlib import Path
from typing import Any

import pytest
import relays
import tomli_w
from free_ports import free_port
from small_meter import CONNECT, DISCONNECT, SmallMeter, South
from test_simulated_meter import Simulator
from typer.testing import CliRunner

from ami_cli.meter.cli import app
from ami_dlms.framing import mode_e
from ami_dlms.framing.mode_e import Identification
from ami_hes.meters.registry import Registry, RegistryError


@pytest.fixture
async def simulator(tmp_path: Path) -> Any:
    one = Simulator(tmp_path)
    yield one
    await one.stop()


WAYS: dict[str, dict[str, Any]] = {
    "wrapper": {},
    "udp": {"transport": "udp"},
    "hdlc": {"transport": "hdlc", "physical_address": 17},
}


async def by_hand(config: Path, *arguments: str) -> Any:
    """`ami meter`, on the one entry of this file."""
    environment = {"AMI_METER_COUNTERS": str(config.with_name("counters.json"))}
    command = [*arguments, "--registry", str(config), "--timeout", "20"]
    done = await asyncio.to_thread(CliRunner().invoke, app, command, env=environment)
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout) if "--json" in arguments else done.stdout


@pytest.mark.parametrize(
    "public_client",
    [pytest.param(True, id="public"), pytest.param(False, id="no-public", marks=pytest.mark.ci)],
)
@pytest.mark.parametrize("transport", WAYS)
async def test_head_end_and_ami_meter_work_the_same_meter(
    ami: South, simulator: Simulator, tmp_path: Path, transport: str, public_client: bool
) -> None:
    entry = SmallMeter(1001).entry(address=f"127.0.0.1:{free_port()}", public_client=public_client) | WAYS[transport]
    await simulator.start(entry | {"simulated": {}})
    config = tmp_path / "registry.toml"
    config.write_text(tomli_w.dumps({"meters": [entry]}))
    await ami.start(entry, apdu_timeout_s=20.0)
    outcome = await ami.switch(DISCONNECT, deadline_s=40.0)
    assert outcome.ok, outcome.reason
    [seen] = await by_hand(config, "read", "0-0:96.3.10", "2", "--class", "70", "--json")
    assert seen["value"] is False
    await by_hand(config, "connect", "--yes")
    await simulator.until(lambda: len(simulator.switchings("M1001")) == 2)
    outcome = await ami.switch(CONNECT, deadline_s=40.0)
    assert outcome.ok and "as it was before" in outcome.reason, outcome.reason
    await ami.stop()
    assert simulator.switchings("M1001") == [(True, False), (False, True)]
    if not public_client:
        assert not [event for event in simulator.events if event.get("client_wport") == 16]


def on(device: str, **changes: Any) -> dict[str, Any]:
    """The registry's words for a meter at the end of this serial line."""
    return {"address": device, "transport": "serial"} | changes


async def test_a_meter_on_a_serial_line(ami: South, simulator: Simulator) -> None:
    port = free_port()
    entry = SmallMeter(1001).entry(address=f"127.0.0.1:{port}", transport="hdlc", physical_address=17)
    await simulator.start(entry | {"simulated": {}})
    with relays.serial_line(port) as device:
        await ami.start(entry | on(device, baud=115200), apdu_timeout_s=20.0, keep_open_s=60.0)
        for code in (DISCONNECT, CONNECT):
            outcome = await ami.switch(code, deadline_s=40.0)
            assert outcome.ok, outcome.reason
        await ami.stop()
    await simulator.until(lambda: len(simulator.switchings("M1001")) == 2)
    assert simulator.switchings("M1001") == [(True, False), (False, True)]


async def test_a_meter_that_wants_a_sign_on(ami: South, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mode_e, "CHANGE_S", 0.0)
    port = free_port()
    entry = SmallMeter(1001).entry(address=f"127.0.0.1:{port}", transport="hdlc", public_client=False)
    await simulator.start(entry | {"simulated": {}})
    with relays.serial_line(port, sign_on=Identification("AMI", 9600)) as device:
        await ami.start(entry | on(device, mode_e=True), apdu_timeout_s=20.0)
        outcome = await ami.switch(DISCONNECT, deadline_s=40.0)
        await ami.stop()
    assert outcome.ok, outcome.reason


async def test_meters_that_share_a_line_take_turns(ami: South) -> None:
    """One that is silent has the line until its session has failed; the other waits for that, and then for its own answer."""
    entries = [SmallMeter(number).entry(physical_address=number - 984) for number in (1001, 1002)]
    near, line = os.openpty()
    tty.setraw(line)
    try:
        device = os.ttyname(line)
        await ami.start(*[entry | on(device) for entry in entries], apdu_timeout_s=0.5)
        both = [asyncio.create_task(ami.switch(DISCONNECT, name, deadline_s=20.0)) for name in ("M1001", "M1002")]
        outcomes = await asyncio.gather(*both)
        heard = os.read(near, 65536)
        await ami.stop()
    finally:
        os.close(near)
        os.close(line)
    assert [outcome.reply_code for outcome in outcomes] == ["4.1", "4.1"]
    assert all("did not answer in time" in outcome.reason for outcome in outcomes), outcomes
    addresses = [frame[3:5] for frame in heard.split(b"\x7e") if frame]
    assert len(set(addresses)) == 2 and addresses == sorted(addresses), (
        "a frame of one comes between those of the other"
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"address": "/dev/no-such-line"}, "No such file or directory"),
        ({"mode_e": True}, "did not accept a connection in time"),
        ({"address": "/dev/null"}, "Inappropriate ioctl for device"),
    ],
    ids=["no line", "no sign-on", "no line but a file"],
)
async def test_a_line_that_can_not_be_worked(ami: South, changes: dict[str, Any], reason: str) -> None:
    near, line = os.openpty()
    tty.setraw(line)
    try:
        await ami.start(SmallMeter(1001).entry() | on(os.ttyname(line)) | changes, apdu_timeout_s=0.2)
        outcome = await ami.switch(DISCONNECT, deadline_s=20.0)
        await ami.stop()
    finally:
        os.close(near)
        os.close(line)
    assert not outcome.ok and not outcome.attempted and reason in outcome.reason, outcome.reason


async def test_an_adapter_that_is_pulled_out(ami: South) -> None:
    near, line = os.openpty()
    tty.setraw(line)
    try:
        await ami.start(SmallMeter(1001).entry() | on(os.ttyname(line)), apdu_timeout_s=20.0)
        switching = asyncio.create_task(ami.switch(DISCONNECT, deadline_s=40.0))
        assert await asyncio.to_thread(os.read, near, 100)
        os.close(near)
        outcome = await switching
        await ami.stop()
    finally:
        os.close(line)
    assert not outcome.ok and not outcome.attempted and outcome.reply_code == "5.2", outcome.reason


async def test_without_pyserial_the_reply_says_what_to_install(ami: South, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "serial", None)
    await ami.start(SmallMeter(1001).entry() | on("/dev/ttyUSB0"))
    outcome = await ami.switch(DISCONNECT, deadline_s=20.0)
    await ami.stop()
    assert not outcome.ok and "ami-hes[serial]" in outcome.reason


async def test_what_is_lost_on_a_line_is_asked_for_again(ami: South, simulator: Simulator) -> None:
    port = free_port()
    entry = SmallMeter(1001).entry(address=f"127.0.0.1:{port}", transport="hdlc")
    await simulator.start(entry | {"simulated": {}})
    with relays.loses_first(port, 2) as near:
        await ami.start(entry | {"address": f"127.0.0.1:{near}"}, apdu_timeout_s=8.0)
        outcome = await ami.switch(DISCONNECT, deadline_s=50.0)
        await ami.stop()
    assert outcome.ok, outcome.reason
    await simulator.until(lambda: bool(simulator.switchings("M1001")))
    assert simulator.switchings("M1001") == [(True, False)]


async def test_over_udp_nothing_is_sent_twice_and_a_lost_answer_may_have_switched(
    ami: South, simulator: Simulator
) -> None:
    entry = SmallMeter(1001).entry(address=f"127.0.0.1:{free_port()}", transport="udp")
    await simulator.start(entry | {"simulated": {"silent": True}})
    await ami.start(entry, apdu_timeout_s=2.0)
    outcome = await ami.switch(DISCONNECT, deadline_s=20.0)
    await ami.stop()
    assert not outcome.ok and outcome.reply_code == "4.1", outcome.reason


async def test_a_datagram_that_is_cut_short_is_reported(ami: South, simulator: Simulator) -> None:
    port = free_port()
    entry = SmallMeter(1001).entry(address=f"127.0.0.1:{port}", transport="udp")
    await simulator.start(entry | {"simulated": {}})
    with relays.cuts_datagrams(port) as near:
        await ami.start(entry | {"address": f"127.0.0.1:{near}"}, apdu_timeout_s=5.0)
        outcome = await ami.switch(DISCONNECT, deadline_s=20.0)
        await ami.stop()
    assert not outcome.ok and not outcome.attempted and "octets of APDU" in outcome.reason


@pytest.mark.parametrize(
    ("changes", "field", "problem"),
    [
        ({"transport": "tcp"}, "transport", "wrapper, udp, hdlc, serial"),
        ({"transport": "serial"}, "address", "as /dev/ttyUSB0"),
        ({"address": "/dev/ttyUSB0"}, "transport", "has to be serial"),
        ({"address": "/dev/ttyUSB0", "transport": "serial", "parity": "mark"}, "parity", "none, even, odd"),
        ({"address": "/dev/ttyUSB0", "transport": "serial", "baud": 0}, "baud", "from 1 to"),
        ({"address": "/dev/ttyUSB0", "transport": "serial", "mode_e": True, "parity": "even"}, "mode_e", "no parity"),
        ({"address": "/dev/ttyUSB0", "transport": "serial", "client_wport": 200}, "client_wport", "at most 127"),
        ({"transport": "hdlc", "client_wport": 200}, "client_wport", "at most 127"),
        ({"transport": "hdlc", "server_wport": 200}, "server_wport", "no address of HDLC"),
        ({"transport": "hdlc", "address_size": 2}, "address_size", "take 1 octets"),
        ({"transport": "udp", "address": "dials-in"}, "transport", "dial in"),
    ],
)
def test_a_way_that_can_not_be_is_refused(changes: dict[str, Any], field: str, problem: str) -> None:
    with pytest.raises(RegistryError, match=rf"{field}: .*{problem}"):
        Registry([SmallMeter(1001).entry(address="127.0.0.1:4061") | changes])
