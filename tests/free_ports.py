"""Ports for servers whose address has to be known before they start.

A port that is free when it is looked at can be somebody else's when the server binds it. So test processes agree through
locks on a file, one octet of it for each port: what was given here is given to no other process while this one lives.
For the same reason, whoever is told to a process as an address to send to stands here and not on a port of the system's
choice: the process goes on trying after its receiver is gone, and the system would give the port to the next test's.
"""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
import threading
from pathlib import Path

PORTS = range(20_000, 32_000)
"""Below the range from which systems take the near ends of their connections, so that a port that was free stays free."""
_given: set[int] = set()
_locks: list[int] = []
_giving = threading.Lock()


def free_port() -> int:
    """A port of the loopback where nobody listens, TCP or UDP, and that no test process was given before."""
    return free_ports(1)[0]


def free_ports(count: int) -> range:
    """As many of them in a row, for programs that count on from the first."""
    row: list[int] = []
    with _giving:
        for port in PORTS:
            row = [*row, port] if _take(port) else []
            if len(row) == count:
                return range(row[0], port + 1)
    raise OSError("all ports for tests are taken")


def _take(port: int) -> bool:
    if port in _given or not _lock(port):
        return False
    _given.add(port)
    return _is_free(port)


def _lock(port: int) -> bool:
    """Locks end with the process, and one process may lock the same octet twice: hence also `_given`."""
    if not _locks:
        _locks.append(
            os.open(Path(tempfile.gettempdir()) / f"ami-test-ports-{os.getuid()}", os.O_RDWR | os.O_CREAT, 0o600)
        )
    try:
        fcntl.lockf(_locks[0], fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


def _is_free(port: int) -> bool:
    try:
        with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
            stream.bind(("127.0.0.1", port))
            datagrams.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True
