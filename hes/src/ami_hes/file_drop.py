"""Events as files: each in a directory of its subscriber, whole or not at all, under a name that sorts by time and tells its MessageID.

A file is written and synchronised under a hidden name and then renamed, so that a reader sees whole files alone. The same event has the
same name whenever it is written, so a replay brings back what the reader has removed. How long files stay is the reader's affair. Addresses
in the store name the subscriber and not the directory, which is that of the configuration.
"""

import asyncio
import os
import re
import stat
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from ami_hes.outbox import NotServed
from ami_hes.reply_hosts import NoAnswer

SCHEME = "drop:"
"""Begins the address of what goes to a directory; no address of the network does, which is http or https."""
THREADS = 2
"""Per directory, so that one that hangs keeps no other waiting."""
_PART = re.compile(r"[0-9A-Za-z_-]{1,100}", re.ASCII)


def address_of(subscriber: str) -> str:
    """Of a subscriber that gets files."""
    return SCHEME + subscriber


def is_drop(address: str) -> bool:
    """Whether it is one of ours, and not of the network."""
    return address.startswith(SCHEME)


class EventFile(NamedTuple):
    """What the name of a file says: when its event was made, what it is, and its MessageID."""

    at: datetime
    noun: str
    verb: str
    message_id: str


def name_of(event: EventFile, octets: bytes) -> str:
    """By the moment (UTC) when the event was made, what it is, its MessageID, and what is in it.

    The end of the name goes by the content: an event that waits is what it was when it was made, whatever `file_format` says by now.
    """
    suffix = "xml" if octets.startswith(b"<") else "csv"
    return f"{event.at:%Y%m%dT%H%M%S.%fZ}-{event.noun}-{event.verb}-{event.message_id}.{suffix}"


class Unusable(NamedTuple):
    """A directory that takes no files now, and why."""

    subscriber: str
    directory: Path
    reason: str


@dataclass(frozen=True, slots=True)
class FileDrop:
    """Writes events; `directories` are those of subscribers by name."""

    directories: Mapping[str, Path]
    timeout_s: float
    _threads: dict[str, ThreadPoolExecutor] = field(default_factory=dict)
    """By subscriber."""

    async def write(self, address: str, event: EventFile, octets: bytes) -> None:
        """Returns when the file is there to stay. Raises NoAnswer where it can't be written now, NotServed where nobody gets it."""
        subscriber = address.removeprefix(SCHEME)
        directory = self.directories.get(subscriber)
        if directory is None:
            raise NotServed(f"hes.subscribers has no {subscriber} with a directory")
        if any(_PART.fullmatch(part) is None for part in event[1:]):
            raise NotServed("the MessageID can be no part of a file's name")
        path = directory / name_of(event, octets)
        try:
            async with asyncio.timeout(self.timeout_s):
                await asyncio.get_running_loop().run_in_executor(self._threads_of(subscriber), _write, path, octets)
        except TimeoutError:
            raise NoAnswer(f"{directory} did not take the file within {self.timeout_s:g} s") from None
        except OSError as problem:
            raise NoAnswer(f"{directory} did not take the file: {problem.strerror or problem}") from None

    async def unusable(self) -> AsyncIterator[Unusable]:
        """Those that take no files now, which is for a person to know before the first event; none is waited for longer than for a file."""
        for subscriber, directory in self.directories.items():
            try:
                async with asyncio.timeout(self.timeout_s):
                    loop, threads = asyncio.get_running_loop(), self._threads_of(subscriber)
                    reason = await loop.run_in_executor(threads, _problem, directory)
            except TimeoutError:
                reason = f"no answer within {self.timeout_s:g} s"
            if reason is not None:
                yield Unusable(subscriber, directory, reason)

    def close(self) -> None:
        """What is being written is finished or not, by itself."""
        for threads in self._threads.values():
            threads.shutdown(wait=False, cancel_futures=True)

    def _threads_of(self, subscriber: str) -> ThreadPoolExecutor:
        if subscriber not in self._threads:
            self._threads[subscriber] = ThreadPoolExecutor(THREADS, thread_name_prefix="drop")
        return self._threads[subscriber]


def _problem(directory: Path) -> str | None:
    """Why no file can be made in it, as far as that can be told without making one."""
    try:
        if not stat.S_ISDIR(directory.stat().st_mode):
            return "is no directory"
    except OSError as problem:
        return problem.strerror or str(problem)
    return None if os.access(directory, os.W_OK | os.X_OK) else "this user may not write to it"


def _write(path: Path, octets: bytes) -> None:
    hidden = path.with_name(f".{path.name}.part")
    try:
        with hidden.open("wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
        hidden.replace(path)
    except OSError:
        with suppress(OSError):
            hidden.unlink()
        raise
    _synchronise(path.parent)


def _synchronise(directory: Path) -> None:
    """So that the name stays as well; Windows opens no directory, and needs none."""
    if os.name != "posix":
        return
    opened = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
