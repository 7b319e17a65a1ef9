"""The socket for pushes by UDP: emptied at once, worked on in order when there is room, and what was lost in the kernel is counted."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from free_ports import free_port
from patience import PATIENCE_S

from ami_hes.meters.datagrams import Address, DatagramFigures, DatagramSocket

HOST = "127.0.0.1"
FAULTY = b"faulty"
"""A datagram whose work raises."""
FEW = 100
"""Datagrams that fit into whatever buffer a system grants."""


class Receiver:
    """Keeps what it is handed; waits before each datagram as long as it is `shut`."""

    def __init__(self) -> None:
        self.came: list[bytes] = []
        self.figures = DatagramFigures()
        self.open = asyncio.Event()
        self.open.set()
        self.begun = asyncio.Event()
        self.lost: list[int] = []
        self.failed: list[bytes] = []
        self.socket = DatagramSocket(self._work, self.figures, self.lost.append, self._fail)

    async def _work(self, octets: bytes, address: Address) -> None:
        self.begun.set()
        if octets == FAULTY:
            raise LookupError(octets)
        await self.open.wait()
        self.came.append(octets)

    def _fail(self, problem: Exception, octets: bytes, _: Address) -> None:
        assert isinstance(problem, LookupError)
        self.failed.append(octets)


@asynccontextmanager
async def receiving(buffer_octets: int = 0) -> AsyncIterator[tuple[Receiver, socket.socket]]:
    receiver, port = Receiver(), free_port()
    receiver.socket.open(HOST, port, buffer_octets)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect((HOST, port))
        try:
            yield receiver, sender
        finally:
            await receiver.socket.close()


async def until_taken(receiver: Receiver, count: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while receiver.figures.taken < count:
            await asyncio.sleep(0)


async def test_all_that_comes_is_taken_while_none_of_it_is_worked_on_yet() -> None:
    """And worked on in its order, each once."""
    sent = [b"%d" % number for number in range(10 * FEW)]
    async with receiving() as (receiver, sender):
        receiver.open.clear()
        for start in range(0, len(sent), FEW):
            for one in sent[start : start + FEW]:
                sender.send(one)
            await until_taken(receiver, start + FEW)
        assert (receiver.came, receiver.figures.waiting) == ([], len(sent))
        receiver.open.set()
        async with asyncio.timeout(PATIENCE_S):
            while receiver.figures.waiting:
                await asyncio.sleep(0)
        assert receiver.came == sent


async def test_what_was_taken_is_worked_on_when_the_socket_closes() -> None:
    """Also the one that was at work just then, and what the kernel had and nobody had looked for."""
    async with receiving() as (receiver, sender):
        receiver.open.clear()
        sender.send(b"one")
        async with asyncio.timeout(PATIENCE_S):
            await receiver.begun.wait()
        sender.send(b"two")
        asyncio.get_running_loop().call_soon(receiver.open.set)
    assert receiver.came == [b"one", b"two"]
    assert (receiver.figures.taken, receiver.figures.worked) == (2, 2)
    assert not receiver.socket.send(b"late", (HOST, 9))


async def test_a_datagram_that_shows_a_fault_ends_nothing_behind_it() -> None:
    async with receiving() as (receiver, sender):
        for one in (b"one", FAULTY, b"two"):
            sender.send(one)
        async with asyncio.timeout(PATIENCE_S):
            while receiver.figures.worked < 3:
                await asyncio.sleep(0)
    assert (receiver.came, receiver.failed) == ([b"one", b"two"], [FAULTY])


@pytest.mark.needs("linux")
async def test_what_the_kernel_had_no_room_for_is_counted() -> None:
    """Sent, taken and lost add up; the smallest buffer that a system gives holds less than this."""
    many = 50 * FEW
    async with receiving(1) as (receiver, sender):
        assert 1 <= receiver.figures.granted_octets < 100_000
        for _ in range(many):
            sender.send(bytes(500))
        async with asyncio.timeout(PATIENCE_S):
            while receiver.figures.taken + (receiver.socket.look().lost_in_kernel or 0) < many:
                await asyncio.sleep(0)
        assert receiver.figures.lost_in_kernel
        assert receiver.figures.taken + receiver.figures.lost_in_kernel == many
    assert sum(receiver.lost) == receiver.figures.lost_in_kernel, "each is reported once"


async def test_a_taken_port_is_told() -> None:
    async with receiving() as (_, sender):
        with pytest.raises(OSError):
            Receiver().socket.open(HOST, sender.getpeername()[1], 0)
