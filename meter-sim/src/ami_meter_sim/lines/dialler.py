"""A meter that calls: it opens the connection, and then serves on it exactly as if it had been called.

It dials again whenever the connection has ended, with a delay that doubles up to a limit and starts anew once a
connection has carried something long enough to call it one.
"""

import asyncio
import socket
from dataclasses import dataclass

from ami_meter_sim.events import DialFailed, Dialled
from ami_meter_sim.lines.addresses import Behind
from ami_meter_sim.lines.connection import Service
from ami_meter_sim.lines.tcp import TcpConnection
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


class Call:
    """One call of a meter, until it has ended."""

    def __init__(self, meter: Meter) -> None:
        self.ended = asyncio.Event()
        self._meters = {meter.setup.server_wport: meter}

    def behind(self, one: TcpConnection) -> Behind:
        """The meter that has called."""
        return self._meters

    def made(self, one: TcpConnection) -> None:
        """A peer that is gone without a word is noticed."""
        one.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def gone(self, one: TcpConnection) -> None:
        """The call is over."""
        self.ended.set()


async def dial(service: Service, meter: Meter, address: tuple[str, int], back_off: BackOff) -> None:
    """Call, serve, call again, until cancelled."""
    while True:
        began = real_time()
        await _once(service, meter, *address)
        if real_time() - began >= LASTED_S:
            back_off.reset()
        await service.fleet.environment.sleep(back_off.take())


async def _once(service: Service, meter: Meter, host: str, port: int) -> None:
    environment, call = service.fleet.environment, Call(meter)
    try:
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: TcpConnection(service, call), host, port
        )
    except OSError as error:
        environment.emit(DialFailed(meter=meter.name, address=f"{host}:{port}", reason=str(error)))
        return
    environment.emit(Dialled(meter=meter.name, address=f"{host}:{port}"))
    try:
        await call.ended.wait()
    finally:
        connection.abort()
