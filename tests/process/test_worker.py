"""One function in another process: what comes back, and what becomes of a piece of work that asks for too much."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ami_process.worker import Worker, WorkerBusy, WorkerLost

PARENT = """
import asyncio
from ami_process.worker import Worker

async def main():
    async with Worker("os:getpid") as worker:
        print(await worker.call(), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
SHELL = "subprocess:check_output"


async def test_results_and_errors_come_back_from_one_other_process() -> None:
    async with Worker("os:getpgid") as worker:
        assert await worker.call(0) == os.getpgid(0)
        with pytest.raises(ProcessLookupError):
            await worker.call(2**22 + 1)
    async with Worker("os:getppid") as worker:
        assert await worker.call() == os.getpid()
    async with Worker("os:getpid") as worker:
        first = await worker.call()
        assert await worker.call() == first != os.getpid()
        assert Path(f"/proc/{first}").exists()
    assert not Path(f"/proc/{first}").exists()


async def test_what_takes_too_long_is_ended_and_the_next_is_done() -> None:
    async with Worker("time:sleep", seconds=1.0) as worker:
        with pytest.raises(WorkerLost, match="longer than 1 s"):
            await worker.call(3600)
    async with Worker("time:sleep", seconds=30.0) as worker:
        assert await worker.call(0) is None


async def test_what_takes_too_much_of_the_processor_is_ended_and_the_next_is_done() -> None:
    async with Worker("builtins:sum", cpu_s=0) as worker:
        with pytest.raises(WorkerLost, match="more time"):
            await worker.call(range(10**12))
        assert await worker.call(range(4)) == 6


async def test_what_takes_too_much_memory_is_ended_and_the_next_is_done() -> None:
    async with Worker("builtins:bytes", memory=200_000_000) as worker:
        with pytest.raises(WorkerLost, match="memory"):
            await worker.call(1_000_000_000)
        assert await worker.call(3) == bytes(3)


async def test_a_process_that_ends_costs_one_piece() -> None:
    async with Worker(SHELL) as worker:
        with pytest.raises(WorkerLost):
            await worker.call(["sh", "-c", "kill -9 $PPID"])
        assert await worker.call(["echo", "next"]) == b"next\n"


async def test_who_finds_too_many_waiting_is_refused() -> None:
    async with Worker(SHELL, waiting=1) as worker, asyncio.TaskGroup() as group:
        calls = [group.create_task(worker.call(["echo", str(number)])) for number in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(WorkerBusy):
            await worker.call(["echo", "one too many"])
        assert [await call for call in calls] == [b"0\n", b"1\n"]
        assert await worker.call(["echo", "room"]) == b"room\n"


async def test_an_answer_goes_to_nobody_else_when_its_caller_has_left() -> None:
    async with Worker(SHELL) as worker:
        assert await worker.call(["echo", "started"]) == b"started\n"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(worker.call(["sh", "-c", "sleep 0.3; echo late"]), 0.05)
        assert await worker.call(["echo", "mine"]) == b"mine\n"


def test_a_worker_does_not_outlive_its_parent() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = Path("/proc") / parent.stdout.readline().strip()
        assert "ami_process.worker_main" in (child / "cmdline").read_text()
        parent.kill()
    while not ended(child):  # by itself; the limit is the test's
        os.sched_yield()


def ended(process: Path) -> bool:
    """Also of one that nobody has asked for its exit code."""
    try:
        return "State:\tZ" in (process / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
