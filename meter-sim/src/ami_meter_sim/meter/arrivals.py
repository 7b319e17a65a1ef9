"""The line of a connection with faults of what arrives between it and the associations: PDUs are changed, lost, or answered at once."""

from collections import deque
from collections.abc import Callable, Sequence

from ami_dlms.framing.framing import Framing, LinkLost, WrapperPdu
from ami_meter_sim.faults.fault import AnsweredAtOnce, Arrived


class ArrivalsByFaults:
    """A framing whose PDUs are what `arrived` makes of those of the line."""

    def __init__(self, line: Framing, arrived: Callable[[WrapperPdu | LinkLost], Sequence[Arrived]]) -> None:
        self._line = line
        self._arrived = arrived
        self._pdus: deque[WrapperPdu | LinkLost] = deque()
        self._answers: list[bytes] = []

    def encode(self, source: int, destination: int, *apdus: bytes) -> bytes:
        """As the line does."""
        return self._line.encode(source, destination, *apdus)

    def pass_turn(self, source: int, destination: int) -> None:
        """As the line does."""
        self._line.pass_turn(source, destination)

    def receive_data(self, octets: bytes) -> None:
        """Octets of the line."""
        self._line.receive_data(octets)

    def next_pdu(self) -> WrapperPdu | LinkLost | None:
        """What the associations hear of."""
        while not self._pdus:
            pdu = self._line.next_pdu()
            if pdu is None:
                return None
            self._take(pdu)
        return self._pdus.popleft()

    def _take(self, pdu: WrapperPdu | LinkLost) -> None:
        heard = self._arrived(pdu)
        for one in heard:
            if isinstance(one, AnsweredAtOnce):
                self._answers.append(self._line.encode(*one.pdu))
            else:
                self._pdus.append(one)
        if not heard:  # nobody will answer it
            self._line.pass_turn(pdu.source, pdu.destination)

    def data_to_send(self) -> bytes:
        """What was answered at once."""
        octets = b"".join(self._answers) + self._line.data_to_send()
        self._answers.clear()
        return octets
