"""One association of a server: opening it, checking each request, answering in the form of the request, long GETs.

Whatever a stranger sends ends in a Reply: octets for the peer (or none) and an event for the application (or none).
Access rights are asked here, so the application sees only what the client may do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from dlms import apdu, data
from dlms.apdu import Apdu
from dlms.apdu.acse import Aarq, Rlre, Rlrq
from dlms.apdu.action import ActionRequestNormal, ActionResponseNormal
from dlms.apdu.faults import ExceptionResponse
from dlms.apdu.get import GetRequestNext, GetRequestNormal, GetResponseNormal, GetResponseWithDataBlock
from dlms.apdu.set import SetRequestNormal, SetResponseNormal
from dlms.association.admission import Admission, Refusal, accepting_aare, admit, initiate_response, refusing_aare
from dlms.association.client import REPLY_TO_HLS_AUTHENTICATION
from dlms.association.events import (
    ActionAnswer,
    ActionRequested,
    Answer,
    AssociationOpened,
    AssociationRefused,
    AssociationReleased,
    Discarded,
    GetAnswer,
    GetRequested,
    RequestKey,
    ServerOutput,
    SetAnswer,
    SetRequested,
)
from dlms.association.proposal import CIPHERED, context_of
from dlms.association.protection import PLAIN, Form, Protection, Verified, largest_plaintext
from dlms.association.settings import AssociationProfile, AttributeAccess
from dlms.association.states import SERVER_TABLE, ServerEvent, ServerState
from dlms.association.transfer import OutgoingBlocks, block_room
from dlms.enums import (
    AcseServiceUserDiagnostic,
    ActionResult,
    Conformance,
    DataAccessResult,
    DataTag,
    Mechanism,
    ReleaseReason,
    ServiceError,
    StateError,
)
from dlms.errors import DecodeError, LocalError, ProtocolError, SecurityError
from dlms.security import ReplayError
from dlms.transitions import next_state

CHALLENGE_LENGTH = 16
MAX_PENDING = 16
MAX_COUNTER = 0xFFFFFFFF

ServiceRequest = GetRequestNormal | SetRequestNormal | ActionRequestNormal
NEEDED: dict[type[ServiceRequest], Conformance] = {
    GetRequestNormal: Conformance.GET,
    SetRequestNormal: Conformance.SET,
    ActionRequestNormal: Conformance.ACTION,
}


class Reply(NamedTuple):
    """What a received APDU leads to."""

    octets: bytes = b""
    event: ServerOutput | None = None


def fault(reason: str, service_error: ServiceError, state_error: StateError = StateError.SERVICE_NOT_ALLOWED) -> Reply:
    """An exception-response for the peer, and the reason for ourselves."""
    return Reply(apdu.encode(ExceptionResponse(state_error, service_error)), Discarded(reason))


class ServerAssociation:
    """State, protection and open requests of one pair of wrapper ports on one connection."""

    def __init__(self, profile: AssociationProfile, random_bytes: Callable[[int], bytes]) -> None:
        self.profile = profile
        self.state = ServerState.UNASSOCIATED
        self._random_bytes = random_bytes
        self._protection = _protection(profile)
        self._admission: Admission | None = None
        self._challenge = b""
        self._pending: dict[RequestKey, Form] = {}
        self._blocks: OutgoingBlocks | None = None

    # --- receiving

    def receive(self, message: Apdu, size: int) -> Reply:
        """React to one decoded APDU of `size` octets."""
        if isinstance(message, Aarq):
            return self._open(message)
        if self.state is ServerState.UNASSOCIATED:
            return fault("a request without association", ServiceError.OPERATION_NOT_POSSIBLE)
        if size > (self.profile.max_receive_pdu_size or size):
            return fault(f"an APDU of {size} octets is too long", ServiceError.PDU_TOO_LONG)
        try:
            if isinstance(message, Rlrq):
                return self._release(message)
            return self._serve(self._lift(message))
        except ReplayError as error:
            return self._replayed(error)
        except SecurityError as error:
            return fault(str(error), ServiceError.DECIPHERING_ERROR)
        except ProtocolError as error:
            return fault(str(error), ServiceError.OPERATION_NOT_POSSIBLE)
        except DecodeError as error:
            return fault(f"unreadable: {error}", ServiceError.OTHER_REASON)

    def _lift(self, message: Apdu) -> Verified:
        ciphered = self._protection is not None and self._protection.security.ciphered
        if isinstance(message, CIPHERED):
            if self._protection is None or not ciphered:
                raise SecurityError("a ciphered APDU in an association without ciphering")
            return self._protection.unprotect(message)
        if ciphered:
            raise SecurityError("a request in clear in a ciphered association")
        return Verified(message, PLAIN)

    def _serve(self, verified: Verified) -> Reply:
        message, form = verified
        if self.state is ServerState.PROVING:
            return self._prove(message, form)
        if isinstance(message, GetRequestNext):
            return self._next_block(message, form)
        if not isinstance(message, GetRequestNormal | SetRequestNormal | ActionRequestNormal):
            reason = f"{type(message).__name__} is not served"
            return fault(reason, ServiceError.SERVICE_NOT_SUPPORTED, StateError.SERVICE_UNKNOWN)
        if not NEEDED[type(message)] & self._opened.conformance:
            reason = f"{type(message).__name__} was not negotiated"
            return fault(reason, ServiceError.SERVICE_NOT_SUPPORTED)
        return self._request(message, form)

    def _request(self, message: ServiceRequest, form: Form) -> Reply:
        self._move(ServerEvent.REQUEST)
        self._blocks = None
        denied = self._denied(message)
        if denied is not None:
            return Reply(self._protect(apdu.encode(denied), form), Discarded(_denial(message, denied)))
        key = RequestKey(self.profile.server_wport, self.profile.client_wport, message.invoke_id_and_priority)
        if key in self._pending or len(self._pending) >= MAX_PENDING:
            return Reply(event=Discarded("the same request again, or too many at once"))
        self._pending[key] = form
        if isinstance(message, GetRequestNormal):
            return Reply(event=GetRequested(key, message.descriptor, message.selection))
        if isinstance(message, SetRequestNormal):
            return Reply(event=SetRequested(key, message.descriptor, message.selection, message.value))
        return Reply(event=ActionRequested(key, message.descriptor, message.parameters))

    def _denied(self, message: ServiceRequest) -> GetResponseNormal | SetResponseNormal | ActionResponseNormal | None:
        """The answer to a request that the access rights forbid."""
        invoke = message.invoke_id_and_priority
        if isinstance(message, ActionRequestNormal):
            allowed = self.profile.access.method(message.descriptor)
            if message.descriptor == REPLY_TO_HLS_AUTHENTICATION:
                allowed = False
            if allowed:
                return None
            return ActionResponseNormal(
                invoke, ActionResult.OBJECT_UNDEFINED if allowed is None else ActionResult.READ_WRITE_DENIED
            )
        wanted = AttributeAccess.READ if isinstance(message, GetRequestNormal) else AttributeAccess.WRITE
        access = self.profile.access.attribute(message.descriptor)
        if access is None:
            result = DataAccessResult.OBJECT_UNDEFINED
        elif not access & wanted:
            result = DataAccessResult.READ_WRITE_DENIED
        elif message.selection is not None and not Conformance.SELECTIVE_ACCESS & self._opened.conformance:
            result = DataAccessResult.SCOPE_OF_ACCESS_VIOLATED
        else:
            return None
        if isinstance(message, GetRequestNormal):
            return GetResponseNormal(invoke, result)
        return SetResponseNormal(invoke, result)

    def _next_block(self, message: GetRequestNext, form: Form) -> Reply:
        blocks, self._blocks = self._blocks, None
        result = DataAccessResult.NO_LONG_GET_IN_PROGRESS
        if (
            blocks is not None
            and blocks.form == form
            and blocks.invoke_id_and_priority == message.invoke_id_and_priority
        ):
            if message.block_number == blocks.block_number:
                self._move(ServerEvent.LAST_BLOCK_WANTED if blocks.next_is_last else ServerEvent.NEXT_BLOCK_WANTED)
                self._blocks = None if blocks.next_is_last else blocks
                return Reply(self._protect(apdu.encode(blocks.next_block()), form))
            result = DataAccessResult.DATA_BLOCK_NUMBER_INVALID
        if self.state is ServerState.SENDING_BLOCKS:
            self._move(ServerEvent.TRANSFER_ABORTED)
        refusal = GetResponseWithDataBlock(message.invoke_id_and_priority, True, message.block_number, result)
        return Reply(
            self._protect(apdu.encode(refusal), form), Discarded(f"block {message.block_number} can't be sent")
        )

    def _replayed(self, error: ReplayError) -> Reply:
        """Only a genuine frame gets so far, so its sender may learn which counter would pass."""
        expected = min(error.lowest_acceptable, MAX_COUNTER)
        response = ExceptionResponse(StateError.SERVICE_NOT_ALLOWED, ServiceError.INVOCATION_COUNTER_ERROR, expected)
        return Reply(apdu.encode(response), Discarded(str(error)))

    # --- opening and releasing

    def _open(self, aarq: Aarq) -> Reply:
        """Open, or open again: a client that lost its end has no other way back in."""
        self._forget()
        try:
            admission = admit(self.profile, self._protection, aarq)
            hls = self.profile.mechanism is Mechanism.GMAC
            challenge = self._random_bytes(CHALLENGE_LENGTH) if hls else None
            self._take_key(admission)
            octets = accepting_aare(self.profile, self._protection, admission, challenge)
        except Refusal as refusal:
            self._move(ServerEvent.REFUSED)
            return Reply(refusing_aare(context_of(self._protection), refusal), self._refused(refusal.reason))
        except ReplayError as error:
            self._move(ServerEvent.REFUSED)
            return Reply(self._replayed(error).octets, self._refused(str(error)))
        self._admission = admission
        self._move(ServerEvent.ACCEPTED if challenge is None else ServerEvent.PROOF_WANTED)
        if challenge is not None:
            self._challenge = challenge
            return Reply(octets)
        return Reply(octets if admission.initiate.response_allowed else b"", self._association_opened())

    def _take_key(self, admission: Admission) -> None:
        """Agree to a dedicated key, which counts only when it came under protection."""
        if self._protection is None or not self._protection.security.ciphered:
            return
        try:
            self._protection.dedicate(admission.initiate.dedicated_key)
        except SecurityError as error:
            raise Refusal(str(error), AcseServiceUserDiagnostic.NO_REASON_GIVEN) from None

    def _prove(self, message: Apdu, form: Form) -> Reply:
        """reply_to_HLS_authentication: check the client's proof and give ours."""
        if not isinstance(message, ActionRequestNormal) or message.descriptor != REPLY_TO_HLS_AUTHENTICATION:
            return fault("a request before the client has proved itself", ServiceError.OPERATION_NOT_POSSIBLE)
        protection, parameters = self._protection, message.parameters
        proof = parameters.value if parameters is not None and parameters.tag is DataTag.OCTET_STRING else b""
        invoke = message.invoke_id_and_priority
        if protection is None or not protection.peer_proved(self._challenge, proof):
            self._move(ServerEvent.PROOF_REFUSED)
            refusal = apdu.encode(ActionResponseNormal(invoke, ActionResult.OTHER_REASON))
            return Reply(self._protect(refusal, form), self._refused("the client did not prove that it knows the keys"))
        own_proof = data.octet_string(protection.prove(self._opened.client_challenge))
        response = ActionResponseNormal(invoke, ActionResult.SUCCESS, own_proof)
        octets = self._protect(apdu.encode(response), form)
        self._move(ServerEvent.PROVED)
        return Reply(octets, self._association_opened())

    def _release(self, rlrq: Rlrq) -> Reply:
        """Release; what an RLRQ carries in a ciphered association has to hold, but it may carry nothing."""
        answer = None
        if rlrq.user_information:
            form = self._lift(apdu.decode(rlrq.user_information)).form
            answer = self._protect(initiate_response(self.profile, self._opened), form)
        self._move(ServerEvent.RELEASED)
        self._forget()
        return Reply(apdu.encode(Rlre(ReleaseReason.NORMAL, answer)), AssociationReleased(self.profile))

    def lost(self) -> Reply:
        """The data link below is gone: what was agreed over it may not serve whoever sets it up next."""
        if self.state is ServerState.UNASSOCIATED:
            return Reply()
        self._move(ServerEvent.RELEASED)
        self._forget()
        return Reply(event=AssociationReleased(self.profile))

    def _association_opened(self) -> AssociationOpened:
        return AssociationOpened(self.profile, None if self._protection is None else self._protection.peer_title)

    def _refused(self, reason: str) -> AssociationRefused:
        return AssociationRefused(self.profile.server_wport, self.profile.client_wport, reason)

    # --- answering

    def answer(self, answer: Answer) -> bytes:
        """The octets of an answer; LocalError when its request is not open any more."""
        form = self._pending.get(answer.key)
        if form is None:
            raise LocalError("this request is not open: answered, released, or opened anew")
        if isinstance(answer, GetAnswer):
            octets = self._answer_get(answer, form)
        else:
            octets = self._answer_once(self._short_answer(answer, form), form)
        del self._pending[answer.key]
        return octets

    def _answer_get(self, answer: GetAnswer, form: Form) -> bytes:
        invoke, limit = answer.key.invoke_id_and_priority, self._opened.client_limit
        whole = apdu.encode(GetResponseNormal(invoke, answer.result))
        if len(whole) <= largest_plaintext(limit, form):
            return self._answer_once(whole, form)
        if not Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ & self._opened.conformance:
            return self._answer_once(apdu.encode(GetResponseNormal(invoke, DataAccessResult.OTHER_REASON)), form)
        if isinstance(answer.result, DataAccessResult):
            raise LocalError("a result code is never too long")
        blocks = OutgoingBlocks(data.encode(answer.result), block_room(limit, form), form, invoke)
        octets = self._protect(apdu.encode(blocks.next_block()), form)
        self._move(ServerEvent.SEND_FIRST_BLOCK)
        self._blocks = blocks
        return octets

    def _short_answer(self, answer: SetAnswer | ActionAnswer, form: Form) -> bytes:
        invoke = answer.key.invoke_id_and_priority
        if isinstance(answer, SetAnswer):
            return apdu.encode(SetResponseNormal(invoke, answer.result))
        whole = apdu.encode(ActionResponseNormal(invoke, answer.result, answer.value))
        if len(whole) <= largest_plaintext(self._opened.client_limit, form):
            return whole
        return apdu.encode(ActionResponseNormal(invoke, answer.result, DataAccessResult.OTHER_REASON))

    def _answer_once(self, plaintext: bytes, form: Form) -> bytes:
        octets = self._protect(plaintext, form)
        self._move(ServerEvent.SEND_ANSWER)
        return octets

    # --- small things

    @property
    def _opened(self) -> Admission:
        if self._admission is None:
            raise LocalError("no association is open")
        return self._admission

    def _protect(self, plaintext: bytes, form: Form) -> bytes:
        return plaintext if self._protection is None else self._protection.protect(plaintext, form)

    def _forget(self) -> None:
        self._admission = None
        self._blocks = None
        self._challenge = b""
        self._pending.clear()
        if self._protection is not None:
            self._protection.dedicate(None)

    def _move(self, event: ServerEvent) -> None:
        self.state = next_state(SERVER_TABLE, self.state, event)


def _protection(profile: AssociationProfile) -> Protection | None:
    if profile.security is None or profile.send_counter is None or profile.receive_counter is None:
        return None
    return Protection(profile.security, profile.send_counter, profile.receive_counter)


def _denial(message: ServiceRequest, denied: GetResponseNormal | SetResponseNormal | ActionResponseNormal) -> str:
    result = denied.result
    name = result.name.lower().replace("_", "-") if isinstance(result, DataAccessResult | ActionResult) else ""
    return f"{message.descriptor}: {name}"
