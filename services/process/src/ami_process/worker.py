"""Work that takes long is done in another process, so that the event loop, and whatever has a deadline on it, goes on.

A thread would not do: what is slow here is Python itself, which runs one thread at a time, and the loop would wait for its turn
at every socket. So one child process does one piece of work after the other; it begins with the first piece, is bounded in
memory and processor time by the operating system, and if a piece takes too much it ends, which costs that piece and nothing else. Who finds too
many waiting is refused. Arguments and results are pickled, which is safe between the two ends of a pipe that nobody else has;
what came from a socket is pickled as the octets that it is, and the child looks at it.
"""

import asyncio
import pickle
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from typing import Any, Self

LENGTH = 8
"""Octets of the length before each piece on the pipe."""


class WorkerBusy(Exception):
    """Too many are waiting already; later there may be room."""


class WorkerLost(Exception):
    """The piece of work took too long or too much memory, and was ended; it would be so the next time."""


class Worker:
    """Calls one function, `module:name`, in a process of its own; it raises what the function raises."""

    def __init__(
        self, function: str, *, waiting: int = 4, cpu_s: int = 10, seconds: float = 60.0, memory: int = 256_000_000
    ) -> None:
        """`cpu_s` of the processor and `seconds` of the clock are for one piece, `memory` (octets) for the process."""
        self._command = (sys.executable, "-m", "ami_process.worker_main", function, str(cpu_s), str(memory))
        self._room = waiting + 1
        self._seconds = seconds
        self._turn = asyncio.Lock()
        self._process: Process | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    async def call(self, *arguments: Any) -> Any:
        """What the function returns for these arguments; raises WorkerBusy, WorkerLost."""
        if not self._room:
            raise WorkerBusy
        self._room -= 1
        try:
            async with self._turn:
                succeeded, result = await self._exchange(pickle.dumps(arguments))
        finally:
            self._room += 1
        if succeeded:
            return result
        raise result

    async def _exchange(self, asked: bytes) -> tuple[bool, Any]:
        answered = False
        try:
            async with asyncio.timeout(self._seconds):
                answer = await self._answer(asked)
                answered = True
        except TimeoutError:
            raise WorkerLost(f"it took longer than {self._seconds:g} s") from None
        except (OSError, asyncio.IncompleteReadError):
            raise WorkerLost("it needed more time or memory than it may have, and its process was ended") from None
        finally:
            if not answered:  # also if the caller gave up: the next piece must not get this one's answer
                await self._end()
        result: tuple[bool, Any] = pickle.loads(answer)  # noqa: S301 (our own child wrote it)
        return result

    async def _answer(self, asked: bytes) -> bytes:
        process = self._process
        if process is None:
            process = self._process = await asyncio.create_subprocess_exec(*self._command, stdin=PIPE, stdout=PIPE)
        writer, reader = process.stdin, process.stdout
        if writer is None or reader is None:
            raise OSError("the worker has no pipes")
        writer.write(len(asked).to_bytes(LENGTH) + asked)
        await writer.drain()
        return await reader.readexactly(int.from_bytes(await reader.readexactly(LENGTH)))

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()
