"""The two communication profiles of a served connection. Above the line an APDU is a wrapper PDU over both of them.

Strategy: what a meter does wrong on purpose concerns its APDUs, so HDLC is what they become afterwards: a frame that never left the meter is
none that the link would repeat, and an APDU that was changed has frames whose checks are right.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ami_dlms.errors import DecodeError
from ami_dlms.framing.framing import LinkLost, WrapperPdu
from ami_dlms.framing.hdlc_address import address_size, decode_address
from ami_dlms.framing.hdlc_framing import HdlcServerFraming
from ami_dlms.framing.hdlc_parameters import LinkParameters
from ami_dlms.framing.wrapper import HEADER_SIZE, VERSION, WrapperFraming, decode_datagram
from ami_meter_sim.effects import Effect, Send

DEFAULT_PARAMETERS = LinkParameters()
FLAG = b"\x7e"
HDLC_HEADER = 3
"""Flag and format, in front of the addresses."""
LENGTH = 0x07FF
"""Of the frame between its flags, in its format."""
VERSION_OCTETS = VERSION.to_bytes(2, "big")


class Line(WrapperFraming):
    """The wrapper over TCP or UDP: what leaves is what goes over the line."""

    __slots__ = ()

    def on_line(self, leaving: Sequence[Effect]) -> Iterable[Effect]:
        """Effects with wrapper PDUs, as they go over the line."""
        return leaving

    def own_frames(self) -> bytes:
        """Frames of a data link: the wrapper has none."""
        return b""

    @staticmethod
    def frames(octets: bytes) -> Iterator[bytes]:
        """What goes over the line at once: the PDU."""
        yield octets

    def inactive(self) -> bool:
        """A silence ends nothing."""
        return False

    @staticmethod
    def addressed(octets: bytes) -> int | None:
        """The server wrapper port that octets at the beginning of a PDU are for."""
        return int.from_bytes(octets[4:6], "big") if octets[:2] == VERSION_OCTETS else None


class HdlcLine:
    """HDLC below wrapper PDUs, with a link for each client of each logical device."""

    def __init__(self, link: HdlcServerFraming) -> None:
        self._link = link
        self._wrapper = WrapperFraming()

    # --- above

    def encode(self, source: int, destination: int, *apdus: bytes) -> bytes:
        """As wrapper PDUs, which `on_line` takes."""
        return self._wrapper.encode(source, destination, *apdus)

    def pass_turn(self, source: int, destination: int) -> None:
        """The client need not wait."""
        self._link.pass_turn(source, destination)

    def receive_data(self, octets: bytes) -> None:
        """Octets of the line."""
        self._link.receive_data(octets)

    def next_pdu(self) -> WrapperPdu | LinkLost | None:
        """What a client has sent."""
        return self._link.next_pdu()

    def data_to_send(self) -> bytes:
        """Nothing above the line; `own_frames` are below it."""
        return b""

    # --- below

    def own_frames(self) -> bytes:
        """What the links themselves want to send."""
        return self._link.data_to_send()

    @staticmethod
    def frames(octets: bytes) -> Iterator[bytes]:
        """Frame by frame, as their formats count; what is none stays together."""
        while octets:
            size = (int.from_bytes(octets[1:3], "big") & LENGTH) + 2 if octets[:1] == FLAG else len(octets)
            yield octets[:size]
            octets = octets[size:]

    @staticmethod
    def addressed(octets: bytes) -> int | None:
        """The upper address that octets at the beginning of a frame are for."""
        try:
            size = address_size(octets, HDLC_HEADER, len(octets)) if octets[:1] == FLAG else None
            return None if size is None else decode_address(octets[HDLC_HEADER : HDLC_HEADER + size]).upper
        except DecodeError:
            return None

    def inactive(self) -> bool:
        """The line was silent for longer than a link may be idle: the links are gone."""
        self._link.silence()
        self._link.timeout()
        return True

    def on_line(self, leaving: Sequence[Effect]) -> Iterator[Effect]:
        """Effects with wrapper PDUs, whole or in pieces, as frames; pieces of one PDU become as many pieces of its frames."""
        pieces = [effect.octets for effect in leaving if isinstance(effect, Send)]
        whole = b"".join(pieces)
        if len(pieces) > 1 and _is_pdu(whole):
            cut = iter(_cut(self._frames(whole), len(pieces)))
        else:
            cut = map(self._frames, pieces)
        for effect in leaving:
            if not isinstance(effect, Send):
                yield effect
            elif octets := next(cut):
                yield Send(octets)

    def _frames(self, octets: bytes) -> bytes:
        """The frames of a PDU, or of what is left of one behind its header; other octets are noise and stay what they are."""
        if octets[:2] != VERSION_OCTETS or len(octets) < HEADER_SIZE:
            return octets
        source, destination = int.from_bytes(octets[2:4], "big"), int.from_bytes(octets[4:6], "big")
        return self._link.encode(source, destination, octets[HEADER_SIZE:]) if octets[HEADER_SIZE:] else b""


def over_hdlc(pushed: Iterable[Effect]) -> Iterator[Effect]:
    """Wrapper PDUs of pushes as unnumbered information, which needs no link; other octets are noise and stay what they are.

    LocalError for a logical device that an address of one octet can't name.
    """
    for effect in pushed:
        if isinstance(effect, Send) and _is_pdu(effect.octets):
            pdu = decode_datagram(effect.octets)
            yield Send(HdlcServerFraming((pdu.source,)).push(pdu))
        else:
            yield effect


def _is_pdu(octets: bytes) -> bool:
    return octets[:2] == VERSION_OCTETS and len(octets) == HEADER_SIZE + int.from_bytes(octets[6:8], "big")


def _cut(octets: bytes, count: int) -> list[bytes]:
    """In `count` pieces of about the same length, the last ones perhaps empty."""
    size = max(-(-len(octets) // count), 1)
    return [octets[number * size : (number + 1) * size] for number in range(count)]


def pdu_size(octets: bytes) -> int:
    """Of the PDU that these octets begin with."""
    return HEADER_SIZE + int.from_bytes(octets[6:8], "big")


def source_of(octets: bytes) -> int:
    """The server wrapper port that the PDU at their begin comes from."""
    return int.from_bytes(octets[2:4], "big")


def wrapper_pdus(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """Whole PDUs one after the other, each after the server wrapper port that it comes from."""
    while octets:
        end = pdu_size(octets)
        yield source_of(octets), octets[:end]
        octets = octets[end:]


@dataclass(frozen=True, slots=True)
class WrapperProfile:
    """The wrapper, over TCP or UDP."""

    def line(self, logical_devices: Iterable[int]) -> Line:
        """For one connection."""
        return Line()


@dataclass(frozen=True, slots=True)
class HdlcProfile:
    """HDLC over TCP. Without a physical address of its own the meter answers at any; `parameters` are what it offers."""

    physical_address: int | None = None
    parameters: LinkParameters = DEFAULT_PARAMETERS

    def line(self, logical_devices: Iterable[int]) -> HdlcLine:
        """For one connection."""
        return HdlcLine(HdlcServerFraming(logical_devices, self.physical_address, self.parameters))


CommunicationProfile = WrapperProfile | HdlcProfile
WRAPPER = WrapperProfile()
