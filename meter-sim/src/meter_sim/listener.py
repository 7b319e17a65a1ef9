"""Meters that wait to be called: one listening socket per address, with the meters behind it told apart by wrapper port.

Connections are bounded per address, because a real meter serves a handful and then refuses; a further one is closed at
once. `stop` ends the listening and every connection.
"""

import asyncio
from collections.abc import Mapping

from meter_sim.fleet import Fleet, close
from meter_sim.meter.simulated_meter import Meter

BACKLOG = 256


class Listener:
    """One address and the meters behind it, by server wrapper port."""

    def __init__(self, fleet: Fleet, meters: Mapping[int, Meter], *, most: int, idle_timeout_s: float) -> None:
        self._fleet = fleet
        self._meters = meters
        self._most = most * len(meters)
        self._idle_timeout_s = idle_timeout_s
        self._serving: set[asyncio.Task[None]] = set()
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
        if len(self._serving) >= self._most:
            await close(writer)
            return
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a connection is served in a task")
        self._serving.add(task)
        try:
            await self._fleet.serve(self._meters, reader, writer, self._idle_timeout_s)
        except asyncio.CancelledError:
            return  # only `stop` cancels it, and asyncio would report a cancelled handler as a fault
        finally:
            self._serving.discard(task)
