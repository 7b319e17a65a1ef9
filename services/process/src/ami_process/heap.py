"""The heap of the C library, for a process that now and then has octets by the megabyte in its hands: a message, or the answer of ten thousand meters.

Each such piece is mapped by itself, and goes back to the system with its last reference. glibc begins so too, but whenever one of them is freed it
serves all that are as large from its heap from then on (mallopt(3), M_MMAP_THRESHOLD), up to 32 MB, and keeps twice as much free at the heap's end. Said
once, the size stays what it is. Other C libraries have no such call, and nothing is done there.
"""

import ctypes
from contextlib import suppress

MAPPED_FROM = 1_048_576
"""Octets of a piece that is mapped by itself."""
FREE_AT_THE_END = 8_388_608
"""Octets that stay at the end of the heap for what comes next."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def give_large_pieces_back() -> None:
    """To be called once, when the process begins to serve."""
    with suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, MAPPED_FROM)
        mallopt(_M_TRIM_THRESHOLD, FREE_AT_THE_END)
