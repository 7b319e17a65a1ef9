"""A line between a client and a server of HDLC, in memory, that loses, doubles and damages frames as it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from ami_dlms.framing.hdlc import Frame, FrameReader, encode
from ami_dlms.framing.hdlc_address import HdlcAddress
from ami_dlms.framing.hdlc_client import HdlcClient
from ami_dlms.framing.hdlc_link import ApduReceived, LinkEvent
from ami_dlms.framing.hdlc_parameters import LinkParameters
from ami_dlms.framing.hdlc_server import HdlcServer

CLIENT, SERVER = HdlcAddress(16), HdlcAddress(1, 17)


class Fault(Enum):
    """What happens to one frame on its way."""

    NONE = "none"
    LOST = "lost"
    DOUBLED = "doubled"
    DAMAGED = "damaged"
    NOISE = "noise in front"


def frames_of(octets: bytes) -> list[Frame]:
    reader = FrameReader()
    reader.receive_data(octets)
    return list(iter(reader.next_frame, None))


def through(octets: bytes, faults: Iterator[Fault]) -> bytes:
    """The octets that arrive when each frame meets the next fault."""
    arrived = b""
    for frame in frames_of(octets):
        whole = encode(frame)
        fault = next(faults, Fault.NONE)
        if fault is Fault.DOUBLED:
            arrived += whole + whole
        elif fault is Fault.DAMAGED:
            arrived += whole[:-3] + bytes((whole[-3] ^ 0x10,)) + whole[-2:]
        elif fault is Fault.NOISE:
            arrived += b"\x00\x7e\xa0\x7e" + whole
        elif fault is Fault.NONE:
            arrived += whole
    return arrived


def answer_backwards(apdu: bytes) -> list[bytes]:
    return [apdu[::-1]]


@dataclass
class Line:
    """`served` is what the server's application got, `got` what the client's did; `wire` all frames that were sent."""

    client: HdlcClient
    server: HdlcServer
    faults: Iterable[Fault] = ()
    answers: Callable[[bytes], list[bytes]] = answer_backwards
    portion: int = 0
    served: list[bytes] = field(default_factory=list)
    got: list[bytes] = field(default_factory=list)
    events: list[LinkEvent] = field(default_factory=list)
    server_events: list[LinkEvent] = field(default_factory=list)
    wire: list[tuple[str, Frame]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._faults = iter(self.faults)

    def carry(self, octets: bytes) -> None:
        """To and fro until both ends are quiet."""
        while octets:
            octets = self._to_client(self._to_server(octets))

    def carry_back(self, octets: bytes) -> None:
        self.carry(self._to_client(octets))

    def _to_server(self, octets: bytes) -> bytes:
        self.wire += [("client", frame) for frame in frames_of(octets)]
        return self._feed(self.server, through(octets, self._faults), self._serve)

    def _to_client(self, octets: bytes) -> bytes:
        self.wire += [("server", frame) for frame in frames_of(octets)]
        return self._feed(self.client, through(octets, self._faults), self._note)

    def _feed(self, end: HdlcClient | HdlcServer, octets: bytes, react: Callable[[LinkEvent], bytes]) -> bytes:
        answer, step = b"", self.portion or len(octets) or 1
        for start in range(0, len(octets), step):
            end.receive_data(octets[start : start + step])
            while (event := end.next_event()) is not None:
                answer += end.data_to_send() + react(event)
            answer += end.data_to_send()
        return answer

    def _serve(self, event: LinkEvent) -> bytes:
        self.server_events.append(event)
        if not isinstance(event, ApduReceived):
            return b""
        self.served.append(event.apdu)
        return b"".join(self.server.send_apdu(answer) for answer in self.answers(event.apdu))

    def _note(self, event: LinkEvent) -> bytes:
        self.events.append(event)
        if isinstance(event, ApduReceived):
            self.got.append(event.apdu)
        return b""

    def until(self, done: Callable[[], bool], patience: int = 200) -> None:
        """Tell the client of silence until something holds."""
        for _ in range(patience):
            if done():
                return
            self.carry(self.client.timeout())
        raise AssertionError("the line does not recover")

    def connected(self) -> Line:
        self.carry(self.client.connect())
        self.until(lambda: self.client.connected)
        return self

    def ask(self, apdu: bytes) -> bytes:
        """One APDU and the one that answers it."""
        before = len(self.got)
        self.carry(self.client.send_apdu(apdu))
        self.until(lambda: len(self.got) > before)
        return self.got[-1]

    def shape(self, since: int = 0) -> list[str]:
        """The frames on the wire as short words: kind, numbers, final and segmented bits."""
        return [word(sender, frame) for sender, frame in self.wire[since:]]


def word(sender: str, frame: Frame) -> str:
    numbers = {"I": f"{frame.send_number},{frame.receive_number}", "RR": str(frame.receive_number)}
    numbers["RNR"] = numbers["RR"]
    bits = ("*" if frame.final else "") + ("+" if frame.segmented else "")
    return f"{sender[0]}:{frame.kind.name}{numbers.get(frame.kind.name, '')}{bits}"


def line(
    offer: LinkParameters | None = None,
    *,
    server_offer: LinkParameters | None = None,
    faults: Iterable[Fault] = (),
    max_retries: int = 3,
    max_apdu: int = 0xFFFF,
    **more: object,
) -> Line:
    client = HdlcClient(CLIENT, SERVER, offer, max_retries=max_retries)
    server = HdlcServer(SERVER, CLIENT, server_offer or offer, max_apdu=max_apdu)
    return Line(client, server, faults, **more)  # type: ignore[arg-type]
