"""State on disk that belongs to one process at a time, and to one user of the machine.

Strategy: POSIX record locks. They end with the process however it dies, work for containers that share a volume, and one
open file holds any number of names.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Self

from ami_process.platforms import NeedsPosix

try:
    import fcntl
except ModuleNotFoundError as missing:
    raise NeedsPosix(missing) from None

PRIVATE_UMASK = 0o077
PRIVATE = 0o600
PRIVATE_DIRECTORY = 0o700


class InUse(Exception):
    """Another process holds `name` of the state that `lock` guards."""

    def __init__(self, lock: Path, name: str) -> None:
        super().__init__(f"{name} is in use by another process ({lock} is locked)")
        self.lock = lock
        self.name = name


def keep_private() -> None:
    """What this process makes from now on can be read by its own user alone."""
    os.umask(PRIVATE_UMASK)


def make_private(path: Path) -> None:
    """A file for its owner alone, made if it is missing; SQLite gives its journal the same rights. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=PRIVATE_DIRECTORY)
    path.touch(mode=PRIVATE)
    path.chmod(PRIVATE)


class Hold:
    """These names are this process's as long as the context is entered; made with InUse when another process has one.

    Also raises OSError. Within one process a lock is to be held once: closing its file gives up all names of it.
    """

    def __init__(self, lock: Path, *names: str) -> None:
        lock.parent.mkdir(parents=True, exist_ok=True, mode=PRIVATE_DIRECTORY)
        self._file = lock.open("ab")
        for name in names:
            if not self.also(name):
                self._file.close()
                raise InUse(lock, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def also(self, name: str) -> bool:
        """Hold another name as well; False when another process has it."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _place(name))
        except (BlockingIOError, PermissionError):
            return False
        return True

    def close(self) -> None:
        """Give the names up."""
        self._file.close()


@contextmanager
def held_whole(lock: Path) -> Iterator[None]:
    """Every name at once, for what may only be done while no process has any. Raises InUse and OSError."""
    lock.parent.mkdir(parents=True, exist_ok=True, mode=PRIVATE_DIRECTORY)
    with lock.open("ab") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise InUse(lock, lock.parent.name) from None
        yield


def _place(name: str) -> int:
    """The octet of the lock file that belongs to a name; the file need not be that long."""
    return int.from_bytes(sha256(name.encode()).digest()[:8], "big") >> 2
