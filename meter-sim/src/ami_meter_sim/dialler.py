"""A meter that calls: it opens the connection, and then serves on it exactly as if it had been called.

It dials again whenever the connection has ended, with a delay that doubles up to a limit and starts anew once a
connection has carried something long enough to call it one.
"""

import asyncio
import socket
from dataclasses import dataclass

from ami_meter_sim.events import DialFailed, Dialled
from ami_meter_sim.fleet import Fleet
from ami_meter_sim.meter.simulated_meter import Meter
from ami_process.environment import real_time

LASTED_S = 5.0


@dataclass(slots=True)
class BackOff:
    """Delays before the next try: `first_s`, then twice as long each time, at most `most_s`."""

    first_s: float
    most_s: float
    next_s: float = 0.0

    def take(self) -> float:
        delay_s = self.next_s or self.first_s
        self.next_s = min(delay_s * 2, self.most_s)
        return delay_s

    def reset(self) -> None:
        self.next_s = 0.0


async def dial(fleet: Fleet, meter: Meter, address: tuple[str, int], back_off: BackOff) -> None:
    """Call, serve, call again, until cancelled."""
    while True:
        began = real_time()
        await _once(fleet, meter, *address)
        if real_time() - began >= LASTED_S:
            back_off.reset()
        await fleet.environment.sleep(back_off.take())


async def _once(fleet: Fleet, meter: Meter, host: str, port: int) -> None:
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError as error:
        fleet.environment.emit(DialFailed(meter=meter.name, address=f"{host}:{port}", reason=str(error)))
        return
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    fleet.environment.emit(Dialled(meter=meter.name, address=f"{host}:{port}"))
    await fleet.serve({meter.setup.server_wport: meter}, reader, writer, None)
