"""The two sockets: what a client sends goes to the meter and back, unchanged and before anybody looks at it.

Strategy: octets are handed on first and then put in a bounded queue, which one worker empties outside of the event loop. A worker that
falls far behind slows the line down, and nothing that it meets ends it. One that is stuck loses the connections that wait for it from
its record, each from there to its end, and not from the line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ami_cli.proxy.recorder import Recorder
from ami_trace.pcapng import Endpoint

CHUNK = 0x10000
MOST_WAITING = 256
"""Pieces between the sockets and the worker."""
MOST_CONNECTIONS = 32
MOST_CALLS = 4096
"""Connections that end while the worker is stuck, beside these pieces."""
STALLED_S = 10.0
"""How long the line waits for a worker that is stuck, as by a terminal that takes nothing."""
CONNECT_S = 30.0
HALF_CLOSED_S = 120.0
"""How long one side may go on sending when the other has ended: whether that one still listens can't be seen."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """Octets that passed, or with a call instead: something that happens in their order."""

    at: datetime
    number: int
    from_client: bool
    octets: bytes
    call: Callable[[], None] | None = None


@dataclass(slots=True)
class Relay:
    """Connections to one meter. `now` gives aware times."""

    meter: tuple[str, int]
    recorder: Recorder
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    connections: int = 0
    stalled_s: float = STALLED_S
    _queue: asyncio.Queue[_Piece] = field(default_factory=asyncio.Queue)
    _unseen: set[int] = field(default_factory=set)
    _room: asyncio.Event = field(default_factory=asyncio.Event)
    _serving: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self, listener: asyncio.Server, stop: asyncio.Event) -> None:
        """Until it is stopped; what has passed until then is kept."""
        worker = asyncio.create_task(self._work())
        try:
            await stop.wait()
        finally:
            listener.close()
            for task in self._serving:
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)
            await self._queue.join()
            worker.cancel()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client; for asyncio.start_server."""
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            with suppress(
                asyncio.CancelledError
            ):  # by `run`, and by nobody else; asyncio shows those of its callbacks as faults
                await self._serve(reader, writer)
        finally:
            self._serving.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._serving) > MOST_CONNECTIONS:
            self.recorder.tell(f"refused: more than {MOST_CONNECTIONS} connections")
            return
        self.connections += 1
        number, host, port = self.connections, *self.meter
        try:
            async with asyncio.timeout(CONNECT_S):
                far_reader, far_writer = await asyncio.open_connection(host, port)
        except (OSError, TimeoutError) as error:
            self.recorder.tell(f"#{number}  no connection to the meter at {host}:{port}: {error or 'no answer'}")
            return
        client, meter = _end(writer, "head-end"), _end(far_writer, "meter")
        try:
            await self._keep(_Piece(self.now(), number, True, b"", lambda: self.recorder.begin(number, client, meter)))
            pumps = {
                asyncio.create_task(self._pump(number, reader, far_writer, from_client=True)),
                asyncio.create_task(self._pump(number, far_reader, writer, from_client=False)),
            }
            try:
                _, other = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
                if other:
                    await asyncio.wait(other, timeout=HALF_CLOSED_S)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        finally:
            far_writer.close()
            self._call(number, lambda: self.recorder.end(number))
            self._unseen.discard(number)

    async def _keep(self, piece: _Piece) -> None:
        """When there is room; a connection for which there is none for long goes on unrecorded, since a record with gaps would lie."""
        if piece.number in self._unseen:
            return
        try:
            async with asyncio.timeout(self.stalled_s):
                while self._queue.qsize() >= MOST_WAITING:
                    self._room.clear()
                    await self._room.wait()
        except TimeoutError:
            if piece.number in self._unseen:  # by the other direction, which waited as long
                return
            self._unseen.add(piece.number)
            stalled = TimeoutError(f"nothing could be shown or kept for {self.stalled_s:g} s")
            self._call(piece.number, lambda: self.recorder.stop_looking(piece.number, stalled))
        else:
            self._queue.put_nowait(piece)

    def _call(self, number: int, call: Callable[[], None]) -> None:
        """Without asking for room, so that the end of a connection is not lost."""
        if self._queue.qsize() < MOST_WAITING + MOST_CALLS:
            self._queue.put_nowait(_Piece(self.now(), number, True, b"", call))

    async def _pump(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, from_client: bool
    ) -> None:
        try:
            while octets := await reader.read(CHUNK):
                writer.write(octets)
                await self._keep(_Piece(self.now(), number, from_client, octets))
                await writer.drain()
            writer.write_eof()  # and no close: the other side may still have something to say
        except OSError:  # a reset, or a line that is gone: ETIMEDOUT, EHOSTUNREACH
            writer.close()

    async def _work(self) -> None:
        while True:
            piece = await self._queue.get()
            try:
                if piece.call is not None:
                    piece.call()
                else:
                    await asyncio.to_thread(self.recorder.take, piece.at, piece.number, piece.from_client, piece.octets)
            except OSError as error:
                self.recorder.stop_keeping(error)
            except Exception as error:  # noqa: BLE001 - what passes may be of any shape, and whoever looks at it must not stop it
                self.recorder.stop_looking(piece.number, error)
            finally:
                self._queue.task_done()
                self._room.set()


def _end(writer: asyncio.StreamWriter, name: str) -> Endpoint:
    host, port, *_ = writer.get_extra_info("peername")
    return Endpoint(str(host), int(port), name)
