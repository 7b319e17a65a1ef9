"""What the two ends of an HDLC link agree on in SNRM and UA (IEC 62056-46, 6.4.4.4.3.2): field lengths and windows.

Each end names its own transmitting and receiving limits, so one end's transmit meets the other's receive. What is not
named has its default; a larger value than the standard knows counts as the largest.
"""

from __future__ import annotations

from ami_dlms.cursor import Reader
from ami_dlms.errors import DecodeError, LocalError
from ami_dlms.frozen import frozen

FORMAT_IDENTIFIER = 0x81
GROUP_IDENTIFIER = 0x80
DEFAULT_INFORMATION = 128
DEFAULT_WINDOW = 1
INFORMATION_LENGTHS = range(32, 2031)
WINDOWS = range(1, 8)
FIELDS = {
    0x05: ("max_information_transmit", INFORMATION_LENGTHS),
    0x06: ("max_information_receive", INFORMATION_LENGTHS),
    0x07: ("window_transmit", WINDOWS),
    0x08: ("window_receive", WINDOWS),
}
WIDTHS = (1, 2, 4)
WINDOW_WIDTH = 4


@frozen
class LinkParameters:
    """One end's limits: octets of information in a frame, and frames that may be sent before an acknowledgement."""

    max_information_transmit: int = DEFAULT_INFORMATION
    max_information_receive: int = DEFAULT_INFORMATION
    window_transmit: int = DEFAULT_WINDOW
    window_receive: int = DEFAULT_WINDOW

    def __post_init__(self) -> None:
        for name, allowed in FIELDS.values():
            if getattr(self, name) not in allowed:
                raise LocalError(f"{name} is {allowed.start} to {allowed.stop - 1}, not {getattr(self, name)}")

    def encode(self) -> bytes:
        """The information field of SNRM or UA."""
        group = b""
        for identifier, (name, allowed) in FIELDS.items():
            value: int = getattr(self, name)
            width = WINDOW_WIDTH if allowed is WINDOWS else 1 if value < 0x100 else 2
            group += bytes((identifier, width)) + value.to_bytes(width, "big")
        return bytes((FORMAT_IDENTIFIER, GROUP_IDENTIFIER, len(group))) + group

    def agree(self, peer: LinkParameters) -> LinkParameters:
        """What holds at this end once the peer has named its limits."""
        return LinkParameters(
            min(self.max_information_transmit, peer.max_information_receive),
            min(self.max_information_receive, peer.max_information_transmit),
            min(self.window_transmit, peer.window_receive),
            min(self.window_receive, peer.window_transmit),
        )


def decode_parameters(information: bytes) -> LinkParameters:
    """The peer's limits; an empty field names none of them. Identifiers and groups that are not known are skipped."""
    if not information:
        return LinkParameters()
    reader = Reader(information)
    for expected in (FORMAT_IDENTIFIER, GROUP_IDENTIFIER):
        if (found := reader.u8()) != expected:
            raise DecodeError(f"{expected:#04x}", f"{found:#04x}", reader.offset - 1, "link parameters")
    group = Reader(reader.take(reader.u8()))
    named: dict[str, int] = {}
    while group.remaining:
        identifier, value = group.u8(), group.take(group.u8())
        if identifier in FIELDS:
            name, allowed = FIELDS[identifier]
            named[name] = _value(value, name, allowed, group.offset - len(value))
    return LinkParameters(**named)


def _value(octets: bytes, name: str, allowed: range, offset: int) -> int:
    if len(octets) not in WIDTHS:
        raise DecodeError("a value of 1, 2 or 4 octets", f"{len(octets)} octets", offset, name)
    value = int.from_bytes(octets, "big")
    if value < allowed.start:
        raise DecodeError(f"{allowed.start} or more", str(value), offset, name)
    return min(value, allowed.stop - 1)
