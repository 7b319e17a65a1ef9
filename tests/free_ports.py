"""Ports for servers whose address has to be known before they start."""

from __future__ import annotations

import random
import socket

PORTS = range(20_000, 32_000)
"""Below the range from which systems take the near ends of their connections, so that a port that was free stays free."""
_given: set[int] = set()


def free_port() -> int:
    """A port of the loopback where nobody listens, TCP or UDP, and that was not given before.

    Drawn by chance, so that parallel test runs do not meet.
    """
    while True:
        port = random.choice(PORTS)
        try:
            with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
                stream.bind(("127.0.0.1", port))
                datagrams.bind(("127.0.0.1", port))
        except OSError:
            continue
        if port not in _given:
            _given.add(port)
            return port
