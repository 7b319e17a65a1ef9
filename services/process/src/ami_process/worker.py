"""Work that takes long is done in another process, so that the event loop, and whatever has a deadline on it, goes on.

A thread would not do: what is slow here is Python itself, which runs one thread at a time, and the loop would wait for its turn
at every socket. So one child process does one piece of work after the other; it begins with the first piece, is bounded in
memory and processor time by the operating system, and if a piece takes too much it ends, which costs that piece and nothing else. Who finds too
many waiting is refused.

The child reads what strangers wrote, with C code, so it is not trusted. Octets alone go over the pipe, with their length before
them: a head and a body to the child, one answer of bounded length back. No object does, since unpickling one is running code that
the other side has chosen; what the octets mean is a matter of the caller and of the function that it calls.
"""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from enum import IntEnum
from typing import Self

FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP)
"""Signals that end the process by somebody else's will; its own limits send SIGXCPU, or end it with an exit code."""
FAREWELL_S = 5.0
LENGTH = 8
"""Octets of the length before each piece on the pipe."""


class Ending(IntEnum):
    """The octet before an answer's length."""

    RETURNED = 0
    """What follows is what the function returned."""
    RAISED = 1
    """What follows is the traceback, in UTF-8."""


class WorkerBusy(Exception):
    """Too many are waiting already; later there may be room."""


class WorkerLost(Exception):
    """The piece of work took too much time, memory or room for its answer, and was ended; it would be so the next time."""


class _Stopped(Exception):
    """Somebody else ended the process in the middle of the piece: an operator, or the system for want of memory."""


class WorkerFailed(RuntimeError):
    """The function raised, which is a fault of ours; the text is the child's traceback, and is for the log."""


class Worker:
    """Calls one function, `module:name`, in a process of its own: `(head: bytes, body: bytes) -> bytes`."""

    def __init__(
        self,
        function: str,
        *,
        waiting: int = 4,
        cpu_s: int = 10,
        seconds: float = 60.0,
        memory: int = 256_000_000,
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

    async def call(self, head: bytes, body: bytes = b"", *, room: int = 1_000_000) -> bytes:
        """What the function returns, which is `room` octets at most; raises WorkerBusy, WorkerLost, WorkerFailed."""
        if not self._room:
            raise WorkerBusy
        self._room -= 1
        try:
            async with self._turn:
                try:
                    ending, answer = await self._exchange(head, body, room)
                except _Stopped:  # which says nothing about the piece, unless it happens again
                    ending, answer = await self._again(head, body, room)
        finally:
            self._room += 1
        if ending is Ending.RAISED:
            raise WorkerFailed(answer.decode("utf-8", "replace"))
        return answer

    async def _again(self, head: bytes, body: bytes, room: int) -> tuple[Ending, bytes]:
        try:
            return await self._exchange(head, body, room)
        except _Stopped:
            raise WorkerLost("the system ended its process twice, as it does when memory runs out") from None

    async def _exchange(self, head: bytes, body: bytes, room: int) -> tuple[Ending, bytes]:
        answered = False
        try:
            async with asyncio.timeout(self._seconds):
                answer = await self._answer(head, body, room)
                answered = True
        except TimeoutError:
            raise WorkerLost(f"it took longer than {self._seconds:g} s") from None
        except (OSError, asyncio.IncompleteReadError):
            if await self._was_stopped():
                raise _Stopped from None
            raise WorkerLost("it needed more time or memory than it may have, and its process was ended") from None
        finally:
            if not answered:  # also if the caller gave up: the next piece must not get this one's answer
                await self._end()
        return answer

    async def _answer(self, head: bytes, body: bytes, room: int) -> tuple[Ending, bytes]:
        process = self._process
        if process is None or process.returncode is not None:  # ended by somebody else, between two pieces
            process = self._process = await asyncio.create_subprocess_exec(*self._command, stdin=PIPE, stdout=PIPE)
        writer, reader = process.stdin, process.stdout
        if writer is None or reader is None:
            raise OSError("the worker has no pipes")
        writer.writelines((len(head).to_bytes(LENGTH), head, len(body).to_bytes(LENGTH), body))
        await writer.drain()
        ending, length = (await reader.readexactly(1))[0], int.from_bytes(await reader.readexactly(LENGTH))
        if ending not in tuple(Ending):
            raise WorkerLost(f"its process answered nonsense (ending {ending}), and was ended")
        if length > room:
            raise WorkerLost(f"its answer has more than {room} octets, and its process was ended")
        return Ending(ending), await reader.readexactly(length)

    async def _was_stopped(self) -> bool:
        """The pipe is broken: did a signal do it that none of the limits sends?"""
        process = self._process
        if process is None:
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                return -await process.wait() in FROM_OUTSIDE
        return False

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()
