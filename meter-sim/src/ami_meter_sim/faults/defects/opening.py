"""Defects of opening and releasing associations: what an AARQ says is heard otherwise, or requests are served without one.

An InitiateRequest that came ciphered is opened under the meter's own keys, changed, and closed again under the same counter. Only the
association hears of that: nothing of it goes over a line, so no counter value protects two different octets there.
"""

from collections.abc import Sequence
from dataclasses import replace

from pydantic import PrivateAttr

from ami_dlms import apdu
from ami_dlms.apdu.acse import Aarq, Rlre
from ami_dlms.apdu.ciphered import ServiceCiphering
from ami_dlms.apdu.initiate import InitiateRequest
from ami_dlms.association import LN_CONFORMANCE, AssociationProfile
from ami_dlms.enums import ApduTag, ApplicationContext, Mechanism, ReleaseReason
from ami_dlms.errors import DlmsError
from ami_dlms.framing.framing import LinkLost, WrapperPdu
from ami_dlms.security import protect, unprotect
from ami_meter_sim.effects import Effect, Send
from ami_meter_sim.faults.defects.defect import Defect, tag_of
from ami_meter_sim.faults.fault import FRAME_HEADER, AnsweredAtOnce, Arrived, Occasion

UNLIMITED = 0
SAME_CHALLENGE = bytes.fromhex("5AA5")


class AarqDefect(Defect):
    """Hears an AARQ otherwise."""

    def on_pdu(self, pdu: WrapperPdu | LinkLost, profile: AssociationProfile | None) -> Sequence[Arrived]:
        """Another AARQ."""
        if isinstance(pdu, LinkLost) or tag_of(pdu) != ApduTag.AARQ or profile is None:
            return (pdu,)
        try:
            aarq = apdu.decode(pdu.apdu)
            if not isinstance(aarq, Aarq):
                return (pdu,)
            return (pdu._replace(apdu=apdu.encode(self.heard(aarq, profile))),)
        except DlmsError:
            return (pdu,)

    def heard(self, aarq: Aarq, profile: AssociationProfile) -> Aarq:
        """What is heard in place of this one; a DlmsError leaves it."""
        return aarq


class InitiateDefect(AarqDefect):
    """Hears the InitiateRequest in it otherwise."""

    def heard(self, aarq: Aarq, profile: AssociationProfile) -> Aarq:
        """The AARQ around the other one."""
        octets = aarq.user_information or b""
        held, security = apdu.decode(octets), profile.security
        if isinstance(held, InitiateRequest):
            return replace(aarq, user_information=apdu.encode(self.proposed(held)))
        if not isinstance(held, ServiceCiphering) or security is None:
            return aarq
        title = aarq.calling_ap_title or b""
        opened = unprotect(security.keys, title, held.content)
        initiate = apdu.decode(opened.plaintext)
        if not isinstance(initiate, InitiateRequest):
            return aarq
        plaintext = apdu.encode(self.proposed(initiate))
        content = protect(opened.control, security.keys, title, opened.invocation_counter, plaintext)
        return replace(aarq, user_information=apdu.encode(replace(held, content=content)))

    def proposed(self, initiate: InitiateRequest) -> InitiateRequest:
        """What the client proposed, as the meter understands it."""
        return initiate


class AgreesToMore(InitiateDefect):
    """Agree to services that the client has not proposed."""

    def proposed(self, initiate: InitiateRequest) -> InitiateRequest:
        """All of them."""
        return replace(initiate, conformance=initiate.conformance | LN_CONFORMANCE)


class IgnoresPduSize(InitiateDefect):
    """Send APDUs of any length, whatever the client takes at most."""

    def proposed(self, initiate: InitiateRequest) -> InitiateRequest:
        """A client without a limit."""
        return replace(initiate, client_max_receive_pdu_size=UNLIMITED)


