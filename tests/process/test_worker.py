"""One function in another process: what comes back, and what becomes of a piece of work that asks for too much."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ami_process.worker import LENGTH, Worker, WorkerBusy, WorkerFailed, WorkerLost

PARENT = """
import asyncio
from ami_process.worker import Worker

async def main():
    async with Worker("pieces:parents") as worker:
        print((await worker.call(b"")).split()[1].decode(), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
SHELL = "pieces:shell"


@pytest.fixture(autouse=True)
def findable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker's process finds `pieces`."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


async def test_results_come_back_from_one_other_process() -> None:
    async with Worker("operator:add") as worker:
        assert await worker.call(b"head, ", b"body") == b"head, body"
        assert await worker.call(b"") == b""
        large = os.urandom(3_000_000)
        assert await worker.call(large, large, room=6_000_000) == large + large
    async with Worker("pieces:parents") as worker:
        parent, first = (await worker.call(b"")).split()
        assert int(parent) == os.getpid() != int(first)
        assert (await worker.call(b"")).split()[1] == first
        os.kill(int(first), 0)  # it is there
    with pytest.raises(ProcessLookupError):
        os.kill(int(first), 0)


async def test_an_error_comes_back_as_the_text_of_its_traceback() -> None:
    async with Worker("pieces:fail") as worker:
        with pytest.raises(WorkerFailed, match=r"(?s)^Traceback .*in fail\n.*ValueError: no\\udcff$") as failed:
            await worker.call(b"no\xff")
        assert failed.value.__cause__ is None
        with pytest.raises(WorkerFailed) as failed:
            await worker.call(b"x" * 1_000_000)
        assert len(str(failed.value)) == 20_000
        with pytest.raises(WorkerFailed, match="ValueError: the next"):
            await worker.call(b"the next")
    async with Worker("operator:sub") as worker:
        with pytest.raises(WorkerFailed, match="TypeError"):
            await worker.call(b"a", b"b")


async def test_an_answer_that_is_too_large_is_not_read_and_the_next_is_done() -> None:
    async with Worker("pieces:zeros") as worker:
        assert await worker.call(b"1000", room=1_000) == bytes(1_000)
        with pytest.raises(WorkerLost, match="more than 999 octets"):
            await worker.call(b"1000", room=999)
        assert await worker.call(b"3") == bytes(3)


@pytest.mark.parametrize(
    ("octets", "told"),
    [
        (b"\x02" + (3).to_bytes(LENGTH) + b"abc", "nonsense"),
        (b"\x80\x04cos\nsystem\n(S'touch pickled'\ntR.", "nonsense"),
        (b"\x00" + b"\xff" * LENGTH, "more than 1000000 octets"),
        (b"\x01" + (2**40).to_bytes(LENGTH) + b"abc", "more than 1000000 octets"),
    ],
)
async def test_a_process_that_answers_nonsense_is_ended_and_the_next_is_done(octets: bytes, told: str) -> None:
    async with Worker("pieces:write") as worker:
        with pytest.raises(WorkerLost, match=told):
            await worker.call(octets)
        assert await worker.call(b"") == b""
    assert not Path("pickled").exists()


async def test_what_takes_too_long_is_ended_and_the_next_is_done() -> None:
    async with Worker("pieces:sleep", seconds=1.0) as worker:
        with pytest.raises(WorkerLost, match="longer than 1 s"):
            await worker.call(b"3600")
    async with Worker("pieces:sleep", seconds=30.0) as worker:
        assert await worker.call(b"0") == b"slept"


async def test_what_takes_too_much_of_the_processor_is_ended_and_the_next_is_done() -> None:
    async with Worker("pieces:count", cpu_s=0) as worker:
        with pytest.raises(WorkerLost, match="more time"):
            await worker.call(b"1000000000000")
        assert await worker.call(b"4") == b"6"


@pytest.mark.needs("linux")
async def test_what_takes_too_much_memory_is_ended_and_the_next_is_done() -> None:
    async with Worker("pieces:zeros", memory=200_000_000) as worker:
        with pytest.raises(WorkerLost, match="memory"):
            await worker.call(b"1000000000")
        assert await worker.call(b"3") == bytes(3)


async def test_a_process_that_ends_costs_one_piece() -> None:
    async with Worker(SHELL) as worker:
        with pytest.raises(WorkerLost, match="twice"):
            await worker.call(b"kill -9 $PPID")
        assert await worker.call(b"echo next") == b"next\n"


async def test_a_process_that_is_ended_between_two_pieces_costs_none() -> None:
    async with Worker("pieces:parents") as worker:
        first = (await worker.call(b"")).split()[1]
        assert worker._process is not None
        os.kill(int(first), signal.SIGKILL)
        await worker._process.wait()
        assert (await worker.call(b"")).split()[1] != first


@pytest.mark.parametrize("how", ["KILL", "TERM"])
async def test_a_process_that_somebody_ends_in_the_middle_of_a_piece_costs_nothing(tmp_path: Path, how: str) -> None:
    once = f"[ -e {tmp_path}/done ] || {{ touch {tmp_path}/done; kill -{how} $PPID; sleep 9; }}; echo whole"
    async with Worker(SHELL) as worker:
        assert await worker.call(once.encode()) == b"whole\n"
    assert (tmp_path / "done").exists()


async def test_who_finds_too_many_waiting_is_refused() -> None:
    async with Worker(SHELL, waiting=1) as worker, asyncio.TaskGroup() as group:
        calls = [group.create_task(worker.call(f"echo {number}".encode())) for number in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(WorkerBusy):
            await worker.call(b"echo one too many")
        assert [await call for call in calls] == [b"0\n", b"1\n"]
        assert await worker.call(b"echo room") == b"room\n"


async def test_an_answer_goes_to_nobody_else_when_its_caller_has_left() -> None:
    async with Worker(SHELL) as worker:
        assert await worker.call(b"echo started") == b"started\n"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(worker.call(b"sleep 0.3; echo late"), 0.05)
        assert await worker.call(b"echo mine") == b"mine\n"


@pytest.mark.needs("proc")
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
