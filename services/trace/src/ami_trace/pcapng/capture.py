"""A capture that is being written: messages with what is known of them, and their clear APDUs behind them.

Interface 0 has what travelled, as raw IP or as it was captured; interface 1 has companions, exported PDUs with a clear or
reassembled APDU. The same packet id ties both, and the companion names the number of its original's frame. Packets that were
captured elsewhere may come over interfaces of other link types, which are added when they are first seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from ami_trace.pcapng import blocks
from ami_trace.pcapng.blocks import SNAP_LENGTH, TLS_KEY_LOG, Direction
from ami_trace.pcapng.exported import EXPORTED_PDU, ExportedPdu
from ami_trace.pcapng.packets import RAW_IP, Conversations, Endpoint, Substitutes, Transport, same_family

CLEAR = "contains clear text: yes"
NOT_CLEAR = "contains clear text: no"
COMPANIONS = 1
MOST_OCTETS = 1 << 32
MOST_LINKS = 100
CUT = "ami: cut"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class CaptureError(Exception):
    """What was asked for fits in no capture; the text says why."""


class Dissector(StrEnum):
    """Who reads the companions: Wireshark's own dissector (from 4.6), or the plug-in of this project."""

    STOCK = "dlms"
    PLUGIN = "amidlms"


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it travelled. `at` is aware; `octets` are a wrapper PDU, frames of HDLC, or HTTP; the direction is the HES's."""

    at: datetime
    source: Endpoint
    destination: Endpoint
    octets: bytes
    comments: Sequence[str] = ()
    direction: Direction = Direction.UNKNOWN
    transport: Transport = Transport.TCP


@dataclass(frozen=True, slots=True)
class Companion:
    """A clear APDU without wrapper, the text for the list of packets, and comments beside those of its original."""

    apdu: bytes
    information: str = ""
    comments: Sequence[str] = ()


def comment_of(**said: object) -> str:
    """`ami: msg=4711 meter=M1001`, the form that a display filter finds; spaces in values become underscores, None is left out."""
    return "ami: " + " ".join(
        f"{name}={'_'.join(str(value).split())}" for name, value in said.items() if value is not None
    )


