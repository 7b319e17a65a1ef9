"""What both roles share: octets in, whole APDUs out, and an outbox for what the protocol itself has to say."""

from __future__ import annotations

from abc import ABC, abstractmethod

from dlms.framing.wrapper import Deframer, WrapperPdu, encode


class Connection(ABC):
    """The wrapper side of one transport connection."""

    def __init__(self) -> None:
        self._deframer = Deframer()
        self._outbox: list[bytes] = []

    @property
    @abstractmethod
    def closed(self) -> bool:
        """Whether nothing more will be read: the transport should be closed."""

    def receive_data(self, octets: bytes) -> None:
        """Take octets from the transport, in any portions; call next_event and data_to_send afterwards."""
        if not self.closed:
            self._deframer.receive_data(octets)

    def data_to_send(self) -> bytes:
        """Octets that the protocol itself wants written: proofs, requests for the next block, refusals."""
        octets = b"".join(self._outbox)
        self._outbox.clear()
        return octets

    def _post(self, source: int, destination: int, apdu: bytes) -> None:
        self._outbox.append(encode(WrapperPdu(source, destination, apdu)))
