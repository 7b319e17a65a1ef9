"""Defects of the wrapper of TCP (IEC 62056-4-7): its header, its boundaries, and what becomes of an association when TCP ends."""

from collections.abc import Sequence

from pydantic import Field, PrivateAttr

from ami_dlms import apdu
from ami_dlms.apdu.acse import Aare, Diagnostic
from ami_dlms.association import AssociationProfile
from ami_dlms.association.settings import application_context
from ami_dlms.enums import AcseServiceUserDiagnostic, ApduTag, AssociationResult
from ami_dlms.errors import DecodeError
from ami_dlms.framing.framing import LinkLost, WrapperPdu
from ami_dlms.framing.wrapper import HEADER_SIZE
from ami_meter_sim.effects import Effect, Send
from ami_meter_sim.faults.defects.defect import Defect, tag_of
from ami_meter_sim.faults.fault import FRAME_HEADER, AnsweredAtOnce, Arrived, FrameFault, Occasion

RIGHT_VERSION = b"\0\1"


class KeepsPorts(FrameFault):
    """Answer with the ports of the request instead of the same swapped."""

    def disturbed(self, frame: bytes, occasion: Occasion) -> Sequence[Effect]:
        """The other way round."""
        return (Send(frame[:2] + frame[4:6] + frame[2:4] + frame[6:]),)


class StreamDefect(Defect):
    """Knows where the PDUs of the stream begin."""

    _header: bytes = PrivateAttr(default=b"")
    _missing: int = PrivateAttr(default=0)

    def on_connection(self) -> None:
        """A new stream begins with a header."""
        self._header, self._missing = b"", 0


class TakesAnyVersion(StreamDefect):
    """Take PDUs of any version of the wrapper."""

    def on_octets(self, octets: bytes) -> bytes:
        """The same with version 1, each header when it is whole."""
        out, there = b"", octets
        while there:
            if self._missing:
                passed, there = there[: self._missing], there[self._missing :]
                out, self._missing = out + passed, self._missing - len(passed)
                continue
            needed = HEADER_SIZE - len(self._header)
            self._header, there = self._header + there[:needed], there[needed:]
            if len(self._header) == HEADER_SIZE:
                out, self._missing = out + RIGHT_VERSION + self._header[2:], int.from_bytes(self._header[6:], "big")
                self._header = b""
        return out


class LosesJoinedRequest(StreamDefect):
    """Take one PDU of what comes in one segment of TCP, and lose the others."""

    def on_octets(self, octets: bytes) -> bytes:
        """The first one, or what was missing of it."""
        if self._missing:
            taken = octets[: self._missing]
        else:
            self._missing = HEADER_SIZE + int.from_bytes(octets[6:HEADER_SIZE], "big")
            taken = octets[: self._missing]
        self._missing -= len(taken)
        return taken


class HoldsLostAssociation(Defect):
    """Hold an association whose connection has ended without release, and refuse the client that comes back."""

    times: int = Field(default=1, ge=1, le=1_000_000)
    """How often, before it is noticed that the client is gone."""
    _open: set[tuple[int, int]] = PrivateAttr(default_factory=set)
    _held: dict[tuple[int, int], int] = PrivateAttr(default_factory=dict)

    def on_connection(self) -> None:
        """What is still open belongs to a connection that was there before."""
        self._held |= dict.fromkeys(self._open, self.times)
        self._open = set()

    def on_pdu(self, pdu: WrapperPdu | LinkLost, profile: AssociationProfile | None) -> Sequence[Arrived]:
        """A refusal (transient), as often as that."""
        client = pdu.destination, pdu.source
        left = self._held.get(client, 0)
        if tag_of(pdu) == ApduTag.RLRQ:
            self._open.discard(client)
        if tag_of(pdu) != ApduTag.AARQ or not left or profile is None:
            return (pdu,)
        self._held[client] = left - 1
        refusal = Aare(
            application_context(profile),
            AssociationResult.REJECTED_TRANSIENT,
            Diagnostic.user(AcseServiceUserDiagnostic.NO_REASON_GIVEN),
        )
        return (AnsweredAtOnce(WrapperPdu(pdu.destination, pdu.source, apdu.encode(refusal))),)

    def on_frame(self, leaving: Sequence[Effect], occasion: Occasion) -> Sequence[Effect]:
        """Nothing else, but who was accepted has an association from here on."""
        for one in leaving:
            if isinstance(one, Send) and one.octets[FRAME_HEADER : FRAME_HEADER + 1] == bytes((ApduTag.AARE,)):
                self._note(one.octets)
        return leaving

    def _note(self, frame: bytes) -> None:
        server, client = int.from_bytes(frame[2:4], "big"), int.from_bytes(frame[4:6], "big")
        try:
            answer = apdu.decode(frame[FRAME_HEADER:])
        except DecodeError:
            return
        if isinstance(answer, Aare) and answer.result is AssociationResult.ACCEPTED:
            self._open.add((server, client))