class ComparesPrefix(AarqDefect):
    """Compare as many octets of a password as the client sent: its beginning is enough, and none at all as well."""

    def heard(self, aarq: Aarq, profile: AssociationProfile) -> Aarq:
        """The whole password behind a right beginning."""
        secret, given = profile.secret or b"", aarq.calling_authentication_value or b""
        if profile.mechanism is not Mechanism.LOW or not secret.startswith(given):
            return aarq
        return replace(aarq, calling_authentication_value=secret)


class TakesShortChallenge(Defect):
    """Take a challenge of the client below 8 octets."""

    def on_profile(self, profile: AssociationProfile) -> AssociationProfile:
        """From 1 octet on."""
        return replace(profile, challenge_lengths=range(1, 65))


class RepeatsChallenge(Defect):
    """Send the same challenge each time, so that a recorded proof serves again."""

    def on_challenge(self, octets: bytes) -> bytes:
        """Always this one."""
        return (SAME_CHALLENGE * len(octets))[: len(octets)]


class AnswersAfterRelease(Defect):
    """Confirm a release and go on answering."""

    def on_pdu(self, pdu: WrapperPdu | LinkLost, profile: AssociationProfile | None) -> Sequence[Arrived]:
        """The RLRE alone."""
        if isinstance(pdu, LinkLost) or tag_of(pdu) != ApduTag.RLRQ:
            return (pdu,)
        confirmed = apdu.encode(Rlre(ReleaseReason.NORMAL))
        return (AnsweredAtOnce(WrapperPdu(pdu.destination, pdu.source, confirmed)),)


class AnswersBeforeOpening(Defect):
    """Answer requests in clear before any AARQ, whatever the association demands of those who open it."""

    _opened: set[tuple[int, int]] = PrivateAttr(default_factory=set)
    _unheard: set[tuple[int, int]] = PrivateAttr(default_factory=set)
    _bare: set[tuple[int, int]] = PrivateAttr(default_factory=set)

    def on_connection(self) -> None:
        """Nobody has opened anything."""
        self._opened, self._unheard, self._bare = set(), set(), set()

    def on_profile(self, profile: AssociationProfile) -> AssociationProfile:
        """Without proof and protection, as long as the AARQ is one of ours."""
        if (profile.client_wport, profile.server_wport) not in self._bare:
            return profile
        bare = replace(profile, mechanism=Mechanism.LOWEST, secret=None, security=None)
        return replace(bare, send_counter=None, receive_counter=None, broadcast_receive_counter=None)

    def on_pdu(self, pdu: WrapperPdu | LinkLost, profile: AssociationProfile | None) -> Sequence[Arrived]:
        """The request, behind the AARQ that it lacks."""
        client = pdu.source, pdu.destination
        known, is_aarq = client in self._opened, tag_of(pdu) == ApduTag.AARQ
        if is_aarq:
            self._bare.discard(client)
        self._opened.add(client)
        if isinstance(pdu, LinkLost) or profile is None or known or is_aarq:
            return (pdu,)
        self._bare.add(client)
        self._unheard.add(client)
        initiate = InitiateRequest(conformance=profile.conformance, client_max_receive_pdu_size=UNLIMITED)
        context = ApplicationContext.LN if profile.short_names is None else ApplicationContext.SN
        aarq = Aarq(context, user_information=apdu.encode(initiate))
        return (pdu._replace(apdu=apdu.encode(aarq)), pdu)

    def on_frame(self, leaving: Sequence[Effect], occasion: Occasion) -> Sequence[Effect]:
        """All but the AARE to that AARQ."""
        return [one for one in leaving if not (isinstance(one, Send) and self._is_unheard(one.octets))]

    def _is_unheard(self, frame: bytes) -> bool:
        client = int.from_bytes(frame[4:6], "big"), int.from_bytes(frame[2:4], "big")
        if client not in self._unheard or frame[FRAME_HEADER : FRAME_HEADER + 1] != bytes((ApduTag.AARE,)):
            return False
        self._unheard.discard(client)
        return True
