"""What is noted while a command is carried out at a meter, for its trace: octets and times one behind the other, and nothing decoded.

It is on the path of every APDU, and of most meters nothing is kept. So an entry is no object: its values stand one after the other in
one list for the whole attempt, which costs neither allocations of their own nor the collector of the interpreter anything. A time is
that of one clock (`Environment.perf_counter`), and the octets are those that the association has in its hands anyway. What of it is
kept, and in which form, is decided when the command has its end (`ami_hes.traces`), where `read` gives entries and their values names.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

MOST_ENTRIES = 20_000
_END, _CLEAR = 5, 5
"""Where, within an entry, stands what is known later: what `Recording.end` says, and what an APDU holds."""
_NOWHERE = -1


class Begun(NamedTuple):
    """The places of an entry of something that begins and ends; `kind` and `outcome` are words of `ami_trace.form`.

    What is noted before the entry number `behind` was done within it; as long as it has no end that is None, like `ended`.
    """

    kind: str
    at: float
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

    sent: bool
    at: float
    source: int
    destination: int
    octets: bytes
    clear: bytes | None
    size: int
    carries: bool


class Framed(NamedTuple):
    """The places of an entry of what went over a line of HDLC in one piece: frames, or a part of one.

    `size` is how many octets there were, where they are not here; `carries` as of an APDU.
    """

    octets: bytes
    at: float
    sent: bool
    size: int
    carries: bool


class Recording:
    """One attempt at one meter; `began` is of `perf_counter`, `began_at` the same moment by the clock of the process.

    `carries`: whether the APDUs that pass now belong to an exchange about a secret. `going`: what the next APDU that goes holds.
    `count`: how many entries there are, `left_out` how many APDUs and frames without their octets, or none at all.
    """

    __slots__ = ("_came", "_now", "_room", "_values", "began", "began_at", "carries", "count", "going", "left_out")

    def __init__(self, began_at: datetime, perf_counter: Callable[[], float], most_octets: int) -> None:
        self._now = perf_counter
        self.began = perf_counter()
        self.began_at = began_at
        self.count = 0
        self.left_out = 0
        self.carries = False
        self.going: bytes | None = None
        self._values: list[Any] = []
        self._came = _NOWHERE
        self._room = most_octets

    def begin(self, kind: str, name: str, peer: str = "", transport: str = "") -> int:
        """Something begins; the place to end it by."""
        if self.count >= MOST_ENTRIES:
            return _NOWHERE
        self.count += 1
        values = self._values
        place = len(values)
        values += (kind, self._now(), name, peer, transport, None, "running", "", None)
        return place

    def end(self, place: int, outcome: str = "ok", text: str = "") -> None:
        """What has begun there has its end."""
        if place != _NOWHERE:
            first = place + _END
            self._values[first : first + 4] = (self._now(), outcome, text, self.count)

    def passed(self, pdu: tuple[int, int, bytes], sent: bool) -> None:
        """An APDU goes, or has come: its two addresses and its octets."""
        source, destination, octets = pdu
        self._room = room = self._room - len(octets)
        if room < 0 or self.count >= MOST_ENTRIES:
            self._leave_out(pdu, sent)
            return
        self.count += 1
        values = self._values
        if sent:
            values += (True, self._now(), source, destination, octets, self.going, 0, self.carries)
            self.going = None
        else:
            self._came = len(values) + _CLEAR
            values += (False, self._now(), source, destination, octets, None, 0, self.carries)

    def framed(self, octets: bytes, sent: bool) -> None:
        """Octets go over a line of HDLC, or have come."""
        if not octets:
            return
        if self.count >= MOST_ENTRIES:
            self.left_out += 1
            return
        self._room = room = self._room - len(octets)
        self.count += 1
        if room < 0:
            self._room += len(octets)
            self.left_out += 1
            self._values += (b"", self._now(), sent, len(octets), self.carries)
        else:
            self._values += (octets, self._now(), sent, 0, self.carries)

    def deciphered(self, octets: bytes, sent: bool) -> None:
        """What an APDU holds: the next one that goes, or the last one that came."""
        self._room = room = self._room - len(octets)
        if room < 0:
            self._room += len(octets)
        elif sent:
            self.going = octets
        elif self._came != _NOWHERE:
            self._values[self._came] = octets

    def read(self) -> Iterator[Begun | Passed | Framed]:
        """The entries, in their order."""
        values, place = self._values, 0
        while place < len(values):
            first = values[place]
            kind: type[Begun | Passed | Framed] = (
                Passed if isinstance(first, bool) else Framed if isinstance(first, bytes) else Begun
            )
            end = place + len(kind._fields)
            yield kind._make(values[place:end])
            place = end

    def _leave_out(self, pdu: tuple[int, int, bytes], sent: bool) -> None:
        source, destination, octets = pdu
        self._room += len(octets)
        self._came, self.going = _NOWHERE, None
        self.left_out += 1
        if self.count < MOST_ENTRIES:
            self.count += 1
            self._values += (sent, self._now(), source, destination, b"", None, len(octets), self.carries)
