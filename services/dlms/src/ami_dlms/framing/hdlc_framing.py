"""HDLC as the framing of an association: the client's side with its one link, the server's with a link for each client.

An APDU of a client sets the link up by itself when there is none; the caller takes it down with `disconnect` when the
association is released. A server has one link for each pair of client and logical device, on one line.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from ami_dlms.errors import DecodeError, LocalError, ProtocolError
from ami_dlms.framing.framing import LinkLost, WrapperPdu
from ami_dlms.framing.hdlc import Frame, FrameKind, FrameReader
from ami_dlms.framing.hdlc_address import ALL_STATIONS, HdlcAddress
from ami_dlms.framing.hdlc_client import MAX_RETRIES, HdlcClient
from ami_dlms.framing.hdlc_link import ApduReceived, LinkDisconnected, LinkEvent
from ami_dlms.framing.hdlc_parameters import LinkParameters
from ami_dlms.framing.hdlc_segments import MAX_APDU, FrameRejected, UnnumberedAssembler
from ami_dlms.framing.hdlc_server import HdlcServer
from ami_dlms.framing.hdlc_states import ClientLinkState, ServerLinkState

MAX_LINKS = 16


class HdlcClientFraming:
    """One client's APDUs to one server, with `any_address` taken from any. Call `timeout` when an answer is late."""

    def __init__(
        self,
        client: int,
        server: HdlcAddress,
        parameters: LinkParameters | None = None,
        *,
        max_retries: int = MAX_RETRIES,
        max_apdu: int = MAX_APDU,
        any_address: bool = False,
    ) -> None:
        self.link = HdlcClient(HdlcAddress(client), server, parameters, max_retries=max_retries, max_apdu=max_apdu)
        self.link.any_address = any_address

    def encode(self, source: int, destination: int, *apdus: bytes) -> bytes:
        """Frames to write now; the rest follows in `data_to_send` as the server acknowledges."""
        if (source, destination) != (self.link.own.upper, self.link.peer.upper):
            raise LocalError(f"this link joins client {self.link.own.upper} and server {self.link.peer.upper}")
        if not apdus:
            return b""
        octets = self.link.connect() if self.disconnected else b""
        return octets + self.link.send_apdu(*apdus)

    def pass_turn(self, source: int, destination: int) -> None:
        """The turn is the client's as soon as the server has spoken."""

    def receive_data(self, octets: bytes) -> None:
        """Take octets from the line, in any portions."""
        self.link.receive_data(octets)

    def next_pdu(self) -> WrapperPdu | LinkLost | None:
        """The next APDU of the server, or that the link is lost."""
        while (event := self.link.next_event()) is not None:
            if isinstance(event, ApduReceived):
                return WrapperPdu(event.source.upper, event.destination.upper, event.apdu)
            if isinstance(event, LinkDisconnected) and not event.wanted:
                return LinkLost(self.link.peer.upper, self.link.own.upper, event.reason)
        return None

    def data_to_send(self) -> bytes:
        """Frames of the link's own."""
        return self.link.data_to_send()

    def timeout(self) -> bytes:
        """No answer came in time: octets that ask again, or none when the link is given up, which next_pdu then tells."""
        return self.link.timeout()

    def disconnect(self) -> bytes:
        """Take the link down; `disconnected` says when it is."""
        return self.link.disconnect()

    @property
    def disconnected(self) -> bool:
        """Whether there is no link and none is being set up or taken down."""
        return self.link.state is ClientLinkState.DISCONNECTED


