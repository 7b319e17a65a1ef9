"""Receivers on raw sockets: they say anything, nothing, for ever or very slowly, and count who came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from free_ports import free_port

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def saying(octets: bytes) -> Behaviour:
    """Answer with these octets, whatever was asked, and hang up."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(octets)
        await writer.drain()

    return behave


def repeating(head: bytes, part: bytes, pause_s: float = 0.0) -> Behaviour:
    """Begin with `head` and go on with `part` until the other side has enough."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        while not writer.is_closing():
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause_s)

    return behave


async def deaf(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Take the connection and all that comes, and never answer."""
    await reader.read(-1)


async def hanging_up(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    """Close without having read or said anything."""


class Receiver:
    """One listening socket with one behaviour, on a port that nobody else is given: its sender may outlive it."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.came = 0
        self.url = ""
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Receiver]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", free_port())
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/cim"
        try:
            yield self
        finally:
            server.close()
            for writer in self._open.values():
                writer.transport.abort()
            await asyncio.gather(*self._open)

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came += 1
        task = asyncio.create_task(self._behave(reader, writer))
        self._open[task] = writer
        task.add_done_callback(self._open.pop)

    async def _behave(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await self.behaviour(reader, writer)
        writer.close()
