"""One association of a server: opening it, checking each request, answering in the answer_protection of the request, long GETs.

Whatever a stranger sends ends in a Reply: octets for the peer (or none) and an event for the application (or none).
Access rights are checked here, so the application sees only what the client may do.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from ami_dlms import apdu
from ami_dlms.apdu import Apdu
from ami_dlms.apdu.acse import Aarq, Rlre, Rlrq
from ami_dlms.apdu.blocks import GeneralBlockTransfer
from ami_dlms.apdu.faults import ExceptionResponse
from ami_dlms.apdu.notify import DataNotification, EventNotificationRequest
from ami_dlms.apdu.short_names import InformationReportRequest
from ami_dlms.association.events import (
    Answer,
    AssociationOpened,
    AssociationRefused,
    AssociationReleased,
    Cause,
    Discarded,
    Requested,
    RequestKey,
    Unsolicited,
)
from ami_dlms.association.protection.apdu_protection import PLAIN, ApduProtection
from ami_dlms.association.protection.association_protection import Verified, lift, verify
from ami_dlms.association.protection.authentication import Authentication
from ami_dlms.association.server.fast_path import FastPath, fast_path
from ami_dlms.association.server.general_block_transfer import ServerTransfers
from ami_dlms.association.server.ln_services import LnServices
from ami_dlms.association.server.opening import (
    AarqRefused,
    Admission,
    accepting_aare,
    admit,
    initiate_response,
    pre_established,
    protection_of,
    refusing_aare,
)
from ami_dlms.association.server.services import Reply, Services, Terms, fault
from ami_dlms.association.server.sn_services import SnServices
from ami_dlms.association.settings import AssociationProfile, application_context
from ami_dlms.association.states import SERVER_TABLE, ServerEvent, ServerState
from ami_dlms.enums import (
    AcseServiceUserDiagnostic,
    ApduTag,
    Conformance,
    Mechanism,
    ReleaseReason,
    ServiceError,
    StateError,
)
from ami_dlms.errors import DecodeError, LocalError, ProtocolError, SecurityError
from ami_dlms.security import ReplayError
from ami_dlms.security.hls import HLS
from ami_dlms.transitions import misplaced, next_state

CHALLENGE_LENGTH = 16
ECDSA_CHALLENGE_LENGTH = 32
MAX_COUNTER = 0xFFFFFFFF
UNLIMITED = 2**31
NEEDED: dict[type[Unsolicited], Conformance] = {
    DataNotification: Conformance.DATA_NOTIFICATION,
    EventNotificationRequest: Conformance.EVENT_NOTIFICATION,
    InformationReportRequest: Conformance.INFORMATION_REPORT,
}
PROVING = ServerState.PROVING


class ServerAssociation:
    """State, protection and open requests of one pair of wrapper ports on one connection."""

    def __init__(self, profile: AssociationProfile, random_bytes: Callable[[int], bytes]) -> None:
        self.profile = profile
        self.state = ServerState.UNASSOCIATED
        self._random_bytes = random_bytes
        self._limit = profile.max_receive_pdu_size or UNLIMITED
        self._protection = protection_of(profile)
        self._authentication = Authentication(profile, self._protection)
        self._admission: Admission | None = None
        self._challenge = b""
        self._services: Services | None = None
        self._transfers: ServerTransfers | None = None
        self._fast: FastPath | None = None
        if profile.pre_established is not None:
            self._be_open(pre_established(profile))
            self._move(ServerEvent.ACCEPTED)

    # --- receiving

    def receive(self, message: Apdu, size: int) -> Reply:
        """React to one decoded APDU of `size` octets."""
        if self.profile.pre_established is not None and isinstance(message, Aarq | Rlrq):
            return fault("this association is neither opened nor released", ServiceError.OPERATION_NOT_POSSIBLE)
        if isinstance(message, Aarq):
            return self._open(message)
        if self.state is ServerState.UNASSOCIATED:
            return fault("a request without association", ServiceError.OPERATION_NOT_POSSIBLE)
        if size > self._limit:
            return fault(f"an APDU of {size} octets is too long", ServiceError.PDU_TOO_LONG)
        if isinstance(message, GeneralBlockTransfer):
            return self._receive_block(message)
        self._go_on_without_blocks()
        return self._react(message)

    def receive_fast(self, octets: bytes) -> Requested | Reply | None:
        """React to a frame of the fast path, by a plain GET or otherwise; None: nothing has happened, and the general path decides."""
        fast, services = self._fast, self._services
        if fast is None or services is None or len(octets) > self._limit:
            return None
        plaintext = fast.open(octets)
        if plaintext is None:
            return None
        if self._transfers is not None:
            self._transfers.forget()
        request = None if self.state is PROVING else services.serve_fast(plaintext)
        if request is not None:
            return request
        try:
            return self._react(Verified(apdu.decode(plaintext), fast.answer_protection, fast.request_protection))
        except DecodeError as error:
            return _unreadable(error)

    def _react(self, message: Apdu | Verified, *, in_one: bool = False) -> Reply:
        """React to an APDU that is whole, lifted already or not; `in_one` when it came by general block transfer."""
        try:
            if isinstance(message, Verified):
                return self._serve(message, in_one)
            if isinstance(message, Rlrq):
                return self._release(message)
            return self._serve(verify(self._protection, message), in_one)
        except ReplayError as error:
            return self._replayed(error)
        except SecurityError as error:
            return fault(str(error), ServiceError.DECIPHERING_ERROR, cause=Cause.PROTECTION)
        except ProtocolError as error:
            return fault(str(error), ServiceError.OPERATION_NOT_POSSIBLE)
        except DecodeError as error:
            return _unreadable(error)

    def _serve(self, verified: Verified, in_one: bool) -> Reply:
        message, answer_protection, request_protection, _ = verified
        if self.profile.inside is not None:
            message = self.profile.inside.arrived(message)
        if self.state is PROVING:
            return self._prove(message, answer_protection)
        return self._requests.serve(message, answer_protection, in_one=in_one, request_protection=request_protection)

    # --- general block transfer

    def _receive_block(self, block: GeneralBlockTransfer) -> Reply:
        transfers = self._transfers
        if transfers is None or self.state is PROVING:
            return fault("general block transfer was not negotiated", ServiceError.SERVICE_NOT_SUPPORTED)
        if block.aborts:
            transfers.forget()
            return Reply(event=Discarded("the client has given up its transfer in blocks"))
        try:
            step = transfers.receive(block)
            if step is None:
                return Reply(event=Discarded("a confirmation of blocks that were never sent"))
            if step.whole is None:
                return Reply(blocks=step.to_send)
            return self._joined(apdu.decode(step.whole), transfers)
        except (DecodeError, ProtocolError) as error:
            transfers.forget()
            return fault(f"blocks that make no request: {error}", ServiceError.OTHER_REASON)

    def _joined(self, message: Apdu, transfers: ServerTransfers) -> Reply:
        """A request that came in blocks; its response goes the same way, a fault goes as it is."""
        if isinstance(message, Aarq | Rlrq | GeneralBlockTransfer):
            raise ProtocolError(f"{type(message).__name__} inside blocks")
        reply = self._react(message, in_one=True)
        key = getattr(reply.event, "key", None)
        if isinstance(key, RequestKey):
            transfers.answer_through_here(key)
        if not reply.octets or reply.octets[0] == ApduTag.EXCEPTION_RESPONSE:
            return reply
        return Reply(event=reply.event, blocks=transfers.answer_at_once(reply.octets))

    def timeout(self) -> tuple[bytes, ...]:
        """What to send when nothing came from the client for too long."""
        return () if self._transfers is None else self._transfers.timeout()

    def abort(self) -> tuple[bytes, ...]:
        """Give up the general block transfer under way; what tells the client."""
        return () if self._transfers is None else self._transfers.abort()

    def _go_on_without_blocks(self) -> None:
        if self._transfers is not None:
            self._transfers.forget()

    # --- faults

    def _replayed(self, error: ReplayError) -> Reply:
        """Only a genuine frame gets so far, so its sender may learn which counter would pass."""
        expected = min(error.lowest_acceptable, MAX_COUNTER)
        response = ExceptionResponse(StateError.SERVICE_NOT_ALLOWED, ServiceError.INVOCATION_COUNTER_ERROR, expected)
        return Reply(apdu.encode(response), Discarded(str(error), Cause.REPLAY))

    # --- opening and releasing

    def _open(self, aarq: Aarq) -> Reply:
        """Open, or open again: a client that lost its end has no other way back in."""
        self._forget()
        try:
            admission = admit(self.profile, self._protection, aarq)
            challenge = self._new_challenge()
            self._take_key(admission)
            octets = accepting_aare(self.profile, self._protection, admission, challenge)
        except AarqRefused as refusal:
            self._move(ServerEvent.REFUSED)
            return Reply(
                refusing_aare(application_context(self.profile), refusal),
                self._refused(refusal.reason),
            )
        except ReplayError as error:
            self._move(ServerEvent.REFUSED)
            return Reply(self._replayed(error).octets, self._refused(str(error), Cause.REPLAY))
        self._be_open(admission)
        self._move(ServerEvent.ACCEPTED if challenge is None else ServerEvent.PROOF_WANTED)
        if challenge is not None:
            self._challenge = challenge
            return Reply(octets)
        return Reply(octets if admission.initiate.response_allowed else b"", self._association_opened())

    def _be_open(self, admission: Admission) -> None:
        self._admission = admission
        terms, limit = Terms(admission.conformance, admission.client_limit), admission.client_limit
        self._fast = fast_path(self.profile, self._protection, admission.conformance, limit)
        services = LnServices if self.profile.short_names is None else SnServices
        self._services = services(self.profile, terms, self._move, self._protection, self._fast)
        general = admission.conformance & Conformance.GENERAL_BLOCK_TRANSFER
        window, most = self.profile.block_window, self.profile.max_request_octets
        self._transfers = ServerTransfers(window, limit, most) if general else None

    def _new_challenge(self) -> bytes | None:
        mechanism = self.profile.mechanism
        length = ECDSA_CHALLENGE_LENGTH if mechanism is Mechanism.ECDSA else CHALLENGE_LENGTH
        return self._random_bytes(length) if mechanism in HLS else None

    def _take_key(self, admission: Admission) -> None:
        """Agree to a dedicated key, which counts only when it came under protection."""
        if self._protection is None or not self._protection.wanted:
            return
        try:
            self._protection.use_dedicated_key(admission.initiate.dedicated_key)
        except SecurityError as error:
            raise AarqRefused(str(error), AcseServiceUserDiagnostic.NO_REASON_GIVEN) from None

    def _prove(self, message: Apdu, answer_protection: ApduProtection) -> Reply:
        """reply_to_HLS_authentication: check the client's proof and give ours."""
        proof = self._requests.proof_in(message)
        if proof is None:
            return fault("a request before the client has proved itself", ServiceError.OPERATION_NOT_POSSIBLE)
        theirs = self._opened.client_challenge
        if not self._authentication.peer_proved(self._challenge, theirs, proof):
            self._move(ServerEvent.PROOF_REFUSED)
            refusal = apdu.encode(self._requests.proof_answer(message, None))
            return Reply(
                self._protect(refusal, answer_protection),
                self._refused("the client did not prove that it knows the keys"),
            )
        own_proof = self._authentication.prove(theirs, self._challenge)
        octets = self._protect(apdu.encode(self._requests.proof_answer(message, own_proof)), answer_protection)
        self._move(ServerEvent.PROVED)
        return Reply(octets, self._association_opened())

    def _release(self, rlrq: Rlrq) -> Reply:
        """Release; what an RLRQ carries in a ciphered association has to hold, but it may carry nothing."""
        answer = None
        if rlrq.user_information:
            answer_protection = lift(self._protection, rlrq.user_information).answer_protection
            answer = self._protect(initiate_response(self.profile, self._opened), answer_protection)
        self._move(ServerEvent.RELEASED)
        self._forget()
        octets = _normal_rlre() if answer is None else apdu.encode(Rlre(ReleaseReason.NORMAL, answer))
        return Reply(octets, AssociationReleased(self.profile))

    def renew(self, profile: AssociationProfile) -> None:
        """Go on under the keys and rights of another profile, without opening anew; open requests are forgotten."""
        before = self._protection
        self.profile = profile
        self._protection = protection_of(profile)
        self._authentication = Authentication(profile, self._protection)
        if self._protection is not None and before is not None:
            self._protection.accept_title(before.peer_title)
            self._protection.peer_signing = before.peer_signing or self._protection.peer_signing
        if self._admission is not None:
            if self._protection is not None:
                self._protection.use_dedicated_key(self._admission.initiate.dedicated_key)
            self._be_open(self._admission)

    def lost(self) -> Reply:
        """The data link below is gone: what was agreed over it must not serve the next peer that sets one up."""
        if self.state is ServerState.UNASSOCIATED or self.profile.pre_established is not None:
            return Reply()
        self._move(ServerEvent.RELEASED)
        self._forget()
        return Reply(event=AssociationReleased(self.profile))

    def _association_opened(self) -> AssociationOpened:
        return AssociationOpened(self.profile, None if self._protection is None else self._protection.peer_title)

    def _refused(self, reason: str, cause: Cause = Cause.OTHER) -> AssociationRefused:
        return AssociationRefused(self.profile.server_wport, self.profile.client_wport, reason, cause)

    def answer(self, answer: Answer) -> tuple[bytes, ...]:
        """The APDUs of an answer; LocalError when its request is not open any more."""
        if self._services is None:
            raise LocalError("this request is not open: its association was released")
        octets = self._services.answer(answer)
        if self._transfers is not None:
            return self._transfers.answer(answer.key, octets)
        return (octets,) if octets else ()

    def notify(self, notification: Unsolicited) -> tuple[bytes, ...]:
        """The APDUs of something unsolicited; LocalError when it was not negotiated."""
        following = next_state(SERVER_TABLE, self.state, ServerEvent.SEND_NOTIFICATION)
        opened = self._opened
        if not opened.conformance & NEEDED[type(notification)]:
            raise LocalError(f"{type(notification).__name__} was not negotiated with this client")
        answer_protection = PLAIN if self._protection is None else self._protection.own_protection()
        if isinstance(notification, DataNotification) and self._protection is not None:
            answer_protection = self._protection.own_general_protection()
        octets = self._protect(apdu.encode(notification), answer_protection)
        if len(octets) <= opened.client_limit:
            parts: tuple[bytes, ...] = (octets,)
        elif self._transfers is not None:
            parts = self._transfers.push(octets)
        else:
            raise LocalError(f"the client takes {opened.client_limit} octets at most, this has {len(octets)}")
        self.state = following
        return parts

    # --- small things

    @property
    def _opened(self) -> Admission:
        if self._admission is None:
            raise LocalError("no association is open")
        return self._admission

    @property
    def _requests(self) -> Services:
        if self._services is None:
            raise LocalError("no association is open")
        return self._services

    def _protect(self, plaintext: bytes, answer_protection: ApduProtection) -> bytes:
        return plaintext if self._protection is None else self._protection.protect(plaintext, answer_protection)

    def _forget(self) -> None:
        self._admission = None
        self._services = self._transfers = self._fast = None
        self._challenge = b""
        if self._protection is not None:
            self._protection.use_dedicated_key(None)

    def _move(self, event: ServerEvent) -> None:
        following = SERVER_TABLE.get((self.state, event))
        if following is None:
            raise misplaced(self.state, event)
        self.state = following


@cache
def _normal_rlre() -> bytes:
    """Without anything of one association."""
    return apdu.encode(Rlre(ReleaseReason.NORMAL))


def _unreadable(error: DecodeError) -> Reply:
    return fault(f"unreadable: {error}", ServiceError.OTHER_REASON)
