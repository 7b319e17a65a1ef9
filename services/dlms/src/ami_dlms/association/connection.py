"""What both roles share: octets in, whole APDUs out, and an outbox for what the protocol itself has to say."""

from __future__ import annotations

from abc import ABC, abstractmethod

from ami_dlms.framing.framing import Framing
from ami_dlms.framing.wrapper import WrapperFraming


class Connection(ABC):
    """The framed side of one transport connection; without a framing of its own it speaks the wrapper."""

    def __init__(self, framing: Framing | None = None) -> None:
        self._framing: Framing = WrapperFraming() if framing is None else framing
        self._outbox: list[bytes] = []

    @property
    @abstractmethod
    def closed(self) -> bool:
        """Whether nothing more will be read: the transport should be closed."""

    def receive_data(self, octets: bytes) -> None:
        """Take octets from the transport, in any portions; call next_event and data_to_send afterwards."""
        if not self.closed:
            self._framing.receive_data(octets)

    def data_to_send(self) -> bytes:
        """Octets to write beyond what was asked to be sent: proofs, requests for the next block, refusals, and the link's own."""
        if not self._outbox:
            return self._framing.data_to_send()
        octets = b"".join(self._outbox) + self._framing.data_to_send()
        self._outbox.clear()
        return octets

    def _post(self, source: int, destination: int, *apdus: bytes) -> None:
        self._outbox.append(self._framing.encode(source, destination, *apdus))
