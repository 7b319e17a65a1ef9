"""Datagrams that meters send unasked: taken from the kernel at once, worked on in their order when there is room.

A last gasp comes once, thousands within seconds, and what does not fit into the socket's buffer is lost without a word. So the socket is emptied
before anything is deciphered, its buffer is as large as the settings want and the kernel grants, and how many datagrams came, wait, were worked
and were lost in the kernel are figures. What the kernel has handed over is worked, whatever the store takes; while too many wait, more
stay in the kernel.
"""

import asyncio
import os
import socket
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

Address = tuple[str, int]
Work = Callable[[bytes, Address], Awaitable[None]]
"""Takes one datagram; returns when the next one may come."""

ReportFault = Callable[[Exception, bytes, Address], None]
"""Of a fault of ours, and the datagram."""

MOST_OCTETS = 65_536
AT_ONCE = 1_000
"""Datagrams that are taken from the kernel in one turn of the event loop."""
IN_A_ROW = 20
"""Datagrams that are worked on before others have their turn."""
MOST_WAITING = 200_000
"""Datagrams that wait here; as long as there are so many, further ones stay in the kernel."""
LOOK_AFTER = 200
"""Datagrams after which it is looked whether the kernel has lost any, once none of them waits."""
BUFFER_LIMIT = "net.core.rmem_max" if sys.platform == "linux" else "kern.ipc.maxsockbuf"
"""The sysctl that says how large a receive buffer may be."""
_TABLES = (Path("/proc/net/udp"), Path("/proc/net/udp6"))
_INODE, _DROPS = 9, 12
"""Columns of these tables."""


@dataclass(slots=True)
class DatagramFigures:
    """What became of the datagrams that came to one socket."""

    taken: int = 0
    """Handed over by the kernel."""
    worked: int = 0
    """Of these, those that have been worked on."""
    granted_octets: int = 0
    """Of the receive buffer."""
    lost_in_kernel: int | None = None
    """Datagrams that found the buffer full, so far; None where this system does not say."""

    @property
    def waiting(self) -> int:
        """Taken, and not worked on yet."""
        return self.taken - self.worked


class DatagramSocket:
    """A UDP socket that is emptied as soon as something has come."""

    def __init__(
        self, work: Work, figures: DatagramFigures, report_lost: Callable[[int], None], report_fault: ReportFault
    ) -> None:
        """`report_lost` is told of datagrams that the kernel has lost since it was told the last time, `report_fault` of one whose work has raised."""
        self._work = work
        self._report_fault = report_fault
        self._figures = figures
        self._report_lost = report_lost
        self._reported = 0
        self._looked_at = 0
        self._waiting: deque[tuple[bytes, Address]] = deque()
        self._came = asyncio.Event()
        self._socket: socket.socket | None = None
        self._worker: asyncio.Task[None] | None = None
        self._reading = False

    def open(self, host: str, port: int, buffer_octets: int) -> None:
        """Listen at a numeric address; OSError when the port is taken. `buffer_octets` of 0 leaves the buffer as the system has it."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        one = socket.socket(family, socket.SOCK_DGRAM)
        try:
            one.setblocking(False)
            if buffer_octets:
                with suppress(OSError):  # where the system refuses it in place of granting less
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_octets)
            one.bind((host, port))
        except BaseException:
            one.close()
            raise
        self._socket = one
        self._figures.granted_octets = _granted(one)
        self._read(True)
        self._worker = asyncio.get_running_loop().create_task(self._work_on())

    async def close(self) -> None:
        """Take nothing more; what was taken is worked on before this returns."""
        if self._socket is None or self._worker is None:
            return
        self._drain()
        self._read(False)
        self._worker.cancel()
        with suppress(asyncio.CancelledError):
            await self._worker
        while self._waiting:
            await self._work_on_next()
        self._look_for_lost()
        self._socket.close()
        self._socket = None

    def look(self) -> DatagramFigures:
        """The figures, with what the kernel says now."""
        if self._socket is not None:
            self._figures.lost_in_kernel = _lost(self._socket)
        return self._figures

    def _look_for_lost(self) -> None:
        self._looked_at = self._figures.taken
        lost = self.look().lost_in_kernel or 0
        if lost > self._reported:
            self._report_lost(lost - self._reported)
            self._reported = lost

    def send(self, octets: bytes, address: Address) -> bool:
        """Hand a datagram to the kernel; False when we have ended, or it takes none now."""
        if self._socket is None:
            return False
        try:
            self._socket.sendto(octets, address)
        except OSError:
            return False
        return True

    def _read(self, wanted: bool) -> None:
        loop, one = asyncio.get_running_loop(), self._socket
        if one is None or wanted is self._reading:
            return
        self._reading = wanted
        if wanted:
            loop.add_reader(one, self._drain)
        else:
            loop.remove_reader(one)

    def _drain(self) -> None:
        """What has come, up to a bound: the rest in the next turn of the event loop."""
        assert self._socket is not None
        for _ in range(AT_ONCE):
            try:
                octets, address = self._socket.recvfrom(MOST_OCTETS)
            except BlockingIOError:
                break
            except OSError:  # an earlier answer found nobody
                continue
            self._figures.taken += 1
            self._waiting.append((octets, address[:2]))
        if self._waiting:
            self._came.set()
        if len(self._waiting) >= MOST_WAITING:
            self._read(False)

    async def _work_on(self) -> None:
        while True:
            await self._came.wait()
            for _ in range(min(IN_A_ROW, len(self._waiting))):
                await self._work_on_next()
            if not self._waiting:
                self._came.clear()
                if self._figures.taken - self._looked_at >= LOOK_AFTER:
                    self._look_for_lost()
            if len(self._waiting) < MOST_WAITING // 2:
                self._read(True)
            await asyncio.sleep(0)

    async def _work_on_next(self) -> None:
        """It leaves the queue once it was worked on: who is cancelled before that leaves it there."""
        octets, address = self._waiting[0]
        try:
            await self._work(octets, address)
        except Exception as problem:  # noqa: BLE001  # reported; one datagram is not to end all that come behind it
            self._report_fault(problem, octets, address)
        self._waiting.popleft()
        self._figures.worked += 1


def _granted(one: socket.socket) -> int:
    """Linux reports twice what it was asked for, the other half being for its own account."""
    reported: int = one.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    return reported // 2 if sys.platform == "linux" else reported


def _lost(one: socket.socket) -> int | None:
    """RcvbufErrors of this socket: the column `drops` of the kernel's table."""
    inode = str(os.fstat(one.fileno()).st_ino)
    for table in _TABLES:
        with suppress(OSError):
            for line in table.read_text("ascii").splitlines()[1:]:
                columns = line.split()
                if len(columns) > _DROPS and columns[_INODE] == inode:
                    return int(columns[_DROPS])
    return None
