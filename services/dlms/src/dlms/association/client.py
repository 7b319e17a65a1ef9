"""The client's side of one association over one transport connection, without I/O (Green Book 9.3, 9.4).

`send` gives the octets of a request, `receive_data` takes octets, `next_event` says what they meant, and `data_to_send`
holds what the protocol itself answers: the proof of HLS and the request for the next block. One request is open at a time;
answers to another invoke-id are dropped. After a SecurityError or ProtocolError the connection is closed for good.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dlms import apdu, data
from dlms.apdu import Apdu
from dlms.apdu.acse import Aare, Rlre
from dlms.apdu.action import ActionRequestNormal, ActionResponseNormal
from dlms.apdu.faults import ConfirmedServiceError, ExceptionResponse
from dlms.apdu.get import GetRequestNext, GetRequestNormal, GetResponseNormal, GetResponseWithDataBlock
from dlms.apdu.notify import DataNotification, EventNotificationRequest
from dlms.apdu.set import SetRequestNormal, SetResponseNormal
from dlms.association.connection import Connection
from dlms.association.events import (
    Action,
    ActionOutcome,
    ClientOutput,
    Get,
    GetResult,
    Notified,
    Open,
    Opened,
    OpenRefused,
    PeerFault,
    Release,
    Released,
    Request,
    Set,
    SetResult,
)
from dlms.association.proposal import CIPHERED, Proposal, accepts, refusal_reason
from dlms.association.protection import PLAIN, Form, Protection, Verified, Wrapping
from dlms.association.settings import ClientSettings, Security
from dlms.association.states import CLIENT_TABLE, ClientEvent, ClientState
from dlms.association.transfer import IncomingBlocks
from dlms.cosem.descriptors import MethodDescriptor
from dlms.data import Data
from dlms.enums import (
    AcseServiceUserDiagnostic,
    ActionResult,
    ApduTag,
    AssociationResult,
    DataAccessResult,
    DataTag,
    Mechanism,
)
from dlms.errors import DlmsError, LocalError, ProtocolError, SecurityError
from dlms.framing.framing import Framing, LinkLost, WrapperPdu
from dlms.obis import Obis
from dlms.security import ReceiveCounter, SendCounter
from dlms.security.hls import check_challenge
from dlms.transitions import next_state

CONFIRMED_HIGH_PRIORITY = 0xC0
INVOKE_ID_MASK = 0x0F
REPLY_TO_HLS_AUTHENTICATION = MethodDescriptor(15, Obis(bytes((0, 0, 40, 0, 0, 255))), 1)

ServiceRequest = Get | Set | Action
ServiceResponse = GetResponseNormal | GetResponseWithDataBlock | SetResponseNormal | ActionResponseNormal
RESPONSES = (GetResponseNormal, GetResponseWithDataBlock, SetResponseNormal, ActionResponseNormal)
ANSWERS: dict[type[ServiceRequest], tuple[type[ServiceResponse], ...]] = {
    Get: (GetResponseNormal, GetResponseWithDataBlock),
    Set: (SetResponseNormal,),
    Action: (ActionResponseNormal,),
}


@dataclass(slots=True)
class _Pending:
    """The request that waits for its answer."""

    request: ServiceRequest
    invoke_id_and_priority: int
    form: Form
    blocks: IncomingBlocks = field(default_factory=IncomingBlocks)


class ClientConnection(Connection):
    """One client association. `challenge` (HLS) and `dedicated_key` have to be fresh random octets of the caller's.

    `receive_counter` remembers over connections what the server has used; without it freshness rests on HLS alone.
    `framing` is how APDUs travel: the wrapper when none is given.
    """

    def __init__(
        self,
        settings: ClientSettings,
        *,
        challenge: bytes = b"",
        send_counter: SendCounter | None = None,
        receive_counter: ReceiveCounter | None = None,
        dedicated_key: bytes | None = None,
        framing: Framing | None = None,
    ) -> None:
        super().__init__(framing)
        if settings.mechanism is Mechanism.GMAC:
            check_challenge(challenge)
        self.state = ClientState.IDLE
        self._settings = settings
        self._challenge = challenge
        self._dedicated_key = dedicated_key
        self._protection = _protection(settings, send_counter, receive_counter)
        if dedicated_key is not None:
            _check_dedicated_key(settings.security, dedicated_key)
        self._proposal = Proposal(settings, self._protection, challenge, dedicated_key)
        self._challenge_spent = False
        self._server_challenge = b""
        self._invoke_id = 0
        self._pending: _Pending | None = None
        self._opened: Opened | None = None

    @property
    def closed(self) -> bool:
        return self.state is ClientState.CLOSED

    # --- sending

    def send(self, request: Request) -> bytes:
        """Framed octets of a request; LocalError, with nothing changed, when it has no place now."""
        if isinstance(request, Open):
            return self._open()
        if isinstance(request, Release):
            following = self._after(ClientEvent.SEND_RELEASE)
            octets = self._framed(self._proposal.rlrq())
            self.state = following
            return octets
        following = self._after(ClientEvent.SEND_REQUEST)
        pending = self._new_pending(request, self._form())
        octets = self._framed(self._protect(_encode_request(pending), pending.form))
        self._pending, self.state = pending, following
        return octets

    def abandon(self) -> None:
        """Wait no longer for the open request; its answer will be dropped when it still comes."""
        self._move(ClientEvent.SEND_ABANDON)
        self._pending = None

    def _open(self) -> bytes:
        following = self._after(ClientEvent.SEND_OPEN)
        if self._challenge_spent:
            raise LocalError("the challenge of this connection is spent: open another connection with a new one")
        octets = self._framed(self._proposal.aarq())
        self._challenge_spent = self._settings.mechanism is Mechanism.GMAC or self._dedicated_key is not None
        self.state = following
        return octets

    def _new_pending(self, request: ServiceRequest, form: Form) -> _Pending:
        self._invoke_id = self._invoke_id % INVOKE_ID_MASK + 1
        return _Pending(request, CONFIRMED_HIGH_PRIORITY | self._invoke_id, form)

    def _form(self) -> Form:
        return PLAIN if self._protection is None else self._protection.form()

    def _protect(self, plaintext: bytes, form: Form) -> bytes:
        octets = plaintext if self._protection is None else self._protection.protect(plaintext, form)
        limit = self._opened.server_max_receive_pdu_size if self._opened is not None else 0
        if limit and len(octets) > limit:
            raise LocalError(f"the server takes {limit} octets at most, the request has {len(octets)}")
        return octets

    def _framed(self, octets: bytes) -> bytes:
        return self._framing.encode(WrapperPdu(self._settings.client_wport, self._settings.server_wport, octets))

    # --- receiving

    def next_event(self) -> ClientOutput | None:
        """What the octets so far mean; None: more octets are needed. RemoteError closes the connection."""
        if self.closed:
            return None
        try:
            while (pdu := self._framing.next_pdu()) is not None:
                event = self._receive(pdu)
                if event is not None:
                    return event
        except DlmsError:
            self._move(ClientEvent.BREACH)
            self._pending = None
            self._outbox.clear()
            raise
        return None

    def _receive(self, pdu: WrapperPdu | LinkLost) -> ClientOutput | None:
        if isinstance(pdu, LinkLost):
            raise ProtocolError(pdu.reason)
        ours = (pdu.source, pdu.destination) == (self._settings.server_wport, self._settings.client_wport)
        if not ours and pdu.apdu[0] != ApduTag.DATA_NOTIFICATION:
            return None
        message = apdu.decode(pdu.apdu)
        if isinstance(message, Aare):
            return self._receive_aare(message)
        if isinstance(message, Rlre):
            following = self._after(ClientEvent.RELEASED)
            self._proposal.release_holds(message.user_information)
            self.state, self._opened = following, None
            return Released()
        if isinstance(message, ExceptionResponse | ConfirmedServiceError):
            return self._receive_fault(message)
        return self._receive_service(self._lift(message))

    def _lift(self, message: Apdu) -> Verified:
        """Take the protection off; what comes without it is refused, save a notification, which says so."""
        ciphered = self._protection is not None and self._protection.security.ciphered
        if isinstance(message, CIPHERED):
            if self._protection is None or not ciphered:
                raise SecurityError("a ciphered APDU in an association without ciphering")
            return self._protection.unprotect(message)
        if ciphered and not isinstance(message, DataNotification | EventNotificationRequest):
            raise SecurityError("the server answers in clear in a ciphered association")
        return Verified(message, PLAIN)

    def _receive_service(self, verified: Verified) -> ClientOutput | None:
        message = verified.apdu
        if isinstance(message, DataNotification):
            self._move(ClientEvent.NOTIFICATION)
            return Notified(message, protected=verified.form.wrapping is not Wrapping.PLAIN)
        if isinstance(message, EventNotificationRequest):
            return None
        if isinstance(message, ExceptionResponse | ConfirmedServiceError):
            return self._receive_fault(message)
        if not isinstance(message, RESPONSES):
            raise ProtocolError(f"a server does not send {type(message).__name__}")
        pending = self._pending
        if pending is None or (message.invoke_id_and_priority ^ pending.invoke_id_and_priority) & INVOKE_ID_MASK:
            return None
        if not isinstance(message, ANSWERS[type(pending.request)]):
            raise ProtocolError(f"{type(message).__name__} answers {type(pending.request).__name__}")
        return self._receive_response(pending, message)

    def _receive_response(self, pending: _Pending, message: ServiceResponse) -> ClientOutput | None:
        if isinstance(message, GetResponseWithDataBlock):
            return self._receive_block(pending, message)
        if self.state is ClientState.PROVING:
            return self._receive_proof(message)
        self._move(ClientEvent.RESPONSE)
        self._pending = None
        if isinstance(message, GetResponseNormal):
            return _get_result(message.result)
        if isinstance(message, SetResponseNormal):
            return SetResult(message.result)
        returned = message.return_parameters
        return ActionOutcome(message.result, None if isinstance(returned, DataAccessResult) else returned)

    def _receive_block(self, pending: _Pending, block: GetResponseWithDataBlock) -> GetResult | None:
        if pending.blocks.repeats(block):
            return None
        refused = pending.blocks.take(block)
        if refused is None and not block.last_block:
            self._move(ClientEvent.BLOCK)
            following = GetRequestNext(pending.invoke_id_and_priority, block.block_number)
            self._outbox.append(self._framed(self._protect(apdu.encode(following), pending.form)))
            return None
        self._move(ClientEvent.LAST_BLOCK)
        self._pending = None
        return _get_result(data.decode(pending.blocks.result()) if refused is None else refused)

    def _receive_fault(self, fault: ExceptionResponse | ConfirmedServiceError) -> PeerFault:
        self._move(ClientEvent.FAULT)
        self._pending = None
        if self.state is ClientState.IDLE:
            self._opened = None
        return PeerFault(fault, fault.reason)

    # --- opening

    def _receive_aare(self, aare: Aare) -> ClientOutput | None:
        if not accepts(aare):
            self._move(ClientEvent.REJECTED)
            return OpenRefused(aare.result, aare.diagnostic.code, refusal_reason(aare))
        self._after(ClientEvent.ACCEPTED)
        initiate, challenge = self._proposal.judge(aare)
        title = None if self._protection is None else self._protection.peer_title
        conformance = initiate.conformance & self._settings.conformance
        opened = Opened(conformance, initiate.server_max_receive_pdu_size, title)
        if challenge is None:
            return self._be_open(ClientEvent.ACCEPTED, opened)
        self._send_proof(challenge, opened)
        return None

    def _send_proof(self, challenge: bytes, opened: Opened) -> None:
        if self._protection is None:
            raise ProtocolError("a proof without keys")
        proof = Action(REPLY_TO_HLS_AUTHENTICATION, data.octet_string(self._protection.prove(challenge)))
        pending = self._new_pending(proof, self._form())
        self._outbox.append(self._framed(self._protect(_encode_request(pending), pending.form)))
        self._move(ClientEvent.PROOF_WANTED)
        self._pending, self._opened = pending, opened

    def _receive_proof(self, message: ServiceResponse) -> Opened | OpenRefused:
        self._pending = None
        opened, self._opened = self._opened, None
        if not isinstance(message, ActionResponseNormal) or opened is None or self._protection is None:
            raise ProtocolError("the answer to our proof is none")
        if message.result is not ActionResult.SUCCESS:
            self._move(ClientEvent.PROOF_REFUSED)
            reason = "the server did not accept our proof of the keys"
            code = AcseServiceUserDiagnostic.AUTHENTICATION_FAILURE
            return OpenRefused(AssociationResult.REJECTED_PERMANENT, code, reason)
        if not self._protection.peer_proved(self._challenge, _octets(message.return_parameters)):
            raise SecurityError("the server did not prove that it knows the keys")
        return self._be_open(ClientEvent.PROVED, opened)

    def _be_open(self, event: ClientEvent, opened: Opened) -> Opened:
        self._move(event)
        self._opened = opened
        if self._protection is not None:
            self._protection.dedicate(self._dedicated_key)
        return opened

    # --- the table

    def _after(self, event: ClientEvent) -> ClientState:
        return next_state(CLIENT_TABLE, self.state, event)

    def _move(self, event: ClientEvent) -> None:
        self.state = self._after(event)


def _protection(
    settings: ClientSettings, send_counter: SendCounter | None, receive_counter: ReceiveCounter | None
) -> Protection | None:
    if settings.security is None:
        return None
    if send_counter is None:
        raise LocalError("an association with keys needs a send counter")
    return Protection(settings.security, send_counter, receive_counter or ReceiveCounter())


def _check_dedicated_key(security: Security | None, key: bytes) -> None:
    if security is None or not security.ciphered:
        raise LocalError("a dedicated key needs an association with ciphering")
    if len(key) != len(security.keys.encryption_key):
        raise LocalError(f"a dedicated key of {len(key)} octets does not fit the suite")


def _encode_request(pending: _Pending) -> bytes:
    request, invoke = pending.request, pending.invoke_id_and_priority
    if isinstance(request, Get):
        return apdu.encode(GetRequestNormal(invoke, request.descriptor, request.selection))
    if isinstance(request, Set):
        return apdu.encode(SetRequestNormal(invoke, request.descriptor, request.selection, request.value))
    return apdu.encode(ActionRequestNormal(invoke, request.descriptor, request.parameters))


def _get_result(result: Data | DataAccessResult) -> GetResult:
    if isinstance(result, DataAccessResult):
        return GetResult(None, result)
    return GetResult(result, DataAccessResult.SUCCESS)


def _octets(returned: Data | DataAccessResult | None) -> bytes:
    """The octet-string of a method's answer; empty when it is anything else, which proves nothing."""
    if isinstance(returned, Data) and returned.tag is DataTag.OCTET_STRING and isinstance(returned.value, bytes):
        return returned.value
    return b""
