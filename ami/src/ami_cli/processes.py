"""Start the processes of the demo, hear what they say, and leave none behind.

Every process is started in a session of its own, so that Ctrl-C reaches only the demo, which then stops the others in
order. Its standard input is a pipe that ends with us (see parent_watch.py), its standard output is one JSON object per line, its
standard error goes to a file. All of them share one queue: `Emitted` for a line, `Ended` for the end of a process.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

LINE_LIMIT = 4 * 1024 * 1024
"""Octets of the longest line; a full-size APDU in hex has 128 KiB."""
MOST_KEPT = 16 * 1024 * 1024
"""Octets of what a process says, after which nothing more of it is kept."""


@dataclass(frozen=True, slots=True)
class Program:
    """Something to start: `name` in the demo's words, `role` as its `ready` event has it, `rank` in which it stops."""

    name: str
    role: str
    arguments: tuple[str, ...]
    rank: int = 0
    environment: tuple[tuple[str, str], ...] = ()
    """Variables that it has beside those of all, or instead of them."""


@dataclass(frozen=True, slots=True)
class Emitted:
    """One event of a process: one line of its standard output."""

    origin: Program
    event: Mapping[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True)
class Ended:
    """A process is gone, and all of its output has been read."""

    origin: Program
    exit_code: int
    at: datetime


Message = Emitted | Ended


@dataclass(frozen=True, slots=True)
class _Line:
    """What a process has said, as it came: who measures it takes none of its time to understand it meanwhile."""

    origin: Program
    octets: bytes
    at: datetime


def module(name: str, *arguments: str) -> tuple[str, ...]:
    """The command line that runs one of our modules under `parent_watch`, so that it ends with us."""
    return (sys.executable, "-m", "ami_cli.parent_watch", name, *arguments)


@dataclass(slots=True, eq=False)
class _Child:
    program: Program
    process: asyncio.subprocess.Process
    listening: asyncio.Task[None] | None = None


@dataclass(slots=True)
class Processes:
    """The processes that this demo has started; leaving the context stops them all."""

    logs: Path
    environment: Mapping[str, str]
    grace_s: float = 5.0
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _children: list[_Child] = field(default_factory=list)
    _heard: asyncio.Queue[_Line | Ended] = field(default_factory=asyncio.Queue)
    _hurry: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> Self:
        self.logs.mkdir(parents=True, exist_ok=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self, program: Program) -> None:
        """Start one; it is heard from this moment on."""
        with self.log_of(program).open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *program.arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env={**self.environment, **dict(program.environment), "PYTHONUNBUFFERED": "1"},
                start_new_session=True,
                limit=LINE_LIMIT,
            )
        child = _Child(program, process)
        self._children.append(child)
        child.listening = asyncio.create_task(self._listen(child))

    async def messages(self) -> AsyncIterator[Message]:
        """What the processes say, as it comes, until all of them have ended and nothing is left to hear."""
        ended = 0
        while ended < len(self._children):
            message = _understood(await self._heard.get())
            ended += isinstance(message, Ended)
            if message is not None:
                yield message

    def heard(self) -> list[Message]:
        """What has been said and not been taken yet."""
        found = list[Message]()
        while not self._heard.empty():
            if (message := _understood(self._heard.get_nowait())) is not None:
                found.append(message)
        return found

    def process_id(self, program: Program) -> int:
        """The number that the system knows it by."""
        return next(child.process.pid for child in self._children if child.program is program)

    def kill(self, program: Program) -> None:
        """End one as a machine that fails does."""
        next(child.process for child in self._children if child.program is program).kill()

    def log_of(self, program: Program) -> Path:
        """Where its standard error goes."""
        return self.logs / f"{program.name}.log"

    def events_of(self, program: Program) -> Path:
        """Where the first of what it says is kept, line by line."""
        return self.logs / f"{program.name}.jsonl"

    def last_words(self, program: Program, lines: int = 12) -> str:
        """The end of its standard error."""
        return "\n".join(self.log_of(program).read_text("utf-8", "replace").splitlines()[-lines:])

    def hurry(self) -> None:
        """Do not wait for the polite end any longer."""
        self._hurry.set()

    async def stop(self) -> None:
        """Stop all, rank by rank, politely first; returns when they are gone and heard to the end."""
        for rank in sorted({child.program.rank for child in self._children}):
            await asyncio.gather(*(self._end(child) for child in self._children if child.program.rank == rank))
        await asyncio.gather(*(child.listening for child in self._children if child.listening))

    async def _end(self, child: _Child) -> None:
        if child.process.returncode is None:
            _signal(child.process, signal.SIGTERM)
        waiting = asyncio.create_task(child.process.wait())
        hurry = asyncio.create_task(self._hurry.wait())
        await asyncio.wait({waiting, hurry}, timeout=self.grace_s, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        if not waiting.done():
            _signal(child.process, signal.SIGKILL)
        await waiting

    async def _listen(self, child: _Child) -> None:
        assert child.process.stdout is not None
        with self.events_of(child.program).open("wb") as kept:
            async for line in child.process.stdout:
                if kept.tell() < MOST_KEPT:
                    kept.write(line)
                self._heard.put_nowait(_Line(child.program, line, self.now()))
        exit_code = await child.process.wait()
        self._heard.put_nowait(Ended(child.program, exit_code, self.now()))


def environment(names: Sequence[str] = ()) -> dict[str, str]:
    """Our environment without the variables that the written configuration already answers."""
    return {key: value for key, value in os.environ.items() if key not in names}


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except ProcessLookupError:
        return


def _understood(one: _Line | Ended) -> Message | None:
    """None for an empty line."""
    if isinstance(one, Ended):
        return one
    event = _parse(one.octets)
    return None if event is None else Emitted(one.origin, event, one.at)


def _parse(line: bytes) -> Mapping[str, Any] | None:
    text = line.decode("utf-8", "replace").strip()
    if not text:
        return None
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    return value if isinstance(value, dict) and isinstance(value.get("event"), str) else {"event": "text", "text": text}
