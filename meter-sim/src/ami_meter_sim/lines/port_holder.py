"""Who listens on a port already, as far as Linux says: the process of a socket is found by its inode."""

import os
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
TCP_LISTEN = "0A"
LOCAL, STATE, INODE = 1, 3, 9
"""Columns of /proc/net/tcp and /proc/net/udp."""
WORDS = 3
"""Of a command line: the interpreter, `-m` and the module."""


def holder_of(port: int, *, udp: bool = False) -> str | None:
    """`process 123 (python -m this)`, or how little is known; None when there is no such socket or no such system."""
    inodes = set(_inodes(port, udp))
    if not inodes:
        return None
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in PROC.iterdir():
        if process.name.isdecimal() and _has_one_of(process / "fd", wanted):
            return f"process {process.name} ({_command(process)})"
    return "a process of another user"


def _inodes(port: int, udp: bool) -> Iterator[str]:
    for name in ("udp", "udp6") if udp else ("tcp", "tcp6"):
        try:
            lines = (PROC / "net" / name).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            listens = udp or fields[STATE] == TCP_LISTEN
            if listens and int(fields[LOCAL].rpartition(":")[2], 16) == port:
                yield fields[INODE]


def _has_one_of(descriptors: Path, wanted: set[str]) -> bool:
    try:
        return any(str(one.readlink()) in wanted for one in descriptors.iterdir())
    except OSError:
        return False


def _command(process: Path) -> str:
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return "unknown"
    return " ".join(os.fsdecode(word) for word in words[:WORDS] if word) or "unknown"
