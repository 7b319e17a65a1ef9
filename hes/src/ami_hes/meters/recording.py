"""What is noted while a command is carried out at a meter, for its trace: octets and times in a list, and nothing decoded.

It is on the path of every APDU, so an entry is a plain list, which is what Python makes fastest, a time is that of one clock
(`Environment.perf_counter`), and the octets are those that the association has in its hands anyway. What of it is kept, and in which form,
is decided when the command has its end (`ami_hes.traces`), where `Begun` and `Passed` give the places of an entry their names.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

MOST_ENTRIES = 20_000
Entry = list[Any]


class Begun(NamedTuple):
    """The places of an entry of something that begins and ends; `kind` and `outcome` are words of `ami_trace.form`.

    What is noted before the entry number `behind` was done within it; as long as it has no end that is None, like `ended`.
    """

    at: float
    kind: str
    name: str
    peer: str
    transport: str
    ended: float | None
    outcome: str
    text: str
    behind: int | None


class Passed(NamedTuple):
    """The places of an entry of an APDU that went to the meter or came from it: its two addresses with its octets, and what it holds where it was protected.

    `size` is how many octets there were, where they are not here. `carries`: whether it belongs to an exchange about a secret, of which no value may be kept.
    """

    at: float
    sent: bool
    pdu: tuple[int, int, bytes]
    clear: bytes | None
    size: int
    carries: bool


class Recording:
    """One attempt at one meter; `began` is of `perf_counter`, `began_at` the same moment by the clock of the process.

    `carries`: whether the APDUs that pass now belong to an exchange about a secret. `going`: what the next APDU that goes holds.
    """

    __slots__ = ("_came", "_now", "_room", "began", "began_at", "carries", "entries", "going", "left_out")

    def __init__(self, began_at: datetime, perf_counter: Callable[[], float], most_octets: int) -> None:
        self._now = perf_counter
        self.began = perf_counter()
        self.began_at = began_at
        self.entries: list[Entry] = []
        self.left_out = 0
        self.carries = False
        self.going: bytes | None = None
        self._came: Entry = []
        self._room = most_octets

    def begin(self, kind: str, name: str, peer: str = "", transport: str = "") -> Entry:
        """Something begins; the entry to end it by."""
        entry = [self._now(), kind, name, peer, transport, None, "running", "", None]
        if len(self.entries) < MOST_ENTRIES:
            self.entries.append(entry)
        return entry

    def end(self, entry: Entry, outcome: str = "ok", text: str = "") -> None:
        """It has its end."""
        entry[5:] = self._now(), outcome, text, len(self.entries)

    def passed(self, pdu: tuple[int, int, bytes], sent: bool) -> None:
        """An APDU goes, or has come: its two addresses and its octets."""
        self._room = room = self._room - len(pdu[2])
        if room < 0 or len(self.entries) >= MOST_ENTRIES:
            self._leave_out(pdu, sent)
        elif sent:
            self.entries.append([self._now(), True, pdu, self.going, 0, self.carries])
            self.going = None
        else:
            self._came = entry = [self._now(), False, pdu, None, 0, self.carries]
            self.entries.append(entry)

    def deciphered(self, octets: bytes, sent: bool) -> None:
        """What an APDU holds: the next one that goes, or the last one that came."""
        self._room = room = self._room - len(octets)
        if room < 0:
            self._room += len(octets)
        elif sent:
            self.going = octets
        elif self._came:
            self._came[3] = octets

    def _leave_out(self, pdu: tuple[int, int, bytes], sent: bool) -> None:
        source, destination, octets = pdu
        self._room += len(octets)
        self._came, self.going = [], None
        self.left_out += 1
        if len(self.entries) < MOST_ENTRIES:
            nothing = (source, destination, b"")
            self.entries.append([self._now(), sent, nothing, None, len(octets), self.carries])
