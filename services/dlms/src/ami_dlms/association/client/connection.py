"""The client's side of one association over one transport connection, without I/O (Green Book 9.3, 9.4).

`send` gives the octets of a request, `receive_data` takes octets, `next_event` says what they meant, and `data_to_send`
holds what the protocol itself answers: the proof of HLS and the request for the next block. One request is pending at a
time; answers to another invoke-id are dropped, and `discarded` says so. After a SecurityError or ProtocolError the
connection is closed for good.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace

from ami_dlms import apdu
from ami_dlms.apdu import Apdu
from ami_dlms.apdu.acse import Aare, Rlre
from ami_dlms.apdu.blocks import GeneralBlockTransfer
from ami_dlms.apdu.faults import ConfirmedServiceError, ExceptionResponse
from ami_dlms.apdu.notify import DataNotificationConfirm
from ami_dlms.association.client.dispatch import SERVICE_RESPONSES, proof_of, start, start_proof, unconfirmed
from ami_dlms.association.client.exchange import Exchange, ExchangeLimits, Next, Step
from ami_dlms.association.client.fast_path import FastPath, fast_path, result_in
from ami_dlms.association.client.general_block_transfer import PROTECTION_OCTETS, ClientTransfers
from ami_dlms.association.client.opening import Opening, accepts, pre_established, protection_of, refusal
from ami_dlms.association.client.unsolicited import not_agreed, not_pending, notified, other_address
from ami_dlms.association.connection import Connection
from ami_dlms.association.events import (
    UNSOLICITED,
    Access,
    Cause,
    ClientOutput,
    Confirm,
    Discarded,
    Get,
    Open,
    Opened,
    OpenRefused,
    PeerFault,
    Release,
    Released,
    Request,
    Unconfirmed,
)
from ami_dlms.association.protection.apdu_protection import PLAIN, ApduProtection, largest_plaintext
from ami_dlms.association.protection.association_protection import Verified, verify
from ami_dlms.association.settings import MAX_OCTETS_BEFORE_OPEN, ClientSettings
from ami_dlms.association.states import CLIENT_TABLE, ClientEvent, ClientState
from ami_dlms.cosem.short_names import ShortNames
from ami_dlms.enums import AcseServiceUserDiagnostic, ApduTag, AssociationResult, Conformance
from ami_dlms.errors import DlmsError, LinkError, LocalError, ProtocolError
from ami_dlms.framing.framing import Framing, LinkLost, WrapperPdu
from ami_dlms.security import ReceiveCounter, SendCounter
from ami_dlms.transitions import next_state

UNLIMITED = 2**31
MOST_DISCARDED = 8
NOTHING_AGREED = Conformance(0)
CLOSED, PROVING, OPEN = ClientState.CLOSED, ClientState.PROVING, ClientState.OPEN
OPENING = (ClientState.OPENING, PROVING)
SEND_REQUEST, RESPONSE = ClientEvent.SEND_REQUEST, ClientEvent.RESPONSE


class ClientConnection(Connection):
    """One client association. `challenge` (HLS) and `dedicated_key` have to be fresh random octets of the caller's.

    `receive_counter` remembers over connections what the server has used; without it freshness rests on HLS alone.
    `framing` is how APDUs travel: the wrapper when none is given. `discarded` keeps the last APDUs that came and had no
    effect since the last request: when no answer comes they may say why. `clear` is told what each protected APDU holds, and
    whether it is one that goes: before the octets are framed, or after those that came were found genuine. Of an AARQ or AARE, RLRQ
    or RLRE it is the APDU in its user-information.
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
        clear: Callable[[bytes, bool], None] | None = None,
    ) -> None:
        super().__init__(framing)
        self.state = ClientState.IDLE
        self._clear = clear
        self.discarded: deque[Discarded] = deque(maxlen=MOST_DISCARDED)
        self._settings = settings
        self._from_server = (settings.server_wport, settings.client_wport)
        self._protection = protection_of(settings, send_counter, receive_counter)
        self._opening = Opening(settings, self._protection, challenge, dedicated_key, clear)
        self._invoke_id = 0
        self._pending: Exchange | None = None
        self._pending_protection = PLAIN
        self._transfers = ClientTransfers(settings)
        self._most = settings.max_result_octets
        self._unsuspicious = min(MAX_OCTETS_BEFORE_OPEN, self._most)  # octets of an APDU that fits in every state
        self._opened = pre_established(settings, self._protection)
        self._fast: FastPath | None = None
        if self._opened is not None:
            self.state = OPEN
            self._choose_fast_path(self._opened)

    @property
    def closed(self) -> bool:
        return self.state is CLOSED

    # --- sending

    def send(self, request: Request) -> bytes:
        """Framed octets of a request; LocalError, with nothing changed, when it has no place now."""
        if self.discarded:
            self.discarded.clear()
        if type(request) is Get and (octets := self._send_fast(request)) is not None:
            return octets
        if isinstance(request, Open):
            following = self._after(ClientEvent.SEND_OPEN)
            return self._framed_and_moved(self._opening.request(), following)
        if isinstance(request, Release):
            if self._settings.pre_established is not None:
                raise LocalError("a pre-established association is not released")
            following = self._after(ClientEvent.SEND_RELEASE)
            return self._framed_and_moved(self._opening.rlrq(), following)
        if isinstance(request, Unconfirmed | Confirm):
            return self._send_once(request)
        following = self._after(SEND_REQUEST)
        protection = self._own_protection(general=isinstance(request, Access))
        exchange = start(request, self._invoke_id + 1, self._limits(protection), self._settings.short_names)
        self._invoke_id += 1
        if exchange.event is not SEND_REQUEST:
            following = self._after(exchange.event)
        transfer, parts = self._transfers.cut(self._protect(exchange.first, protection), self._opened)
        exchange.most = self._most
        self._transfers.under_way = transfer
        self._pending, self._pending_protection, self.state = exchange, protection, following
        return self._framed(*parts)

    def _send_fast(self, request: Get) -> bytes | None:
        """A plain GET in a frame of the fast path; None: nothing has changed, and the general path decides."""
        fast, following = self._fast, CLIENT_TABLE.get((self.state, SEND_REQUEST))
        if fast is None or following is None:
            return None
        exchange = fast.get(request, self._invoke_id + 1)
        if exchange is None:
            return None
        if self._clear is not None:
            self._clear(exchange.first, True)
        octets = fast.seal(exchange.first)
        self._invoke_id += 1
        exchange.most = self._most
        self._transfers.under_way = None
        self._pending, self._pending_protection, self.state = exchange, fast.protection, following
        return self._framing.encode(self._settings.client_wport, self._settings.server_wport, octets)

    def _framed_and_moved(self, octets: bytes, following: ClientState) -> bytes:
        framed = self._framed(octets)
        self.state = following
        return framed

    def _send_once(self, request: Unconfirmed | Confirm) -> bytes:
        """What gets no answer: it has to fit one APDU."""
        if isinstance(request, Confirm):
            self._after(ClientEvent.SEND_CONFIRMATION)
            protection = self._own_protection(general=True)
            invoke = request.notification.long_invoke_id_and_priority
            octets = apdu.encode(DataNotificationConfirm(invoke, request.date_time))
        else:
            self._after(ClientEvent.SEND_UNCONFIRMED)
            protection = self._own_protection(general=isinstance(request.request, Access))
            names, limits = self._settings.short_names, self._limits(protection)
            octets = unconfirmed(request.request, self._invoke_id + 1, limits, names)
            self._invoke_id += 1
        transfer, parts = self._transfers.cut(self._protect(octets, protection), self._opened)
        if transfer is not None:
            raise LocalError("a request without an answer has to fit one APDU")
        return self._framed(*parts)

    def learn(self, names: ShortNames) -> None:
        """Name objects by these from now on: what the meter's object_list says; LocalError with logical names."""
        if self._settings.short_names is None:
            raise LocalError("this association names objects by logical names")
        self._settings = replace(self._settings, short_names=names)

    def abandon(self) -> bytes:
        """Wait no longer for the pending request; octets that give up a general block transfer under way, otherwise none.

        An answer that still comes will be dropped. With short names answers have no invoke id, so a late one could not be
        told from the next: LocalError.
        """
        if self._settings.short_names is not None:
            raise LocalError(
                "without invoke ids a late answer can't be distinguished from the next one: close the connection"
            )
        self._move(ClientEvent.SEND_ABANDON)
        self._pending = None
        return self._framed(*self._transfers.abandon())

    def timeout(self) -> bytes:
        """Octets to send when the answer is late: what a general block transfer repeats, otherwise none."""
        return b"" if self._pending is None else self._framed(*self._transfers.timeout())

    def _limits(self, protection: ApduProtection) -> ExchangeLimits:
        opened = self._opened
        if opened is None:
            return ExchangeLimits(UNLIMITED, NOTHING_AGREED, self._settings.high_priority)
        limit = opened.server_max_receive_pdu_size
        room = largest_plaintext(limit, protection) if limit else UNLIMITED
        return ExchangeLimits(room, opened.conformance, self._settings.high_priority)

    def _own_protection(self, *, general: bool = False) -> ApduProtection:
        if self._protection is None:
            return PLAIN
        return self._protection.own_general_protection() if general else self._protection.usual_protection

    def _protect(self, plaintext: bytes, protection: ApduProtection) -> bytes:
        if self._protection is None:
            return plaintext
        if self._clear is not None and protection is not PLAIN:
            self._clear(plaintext, True)
        return self._protection.protect(plaintext, protection)

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
        fast = None if self._protection is None else self._protection.fast
        if fast is not None and (plaintext := fast.open(octets)) is not None:
            if self._clear is not None:
                self._clear(plaintext, False)
            return self._receive_fast(plaintext, fast.protection)
        message: Apdu | None = apdu.decode(octets)
        if isinstance(message, GeneralBlockTransfer):
            message = self._join(message)
        return None if message is None else self._receive_whole(message)

    def _receive_fast(self, plaintext: bytes, protection: ApduProtection) -> ClientOutput | None:
        """What a frame of the fast path holds; the value of a plain GET straight from its octets."""
        following = CLIENT_TABLE.get((self.state, RESPONSE))
        result = None if following is None else result_in(plaintext, self._pending)
        if following is None or result is None:
            return self._receive_service(Verified(apdu.decode(plaintext), protection))
        self.state, self._pending = following, None
        return result

    def _receive_whole(self, message: Apdu) -> ClientOutput | None:
        if isinstance(message, Aare):
            return self._receive_aare(message)
        if isinstance(message, Rlre):
            following = self._after(ClientEvent.RELEASED)
            self._opening.release_holds(message.user_information)
            self.state, self._opened = following, None
            return Released()
        if isinstance(message, ExceptionResponse | ConfirmedServiceError | GeneralBlockTransfer):
            return self._receive_fault(message)
        if isinstance(message, UNSOLICITED):  # taken without protection, which the event says
            return self._receive_service(Verified(message, PLAIN))
        verified = verify(self._protection, message)
        if self._clear is not None and verified.plaintext:
            self._clear(verified.plaintext, False)
        return self._receive_service(verified)

    def _is_taken_from_there(self, pdu: WrapperPdu) -> bool:
        """Whether an APDU counts although its addresses are not those of the association."""
        if self._settings.any_address or pdu.apdu[0] == ApduTag.DATA_NOTIFICATION:
            return True
        self.discarded.append(other_address(pdu, *self._from_server))
        return False

    def _check_length(self, length: int) -> None:
        """ProtocolError for an APDU that is longer than its peer may send in this state."""
        if length > self._most_octets:
            raise ProtocolError(f"an APDU of {length} octets, {self._most_octets} are the most here")

    @property
    def _most_octets(self) -> int:
        return MAX_OCTETS_BEFORE_OPEN if self.state in OPENING else self._most + PROTECTION_OCTETS

    def _join(self, block: GeneralBlockTransfer) -> Apdu | None:
        """The APDU whose last block this is: an answer, or a push in blocks that are not confirmed."""
        pending = self._pending is not None
        if block.aborts:
            if pending and self._transfers.under_way is not None:
                return block
            reason = "the end of a general block transfer that is not under way"
            self.discarded.append(Discarded(reason, Cause.NOTHING_ASKED))
            return None
        step = self._transfers.receive(block, self._opened, pending=pending, most=self._most_octets)
        if step.to_send:
            self._outbox.append(self._framed(*step.to_send))
        if step.whole is None:
            return None
        message = apdu.decode(step.whole)
        if isinstance(message, GeneralBlockTransfer):
            raise ProtocolError("blocks inside blocks")
        return message

    def _receive_service(self, verified: Verified) -> ClientOutput | None:
        message = verified.apdu
        if type(message) not in SERVICE_RESPONSES:
            return self._receive_unsolicited(message, protected=verified.answer_protection is not PLAIN)
        exchange = self._pending
        if exchange is None or not (exchange.concerns(message) or self._is_taken_anyway(exchange, message)):
            self.discarded.append(not_pending(message, exchange))
            return None
        if self.state is PROVING:
            return self._receive_proof(message)
        return self._take(exchange.receive(message))

    def _is_taken_anyway(self, exchange: Exchange, message: Apdu) -> bool:
        return self._settings.any_invoke_id and isinstance(message, exchange.answers)

    def _receive_unsolicited(self, message: Apdu, *, protected: bool) -> ClientOutput | None:
        if isinstance(message, ExceptionResponse | ConfirmedServiceError):
            return self._receive_fault(message)
        if not isinstance(message, UNSOLICITED):
            raise ProtocolError(f"a server does not send {type(message).__name__}")
        discarded = not_agreed(message, self._opened)
        if discarded is not None:
            self.discarded.append(discarded)
            return None
        self._move(ClientEvent.NOTIFICATION)
        return notified(message, protected=protected)

    def _take(self, step: Step) -> ClientOutput | None:
        if step is None:
            return None
        self._move(step.event)
        if isinstance(step, Next):
            self._outbox.append(self._framed(self._protect(step.octets, self._pending_protection)))
            return None
        self._pending = None
        return step.outcome

    def _receive_fault(self, fault: ExceptionResponse | ConfirmedServiceError | GeneralBlockTransfer) -> PeerFault:
        self._move(ClientEvent.FAULT)
        self._pending = self._transfers.under_way = None
        if self.state is ClientState.IDLE:
            self._opened = None
        return PeerFault(fault, fault.reason)

    # --- opening

    def _receive_aare(self, aare: Aare) -> ClientOutput | None:
        if not accepts(aare):
            self._move(ClientEvent.REJECTED)
            return refusal(aare)
        self._after(ClientEvent.ACCEPTED)
        opened, challenge = self._opening.judge(aare)
        if challenge is None:
            return self._be_open(ClientEvent.ACCEPTED, opened)
        self._send_proof(challenge, opened)
        return None

    def _send_proof(self, challenge: bytes, opened: Opened) -> None:
        proof = self._opening.proof(challenge)
        protection = self._own_protection()
        self._invoke_id += 1
        exchange = start_proof(proof, self._invoke_id, self._limits(protection), self._settings.short_names)
        self._outbox.append(self._framed(self._protect(exchange.first, protection)))
        self._move(ClientEvent.PROOF_WANTED)
        self._pending, self._opened = exchange, opened

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
        self._opening.check_proof(proof)
        return self._be_open(ClientEvent.PROVED, opened)

    def _be_open(self, event: ClientEvent, opened: Opened) -> Opened:
        self._move(event)
        self._opened = opened
        self._opening.finish()
        self._choose_fast_path(opened)
        return opened

    def _choose_fast_path(self, opened: Opened) -> None:
        limit = opened.server_max_receive_pdu_size or UNLIMITED
        self._fast = fast_path(self._settings, self._protection, limit)

    # --- the table

    def _after(self, event: ClientEvent) -> ClientState:
        return next_state(CLIENT_TABLE, self.state, event)

    def _move(self, event: ClientEvent) -> None:
        self.state = next_state(CLIENT_TABLE, self.state, event)
