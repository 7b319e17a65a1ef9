"""A primary station of HDLC that may be wrong on purpose: frames are made one by one, and what comes back is taken as it comes.

Numbers are kept as the rules want them (IEC 62056-46, 6.4.4), unless a test takes its own. The station is the public client, whose
association takes no keys: these tests are of the link.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ami_conformance.answers import Answer, Kind
from ami_conformance.bench import Bench
from ami_conformance.client import HELD_BACK
from ami_conformance.findings import Unsettled
from ami_conformance.safety import Safety
from ami_dlms import apdu
from ami_dlms.apdu import Apdu
from ami_dlms.apdu.acse import Aare, Aarq
from ami_dlms.apdu.get import GetRequestNormal
from ami_dlms.apdu.initiate import InitiateRequest
from ami_dlms.association.settings import application_context
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.enums import AssociationResult
from ami_dlms.errors import DlmsError
from ami_dlms.framing.hdlc import Frame, FrameKind, FrameReader, control_of, encode
from ami_dlms.framing.hdlc_address import HdlcAddress

LLC = b"\xe6\xe6\x00"
LLC_ANSWER = b"\xe6\xe7\x00"
MOST_FRAMES = 10_000
NUMBERS = 8


@dataclass(slots=True)
class Came:
    """What came to one transmission, in order; `ended` by a frame with the F bit."""

    frames: list[Frame] = field(default_factory=list)
    ended: bool = False
    closed: bool = False

    @property
    def kinds(self) -> list[FrameKind]:
        return [one.kind for one in self.frames]

    @property
    def last(self) -> Frame | None:
        return self.frames[-1] if self.frames else None

    @property
    def information(self) -> bool:
        """Whether the application has answered."""
        return FrameKind.I in self.kinds or FrameKind.UI in self.kinds

    def __str__(self) -> str:
        if not self.frames:
            return "the connection was closed" if self.closed else "no answer"
        return ", ".join(one.kind.name for one in self.frames)


class Station:
    """One connection and the numbers of its link."""

    def __init__(self, bench: Bench) -> None:
        settings, address = bench.way.public, bench.way.hdlc_address
        if settings is None or address is None:
            raise Unsettled("the tests of the link speak as the public client over HDLC")
        self.bench = bench
        self.settings = settings
        self.client = HdlcAddress(settings.client_wport)
        self.server = address
        self.link = bench.link()
        self.reader = FrameReader()
        self.send_number = 0
        self.receive_number = 0
        self.closed = False

    # --- frames

    def frame(self, kind: FrameKind, information: bytes = b"", *, final: bool = True, segmented: bool = False) -> bytes:
        """A frame with the numbers that are due; they do not move."""
        control = control_of(kind, final, self.receive_number if kind in NUMBERED else 0, self._sends(kind))
        return encode(Frame(self.server, self.client, control, information, segmented))

    def _sends(self, kind: FrameKind) -> int:
        return self.send_number if kind is FrameKind.I else 0

    def send(self, octets: bytes, what: str, *, safety: Safety = Safety.S1, wait_s: float | None = None) -> Came:
        """Octets as they are, and what comes until the turn is ours again, or nothing comes any more."""
        if not self._goes(octets, what, safety):
            return Came()
        came = Came(closed=self.closed)
        try:
            self.link.write(octets)
            self._hear(came, self.bench.way.timeout_s if wait_s is None else wait_s)
        except OSError:
            came.closed = self.closed = True
        self.bench.tell(what, octets, _told(came))
        return came

    def send_ahead(self, octets: bytes, what: str) -> bool:
        """Octets as they are, without waiting for what comes; False where they were held back."""
        if not self._goes(octets, what, Safety.S1):
            return False
        try:
            self.link.write(octets)
        except OSError:
            self.closed = True
        return True

    def _goes(self, octets: bytes, what: str, safety: Safety) -> bool:
        self.bench.allow(safety, what)
        if self.bench.held_back(safety):
            self.bench.tell(what, octets, HELD_BACK)
            return False
        return True

    def _hear(self, came: Came, wait_s: float) -> None:
        until = self.bench.way.clock() + wait_s
        while len(came.frames) < MOST_FRAMES:
            while (frame := self.reader.next_frame()) is not None:
                came.frames.append(frame)
                if frame.final:
                    came.ended = True
                    return
            left = until - self.bench.way.clock()
            if left <= 0:
                return
            try:
                self.reader.receive_data(self.link.read(left))
            except TimeoutError:
                return

    # --- the link as it should be

    def connect(self, information: bytes = b"", *, safety: Safety = Safety.S0) -> Frame:
        """SNRM; the UA, Unsettled without one."""
        came = self.send(self.frame(FrameKind.SNRM, information), "SNRM", safety=safety)
        self.send_number = self.receive_number = 0
        if came.last is None or came.last.kind is not FrameKind.UA:
            raise Unsettled(f"SNRM is answered by {came}")
        return came.last

    def disconnect(self) -> Came:
        """DISC."""
        return self.send(self.frame(FrameKind.DISC), "DISC", safety=Safety.S0)

    def ask(
        self, message: bytes, what: str, *, safety: Safety = Safety.S0, wait_s: float | None = None
    ) -> tuple[bytes, list[Came]]:
        """An APDU in one frame; the APDU that answers it, its segments asked for one by one, and what came each time."""
        came = self.send(self.frame(FrameKind.I, LLC + message), what, safety=safety, wait_s=wait_s)
        self.send_number = (self.send_number + 1) % NUMBERS
        joined, seen = b"", [came]
        while True:
            more = False
            for frame in came.frames:
                if frame.kind is FrameKind.I and frame.send_number == self.receive_number:
                    self.receive_number = (self.receive_number + 1) % NUMBERS
                    joined += frame.information
                    more = frame.segmented
            if not more or not came.ended or len(seen) > MOST_FRAMES:
                return joined.removeprefix(LLC_ANSWER), seen
            came = self.send(self.frame(FrameKind.RR), "RR", safety=Safety.S0)
            seen.append(came)

    def aarq(self) -> bytes:
        """The AARQ of the public client."""
        settings = self.settings
        initiate = InitiateRequest(
            conformance=settings.conformance, client_max_receive_pdu_size=settings.max_receive_pdu_size
        )
        return apdu.encode(Aarq(application_context(settings), user_information=apdu.encode(initiate)))

    def get(self, descriptor: AttributeDescriptor) -> bytes:
        """A GET."""
        return apdu.encode(GetRequestNormal(0xC1, descriptor))

    def associate(self) -> None:
        """Link and association; Unsettled where there is none."""
        self.connect()
        octets, seen = self.ask(self.aarq(), "AARQ")
        found = decoded(octets)
        if not isinstance(found, Aare) or found.result is not AssociationResult.ACCEPTED:
            raise Unsettled(f"the public client opens no association: {seen[-1]}")


NUMBERED = (FrameKind.I, FrameKind.RR, FrameKind.RNR)


def decoded(octets: bytes) -> Apdu | None:
    """The APDU that they are; None where they are none."""
    try:
        return apdu.decode(octets)
    except DlmsError:
        return None


def _told(came: Came) -> Answer:
    octets = b"".join(encode(one) for one in came.frames)
    return Answer(Kind.GARBAGE if octets else Kind.SILENCE, None, octets, str(came))