class Capture:
    """Makes the octets of one file. Order of calls: `begin`, then any others in the order of time."""

    def __init__(
        self,
        application: str,
        *,
        clear_text: bool = True,
        dissector: Dissector = Dissector.STOCK,
        handshake: bool = False,
        most_octets: int = MOST_OCTETS,
    ) -> None:
        """`clear_text` False: companions are refused. CaptureError comes when a file would be larger than `most_octets`."""
        self._application, self._clear, self._dissector = application, clear_text, dissector
        self._conversations, self._substitutes = Conversations(handshake), Substitutes()
        self._named = set[str]()
        self._interfaces: dict[int, int] = {RAW_IP: 0, EXPORTED_PDU: COMPANIONS}
        self._most, self._written, self._last = most_octets, 0, 0
        self.frames = 0
        """How many packets have been written: the number of the last one's frame."""
        self.packet_id = 0
        """That of the last message."""

    def begin(self, comment: str = "") -> bytes:
        """The section header and both interfaces."""
        said = "; ".join(part for part in (CLEAR if self._clear else NOT_CLEAR, comment) if part)
        return self._counted(
            blocks.section_header(self._application, said)
            + blocks.interface(RAW_IP, "ami", "what travelled")
            + blocks.interface(EXPORTED_PDU, "ami-clear", "clear and reassembled APDUs")
        )

    def tls_keys(self, log: bytes) -> bytes:
        """A TLS key log (NSS format, `SSLContext.keylog_filename`); it has to come before the packets that it opens."""
        if not self._clear:
            raise CaptureError("a capture without clear text takes no keys")
        if len(log) > blocks.MOST_SECRETS:
            raise CaptureError(f"a key log of more than {blocks.MOST_SECRETS:,} octets")
        return self._counted(blocks.secrets(TLS_KEY_LOG, log))

    def message(self, message: Message, companions: Iterable[Companion] = ()) -> bytes:
        """Synthetic packets of a message, and its clear APDUs behind them; CaptureError when it fits in none."""
        try:
            source, destination = same_family(self._address(message.source), self._address(message.destination))
            packets = list(
                self._conversations.packets(source, destination, message.transport, message.octets)
            )  # a message is bounded
        except ValueError as error:
            raise CaptureError(str(error)) from None
        self._last = max(self._last, nanoseconds_of(message.at))
        self.packet_id += 1
        options = [*blocks.packet_options(message.comments, message.direction, self.packet_id)]
        found = self._names(source, destination)
        for octets in packets:
            self.frames += 1
            found += blocks.packet(0, self._last, octets, len(octets), options)
        return self._counted(found) + self.behind(
            companions, self._last, source, destination, message.transport, message.comments, message.direction
        )

    def original(self, link: int, nanoseconds: int, octets: bytes, length: int, comments: Iterable[str] = ()) -> bytes:
        """A packet as it was captured, `length` octets on the line; companions follow with `behind`."""
        found = b""
        if link not in self._interfaces:
            if len(self._interfaces) > MOST_LINKS:
                raise CaptureError(f"more than {MOST_LINKS} link types")
            self._interfaces[link] = len(self._interfaces)
            found = blocks.interface(link, f"link type {link}", "as it was captured")
        self.frames += 1
        self.packet_id += 1
        options = blocks.packet_options(comments, Direction.UNKNOWN, self.packet_id)
        cut = octets[:SNAP_LENGTH]
        return self._counted(found + blocks.packet(self._interfaces[link], nanoseconds, cut, length, options))

    def behind(
        self,
        companions: Iterable[Companion],
        nanoseconds: int,
        source: Endpoint,
        destination: Endpoint,
        transport: Transport,
        comments: Iterable[str] = (),
        direction: Direction = Direction.UNKNOWN,
    ) -> bytes:
        """Clear APDUs of the packet that was last written; their time is one nanosecond later, so that they sort behind it."""
        found, said, original = b"", tuple(comments), self.frames
        for companion in companions:
            if not self._clear:
                raise CaptureError("a capture without clear text takes no companions")
            self._last = max(self._last, nanoseconds + 1)
            pdu = ExportedPdu(
                self._dissector, companion.apdu, self._address(source), self._address(destination), transport, original
            )
            octets = replace(pdu, protocol="DLMS", information=companion.information).encode()
            notes = (*said, _clear(companion.information), *companion.comments, CUT * (len(octets) > SNAP_LENGTH))
            options = blocks.packet_options(notes, direction, self.packet_id)
            self.frames += 1
            found += blocks.packet(COMPANIONS, nanoseconds + 1, octets[:SNAP_LENGTH], len(octets), options)
        return self._counted(found)

    def _names(self, *ends: Endpoint) -> bytes:
        """A name resolution block for addresses that get their names now; an address keeps its first."""
        fresh = {end.host: end for end in ends if end.name and end.host not in self._named}
        self._named.update(fresh)
        return blocks.names([(end.address, end.name) for end in fresh.values()]) if fresh else b""

    def _address(self, end: Endpoint) -> Endpoint:
        return Endpoint(self._substitutes.address_of(end), end.port, end.name)

    def _counted(self, octets: bytes) -> bytes:
        self._written += len(octets)
        if self._written > self._most:
            raise CaptureError(f"the file would have more than {self._most:,} octets")
        return octets


def _clear(information: str) -> str:
    """The text of the list once more, for versions before 4.2, which know no such tag."""
    return f"ami: clear: {information}" if information else ""


def nanoseconds_of(at: datetime) -> int:
    """Since 1970, of an aware time; 0 before that."""
    since = at - _EPOCH
    return max(0, ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000)
