"""Meters that wait to be called: one listening socket per address, with the meters behind it told apart by wrapper port.

Connections are bounded per address, because a real meter serves a handful. One more takes the place of an idle one: of one
that never said anything, else of one without an association, else of one that has not been heard for a while; when none of
them is idle it is closed at once. `stop` ends the listening and every connection.
"""

import asyncio
from collections.abc import Mapping

from ami_meter_sim.fleet import Activity, Fleet, close
from ami_meter_sim.meter.simulated_meter import Meter
from ami_process.environment import real_time

BACKLOG = 256
IDLE_S = 10.0  # without a request, for a connection with an open association


class Listener:
    """One address and the meters behind it, by server wrapper port."""

    def __init__(self, fleet: Fleet, meters: Mapping[int, Meter], *, most: int, idle_timeout_s: float) -> None:
        self._fleet = fleet
        self._meters = meters
        self._most = most * len(meters)
        self._idle_timeout_s = idle_timeout_s
        self._serving: dict[asyncio.Task[None], Activity] = {}
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> str:
        """Begin to listen; the address with the real port. OSError when it is taken."""
        self._server = await asyncio.start_server(self._accept, host, port, backlog=BACKLOG)
        real_host, real_port = self._server.sockets[0].getsockname()[:2]
        return f"[{real_host}]:{real_port}" if ":" in real_host else f"{real_host}:{real_port}"

    async def stop(self) -> None:
        """Close everything."""
        if self._server is not None:
            self._server.close()
        for task in self._serving:
            task.cancel()
        if self._serving:
            await asyncio.wait(self._serving)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._serving) >= self._most and not self._one_gives_way():
            await close(writer)
            return
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a connection is served in a task")
        activity = self._serving[task] = Activity(real_time())
        try:
            await self._fleet.serve(self._meters, reader, writer, self._idle_timeout_s, activity)
        except asyncio.CancelledError:
            return  # cancelled by this class alone, and asyncio would report a cancelled handler as a fault
        finally:
            self._serving.pop(task, None)

    def _one_gives_way(self) -> bool:
        """Close the connection that is idle most; False when none is."""
        before = real_time() - IDLE_S
        idle = {
            task: activity
            for task, activity in self._serving.items()
            if not activity.busy and (not activity.associated or activity.since <= before)
        }
        if not idle:
            return False
        task = min(idle, key=lambda one: (idle[one].spoken, idle[one].associated, idle[one].since))
        del self._serving[task]
        task.cancel()
        return True
