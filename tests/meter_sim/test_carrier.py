"""Accepted connections without a transport of asyncio: what waits to leave, pauses, ends, and a system that has no descriptor left."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from bench import Bench, Caller, Wire, public_client

from ami_dlms.association import Open, Opened
from ami_meter_sim.commit import Commit
from ami_meter_sim.lines import listener
from ami_meter_sim.lines.carrier import HIGH_OCTETS, Carrier
from ami_meter_sim.lines.listener import TcpListener
from ami_meter_sim.turns import Turns

ROOM = memoryview(bytearray(0x10000))


class Heard:
    """Who speaks through a carrier: what it was told."""

    def __init__(self) -> None:
        self.octets = b""
        self.told: list[str] = []
        self.error: Exception | None = None
        self.over = asyncio.Event()

    def get_buffer(self, size_hint: int) -> memoryview:
        return ROOM

    def buffer_updated(self, size: int) -> None:
        self.octets += bytes(ROOM[:size])

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")

    def connection_lost(self, error: Exception | None) -> None:
        self.error = error
        self.over.set()


class Pair:
    """A carrier, who speaks through it, and the socket at the other end."""

    def __init__(self) -> None:
        self.other, near = socket.socketpair()
        self.other.setblocking(False)
        self.turns, self.user = Turns(Commit()), Heard()
        self.carrier = Carrier(near, self.turns, self.user)

    async def rest(self) -> bytes:
        """What comes at the other end until the connection ends there."""
        found = b""
        while octets := await asyncio.get_running_loop().sock_recv(self.other, 0x10000):
            found += octets
        return found


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    one = Pair()
    yield one
    if not one.carrier.is_closing():
        one.carrier.abort()
        await one.user.over.wait()
    one.other.close()


async def test_what_the_system_does_not_take_waits_and_leaves_before_the_end(pair: Pair) -> None:
    octets = os.urandom(40 * HIGH_OCTETS)
    pair.carrier.write(octets[:100])
    pair.carrier.write(octets[100:])
    assert pair.user.told == ["pause"]
    pair.carrier.close()
    assert await pair.rest() == octets
    assert pair.user.told == ["pause", "resume"]
    await pair.user.over.wait()
    assert pair.user.error is None


async def test_who_has_said_everything_still_gets_what_waits(pair: Pair) -> None:
    octets = os.urandom(40 * HIGH_OCTETS)
    pair.carrier.write(octets)
    pair.other.send(b"last")
    pair.other.shutdown(socket.SHUT_WR)
    while not pair.carrier.is_closing():
        await asyncio.sleep(0)
    assert pair.user.octets == b"last" and not pair.user.over.is_set()
    assert await pair.rest() == octets
    await pair.user.over.wait()
    assert pair.user.error is None


async def test_while_reading_is_paused_nothing_is_taken(pair: Pair) -> None:
    pair.carrier.pause_reading()
    pair.other.send(b"one")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert pair.user.octets == b""
    pair.carrier.resume_reading()
    pair.other.close()
    await pair.user.over.wait()
    assert pair.user.octets == b"one"


async def test_who_aborts_loses_what_waits(pair: Pair) -> None:
    pair.carrier.write(bytes(40 * HIGH_OCTETS))
    pair.carrier.abort()
    pair.carrier.write(b"more")
    await pair.user.over.wait()
    assert 0 < len(await pair.rest()) < 40 * HIGH_OCTETS


async def test_a_fault_of_ours_ends_this_connection_alone(pair: Pair) -> None:
    faults: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: faults.append(repr(what.get("exception"))))
    beside, near = socket.socketpair()
    heard = Heard()
    Carrier(near, pair.turns, heard)

    def fail(size: int) -> None:
        raise LookupError(size)

    pair.user.buffer_updated = fail  # type: ignore[method-assign]
    pair.other.send(b"one")
    beside.send(b"two")
    await pair.user.over.wait()
    beside.close()
    await heard.over.wait()
    assert heard.octets == b"two"
    assert faults == ["LookupError(3)"]


async def test_a_fault_of_ours_with_what_goes_on_when_there_is_room_again_ends_it_too(pair: Pair) -> None:
    """Else the socket would be told again and again that it can be written, with nothing to write."""
    faults: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: faults.append(repr(what.get("exception"))))

    def fail() -> None:
        raise LookupError

    pair.user.resume_writing = fail  # type: ignore[method-assign]
    pair.carrier.write(bytes(40 * HIGH_OCTETS))
    rest = asyncio.ensure_future(pair.rest())
    async with asyncio.timeout(20):
        await pair.user.over.wait()
        await rest
    assert faults == ["LookupError()"]


async def test_who_does_not_read_keeps_no_connection_that_we_have_ended(tmp_path: Path) -> None:
    wire = Wire(Bench(tmp_path).start())
    await wire.listen()
    caller = await Caller.call(wire.port, public_client())
    assert isinstance(await caller.ask(Open()), Opened)
    assert isinstance(wire.listener, TcpListener)
    (one,) = wire.listener._open
    one.transport.write(bytes(400 * HIGH_OCTETS))
    one.hang_up()
    async with asyncio.timeout(20):
        await wire.listener._none_open.wait()
    await caller.close()
    await wire.stop()


async def test_a_listener_that_still_has_no_descriptor_for_its_selector_tries_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "LATER_S", 0.02)
    full, faults, watch = OSError(errno.EMFILE, "Too many open files"), list[object](), Turns.watch
    asyncio.get_running_loop().set_exception_handler(lambda _, what: faults.append(what["exception"]))
    wire = Wire(Bench(tmp_path).start())
    await wire.listen()
    assert isinstance(wire.listener, TcpListener)

    def watched(*what: Any) -> None:
        if len(faults) < 3:
            raise full
        watch(*what)

    monkeypatch.setattr(Turns, "watch", watched)
    wire.listener._wait_for_room(wire.listener._sockets[0], full)
    caller = await Caller.call(wire.port, public_client())
    async with asyncio.timeout(20):
        assert isinstance(await caller.ask(Open()), Opened)
    assert faults == [full] * 3
    await caller.close()
    await wire.stop()


async def test_without_a_descriptor_a_client_is_taken_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "LATER_S", 0.02)
    wire, told = Wire(Bench(tmp_path).start()), asyncio.Event()
    asyncio.get_running_loop().set_exception_handler(lambda *_: told.set())
    await wire.listen()
    caller = await Caller.call(wire.port, public_client())
    assert isinstance(await caller.ask(Open()), Opened)
    with socket.create_connection(("127.0.0.1", wire.port)) as waiting:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        free = os.dup(waiting.fileno())
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
        try:
            await told.wait()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    later = await Caller.call(wire.port, public_client())
    assert isinstance(await later.ask(Open()), Opened)
    for one in (caller, later):
        await one.close()
    await wire.stop()
