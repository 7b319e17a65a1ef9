"""Accepted connections of TCP: who does not read, a fault of ours in one of them, and a system that has no descriptor left."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from asyncio import constants
from pathlib import Path

import pytest
from bench import DEVICE_NAME, Bench, Caller, Wire, attribute, public_client
from patience import PATIENCE_S

from ami_dlms.association import Get, GetResult, Open, Opened
from ami_meter_sim.lines.listener import TcpListener

MUCH = 0x1000000
"""More octets than the system takes for a client that does not read."""


async def test_who_does_not_read_keeps_no_connection_that_we_have_ended(tmp_path: Path) -> None:
    wire = Wire(Bench(tmp_path).start())
    await wire.listen()
    caller = await Caller.call(wire.port, public_client())
    assert isinstance(await caller.ask(Open()), Opened)
    assert isinstance(wire.listener, TcpListener)
    (one,) = wire.listener._open
    one.transport.write(bytes(MUCH))
    one.hang_up()
    async with asyncio.timeout(PATIENCE_S):
        await wire.listener._none_open.wait()
    await caller.close()
    await wire.stop()


async def test_a_fault_of_ours_ends_this_connection_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faults: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: faults.append(repr(what.get("exception"))))
    wire = Wire(Bench(tmp_path).start())
    await wire.listen()
    assert isinstance(wire.listener, TcpListener)
    other = await Caller.call(wire.port, public_client())
    assert isinstance(await other.ask(Open()), Opened)
    there = set(wire.listener._open)
    caller = await Caller.call(wire.port, public_client())
    assert isinstance(await caller.ask(Open()), Opened)
    (one,) = set(wire.listener._open) - there

    def fail() -> None:
        raise LookupError

    monkeypatch.setattr(type(one), "take", lambda self, octets: fail() if self is one else self._go_on(octets))
    caller.writer.write(b"one")
    assert await asyncio.wait_for(caller.reader.read(), PATIENCE_S) == b""
    assert isinstance(await other.ask(Get(attribute(DEVICE_NAME, 2))), GetResult)
    assert faults == ["LookupError()"]
    assert wire.listener._open == there
    for each in (caller, other):
        await each.close()
    await wire.stop()


async def test_without_a_descriptor_a_client_is_taken_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ACCEPT_RETRY_DELAY", 0.02)
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
