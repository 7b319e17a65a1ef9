"""Defects of ciphering: what is not checked of requests, and how answers are protected.

A frame whose tag is not checked is given a right one on its way in, under the counter that it came with. Only the association hears
of it: nothing of it goes over a line, so no counter value protects two different octets there.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from pydantic import PrivateAttr

from ami_dlms import apdu
from ami_dlms.apdu.acse import Aarq
from ami_dlms.apdu.ciphered import GeneralGloCiphering, ServiceCiphering
from ami_dlms.association import AssociationProfile, Security
from ami_dlms.enums import ApduTag
from ami_dlms.errors import DlmsError
from ami_dlms.framing.framing import LinkLost, WrapperPdu
from ami_dlms.security import (
    AUTHENTICATED,
    ENCRYPTED,
    GlobalKeys,
    ProtectionFlags,
    ReceiveCounter,
    SecurityPolicy,
    protect,
    unprotect,
)
from ami_dlms.security.aead import HEADER_LENGTH, SYSTEM_TITLE_LENGTH, TAG_LENGTH
from ami_meter_sim.effects import Effect, Send
from ami_meter_sim.faults.defects.defect import Defect
from ami_meter_sim.faults.fault import FRAME_HEADER, Arrived, Occasion
from ami_meter_sim.faults.keys import AssociationFault

GLOBAL_UNICAST = frozenset(int(tag) for tag in ApduTag if tag.name.startswith("GLO_"))


class TakesUsedCounter(Defect):
    """Take requests whose invocation counter was used before."""

    def on_profile(self, profile: AssociationProfile) -> AssociationProfile:
        """With a counter that refuses nothing."""
        counter = profile.receive_counter
        return profile if counter is None else replace(profile, receive_counter=Unchecked(counter))


class Unchecked(ReceiveCounter):
    """Takes every value, and moves the true one with those that it would take."""

    __slots__ = ("_true",)

    def __init__(self, true: ReceiveCounter) -> None:
        super().__init__(true.lowest_acceptable)
        self._true = true

    @property
    def lowest_acceptable(self) -> int:
        return self._true.lowest_acceptable

    def check(self, value: int) -> None:
        """Nothing is wrong."""

    def accept(self, value: int) -> None:
        """Whatever it is."""
        self._true.accepts(value)

    def accepts(self, value: int) -> bool:
        """Always."""
        self._true.accepts(value)
        return True


class ForgetsCounter(Defect):
    """Forget with each connection which invocation counters were used."""

    _counters: dict[int, ReceiveCounter] = PrivateAttr(default_factory=dict)

    def on_connection(self) -> None:
        """All of them may come again."""
        self._counters = {}

    def on_profile(self, profile: AssociationProfile) -> AssociationProfile:
        """With a counter of this connection."""
        counter = profile.receive_counter
        if counter is None:
            return profile
        own = self._counters.setdefault(profile.client_wport, OfConnection(counter))
        return replace(profile, receive_counter=own)


class OfConnection(ReceiveCounter):
    """Counts from 0, and moves the true one as far as it goes."""

    __slots__ = ("_true",)

    def __init__(self, true: ReceiveCounter) -> None:
        super().__init__()
        self._true = true

    def accept(self, value: int) -> None:
        """Refused below what came on this connection alone."""
        super().accept(value)
        self._true.accepts(value)

    def accepts(self, value: int) -> bool:
        """The same."""
        self._true.accepts(value)
        return super().accepts(value)


class IgnoresTag(Defect):
    """Take ciphered requests whatever their authentication tag is."""

    _titles: dict[int, bytes] = PrivateAttr(default_factory=dict)

    def on_pdu(self, pdu: WrapperPdu | LinkLost, profile: AssociationProfile | None) -> Sequence[Arrived]:
        """The same with the tag that it should have."""
        if isinstance(pdu, LinkLost) or profile is None or profile.security is None:
            return (pdu,)
        try:
            message = apdu.decode(pdu.apdu)
            if isinstance(message, Aarq) and message.calling_ap_title is not None:
                self._titles[pdu.source] = message.calling_ap_title
            title = self._titles.get(pdu.source, b"")
            if isinstance(message, GeneralGloCiphering):
                title = message.system_title or title
            elif not isinstance(message, ServiceCiphering) or message.tag not in GLOBAL_UNICAST:
                return (pdu,)
            return (
                pdu._replace(
                    apdu=apdu.encode(replace(message, content=_retagged(profile.security.keys, title, message.content)))
                ),
            )
        except DlmsError:
            return (pdu,)


class AnswersUnderClientsTitle(Defect):
    """Put the client's system title in front of ciphered answers instead of its own, with which they were ciphered."""

    _titles: dict[int, bytes] = PrivateAttr(default_factory=dict)

    def on_pdu(self, pdu: WrapperPdu | LinkLost, profile: AssociationProfile | None) -> Sequence[Arrived]:
        """As it is; the title is noted."""
        if isinstance(pdu, WrapperPdu) and pdu.apdu[:1] == bytes((ApduTag.AARQ,)):
            with suppress(DlmsError):
                message = apdu.decode(pdu.apdu)
                if isinstance(message, Aarq) and message.calling_ap_title is not None:
                    self._titles[pdu.source] = message.calling_ap_title
        return (pdu,)

    def on_frame(self, leaving: Sequence[Effect], occasion: Occasion) -> Sequence[Effect]:
        """Those of general-glo-ciphering with the other title."""
        return [Send(self._titled(one.octets)) if isinstance(one, Send) else one for one in leaving]

    def _titled(self, frame: bytes) -> bytes:
        title, begin = self._titles.get(int.from_bytes(frame[4:6], "big")), FRAME_HEADER + 2
        general = bytes((ApduTag.GENERAL_GLO_CIPHERING, SYSTEM_TITLE_LENGTH))
        if title is None or frame[FRAME_HEADER:begin] != general:
            return frame
        return frame[:begin] + title + frame[begin + SYSTEM_TITLE_LENGTH :]


def _retagged(keys: GlobalKeys, title: bytes, content: bytes) -> bytes:
    """The same content with the tag that follows from it; one too short for a tag is left as it is."""
    if len(content) < HEADER_LENGTH + TAG_LENGTH:
        return content
    control, counter = content[0], int.from_bytes(content[1:HEADER_LENGTH], "big")
    if not control & AUTHENTICATED:
        return content
    body = content[HEADER_LENGTH:-TAG_LENGTH]
    if control & ENCRYPTED:
        body = unprotect(keys, title, bytes((control & ~AUTHENTICATED,)) + content[1:HEADER_LENGTH] + body).plaintext
    return protect(control, keys, title, counter, body)


class TakesClearRequests(AssociationFault):
    """Take requests with less protection than the security policy wants, or with none."""

    def changed(self, security: Security) -> Security:
        """Nothing is wanted of requests."""
        policy = SecurityPolicy(ProtectionFlags.NOTHING, security.required.response)
        return replace(security, policy=policy) if policy.protects else security


class AnswersUnencrypted(AssociationFault):
    """Answer with authentication alone where the security policy wants encryption."""

    def changed(self, security: Security) -> Security:
        """Less for responses."""
        wanted = security.required
        if not wanted.response & ProtectionFlags.ENCRYPTED:
            return security
        return replace(security, policy=SecurityPolicy(wanted.request, ProtectionFlags.AUTHENTICATED))
