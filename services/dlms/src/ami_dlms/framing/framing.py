"""What an association needs of a communication profile: APDUs between pairs of addresses, over the wrapper or over HDLC.

Both are `Framing`s, so the associations above know neither. An address is a wrapper port, or over HDLC the address of the
client and the upper address of the server: the standard gives both the same numbers.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from ami_dlms.frozen import frozen


class WrapperPdu(NamedTuple):
    """One APDU between two wrapper ports; the octets of an APDU may hold secrets and are not shown."""

    source: int
    destination: int
    apdu: bytes

    def __repr__(self) -> str:
        return f"WrapperPdu(source={self.source}, destination={self.destination}, {len(self.apdu)} octets)"


@frozen
class LinkLost:
    """The data link between two addresses is gone, and what was agreed over it with it."""

    source: int
    destination: int
    reason: str


class Framing(Protocol):
    """One transport connection seen as APDUs, without I/O."""

    def encode(self, source: int, destination: int, *apdus: bytes) -> bytes:
        """Octets to write now for APDUs; some or all may follow in `data_to_send` when the link allows."""

    def pass_turn(self, source: int, destination: int) -> None:
        """Nothing answers what came from there to here: where the ends take turns to send, the peer need not wait."""

    def receive_data(self, octets: bytes) -> None:
        """Take what arrived, however it was cut."""

    def next_pdu(self) -> WrapperPdu | LinkLost | None:
        """The next APDU, or None until more octets come; DlmsError when nothing sensible can come any more."""

    def data_to_send(self) -> bytes:
        """Octets that the framing itself wants written."""
