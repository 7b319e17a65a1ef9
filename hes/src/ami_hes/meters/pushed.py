"""What is noted of a push for its trace: the octets in which it came and in which it was confirmed, and what came of it.

It is noted as at a command (`ami_hes.meters.recording`), by whoever keeps traces (`NotesPushes`); a push in blocks is one. What of it
is kept is decided there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from ami_dlms.framing.framing import WrapperPdu
from ami_hes.meters.confirming import WayBack
from ami_hes.meters.recording import Recording
from ami_hes.store import StoredDeviceEvent

MOST_OCTETS, MOST_APDUS = 80 * 1024, 500
"""Of one push in however many blocks: the sender of a push that never ends has room for no more."""


@dataclass(slots=True)
class NotedPush:
    """`meter` is whose keys vouch for it, empty where none do; `reason` says why it was dropped, and is empty where it was not."""

    recording: Recording
    service: str = ""
    meter: str = ""
    reason: str = ""
    events: Sequence[StoredDeviceEvent] = field(default=(), repr=False)
    _octets: int = 0

    def came(self, apdu: bytes, way: WayBack) -> None:
        """It, or a block of it."""
        source, destination = way.ports
        self._note(WrapperPdu(source, destination, apdu), sent=False)

    def deciphered(self, octets: bytes) -> None:
        """What the last one held."""
        self.recording.deciphered(octets, sent=False)

    def noting(self, way: WayBack) -> WayBack:
        """The same way, and what goes back over it is noted."""
        send = way.send
        return way if send is None else replace(way, send=self._noted(send, way.ports))

    def _noted(self, send: Callable[[bytes], bool], ports: tuple[int, int]) -> Callable[[bytes], bool]:
        source, destination = ports

        def noted(octets: bytes) -> bool:
            self._note(WrapperPdu(destination, source, octets), sent=True)
            return send(octets)

        return noted

    def _note(self, pdu: WrapperPdu, *, sent: bool) -> None:
        self._octets += len(pdu.apdu)
        if self._octets > MOST_OCTETS or self.recording.count >= MOST_APDUS:
            self.recording.left_out += 1
        else:
            self.recording.passed(pdu, sent)


class NotesPushes(Protocol):
    """Who keeps traces."""

    def recording(self) -> Recording | None:
        """Where something that begins now is noted; None where nothing is."""

    def pushed(self, push: NotedPush) -> None:
        """It has its end; never waits."""
