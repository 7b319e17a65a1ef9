"""The client's side of one association over one transport connection, without I/O (Green Book 9.3, 9.4).

`send` gives the octets of a request, `receive_data` takes octets, `next_event` says what they meant, and `data_to_send`
holds what the protocol itself answers: the proof of HLS and the request for the next block. One request is open at a time;
answers to another invoke-id are dropped, and `discarded` says so. After a SecurityError or ProtocolError the connection is
closed for good.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from struct import error as StructError

from ami_dlms import apdu
from ami_dlms.apdu import Apdu
from ami_dlms.apdu.acse import Aare, Rlre
from ami_dlms.apdu.blocks import ABORT, GeneralBlockTransfer
from ami_dlms.apdu.faults import ConfirmedServiceError, ExceptionResponse
from ami_dlms.apdu.notify import DataNotification, DataNotificationConfirm, EventNotificationRequest
from ami_dlms.apdu.short_names import InformationReportRequest
from ami_dlms.apdu.shortcuts import REQUEST_SIZE, request_for, value_in
from ami_dlms.association.authentication import Authentication
from ami_dlms.association.connection import Connection
from ami_dlms.association.envelope import MARGIN
from ami_dlms.association.events import (
    Access,
    Cause,
    ClientOutput,
    Confirm,
    Discarded,
    EventNotified,
    Get,
    GetResult,
    InformationReported,
    Notified,
    Open,
    Opened,
    OpenRefused,
    PeerFault,
    Release,
    Released,
    Request,
    Unconfirmed,
)
from ami_dlms.association.exchange import SEND_REQUEST, SUCCESS, Exchange, Limits, Next, Step, invoke_of
from ami_dlms.association.exchanges import PlainGetExchange
from ami_dlms.association.forms import PLAIN, Form, Wrapping, largest_plaintext
from ami_dlms.association.general_blocks import GeneralTransfer, OneWayBlocks
from ami_dlms.association.proposal import Proposal, accepts, check_dedicated_key, refusal_reason
from ami_dlms.association.protection import Ordinary, Protection, Verified, lift
from ami_dlms.association.settings import MAX_OCTETS_BEFORE_OPEN, MAX_REQUEST_OCTETS, ClientSettings
from ami_dlms.association.starting import SERVICE_RESPONSES, ServiceRequest, proof_of, start, start_proof, unconfirmed
from ami_dlms.association.states import CLIENT_TABLE, ClientEvent, ClientState
from ami_dlms.cosem.short_names import ShortNames
from ami_dlms.enums import AcseServiceUserDiagnostic, ApduTag, AssociationResult, Conformance
from ami_dlms.errors import DlmsError, LinkError, LocalError, ProtocolError, SecurityError
from ami_dlms.framing.framing import Framing, LinkLost, WrapperPdu
from ami_dlms.security import ReceiveCounter, SendCounter
from ami_dlms.security.hls import HLS, check_challenge
from ami_dlms.transitions import next_state

UNLIMITED = 2**31
MOST_DISCARDED = 8
CLOSED, PROVING, OPEN = ClientState.CLOSED, ClientState.PROVING, ClientState.OPEN
OPENING = (ClientState.OPENING, PROVING)
PROTECTION_OCTETS = 256  # what a service and its protection add to a value, be it signed
ASKED = CLIENT_TABLE[OPEN, ClientEvent.SEND_REQUEST]


class ClientConnection(Connection):
    """One client association. `challenge` (HLS) and `dedicated_key` have to be fresh random octets of the caller's.

    `receive_counter` remembers over connections what the server has used; without it freshness rests on HLS alone.
    `framing` is how APDUs travel: the wrapper when none is given. `discarded` keeps the last APDUs that came and had no
    effect since the last request: when no answer comes they may say why.
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
        if settings.mechanism in HLS:
            check_challenge(challenge, settings.mechanism)
        self.state = ClientState.IDLE
        self.discarded: deque[Discarded] = deque(maxlen=MOST_DISCARDED)
        self._settings = settings
        self._from_server = (settings.server_wport, settings.client_wport)
        self._challenge = challenge
        self._dedicated_key = dedicated_key
        self._protection = _protection(settings, send_counter, receive_counter)
        self._authentication = Authentication(settings, self._protection)
        if dedicated_key is not None:
            check_dedicated_key(settings.security, dedicated_key)
        self._proposal = Proposal(settings, self._protection, challenge, dedicated_key)
        self._challenge_spent = False
        self._server_challenge = b""
        self._invoke_id = 0
        self._pending: Exchange | None = None
        self._general: GeneralTransfer | None = None
        self._pushed = OneWayBlocks(min(settings.max_result_octets, MAX_REQUEST_OCTETS))
        self._pending_form = PLAIN
        self._most = settings.max_result_octets
        self._unsuspicious = min(MAX_OCTETS_BEFORE_OPEN, self._most)  # octets of an APDU that fits in every state
        self._opened: Opened | None = None
        self._ordinary: Ordinary | None = None
        if settings.pre_established is not None:
            peer_limit = settings.pre_established.peer_max_receive_pdu_size
            title = None if self._protection is None else self._protection.peer_title
            self.state, self._opened = OPEN, Opened(settings.conformance, peer_limit, title)
            self._ordinary = self._ordinary_requests(self._opened)

    @property
    def closed(self) -> bool:
        return self.state is CLOSED

    # --- sending

    def send(self, request: Request) -> bytes:
        """Framed octets of a request; LocalError, with nothing changed, when it has no place now."""
        if self.discarded:
            self.discarded.clear()
        if type(request) is Get and (octets := self._get_quickly(request)) is not None:
            return octets
        if isinstance(request, Open):
            return self._open()
        if isinstance(request, Release):
            if self._settings.pre_established is not None:
                raise LocalError("a pre-established association is not released")
            following = self._after(ClientEvent.SEND_RELEASE)
            octets = self._framed(self._proposal.rlrq())
            self.state = following
            return octets
        if isinstance(request, Unconfirmed | Confirm):
            return self._send_once(request)
        following = self._after(SEND_REQUEST)
        form = self._form(general=isinstance(request, Access))
        exchange = self._start(request, self._limits(form))
        exchange.most = self._most
        if exchange.event is not SEND_REQUEST:
            following = self._after(exchange.event)
        general, parts = self._cut(self._protect(exchange.first, form))
        self._pending, self._pending_form, self._general, self.state = exchange, form, general, following
        return self._framed(*parts)

    def _get_quickly(self, request: Get) -> bytes | None:
        """A plain GET in an ordinary frame; None: nothing has changed, and the general road decides."""
        ordinary = self._ordinary
        if ordinary is None or request.selection is not None or self.state is not OPEN:
            return None
        invoke = invoke_of(self._invoke_id + 1, high_priority=self._settings.high_priority)
        try:
            plaintext = request_for(invoke, request.descriptor)
        except StructError:
            return None
        octets = ordinary.seal(plaintext)
        self._invoke_id += 1
        exchange = PlainGetExchange(invoke, plaintext)
        exchange.most = self._most
        self._pending, self._pending_form, self._general = exchange, ordinary.form, None
        self.state = ASKED
        return self._framing.encode(self._settings.client_wport, self._settings.server_wport, octets)

    def _send_once(self, request: Unconfirmed | Confirm) -> bytes:
        """What nobody answers: it has to fit one APDU."""
        if isinstance(request, Confirm):
            self._after(ClientEvent.SEND_CONFIRMATION)
            form = self._form(general=True)
            told = DataNotificationConfirm(request.notification.long_invoke_id_and_priority, request.date_time)
            octets = apdu.encode(told)
        else:
            self._after(ClientEvent.SEND_UNCONFIRMED)
            form = self._form(general=isinstance(request.request, Access))
            names, limits = self._settings.short_names, self._limits(form)
            octets = unconfirmed(request.request, self._invoke_id + 1, limits, names)
            self._invoke_id += 1
        general, parts = self._cut(self._protect(octets, form))
        if general is not None:
            raise LocalError("a request that nobody answers has to fit one APDU")
        return self._framed(*parts)

    def learn(self, names: ShortNames) -> None:
        """Name objects by these from now on: what the meter's object_list says; LocalError with logical names."""
        if self._settings.short_names is None:
            raise LocalError("this association names objects by logical names")
        self._settings = replace(self._settings, short_names=names)

    def abandon(self) -> bytes:
        """Wait no longer for the open request; octets that give up a general block transfer under way, otherwise none.

        An answer that still comes will be dropped. With short names answers have no invoke id, so a late one could not be told from the next: LocalError.
        """
        if self._settings.short_names is not None:
            raise LocalError("without invoke ids a late answer can't be told from the next one: close the connection")
        self._move(ClientEvent.SEND_ABANDON)
        under_way, self._pending, self._general = self._general, None, None
        return b"" if under_way is None else self._framed(apdu.encode(ABORT))

    def timeout(self) -> bytes:
        """Octets to send when the answer is late: what a general block transfer repeats, otherwise none."""
        if self._pending is None or self._general is None:
            return b""
        return self._framed(*self._general.timeout())

    def _open(self) -> bytes:
        following = self._after(ClientEvent.SEND_OPEN)
        if self._challenge_spent:
            raise LocalError("the challenge of this connection is spent: open another connection with a new one")
        octets = self._framed(self._proposal.aarq())
        self._challenge_spent = self._settings.mechanism in HLS or self._dedicated_key is not None
        self.state = following
        return octets

    def _start(self, request: ServiceRequest, limits: Limits) -> Exchange:
        exchange = start(request, self._invoke_id + 1, limits, self._settings.short_names)
        self._invoke_id += 1
        return exchange

    def _limits(self, form: Form) -> Limits:
        opened = self._opened
        if opened is None:
            return Limits(UNLIMITED, Conformance(0), self._settings.high_priority)
        limit = opened.server_max_receive_pdu_size
        room = largest_plaintext(limit, form) if limit else UNLIMITED
        return Limits(room, opened.conformance, self._settings.high_priority)

    def _form(self, *, general: bool = False) -> Form:
        if self._protection is None:
            return PLAIN
        return self._protection.general_form() if general else self._protection.usual_form

    def _protect(self, plaintext: bytes, form: Form) -> bytes:
        return plaintext if self._protection is None else self._protection.protect(plaintext, form)

    def _cut(self, octets: bytes) -> tuple[GeneralTransfer | None, tuple[bytes, ...]]:
        """A request as the server takes it: as it is, or in blocks of a general block transfer."""
        opened = self._opened
        limit = 0 if opened is None else opened.server_max_receive_pdu_size
        if opened is None or not limit or len(octets) <= limit:
            return None, (octets,)
        if not opened.conformance & Conformance.GENERAL_BLOCK_TRANSFER:
            raise LocalError(f"the server takes {limit} octets at most, the request has {len(octets)}")
        most = self._most + PROTECTION_OCTETS
        general = GeneralTransfer(client=True, window=self._settings.block_window, room=limit, limit=most)
        return general, general.send(octets)

    def _framed(self, *apdus: bytes) -> bytes:
        return self._framing.encode(self._settings.client_wport, self._settings.server_wport, *apdus)

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
            raise LinkError(pdu.reason)
        octets = pdu.apdu
        if pdu[:2] != self._from_server and not self._is_taken_from_there(pdu):
            return None
        if len(octets) > self._unsuspicious and octets[0] != ApduTag.DATA_NOTIFICATION:
            self._check_length(len(octets))
        ordinary = None if self._protection is None else self._protection.ordinary
        if ordinary is not None and (plaintext := ordinary.open(octets)) is not None:
            return self._receive_quickly(plaintext, ordinary.answer_form)
        message: Apdu | None = apdu.decode(octets)
        if isinstance(message, GeneralBlockTransfer):
            message = self._join(message)
        if message is None:
            return None
        if isinstance(message, Aare):
            return self._receive_aare(message)
        if isinstance(message, Rlre):
            following = self._after(ClientEvent.RELEASED)
            self._proposal.release_holds(message.user_information)
            self.state, self._opened = following, None
            return Released()
        if isinstance(message, ExceptionResponse | ConfirmedServiceError | GeneralBlockTransfer):
            return self._receive_fault(message)
        return self._receive_service(self._lift(message))

    def _is_taken_from_there(self, pdu: WrapperPdu) -> bool:
        """Whether an APDU counts although its addresses are not those of the association."""
        if self._settings.any_address or pdu.apdu[0] == ApduTag.DATA_NOTIFICATION:
            return True
        server, client = self._from_server
        there = f"from {pdu.source} to {pdu.destination}, and not from {server} to {client}"
        self._discard(f"an answer came {there}", Cause.ADDRESS)
        return False

    def _discard(self, reason: str, cause: Cause = Cause.OTHER) -> None:
        self.discarded.append(Discarded(reason, cause))

    def _check_length(self, length: int) -> None:
        """ProtocolError for an APDU that is longer than its peer may send in this state."""
        most = MAX_OCTETS_BEFORE_OPEN if self.state in OPENING else self._most + PROTECTION_OCTETS
        if length > most:
            raise ProtocolError(f"an APDU of {length} octets, {most} are the most here")

    def _receive_quickly(self, plaintext: bytes, form: Form) -> ClientOutput | None:
        """What an ordinary frame holds; the value of a plain GET straight from its octets."""
        exchange = self._pending
        if type(exchange) is PlainGetExchange and self.state is ASKED and exchange.answered_by(plaintext):
            value = value_in(plaintext)
            if value is not None:
                self.state, self._pending = OPEN, None
                return GetResult(value, SUCCESS)
        return self._receive_service(Verified(apdu.decode(plaintext), form))

    def _join(self, block: GeneralBlockTransfer) -> Apdu | None:
        """The APDU whose last block this is: an answer, or a push in blocks that nobody confirms."""
        if block.aborts:
            if self._pending is None or self._general is None:
                self._discard("the end of a general block transfer that is not under way", Cause.NOTHING_ASKED)
                return None
            return block
        control = block.block_control
        unasked = control.streaming and not control.window
        if self._general is None and (self._pending is None or unasked):
            whole = self._pushed.take(block) if unasked else None
        else:
            whole = self._join_answer(block)
        if whole is None:
            return None
        message = apdu.decode(whole)
        if isinstance(message, GeneralBlockTransfer):
            raise ProtocolError("blocks inside blocks")
        return message

    def _join_answer(self, block: GeneralBlockTransfer) -> bytes | None:
        opened = self._opened
        if opened is None or not opened.conformance & Conformance.GENERAL_BLOCK_TRANSFER:
            raise ProtocolError("general block transfer was not negotiated")
        if self._general is None:
            room = opened.server_max_receive_pdu_size
            most = MAX_OCTETS_BEFORE_OPEN if self.state is PROVING else self._most + PROTECTION_OCTETS
            self._general = GeneralTransfer(client=True, window=self._settings.block_window, room=room, limit=most)
        step = self._general.receive(block)
        self._outbox.append(self._framed(*step.to_send))
        return step.whole

    def _lift(self, message: Apdu) -> Verified:
        """Take the protection off; what comes without it is refused, save a notification, which says so."""
        if isinstance(message, DataNotification | EventNotificationRequest | InformationReportRequest):
            return Verified(message, PLAIN)
        return lift(self._protection, message)

    def _receive_service(self, verified: Verified) -> ClientOutput | None:
        message = verified.apdu
        if type(message) not in SERVICE_RESPONSES:
            return self._receive_unasked(message, verified.form)
        exchange = self._pending
        if exchange is None or not (exchange.concerns(message) or self._is_taken_anyway(exchange, message)):
            self._discard_answer(exchange, message)
            return None
        if self.state is PROVING:
            return self._receive_proof(message)
        return self._take(exchange.receive(message))

    def _is_taken_anyway(self, exchange: Exchange, message: Apdu) -> bool:
        return self._settings.any_invoke_id and isinstance(message, exchange.answers)

    def _discard_answer(self, exchange: Exchange | None, message: Apdu) -> None:
        if exchange is None:
            self._discard(f"{type(message).__name__} came, and nothing was asked", Cause.NOTHING_ASKED)
            return
        told, asked = exchange.invoke_ids(message)
        if told is None:
            self._discard(f"{type(message).__name__} came, which answers another service")
        else:
            self._discard(f"an answer came under invoke id {told}, {asked} was asked", Cause.INVOKE_ID)

    def _receive_unasked(self, message: Apdu, form: Form) -> ClientOutput | None:
        if isinstance(message, DataNotification | EventNotificationRequest | InformationReportRequest):
            return self._receive_notification(message, protected=form.wrapping is not Wrapping.PLAIN)
        if isinstance(message, ExceptionResponse | ConfirmedServiceError):
            return self._receive_fault(message)
        raise ProtocolError(f"a server does not send {type(message).__name__}")

    def _receive_notification(
        self, message: DataNotification | EventNotificationRequest | InformationReportRequest, *, protected: bool
    ) -> Notified | EventNotified | InformationReported | None:
        """Pushes are always taken; the other two where the association agreed to them."""
        agreed = Conformance(0) if self._opened is None else self._opened.conformance
        if isinstance(message, EventNotificationRequest) and not agreed & Conformance.EVENT_NOTIFICATION:
            self._discard("an event notification came, which was not agreed", Cause.NOT_AGREED)
            return None
        if isinstance(message, InformationReportRequest) and not agreed & Conformance.INFORMATION_REPORT:
            self._discard("an information report came, which was not agreed", Cause.NOT_AGREED)
            return None
        self._move(ClientEvent.NOTIFICATION)
        if isinstance(message, DataNotification):
            return Notified(message, protected)
        if isinstance(message, EventNotificationRequest):
            return EventNotified(message, protected)
        return InformationReported(message, protected)

    def _take(self, step: Step) -> ClientOutput | None:
        if step is None:
            return None
        self._move(step.event)
        if isinstance(step, Next):
            self._outbox.append(self._framed(self._protect(step.octets, self._pending_form)))
            return None
        self._pending = None
        return step.outcome

    def _receive_fault(self, fault: ExceptionResponse | ConfirmedServiceError | GeneralBlockTransfer) -> PeerFault:
        self._move(ClientEvent.FAULT)
        self._pending = self._general = None
        if self.state is ClientState.IDLE:
            self._opened = None
        return PeerFault(fault, fault.reason)

    # --- opening

    def _receive_aare(self, aare: Aare) -> ClientOutput | None:
        if not accepts(aare):
            self._move(ClientEvent.REJECTED)
            diagnostic = aare.diagnostic
            return OpenRefused(aare.result, diagnostic.code, refusal_reason(aare), diagnostic.source)
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
        proof = self._authentication.prove(challenge, self._challenge)
        form = self._form()
        self._invoke_id += 1
        exchange = start_proof(proof, self._invoke_id, self._limits(form), self._settings.short_names)
        self._outbox.append(self._framed(self._protect(exchange.first, form)))
        self._move(ClientEvent.PROOF_WANTED)
        self._pending, self._opened, self._server_challenge = exchange, opened, challenge

    def _receive_proof(self, message: Apdu) -> Opened | OpenRefused:
        self._pending = None
        opened, self._opened = self._opened, None
        proof = proof_of(message)
        if opened is None:
            raise ProtocolError("an answer to a proof that was never sent")
        if proof is None:
            self._move(ClientEvent.PROOF_REFUSED)
            reason = "the server did not accept our proof of the keys"
            code = AcseServiceUserDiagnostic.AUTHENTICATION_FAILURE
            return OpenRefused(AssociationResult.REJECTED_PERMANENT, code, reason)
        if not self._authentication.peer_proved(self._challenge, self._server_challenge, proof):
            raise SecurityError("the server did not prove that it knows the keys")
        return self._be_open(ClientEvent.PROVED, opened)

    def _be_open(self, event: ClientEvent, opened: Opened) -> Opened:
        self._move(event)
        self._opened = opened
        if self._protection is not None:
            self._protection.dedicate(self._dedicated_key)
        self._ordinary = self._ordinary_requests(opened)
        return opened

    def _ordinary_requests(self, opened: Opened) -> Ordinary | None:
        """How plain requests go by the quick road: none does where they look different, or hardly fit."""
        limit = opened.server_max_receive_pdu_size or UNLIMITED
        ordinary = None if self._protection is None else self._protection.ordinary
        if ordinary is None or self._settings.short_names is not None or limit < REQUEST_SIZE + MARGIN:
            return None
        return ordinary if ordinary.form == self._form() else None

    # --- the table

    def _after(self, event: ClientEvent) -> ClientState:
        return next_state(CLIENT_TABLE, self.state, event)

    def _move(self, event: ClientEvent) -> None:
        self.state = next_state(CLIENT_TABLE, self.state, event)


def _protection(
    settings: ClientSettings, send_counter: SendCounter | None, receive_counter: ReceiveCounter | None
) -> Protection | None:
    if settings.security is None:
        return None
    if send_counter is None:
        raise LocalError("an association with keys needs a send counter")
    return Protection(settings.security, send_counter, receive_counter or ReceiveCounter())
