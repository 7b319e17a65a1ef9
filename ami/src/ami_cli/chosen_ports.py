"""Ports for servers that are started in a moment, and that have to be told theirs before.

A port of the system's own choice can be taken again before its server binds it, as the near end of any connection. So these
are chosen below the range that systems take such ends from, at random, so that two runs on one machine hardly meet.
"""

import secrets
import socket

RANGE = range(10_000, 20_000)
LAST_OF_A_ROW = 32_767
"""Beyond it Linux takes the near ends of connections from."""
TRIES = 1_000


def chosen_port() -> int:
    """A port that nobody has bound, TCP or UDP, on any address of this machine. Raises OSError."""
    return chosen_ports(1)[0]


def chosen_ports(count: int) -> list[int]:
    """As many different ones. Raises OSError."""
    found: set[int] = set()
    for _ in range(TRIES):
        if len(found) == count:
            return sorted(found)
        port = secrets.choice(RANGE)
        if _is_free(port):
            found.add(port)
    raise OSError(f"of {TRIES} ports from {RANGE.start} to {RANGE.stop - 1}, not {count} are free")


def chosen_row(count: int) -> int:
    """The first of as many consecutive ones. Raises OSError."""
    starts = range(RANGE.start, LAST_OF_A_ROW + 2 - count)
    for _ in range(TRIES if starts else 0):
        first = secrets.choice(starts)
        if all(map(_is_free, range(first, first + count))):
            return first
    raise OSError(f"from {RANGE.start} to {LAST_OF_A_ROW}, no {count:,} consecutive ports were found free")


def _is_free(port: int) -> bool:
    try:
        with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
            stream.bind(("", port))
            datagrams.bind(("", port))
    except OSError:
        return False
    return True
