"""Ports for servers whose address has to be known before they start.

A port that is free when it is looked at can be somebody else's when the server binds it. So test processes agree through
locks on a file, one octet of it for each port: what was given here is given to no other process while this one lives.
"""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from pathlib import Path

PORTS = range(20_000, 32_000)
"""Below the range from which systems take the near ends of their connections, so that a port that was free stays free."""
APART = range(12_000, 20_000)
"""For a test whose programs choose further ports by themselves: what is free beside these is given to no other test."""
_given: set[int] = set()
_locks: list[int] = []


def free_port(within: range = PORTS) -> int:
    """A port of the loopback where nobody listens, TCP or UDP, and that no test process was given before."""
    for port in within:
        if port not in _given and _lock(port):
            _given.add(port)
            if _is_free(port):
                return port
    raise OSError("all ports for tests are taken")


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
