"""The model that is paid in advance, over a socket: consumption opens the switch, and a token that was sold closes it, once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bench import Bench, Caller, Wire, attribute, gmac, gmac_client, method, setup

from ami_dlms import data
from ami_dlms.association import Action, Get, Open, Opened
from ami_dlms.enums import ActionResult
from ami_meter_sim.control import FleetControl, NotPossible
from ami_meter_sim.objects.model_files import load_model

ACCOUNT, CREDIT, GATEWAY = (111, "0-0:19.0.0"), (112, "0-0:19.10.0"), (115, "0-0:19.40.0")
CHARGE, SWITCH = (113, "0-0:19.20.0"), (70, "0-0:96.3.10")
NOTHING = data.integer(0)
CENTS_A_KWH = 30


async def test_consumption_opens_the_switch_and_a_token_closes_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    meter = bench.start(setup(management=gmac(), model=load_model("prepayment"), control_mode=5))
    wire = Wire(meter, now=lambda: bench.at)
    await wire.listen(idle_timeout_s=60.0)
    caller = await Caller.call(wire.port, gmac_client(1))
    assert isinstance(await caller.ask(Open()), Opened)

    async def read(name: tuple[int, str], number: int) -> Any:
        return (await caller.ask(Get(attribute(name, number)))).value.value

    async def act(name: tuple[int, str], number: int, given: data.Data) -> ActionResult:
        return (await caller.ask(Action(method(name, number), given))).result

    assert await act(CREDIT, 2, data.double_long(200)) is ActionResult.SUCCESS
    assert await act(ACCOUNT, 1, NOTHING) is ActionResult.SUCCESS
    first = await read((3, "1-0:1.8.0"), 2)
    assert await read(SWITCH, 3) == 1
    while await read(SWITCH, 3) == 1:
        bench.later(hours=1)
    consumed_kwh = (await read((3, "1-0:1.8.0"), 2) - first) // 1000
    assert await read(SWITCH, 3) == 2, "ready for reconnection"
    assert consumed_kwh >= 200 // CENTS_A_KWH, "not before it was used up"
    assert 200 <= await read(CHARGE, 2) <= CENTS_A_KWH * (consumed_kwh + 1)

    token = data.octet_string(FleetControl(wire.fleet).sell_token("M1001", 500).encode("ascii"))
    assert await act(GATEWAY, 1, token) is ActionResult.SUCCESS
    assert await read(SWITCH, 3) == 1
    before = await read(CREDIT, 2)
    assert before > 0
    assert await act(GATEWAY, 1, token) is not ActionResult.SUCCESS
    assert await read(CREDIT, 2) == before
    await caller.close()
    await wire.stop()


def test_what_takes_no_tokens_is_sold_none(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    wire = Wire(bench.start(setup(management=gmac())))
    with pytest.raises(NotPossible, match="no token gateway"):
        FleetControl(wire.fleet).sell_token("M1001", 500)
    without_keys = Bench(tmp_path / "other")
    wire = Wire(without_keys.start(setup(model=load_model("prepayment"))))
    with pytest.raises(NotPossible, match="without keys"):
        FleetControl(wire.fleet).sell_token("M1001", 500)
