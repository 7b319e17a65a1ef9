"""A feeder outage over UDP, counted at a receiver: who is lost and when each last gasp comes is what loss, spread and seed say.

10,000 meters at acceptance size, 300 at the smallest.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sizes
from bench import START
from free_ports import free_port
from patience import PATIENCE_S
from reported import Reported
from served import load, table

from ami_dlms.framing.wrapper import decode_datagram
from ami_meter_sim.app import start
from ami_meter_sim.control import FleetControl, Selection
from ami_meter_sim.faults import Rule
from ami_meter_sim.faults.dice import Dice, fraction
from ami_meter_sim.populating import prepare
from ami_meter_sim.scenarios import model
from ami_meter_sim.scenarios.model import ScenarioTarget
from ami_meter_sim.scenarios.runner import Runner
from ami_meter_sim.tap import Tap
from ami_process.clocks import SteppedClock
from ami_process.environment import Environment

pytestmark = pytest.mark.needs("loopback-block")
FEEDER = {"test": 300, "ci": 1_000, "acceptance": 10_000}[sizes.chosen]
OTHERS = 20
"""Meters of the next feeder, which keep their power."""
STEP = timedelta(seconds=0.1)
GENERAL_GLO = 0xDB
TITLE = slice(2, 10)


class Receiver:
    """A head-end that only listens: whose push came when, by the clock of the meters."""

    def __init__(self, clock: SteppedClock) -> None:
        self.came: dict[bytes, list[datetime]] = {}
        self._clock = clock
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]

    @contextmanager
    def listening(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        loop.add_reader(self._socket.fileno(), self._take_all)
        try:
            yield
        finally:
            loop.remove_reader(self._socket.fileno())
            self._socket.close()

    def _take_all(self) -> None:
        """More than one in a turn of the loop, as the sender sends more than one."""
        while True:
            try:
                apdu = decode_datagram(self._socket.recv(65536)).apdu
            except BlockingIOError:
                return
            assert apdu[0] == GENERAL_GLO, "ciphered, with the title of its meter in front"
            self.came.setdefault(apdu[TITLE], []).append(self._clock.now())

    @property
    def count(self) -> int:
        return sum(map(len, self.came.values()))


@pytest.mark.ci
@pytest.mark.timeout(1_800)
async def test_last_gasps_come_with_the_loss_and_the_spread_that_the_scenario_says(tmp_path: Path) -> None:
    clock = SteppedClock(START)
    receiver = Receiver(clock)
    push = {"to": f"udp://127.0.0.1:{receiver.port}", "on": ["power-down"]}
    topology = {"meters_per_transformer": FEEDER // 10, "transformers_per_feeder": 10, "feeders_per_substation": 2}
    town = table(port=free_port(), model="single-phase", count=FEEDER + OTHERS, push=push, topology=topology)
    settings = load(tmp_path, town)
    [prepared] = prepare(settings.populations)
    identities = prepared.population.identities
    outage = model.load("feeder-outage").aimed(ScenarioTarget(group=["S1-F1"]))
    [track], [rule] = outage.tracks, [Rule.parse(one.rule) for one in outage.disturbances]

    names = [identities.name(index) for index in range(FEEDER)]
    goes = {name: track.spread_s * fraction(outage.seed, "begin", f"0 {track.name}", name) for name in names}
    lost = {name for name in names if Dice(rule.seed, "whether", rule.fault, name).fraction() < rule.probability}
    heard = sorted(goes[name] for name in names if name not in lost)

    tap = Tap(Reported())
    running = await start(settings, (), Environment(emit=tap).by(clock))
    control = FleetControl(running.fleet)
    runner = Runner(control, tap)
    try:
        with receiver.listening():
            run = await runner.start(outage)
            while clock.now() < START + timedelta(seconds=track.spread_s):
                await clock.advance_to(clock.now() + STEP)
                due = sum(moment <= (clock.now() - START).total_seconds() for moment in heard)
                async with asyncio.timeout(PATIENCE_S):
                    while receiver.count < due:
                        await asyncio.sleep(0)
            assert len(await control.select(Selection(powered=False), most=FEEDER + OTHERS)) == FEEDER
            while runner.status == "running":
                await clock.advance_to(clock.now() + timedelta(seconds=5))
            assert runner.status == "passed", run.results
            assert await control.select(Selection(powered=False)) == []
    finally:
        await runner.stop()
        await control.end()
        await running.stop()

    senders = {identities.name(identities.index_of_system_title(title) or 0): at for title, at in receiver.came.items()}
    assert senders.keys() == set(names) - lost, "each but the lost ones, and nobody of the next feeder"
    assert all(len(at) == 1 for at in senders.values())
    assert running.fleet.faults.counts["last-gasp-lost"] == len(lost)
    assert abs(len(lost) / FEEDER - rule.probability) < 5 * (0.33 * 0.67 / FEEDER) ** 0.5
    late = [(at[0] - START).total_seconds() - goes[name] for name, at in senders.items()]
    assert min(late) >= -1e-6 and max(late) <= 2 * STEP.total_seconds()