class HdlcServerFraming:
    """All clients of one line. Frames for other stations are passed over without an answer.

    `physical_address` None: frames for any physical device are ours.
    """

    def __init__(
        self,
        logical_devices: Iterable[int],
        physical_address: int | None = None,
        parameters: LinkParameters | None = None,
        *,
        max_links: int = MAX_LINKS,
        max_apdu: int = MAX_APDU,
    ) -> None:
        self.discarded = 0
        self._logical_devices = frozenset(logical_devices)
        self._physical_address = physical_address
        self._parameters = parameters
        self._max_links = max_links
        self._max_apdu = max_apdu
        self._reader = FrameReader()
        self._unnumbered = UnnumberedAssembler(max_apdu)
        self._links: dict[tuple[int, int], HdlcServer] = {}
        self._pdus: deque[WrapperPdu | LinkLost] = deque()
        self._outbox: list[bytes] = []

    def encode(self, source: int, destination: int, *apdus: bytes) -> bytes:
        """Frames to write now; none when the client has no link any more."""
        link = self._links.get((destination, source))
        if apdus and link is not None and link.connected:
            self._outbox.append(link.send_apdu(*apdus))
        return self.data_to_send()

    def pass_turn(self, source: int, destination: int) -> None:
        """The client that waits gets the turn back at once."""
        link = self._links.get((source, destination))
        if link is not None:
            self._outbox.append(link.pass_turn())

    def push(self, pdu: WrapperPdu) -> bytes:
        """An unsolicited APDU, as unnumbered information; it needs no link."""
        link = self._links.get((pdu.destination, pdu.source))
        if link is None:
            own = HdlcAddress(pdu.source, self._physical_address)
            link = HdlcServer(own, HdlcAddress(pdu.destination), self._parameters)
        self._outbox.append(link.send_unnumbered(pdu.apdu))
        return self.data_to_send()

    def receive_data(self, octets: bytes) -> None:
        """Take octets from the line, in any portions."""
        self._reader.receive_data(octets)

    def next_pdu(self) -> WrapperPdu | LinkLost | None:
        """The next APDU of any client, or that a client's link is gone. Nothing that a client sends raises."""
        while not self._pdus:
            frame = self._reader.next_frame()
            if frame is None:
                return None
            try:
                self._receive(frame)
            except (DecodeError, ProtocolError):
                self.discarded += 1
        return self._pdus.popleft()

    def data_to_send(self) -> bytes:
        """Frames of the links' own."""
        octets = b"".join(self._outbox)
        self._outbox.clear()
        return octets

    def silence(self) -> None:
        """The line fell silent for longer than within a frame."""
        self._reader.silence()

    def timeout(self) -> None:
        """All clients were silent for longer than a link may be idle: the links are gone, which next_pdu tells."""
        for key, link in list(self._links.items()):
            link.timeout()
            self._collect(key, link)

    def _receive(self, frame: Frame) -> None:
        devices = self._addressed(frame)
        if frame.kind is FrameKind.UI:
            apdu = self._unnumbered.take(frame) if devices else None
            if apdu is not None:
                self._pdus.extend(WrapperPdu(frame.source.upper, device, apdu) for device in devices)
        elif devices and frame.destination.upper not in ALL_STATIONS:
            self._receive_for_link(frame)
        else:
            self.discarded += 1

    def _addressed(self, frame: Frame) -> list[int]:
        """Which of our logical devices a frame is for."""
        upper, lower = frame.destination.upper, frame.destination.lower
        if self._physical_address is not None and lower not in (None, self._physical_address, *ALL_STATIONS):
            return []
        if upper in ALL_STATIONS:
            return sorted(self._logical_devices)
        return [upper] if upper in self._logical_devices else []

    def _receive_for_link(self, frame: Frame) -> None:
        key = frame.source.upper, frame.destination.upper
        link = self._links.get(key)
        if link is None:
            if frame.kind is FrameKind.SNRM and len(self._links) >= self._max_links:
                self.discarded += 1
                return
            link = HdlcServer(frame.destination, frame.source, self._parameters, max_apdu=self._max_apdu)
            self._links[key] = link
        try:
            link.receive_frame(frame)
        finally:
            self._collect(key, link)

    def _collect(self, key: tuple[int, int], link: HdlcServer) -> None:
        """What a link has to say, up and down; a link that is no more is forgotten."""
        self._outbox.append(link.data_to_send())
        while (event := link.next_event()) is not None:
            self._pdus.extend(_pdus(event, *key))
        if link.state is ServerLinkState.DISCONNECTED:
            del self._links[key]


def _pdus(event: LinkEvent, client: int, server: int) -> list[WrapperPdu | LinkLost]:
    if isinstance(event, ApduReceived):
        return [WrapperPdu(client, server, event.apdu)]
    if isinstance(event, LinkDisconnected):
        return [LinkLost(client, server, event.reason)]
    return []


class HdlcPushReader:
    """Reads nothing but pushes: unnumbered information that meters send without being asked, to any address."""

    def __init__(self, max_apdu: int = MAX_APDU) -> None:
        self.discarded = 0
        self._reader = FrameReader()
        self._unnumbered = UnnumberedAssembler(max_apdu)

    def receive_data(self, octets: bytes) -> None:
        """Take octets from the line, in any portions."""
        self._reader.receive_data(octets)

    def silence(self) -> None:
        """The line fell silent for longer than within a frame."""
        self._reader.silence()

    def next_pdu(self) -> WrapperPdu | None:
        """The next pushed APDU, or None until more octets come; what can't be read is dropped."""
        while (frame := self._reader.next_frame()) is not None:
            try:
                apdu = self._unnumbered.take(frame) if frame.kind is FrameKind.UI else None
            except (DecodeError, FrameRejected):
                self.discarded += 1
                continue
            if apdu is not None:
                return WrapperPdu(frame.source.upper, frame.destination.upper, apdu)
        return None
