"""A subscriber that takes every message and notes when which event came; it answers 200 without a body, which acknowledges."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from lxml import etree

MOST_HEAD = 65_536
MOST_OCTETS = 5_000_000
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@dataclass(slots=True)
class Arrivals:
    """By mRID, how late each event came the first time, in seconds after its createdDateTime."""

    url: str = ""
    delays_s: dict[str, float] = field(default_factory=dict)
    doubled: int = 0
    last_at: datetime | None = None
    bodies: list[tuple[datetime, bytes]] = field(default_factory=list)

    def count(self) -> None:
        """Look into the messages that have come; not while they come, since it takes longer than taking them."""
        for came_at, body in self.bodies:
            for event in etree.fromstring(body).iter("{*}EndDeviceEvent"):
                self._note(event, came_at)
        self.bodies.clear()

    def _note(self, event: etree._Element, came_at: datetime) -> None:
        mrid, created = event.findtext("{*}mRID") or "", event.findtext("{*}createdDateTime") or ""
        if mrid in self.delays_s:
            self.doubled += 1
            return
        self.delays_s[mrid] = (came_at - datetime.fromisoformat(created)).total_seconds()
        self.last_at = came_at


@asynccontextmanager
async def subscriber() -> AsyncIterator[Arrivals]:
    """At a free port of this machine."""
    arrivals = Arrivals()
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while body := await _body(reader):
                arrivals.bodies.append((datetime.now(UTC), body))
                writer.write(OK)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        serving.add(task)
        task.add_done_callback(serving.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=MOST_HEAD)
    host, port = server.sockets[0].getsockname()
    arrivals.url = f"http://{host}:{port}/cim"
    try:
        yield arrivals
    finally:
        server.close()
        for task in serving:
            task.cancel()
        if serving:
            await asyncio.wait(serving)


async def _body(reader: asyncio.StreamReader) -> bytes:
    """Of the next request; b"" at the end of the connection. Raises ValueError for one that is not as ours are."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    lengths = [
        int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
    ]
    if len(lengths) != 1 or not 0 < lengths[0] <= MOST_OCTETS:
        raise ValueError("a request with a body of known length was expected")
    return await reader.readexactly(lengths[0])
