"""Octets to and from a meter: APDUs in the wrapper or in HDLC, or octets as they are, over a link that is handed in.

Waiting is the link's; a `Wire` only adds up how long it has waited. What a wrapper says of its ports is kept: answers have them swapped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ami_conformance.answers import Answer, Kind
from ami_dlms.errors import DlmsError, LinkError
from ami_dlms.framing.framing import LinkLost
from ami_dlms.framing.line import Line

Clock = Callable[[], float]
MOST_READS = 100_000
"""Of one answer: a meter that talks without end is not listened to without end."""


class Link(Protocol):
    """A way for octets; `read` gives at least one, and raises TimeoutError, or an OSError where the peer is gone."""

    def write(self, octets: bytes) -> None: ...

    def read(self, timeout_s: float) -> bytes: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Client and server, as wrapper ports or HDLC addresses."""

    client: int
    server: int


class Wire:
    """One connection, and what carries APDUs over it."""

    def __init__(self, link: Link, line: Line, clock: Clock, timeout_s: float) -> None:
        self.link = link
        self._line = line
        self.clock = clock
        self._timeout_s = timeout_s
        self.swapped_wrongly: list[str] = []
        self.closed = False

    def send(self, ports: Ports, octets: bytes) -> None:
        """An APDU; ConnectionError when there is nobody any more."""
        self._line.begin()
        self.link.write(self._line.framing.encode(ports.client, ports.server, octets))

    def send_raw(self, octets: bytes) -> None:
        """Octets as they are."""
        self.link.write(octets)

    def receive(self, ports: Ports, wait_s: float) -> Answer:
        """The next APDU, which may still be protected."""
        if self.closed:
            return Answer(Kind.CLOSED)
        try:
            return self._receive(ports, wait_s)
        except OSError as error:
            self.closed = True
            return Answer(Kind.CLOSED, reason=error.strerror or str(error))
        except LinkError as error:
            self.closed = True
            return Answer(Kind.CLOSED, reason=str(error))
        except DlmsError as error:
            self.closed = True
            return Answer(Kind.GARBAGE, reason=str(error))

    def _receive(self, ports: Ports, wait_s: float) -> Answer:
        until, framing = self.clock() + wait_s, self._line.framing
        for _ in range(MOST_READS):
            pdu = framing.next_pdu()
            if isinstance(pdu, LinkLost):
                self.closed = True
                return Answer(Kind.CLOSED, reason=pdu.reason)
            if pdu is not None:
                if (pdu.source, pdu.destination) != (ports.server, ports.client):
                    self.swapped_wrongly.append(f"{pdu.source} to {pdu.destination}")
                return Answer(Kind.APDU, octets=pdu.apdu)
            if octets := framing.data_to_send() or self._line.go_on():
                self.link.write(octets)
            left = until - self.clock()
            if left <= 0:
                return Answer(Kind.SILENCE)
            if not self._hear(left):
                return Answer(Kind.SILENCE)
        return Answer(Kind.GARBAGE, reason="it talks without end")

    def _hear(self, left_s: float) -> bool:
        """Whether one may go on listening."""
        try:
            octets = self.link.read(max(min(left_s, self._line.wait_s(self._timeout_s)), 0.001))
        except TimeoutError:
            if again := self._line.ask_again():
                self.link.write(again)
                return True
            return False
        self._line.heard(octets)
        self._line.framing.receive_data(octets)
        return True

    def close(self) -> None:
        """Without a word on the wrapper; a data link is taken down."""
        try:
            if self._line.is_up and not self.closed:
                self.link.write(self._line.take_down())
                self._hear(1.0)
        except (OSError, DlmsError):
            pass
        self.closed = True
        self.link.close()
