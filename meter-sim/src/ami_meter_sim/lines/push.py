"""Unsolicited DataNotifications, over TCP or UDP: when the meter has switched, periodically, or both.

Nobody confirms them. What can't be delivered is reported and dropped; the next one carries the state of its own time.
"""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress

from ami_dlms.errors import DlmsError
from ami_meter_sim.effects import Report, Send, Wait
from ami_meter_sim.events import Pushed, PushFailed
from ami_meter_sim.faults import Occasion, disturbed
from ami_meter_sim.faults.pushes import POWER_DOWN
from ami_meter_sim.fleet import Fleet
from ami_meter_sim.meter.setup import PushSetup
from ami_meter_sim.meter.simulated_meter import Meter
from ami_meter_sim.population.journal import StateError

TIMEOUT_S = 10.0


async def push(fleet: Fleet, meter: Meter, setup: PushSetup) -> None:
    """Push until cancelled."""
    switched = fleet.switched(meter.name)
    while True:
        await _due(fleet, switched, setup)
        why = "switch" if switched.is_set() else "interval"
        switched.clear()
        await send_once(fleet, meter, setup, why)


async def _due(fleet: Fleet, switched: asyncio.Event, setup: PushSetup) -> None:
    """Until it has switched or the period is over, whichever the setup wants and comes first."""
    waits: list[Awaitable[object]] = [switched.wait()] if setup.on_switch else []
    if setup.every_s is not None or not setup.on_switch:
        waits.append(fleet.environment.sleep(setup.every_s or TIMEOUT_S))
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


async def send_once(fleet: Fleet, meter: Meter, setup: PushSetup, why: str) -> None:
    """Push now; `why` is `switch` or `interval`, or what else has happened. Without power only the last gasp leaves."""
    if not meter.powered and why != POWER_DOWN:
        return
    environment = fleet.environment
    where = {"meter": meter.name, "transport": setup.transport, "address": f"{setup.host}:{setup.port}"}
    send = _over_udp if setup.transport == "udp" else _over_tcp
    try:
        octets = meter.notification(environment.now())
        fleet.write()
        for effect in disturbed(fleet.faults, meter.name, octets, Occasion(environment.now(), push=why)):
            match effect:
                case Report(event):
                    environment.emit(event)
                case Wait(seconds):
                    await environment.sleep(seconds)
                case Send(octets):
                    await asyncio.wait_for(send(setup.host, setup.port, octets), TIMEOUT_S)
                    environment.emit(Pushed(**where))
    except (OSError, TimeoutError, StateError, DlmsError) as error:
        environment.emit(PushFailed(**where, reason=str(error) or type(error).__name__))


async def _over_tcp(host: str, port: int, octets: bytes) -> None:
    _, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(octets)
        await writer.drain()
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _over_udp(host: str, port: int, octets: bytes) -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=(host, port))
    try:
        transport.sendto(octets)
    finally:
        transport.close()
