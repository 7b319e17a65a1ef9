"""What was written and has to be put back, on disk before it is written: so also a run that was killed leaves nothing changed.

One run at a time has it (`only_run`): another would put back what this one is just testing. A file of lines, one a step, each flushed to the
disk before anything else is done: `meter` (whose journal it is), `begin` (attribute, value before, value to write), `done` (put back, and seen
to be). What has begun and is not done is open, and the next run begins with it. The values are those of attributes
that are no secrets: secrets are never written by a test of S2.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.data import Data, decode, encode
from ami_dlms.errors import DlmsError
from ami_dlms.obis import Obis

FORMAT = 1
MOST_OCTETS = 16 * 1024 * 1024


class JournalError(Exception):
    """A journal that can't be read or written; the text says which and why."""


@dataclass(frozen=True, slots=True)
class OpenWrite:
    """Something that was to be put back."""

    number: int
    test: str
    descriptor: AttributeDescriptor
    before: Data
    wanted: Data
    at: float | None = None
    """Of a clock: when it showed that, in seconds since 1970 of the machine."""

    @property
    def changes(self) -> bool:
        """Whether another value was to be written than the one that was there."""
        return self.wanted != self.before


class Journal:
    """The journal of the meter of this logical device name, empty where it says none; None: of whichever it is.

    JournalError for the journal of another one.
    """

    def __init__(self, path: Path, meter: str | None = None) -> None:
        self.path = path
        self.meter = meter
        self._named = ""
        self._open: dict[int, OpenWrite] = {}
        self._next = 1
        self._whole: int | None = None
        """How many octets are whole lines, where the last one is not."""
        for entry in self._entries():
            self._take(entry)
        if meter is not None and self._named not in ("", meter):
            whose = f"this is {meter}" if meter else "this meter does not say its name"
            raise JournalError(f"{path}: is the journal of the meter {self._named}, and {whose}")

    @property
    def open(self) -> tuple[OpenWrite, ...]:
        """What has to be put back, the last first."""
        return tuple(reversed(self._open.values()))

    def begin(
        self, test: str, descriptor: AttributeDescriptor, before: Data, wanted: Data, at: float | None = None
    ) -> int:
        """Before a write: on disk when this returns. The number of the entry."""
        number, self._next = self._next, self._next + 1
        if self.meter and not self._named:
            self._append({"format": FORMAT, "what": "meter", "name": self.meter})
            self._named = self.meter
        self._append(
            {
                "format": FORMAT,
                "what": "begin",
                "number": number,
                "test": test,
                "class_id": descriptor.class_id,
                "obis": str(descriptor.instance_id),
                "attribute": descriptor.attribute_id,
                "before": encode(before).hex(),
                "wanted": encode(wanted).hex(),
                "at": at,
            }
        )
        self._open[number] = OpenWrite(number, test, descriptor, before, wanted, at)
        return number

    def done(self, number: int) -> None:
        """It is put back."""
        self._append({"format": FORMAT, "what": "done", "number": number})
        self._open.pop(number, None)

    def _append(self, entry: dict[str, Any]) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            new = not self.path.exists()
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                if self._whole is not None:  # a line without its end would swallow this one
                    os.ftruncate(descriptor, self._whole)
                    self._whole = None
                _write_all(descriptor, json.dumps(entry).encode() + b"\n")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if new:
                folder = os.open(self.path.parent, os.O_RDONLY)
                try:
                    os.fsync(folder)
                finally:
                    os.close(folder)
        except OSError as error:
            raise JournalError(f"{self.path}: {error.strerror}; nothing is written to the meter without it") from None

    def _entries(self) -> Iterator[dict[str, Any]]:
        try:
            if self.path.stat().st_size > MOST_OCTETS:
                raise JournalError(f"{self.path}: has more than {MOST_OCTETS} octets; is it a journal?")
            text = self.path.read_bytes().decode("utf-8")
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            raise JournalError(f"{self.path}: {error}") from None
        *lines, rest = text.split("\n")
        if rest:  # cut by the end of its writer, before anything was sent
            self._whole = len(text.encode()) - len(rest.encode())
        for number, line in enumerate(lines, 1):
            if not line:
                continue
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                raise JournalError(f"{self.path}:{number}: is no line of a journal") from None
            yield entry

    def _take(self, entry: Any) -> None:
        try:
            if entry["what"] == "meter":
                self._named = str(entry["name"])
                return
            number = int(entry["number"])
            self._next = max(self._next, number + 1)
            if entry["what"] == "done":
                self._open.pop(number, None)
                return
            descriptor = AttributeDescriptor(int(entry["class_id"]), Obis.parse(entry["obis"]), int(entry["attribute"]))
            before = decode(bytes.fromhex(entry["before"]))
            wanted = decode(bytes.fromhex(entry["wanted"]))
            at = None if entry.get("at") is None else float(entry["at"])
            self._open[number] = OpenWrite(number, str(entry["test"]), descriptor, before, wanted, at)
        except (KeyError, TypeError, ValueError, OverflowError, DlmsError) as error:
            raise JournalError(f"{self.path}: an entry can't be read: {error}") from None


def _write_all(descriptor: int, octets: bytes) -> None:
    """All of it or nothing: a disk that is nearly full takes a part, and says so at the next."""
    size, left = os.fstat(descriptor).st_size, octets
    try:
        while left:
            left = left[os.write(descriptor, left) :]
    except OSError:
        os.ftruncate(descriptor, size)
        raise


@contextmanager
def only_run(path: Path, meter: str | None = None) -> Iterator[Journal]:
    """The journal, for one run alone; JournalError when another has it. The lock lies beside it, and ends with its process."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise JournalError(f"{path}: {error.strerror}") from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise JournalError(f"{path}: another run is at work with this meter; wait until it has ended") from None
        yield Journal(path, meter)
    finally:
        os.close(lock)
