"""A meter that calls: it opens the connection, and then serves on it exactly as if it had been called.

It dials again whenever the connection has ended, with a delay that doubles up to a limit and starts anew once a
connection has carried something long enough to call it one.
"""

import asyncio
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ami_meter_sim import events
from ami_meter_sim.lines.addresses import Behind
from ami_meter_sim.lines.connection import Service
from ami_meter_sim.lines.sockets import connected
from ami_meter_sim.lines.tcp import TcpConnection
from ami_meter_sim.meter.simulated_meter import Meter
from ami_meter_sim.population.journal import StateUnusable
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


@dataclass(frozen=True, slots=True)
class Called:
    """Whom a meter calls, and from which address of ours; None for any."""

    host: str
    port: int
    own_host: str | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


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


async def dial_each(
    service: Service, indexes: Iterable[int], called: Callable[[int], Called], back_off: Callable[[], BackOff]
) -> None:
    """Let the meters at these indexes of the store call, each for itself; `called` says whom and from where."""
    async with asyncio.TaskGroup() as calls:
        for index in indexes:
            try:
                meter = service.fleet.live(index)
            except StateUnusable as error:
                service.fleet.report(events.StateError(reason=str(error)))
            else:
                calls.create_task(dial(service, meter, called(index), back_off()))
            await asyncio.sleep(0)  # the turn of those that call already


async def dial(service: Service, meter: Meter, called: Called, back_off: BackOff) -> None:
    """Call, serve, call again, until cancelled."""
    while True:
        began = real_time()
        await _once(service, meter, called)
        if real_time() - began >= LASTED_S:
            back_off.reset()
        await service.fleet.environment.sleep(back_off.take())


async def _once(service: Service, meter: Meter, called: Called) -> None:
    environment, call = service.fleet.environment, Call(meter)
    try:
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: TcpConnection(service, call), sock=await connected(called.host, called.port, called.own_host)
        )
    except OSError as error:
        environment.emit(events.DialFailed(meter=meter.name, address=str(called), reason=str(error)))
        return
    environment.emit(events.Dialled(meter=meter.name, address=str(called)))
    try:
        await call.ended.wait()
    finally:
        connection.abort()
