"""Lines for a file descriptor whose reader may be slow, may not read at all, or may be gone: the writer never waits.

A thread writes what waits in a bounded queue. What does not fit is dropped, and so is what cannot be written (the reader
has gone, the disk is full); how many lines are missing is said in their place as soon as lines can be written again.
"""

import os
import select
import threading
import time
from collections.abc import Callable

MAX_OCTETS = 8_000_000
"""Lines that wait: about as many as a fleet of a thousand meters says in a quarter of an hour."""
NEWLINE = ord("\n")
LAST_WORDS_S = 1.0
"""How long the end of the process waits for a reader that does not read."""

PAUSE_S = 0.02
"""Between two writes: lines of a busy time leave together, so that the thread does not take the interpreter for each of them."""


class Output:
    """A queue of lines and the thread that writes them; `missing` makes the line that tells how many were dropped."""

    def __init__(self, descriptor: int, missing: Callable[[int], str], *, max_octets: int = MAX_OCTETS) -> None:
        self._descriptor = descriptor
        self._missing = missing
        self._max_octets = max_octets
        self._waiting: list[bytes] = []
        self._octets = 0
        self._dropped = 0
        self._lost = 0
        self._torn = False
        self._writing = False
        self._closing = False
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._thread = threading.Thread(target=self._work, name="output", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Queue a line; from any thread, and without waiting."""
        octets = line.encode("utf-8", "backslashreplace") + b"\n"
        with self._lock:  # the same lock, without a call of Python
            idle = not self._waiting and not self._dropped
            # after the first dropped line all are dropped until the queue moves, so that the gap has one place
            if self._dropped or self._octets + len(octets) > self._max_octets:
                self._dropped += 1
            else:
                self._waiting.append(octets)
                self._octets += len(octets)
            if idle:  # otherwise the thread knows already that there is something to write
                self._changed.notify_all()

    def flush(self, within_s: float = LAST_WORDS_S) -> bool:
        """Wait until everything is written, but not longer; whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._writing, within_s)

    def close(self, within_s: float = LAST_WORDS_S) -> None:
        """Write what waits, if that can be done in time, and end."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(within_s)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._dropped or self._closing)
                if not self._waiting and not self._dropped:
                    return
                lines, dropped = b"".join(self._waiting), self._dropped
                self._waiting, self._dropped, self._writing = [], 0, True
            self._deliver(lines, dropped)
            with self._changed:
                self._writing = False
                self._changed.notify_all()
            time.sleep(PAUSE_S)

    def _deliver(self, lines: bytes, dropped: int) -> None:
        self._say_what_is_missing()
        self._lost += self._put(lines) + dropped
        with self._changed:  # there is room again before anybody reads what was missing
            self._octets -= len(lines)
        self._say_what_is_missing()

    def _say_what_is_missing(self) -> None:
        if self._lost and not self._put(self._missing(self._lost).encode() + b"\n"):
            self._lost = 0

    def _put(self, lines: bytes) -> int:
        """Write; how many lines could not be written."""
        rest = memoryview(b"\n" + lines if self._torn else lines)
        while rest:
            try:
                written = os.write(self._descriptor, rest)
            except BlockingIOError:  # somebody has set our standard output to non-blocking
                select.select([], [self._descriptor], [])
            except OSError:
                return min(bytes(rest).count(b"\n"), lines.count(b"\n"))
            else:
                self._torn = rest[written - 1] != NEWLINE
                rest = rest[written:]
        return 0
