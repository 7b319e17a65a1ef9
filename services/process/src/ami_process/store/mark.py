"""A mark outside of a store that says how far the store had come, so that an older copy in its place is recognised (ADR 39).

It is one small file, written in its place and never replaced: so it keeps its inode, and a mark that was copied together with
the store has another one. The store knows which file its mark is (`MarkFile.identity`).
"""

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from ami_process.ownership import PRIVATE, PRIVATE_DIRECTORY
from ami_process.store.errors import StoreUnavailable, StoreUnusable

OCTETS = 256
"""Always as long, so that a full disk can't refuse it."""
MACHINE = Path("/etc/machine-id")


@dataclass(frozen=True, slots=True)
class Mark:
    """What the store has to be at least."""

    store_id: str
    """Of one life of a store: it gets another one whenever it was brought back."""
    steps: int
    """How often invocation counters were reserved."""
    highest: int
    """No value from here on was reserved under any key."""


class MarkFile:
    """One mark, for its owner alone. Raises StoreUnusable in words; `note` raises StoreUnavailable."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self) -> None:
        """An empty one where there is none."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=PRIVATE_DIRECTORY)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE))
        except OSError as problem:
            raise self._unusable(problem) from None

    def read(self) -> Mark | None:
        """None where it holds none that anybody can read: an empty file, or the half of one."""
        try:
            with self.path.open("rb") as opened:
                about = os.fstat(opened.fileno())
                if not stat.S_ISREG(about.st_mode) or about.st_mode & ~PRIVATE & 0o777:
                    raise StoreUnusable(f"the mark {self.path} can be read or changed by others: chmod 600 {self.path}")
                text = opened.read(OCTETS)
        except OSError as problem:
            raise self._unusable(problem) from None
        try:
            return _mark(json.loads(text))
        except ValueError:
            return None

    def note(self, mark: Mark) -> None:
        """In its place, and on the disk when this returns."""
        text = json.dumps(asdict(mark)).encode("ascii")
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.pwrite(descriptor, text.ljust(OCTETS - 1) + b"\n", 0)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as problem:
            reason = f"the mark {self.path} of the store can't be written: {problem.strerror}"
            raise StoreUnavailable(reason) from None

    def identity(self) -> str:
        """Which file it is, on which machine; a copy has another one."""
        try:
            machine = sha256(b"ami mark" + MACHINE.read_bytes()).hexdigest()[:16]
        except OSError:  # a container, or no Linux
            machine = "-"
        try:
            return f"{machine} {self.path.stat().st_ino}"
        except OSError as problem:
            raise self._unusable(problem) from None

    def _unusable(self, problem: OSError) -> StoreUnusable:
        return StoreUnusable(f"the mark {self.path} of the store can't be used: {problem.strerror}")


def _mark(value: object) -> Mark:
    if not isinstance(value, Mapping):
        raise ValueError("no object")
    store_id, steps, highest = (value.get(name) for name in ("store_id", "steps", "highest"))
    if not (isinstance(store_id, str) and isinstance(steps, int) and isinstance(highest, int)):
        raise ValueError("no mark")
    return Mark(store_id, steps, highest)
