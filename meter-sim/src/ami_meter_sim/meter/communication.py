"""The two communication profiles of a served connection: the framing it speaks, and whose each leaving frame is."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ami_dlms.framing.framing import Framing
from ami_dlms.framing.hdlc_address import address_size, decode_address
from ami_dlms.framing.hdlc_framing import HdlcServerFraming
from ami_dlms.framing.hdlc_parameters import LinkParameters
from ami_dlms.framing.wrapper import HEADER_SIZE, WrapperFraming

Frames = Callable[[bytes], Iterator[tuple[int, bytes]]]
"""Octets that leave as whole frames, each after the server wrapper port (upper HDLC address) that it comes from."""

DEFAULT_PARAMETERS = LinkParameters()
FLAGS = 2
HDLC_LENGTH = slice(1, 3)
LENGTH_BITS = 0x7FF
ADDRESSES = 3


@dataclass(frozen=True, slots=True)
class WrapperProfile:
    """The wrapper, over TCP or UDP."""

    def framing(self, logical_devices: Iterable[int]) -> Framing:
        """For one connection."""
        return WrapperFraming()

    @staticmethod
    def frames(octets: bytes) -> Iterator[tuple[int, bytes]]:
        """One per APDU."""
        while octets:
            end = HEADER_SIZE + int.from_bytes(octets[6:8], "big")
            yield int.from_bytes(octets[2:4], "big"), octets[:end]
            octets = octets[end:]


@dataclass(frozen=True, slots=True)
class HdlcProfile:
    """HDLC over TCP. Without a physical address of its own the meter answers at any; `parameters` are what it offers."""

    physical_address: int | None = None
    parameters: LinkParameters = DEFAULT_PARAMETERS

    def framing(self, logical_devices: Iterable[int]) -> Framing:
        """For one connection, with a link for each client of each logical device."""
        return HdlcServerFraming(logical_devices, self.physical_address, self.parameters)

    @staticmethod
    def frames(octets: bytes) -> Iterator[tuple[int, bytes]]:
        """One per frame of the link; several may carry one APDU."""
        while octets:
            end = FLAGS + (int.from_bytes(octets[HDLC_LENGTH], "big") & LENGTH_BITS)
            source = ADDRESSES + (address_size(octets, ADDRESSES, end) or 0)
            size = address_size(octets, source, end) or 0
            yield decode_address(octets[source : source + size]).upper, octets[:end]
            octets = octets[end:]


CommunicationProfile = WrapperProfile | HdlcProfile
WRAPPER = WrapperProfile()
