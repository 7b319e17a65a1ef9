"""Answers leave a meter after the write of what they say: one for all of a turn of the event loop, and none when it fails."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from bench import IMPORT, Bench, Caller, Wire, attribute, clear_client
from patience import PATIENCE_S

from ami_dlms.association import Get, Open, Opened
from ami_meter_sim.commit import Commit

CLIENTS = 4


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    bench = Bench(tmp_path)
    one = Wire(bench.start())
    await one.listen()
    yield one
    await one.stop()


async def opened(wire: Wire) -> list[Caller]:
    callers = [await Caller.call(wire.port, clear_client()) for _ in range(CLIENTS)]
    for caller in callers:
        assert isinstance(await caller.ask(Open()), Opened)
    return callers


def has_octets(caller: Caller) -> bool:
    """Whether an answer is in the client's socket."""
    own = caller.writer.get_extra_info("socket")
    with socket.socket(fileno=os.dup(own.fileno())) as one:
        one.setblocking(False)
        try:
            return bool(one.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return False


async def test_one_write_for_the_answers_of_a_turn_and_before_them(wire: Wire) -> None:
    callers = await opened(wire)
    answered: list[int] = []
    wire.fleet.commit = Commit(lambda: answered.append(sum(map(has_octets, callers))))
    for caller in callers:
        caller.writer.write(caller.connection.send(Get(attribute(IMPORT, 2))))
    for caller in callers:
        caller.connection.receive_data(await asyncio.wait_for(caller.reader.read(65536), PATIENCE_S))
        assert caller.connection.next_event() is not None
        await caller.close()
    assert answered == [0], "one write, when nothing had left yet"


async def test_a_fault_of_ours_behind_the_write_keeps_no_answer_of_others_back() -> None:
    class Waiting:
        def __init__(self, number: int) -> None:
            self.number = number

        def leave(self) -> None:
            if self.number in (0, 2):
                raise LookupError(self.number)
            left.append(self.number)

        def abandon(self, reason: str) -> None:
            raise AssertionError(reason)

    left, faults, commit = list[int](), list[str](), Commit()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, what: faults.append(repr(what["exception"])))

    def turn() -> None:
        for number in range(5):
            commit.hold(Waiting(number))

    loop.call_soon(turn)
    for _ in range(10):
        await asyncio.sleep(0)
    assert left == [1, 3, 4]
    assert faults == ["LookupError(0)", "LookupError(2)"]


async def test_nothing_leaves_when_the_write_fails(wire: Wire) -> None:
    def fail() -> None:
        raise OSError(28, "No space left on device")

    callers = await opened(wire)
    wire.fleet.commit = Commit(fail)
    assert await callers[0].ask(Get(attribute(IMPORT, 2))) is None, "the connection is closed without an answer"
    assert "No space left" in wire.events("state_error")[0]["reason"]
    wire.fleet.commit = Commit()
    assert (await callers[1].ask(Get(attribute(IMPORT, 2)))).value is not None
    for caller in callers:
        await caller.close()
