"""What is noted while a command is carried out at a meter, for its trace: octets and times in a list, and nothing decoded.

It is on the path of every APDU, so an entry is a tuple, a time is that of one clock (`Environment.perf_counter`), and the octets are those that the
association has in its hands anyway. What of it is kept, and in which form, is decided when the command has its end (`ami_hes.traces`).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

from ami_dlms.framing.framing import WrapperPdu

MOST_ENTRIES = 20_000


class Begun(NamedTuple):
    """Something begins; `number` is how it is named by its end."""

    at: float
    number: int
    kind: str
    """A word of `ami_trace.form.Kind`."""
    name: str
    peer: str = ""
    transport: str = ""


class Ended(NamedTuple):
    """It has its end; `outcome` is a word of `ami_trace.form.Outcome`."""

    at: float
    number: int
    outcome: str
    text: str


class Passed(NamedTuple):
    """An APDU that went to the meter or came from it. `octets` None: there were too many, `size` is how many."""

    at: float
    sent: bool
    source: int
    destination: int
    octets: bytes | None
    size: int
    carries: bool
    """Whether it belongs to an exchange about a secret, of which no value may be kept."""


class Deciphered(NamedTuple):
    """What the APDU before it holds (one that came), or the one behind it (one that goes)."""

    sent: bool
    octets: bytes


Entry = Begun | Ended | Passed | Deciphered


class Recording:
    """One attempt at one meter; `began` is of `perf_counter`, `began_at` the same moment by the clock of the process."""

    __slots__ = ("_carries", "_now", "_number", "_room", "began", "began_at", "entries", "left_out")

    def __init__(self, began_at: datetime, perf_counter: Callable[[], float], most_octets: int) -> None:
        self._now = perf_counter
        self.began = perf_counter()
        self.began_at = began_at
        self.entries: list[Entry] = []
        self.left_out = 0
        self._room = most_octets
        self._number = 0
        self._carries = False

    def begin(self, kind: str, name: str, peer: str = "", transport: str = "") -> int:
        """Something begins; the number to end it by."""
        self._number += 1
        if len(self.entries) < MOST_ENTRIES:
            self.entries.append(Begun(self._now(), self._number, kind, name, peer, transport))
        return self._number

    def end(self, number: int, outcome: str = "ok", text: str = "") -> None:
        """It has its end."""
        if len(self.entries) < 2 * MOST_ENTRIES:
            self.entries.append(Ended(self._now(), number, outcome, text))

    @contextmanager
    def confidential(self, carries: bool) -> Iterator[None]:
        """Whether APDUs belong to an exchange about a secret."""
        before, self._carries = self._carries, carries
        try:
            yield
        finally:
            self._carries = before

    def passed(self, pdu: WrapperPdu, *, sent: bool) -> None:
        """An APDU goes, or has come."""
        source, destination, octets = pdu
        size = len(octets)
        if len(self.entries) >= MOST_ENTRIES or size > self._room:
            self.left_out += 1
            if len(self.entries) >= MOST_ENTRIES:
                return
            self.entries.append(Passed(self._now(), sent, source, destination, None, size, self._carries))
            return
        self._room -= size
        self.entries.append(Passed(self._now(), sent, source, destination, octets, size, self._carries))

    def deciphered(self, octets: bytes, *, sent: bool) -> None:
        """What an APDU holds."""
        if len(octets) <= self._room and len(self.entries) < MOST_ENTRIES:
            self._room -= len(octets)
            self.entries.append(Deciphered(sent, octets))
