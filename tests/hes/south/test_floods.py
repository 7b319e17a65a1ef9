"""Meters that send without end: their commands end in time, and between two pieces of what they send everything else has a round."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from patience import PATIENCE_S
from small_meter import DISCONNECT, SmallMeter, South

from ami_dlms.framing.hdlc import Frame, FrameKind, control_of, encode
from ami_dlms.framing.hdlc_address import HdlcAddress
from ami_hes.meters.channels import MOST_AT_ONCE, TcpChannel
from ami_process.environment import real_time

CLIENT, SERVER = HdlcAddress(1), HdlcAddress(1)
MUCH = 200_000
"""Octets that are written at once, again and again."""


def frame(kind: FrameKind, information: bytes = b"") -> bytes:
    return encode(Frame(CLIENT, SERVER, control_of(kind, True), information))


LINK_IS_UP = frame(FrameKind.UA)
PUSH = bytes.fromhex("E6E7000F000000010000")
HDLC = {
    "flags": (b"", b"\x7e"),
    "noise": (b"", b"\x55"),
    "the link is up, again and again": (b"", LINK_IS_UP),
    "ready, and no answer": (LINK_IS_UP, frame(FrameKind.RR)),
    "pushes, and no answer": (LINK_IS_UP, frame(FrameKind.UI, PUSH)),
}
LATE_ANSWERS = bytes.fromhex("0001000100010005C401CF0000")
"""To a request with another invoke id."""
WRAPPER = {
    "late answers": LATE_ANSWERS,
    "answers for others": bytes.fromhex("0001000100200005C401C10000"),
    "empty APDUs": bytes.fromhex("0001000100010000"),
}


@asynccontextmanager
async def flooding(first: bytes, then: bytes) -> AsyncIterator[int]:
    """A meter that answers the first octets with some, and whatever comes next without end; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await reader.read(65536)
            if first:
                writer.write(first)
                await reader.read(65536)
            while True:
                writer.write(then * (MUCH // len(then)))
                await writer.drain()
                await asyncio.sleep(0)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def ends_in_time(ami: South, port: int, **entry: object) -> None:
    meter = SmallMeter(1001).entry(address=f"127.0.0.1:{port}", public_client=False, authentication="none", **entry)
    await ami.start(meter, apdu_timeout_s=0.5)
    began = real_time()
    outcome = await ami.switch(DISCONNECT, deadline_s=1.0)
    assert not outcome.ok and "nothing was switched" in outcome.reason, outcome.reason
    assert real_time() - began < 10


@pytest.mark.parametrize("flood", HDLC)
async def test_a_meter_that_sends_frames_without_end(ami: South, flood: str) -> None:
    async with asyncio.timeout(PATIENCE_S), flooding(*HDLC[flood]) as port:
        await ends_in_time(ami, port, transport="hdlc")


@pytest.mark.parametrize("flood", WRAPPER)
async def test_a_meter_that_sends_without_answering(ami: South, flood: str) -> None:
    async with asyncio.timeout(PATIENCE_S), flooding(b"", WRAPPER[flood]) as port:
        await ends_in_time(ami, port)


async def test_between_two_pieces_everything_else_has_a_round() -> None:
    """What has come already needs no waiting: without a pause its reader would have the event loop for itself."""
    came: asyncio.Queue[TcpChannel] = asyncio.Queue()
    server = await asyncio.get_running_loop().create_server(lambda: TcpChannel(came.put_nowait), "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    channel, rounds = await came.get(), 0
    writer.write(bytes(range(256)) * 300)
    await writer.drain()

    async def count() -> None:
        nonlocal rounds
        while True:
            rounds += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    pieces: list[bytes] = []
    seen: list[int] = []
    while sum(map(len, pieces)) < 256 * 300:
        pieces.append(await channel.read(real_time() + 10))
        seen.append(rounds)
    counting.cancel()
    assert b"".join(pieces) == bytes(range(256)) * 300
    assert max(map(len, pieces)) <= MOST_AT_ONCE and len(pieces) >= 256 * 300 // MOST_AT_ONCE
    assert len(set(seen)) == len(seen), "each piece in a round of its own"
    channel.close()
    writer.close()
    server.close()
