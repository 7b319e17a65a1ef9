"""A client that may be wrong on purpose: one association over one connection, of which every APDU can be changed before it goes.

Opening, protection and proofs are those of the protocol core (`ami_dlms.association`); here are no state machine that forbids, and no
judgement: what comes back is an `Answer`, and the test says what it means. Every message passes `Guard.allow` and `held_back` before it is sent:
tests write to no wire of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ami_conformance.answers import Answer, Kind
from ami_conformance.findings import Unsettled
from ami_conformance.safety import Safety, safety_of
from ami_conformance.wire import Ports, Wire
from ami_dlms import apdu, data
from ami_dlms.apdu import Apdu, contents
from ami_dlms.apdu.acse import Aare, Aarq, Rlrq
from ami_dlms.apdu.action import ActionRequestNormal, ActionResponseNormal
from ami_dlms.apdu.blocks import BlockControl, GeneralBlockTransfer
from ami_dlms.apdu.ciphered import GeneralCiphering, GeneralDedCiphering, GeneralGloCiphering, ServiceCiphering
from ami_dlms.apdu.fields import AttributeItem
from ami_dlms.apdu.get import (
    GetRequestNext,
    GetRequestNormal,
    GetRequestWithList,
    GetResponseNormal,
    GetResponseWithDataBlock,
    GetResponseWithList,
)
from ami_dlms.apdu.initiate import InitiateRequest, InitiateResponse
from ami_dlms.apdu.notify import DataNotification, EventNotificationRequest
from ami_dlms.apdu.set import SetRequestNormal
from ami_dlms.association import ClientSettings
from ami_dlms.association.client.opening import protection_of
from ami_dlms.association.protection.apdu_protection import PLAIN, ApduProtection, CipheringKind
from ami_dlms.association.protection.association_protection import AssociationProtection, lift, verify
from ami_dlms.association.protection.authentication import (
    PROOF_WANTED,
    REPLY_TO_HLS_AUTHENTICATION,
    Authentication,
    octets_of,
)
from ami_dlms.association.settings import application_context
from ami_dlms.cosem.confidential import is_secret
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.cosem.selection import SelectiveAccess
from ami_dlms.data import Data
from ami_dlms.enums import Conformance, DataAccessResult, Mechanism, ReleaseReason
from ami_dlms.errors import DlmsError
from ami_dlms.security import ReceiveCounter, SendCounter
from ami_dlms.security.hls import HLS, usual_challenge

CIPHERED = (GeneralGloCiphering, GeneralDedCiphering, GeneralCiphering, ServiceCiphering)
CONFIRMED, HIGH = 0x40, 0x80
IDS = 16
MOST_BLOCKS = 100_000
MOST_JOINED = 64 * 1024 * 1024
"""Octets of all blocks of one answer."""
HELD_BACK = Answer(Kind.SILENCE, reason="a dry run: it was not sent")
UNSOLICITED = (DataNotification, EventNotificationRequest)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a read gave: a value, or the result or the words that stand for it."""

    value: Data | None
    result: DataAccessResult | None
    words: str
    answer: Answer

    @property
    def refused(self) -> bool:
        """The meter answered as the service says, and gave no value."""
        return self.value is None and self.result is not None


@dataclass(frozen=True, slots=True)
class Guard:
    """What a client asks before it sends, tells after an answer, and takes for its proofs."""

    allow: Callable[[Safety, str], None]
    held_back: Callable[[Safety], bool]
    tell: Callable[[str, bytes, Answer, bool], None]
    """Words, octets that were sent, the answer, and whether these are about a secret."""
    random_bytes: Callable[[int], bytes]
    top_up: Callable[[], None]
    wait_s: float
    polite: bool = False
    """Release before the line is given up: where there is no connection that ends."""


class Client:
    """One association on one connection. `conformance` is what was negotiated, `initiate` the meter's InitiateResponse."""

    def __init__(self, wire: Wire, settings: ClientSettings, guard: Guard, counter: SendCounter) -> None:
        self.wire = wire
        self.settings = settings
        self.guard = guard
        self.counter = counter
        self.ports = Ports(settings.client_wport, settings.server_wport)
        self.protection: AssociationProtection | None = protection_of(settings, counter, ReceiveCounter())
        self.aare: Aare | None = None
        self.initiate: InitiateResponse | None = None
        self.invoke_id = 0
        self.challenge = guard.random_bytes(usual_challenge(settings.mechanism))
        self.server_challenge = b""
        self.invoked_wrongly: list[str] = []
        self.server_counters: list[int] = []
        self.server_controls: list[int] = []
        self.server_titles: list[bytes] = []
        self.released = False
        self.last_size = 0
        """Octets of the APDU that came last, as it came."""
        self._authentication = Authentication(settings, self.protection)
        self._about_a_secret = False

    @property
    def ciphered(self) -> bool:
        security = self.settings.security
        return security is not None and security.ciphered

    @property
    def conformance(self) -> Conformance:
        return Conformance(0) if self.initiate is None else self.initiate.conformance & self.settings.conformance

    # --- opening

    def aarq(self, *, initiate: Mapping[str, Any] | None = None, plain: bool = False, **changes: Any) -> bytes:
        """The encoded AARQ: as it should be, with these fields of it and of its InitiateRequest changed."""
        settings, security = self.settings, self.settings.security
        proposed = InitiateRequest(
            **{
                "conformance": settings.conformance,
                "client_max_receive_pdu_size": settings.max_receive_pdu_size,
                **(initiate or {}),
            }
        )
        information = apdu.encode(proposed)
        if self.protection is not None and not plain:
            self.guard.top_up()
            information = self.protection.protect(information, self.protection.own_protection(CipheringKind.GLO))
        mechanism = settings.mechanism
        proof = self.challenge if mechanism in HLS else settings.secret if mechanism is Mechanism.LOW else None
        usual = Aarq(
            application_context(settings),
            None if security is None else security.system_title,
            None if mechanism is Mechanism.LOWEST else mechanism,
            proof,
            information,
            calling_ae_qualifier=None if security is None else security.certificate,
        )
        return apdu.encode(replace(usual, **changes))

    def associate(self, octets: bytes | None = None, what: str = "AARQ", safety: Safety | None = None) -> Answer:
        """Send an AARQ and take what the AARE negotiates; no proof is sent."""
        answer = self.send_octets(octets if octets is not None else self.aarq(), what, safety=safety)
        if isinstance(answer.apdu, Aare):
            self.aare = answer.apdu
        if answer.accepted and self.aare is not None:
            return self._accepted(answer, self.aare)
        return answer

    def _accepted(self, answer: Answer, aare: Aare) -> Answer:
        try:
            if self.protection is not None:
                self.protection.accept_title(aare.responding_ap_title)
                self.protection.accept_certificate(aare.responding_ae_qualifier)
            held = lift(self.protection, aare.user_information or b"").apdu
        except DlmsError as error:
            return Answer(Kind.UNTRUSTED, None, answer.octets, str(error))
        if isinstance(held, InitiateResponse):
            self.initiate = held
        self.server_challenge = aare.responding_authentication_value or b""
        return answer

    @property
    def wants_proof(self) -> bool:
        """Whether the meter asks for passes 3 and 4."""
        return self.aare is not None and self.aare.diagnostic == PROOF_WANTED

    def proof(self) -> bytes:
        """Our f(challenge) over the meter's challenge."""
        self.guard.top_up()
        return self._authentication.prove(self.server_challenge, self.challenge)

    def prove(self, proof: bytes | None = None) -> Answer:
        """Pass 3, and the answer to it, pass 4."""
        parameters = data.octet_string(self.proof() if proof is None else proof)
        return self.ask(ActionRequestNormal(self.invoke(), REPLY_TO_HLS_AUTHENTICATION, parameters), "pass 3 of HLS")

    def proved_by(self, answer: Answer) -> bool:
        """Whether pass 4 proves that the meter knows the keys."""
        if not isinstance(answer.apdu, ActionResponseNormal) or not answer.done:
            return False
        value = answer.apdu.return_parameters
        proof = octets_of(value if isinstance(value, Data) else None)
        return self._authentication.peer_proved(self.challenge, self.server_challenge, proof)

    def open(self) -> None:
        """All of it; Unsettled when the meter does not open."""
        answer = self.associate()
        if not answer.accepted:
            raise Unsettled(f"the association does not open: {answer}")
        if self.settings.mechanism in HLS:
            passed = self.prove()
            if not passed.done:
                raise Unsettled(f"the association does not open, pass 3 of HLS is answered by {passed}")

    def release(self, **changes: Any) -> Answer:
        """RLRQ; a ciphered association is released under protection."""
        information = None
        if self.protection is not None and self.ciphered:
            self.guard.top_up()
            initiate = InitiateRequest(
                conformance=self.settings.conformance, client_max_receive_pdu_size=self.settings.max_receive_pdu_size
            )
            information = self.protection.protect(
                apdu.encode(initiate), self.protection.own_protection(CipheringKind.GLO)
            )
        self.released = True
        rlrq = replace(Rlrq(ReleaseReason.NORMAL, information), **changes)
        return self.send_octets(apdu.encode(rlrq), "RLRQ")

    def close(self) -> None:
        """Give the connection up without a word, unless that would leave the association open."""
        if self.guard.polite and self.initiate is not None and not self.released and not self.wire.closed:
            self.release()
        self.wire.close()

    # --- messages

    def invoke(self, *, high: bool = True, confirmed: bool = True) -> int:
        """The next invoke-id-and-priority."""
        self.invoke_id = (self.invoke_id + 1) % IDS
        return self.invoke_id | (HIGH if high else 0) | (CONFIRMED if confirmed else 0)

    @property
    def usual_protection(self) -> ApduProtection:
        return PLAIN if self.protection is None else self.protection.own_protection()

    @property
    def general_protection(self) -> ApduProtection:
        """For what has no ciphered APDU of its own, as ACCESS."""
        return PLAIN if self.protection is None else self.protection.own_general_protection()

    def seal(self, octets: bytes, protection: ApduProtection | None = None) -> bytes:
        """An APDU protected as the settings want it, or otherwise."""
        if self.protection is None:
            return octets
        self.guard.top_up()
        return self.protection.protect(octets, self.usual_protection if protection is None else protection)

    def ask(
        self,
        message: Apdu | bytes,
        what: str = "",
        *,
        safety: Safety | None = None,
        protection: ApduProtection | None = None,
        wait_s: float | None = None,
    ) -> Answer:
        """Send an APDU under protection; the next APDU that is no notification."""
        octets = message if isinstance(message, bytes) else apdu.encode(message)
        known = _known(octets)
        least = safety_of(known)
        what = what or type(known).__name__
        level = least if safety is None else max(least, safety)
        self.guard.allow(level, what)
        answer = HELD_BACK
        if not self.guard.held_back(level):
            answer = self._exchange(self.seal(octets, protection), wait_s)
        self._note_invoke(known, answer)
        self.guard.tell(what, octets, answer, self._carries(known))
        return answer

    def send_octets(
        self, octets: bytes, what: str, *, safety: Safety | None = None, wait_s: float | None = None, shown: bytes = b""
    ) -> Answer:
        """Octets of an APDU as they are; `shown` are those that the report has instead of them."""
        known = _known(octets)
        if isinstance(known, CIPHERED):
            least = max(Safety.S1, safety_of(_known(shown))) if shown else Safety.S1
        else:
            least = safety_of(known)
        level = least if safety is None else max(least, safety)
        self.guard.allow(level, what)
        answer = HELD_BACK if self.guard.held_back(level) else self._exchange(octets, wait_s)
        self.guard.tell(what, shown or octets, answer, self._carries(_known(shown) if shown else known))
        return answer

    def send_ahead(self, messages: Sequence[Apdu], what: str, *, safety: Safety, in_block: int | None = None) -> bool:
        """APDUs under protection, one behind the other, without waiting for an answer; False where they were held back.

        `in_block`: each in one block of general block transfer with this window.
        """
        plain = [apdu.encode(one) for one in messages]
        level = max(safety, *map(safety_of, messages))
        if not self._goes(level, what, b"".join(plain)):
            return False
        for octets in plain:
            sealed = self.seal(octets)
            if in_block is not None:
                sealed = apdu.encode(GeneralBlockTransfer(BlockControl(True, False, in_block), 1, 0, sealed))
            self._put(partial(self.wire.send, self.ports, sealed))
        return True

    def confirm_block(self, window: int, number: int, confirmed: int) -> None:
        """An empty block of general block transfer: ours of this number, which confirms one of the meter's."""
        confirmation = apdu.encode(GeneralBlockTransfer(BlockControl(True, False, window), number, confirmed, b""))
        self._put(partial(self.wire.send, self.ports, confirmation))

    def send_pieces(
        self,
        pieces: Sequence[bytes],
        what: str,
        *,
        safety: Safety,
        shown: bytes,
        rest: Callable[[], None] = lambda: None,
    ) -> bool:
        """Octets of the line as they are, with a rest between them, without waiting for an answer; False where they were held back."""
        if not self._goes(max(safety, safety_of(_known(shown))), what, shown):
            return False
        for number, piece in enumerate(pieces):
            if number:
                rest()
            self._put(partial(self.wire.send_raw, piece))
        return True

    def _goes(self, level: Safety, what: str, shown: bytes) -> bool:
        self.guard.allow(level, what)
        if self.guard.held_back(level):
            self.guard.tell(what, shown, HELD_BACK, False)
            return False
        return True

    def _put(self, send: Callable[[], None]) -> None:
        """Where nobody takes it any more, what is heard next says so."""
        try:
            send()
        except (OSError, DlmsError):
            self.wire.closed = True

    def _carries(self, asked: Apdu | None) -> bool:
        """Whether an exchange is about a secret; what asks for the next block names nothing, and goes on with what was asked before."""
        named = list(_named(asked))
        if named or not isinstance(asked, GetRequestNext):
            self._about_a_secret = any(map(is_secret, named))
        return self._about_a_secret

    def send_line(self, octets: bytes, what: str, *, safety: Safety = Safety.S1, wait_s: float | None = None) -> Answer:
        """Octets of the line as they are, in no wrapper and no frame but their own."""
        self.guard.allow(safety, what)
        if self.guard.held_back(safety):
            self.guard.tell(what, octets, HELD_BACK, False)
            return HELD_BACK
        try:
            self.wire.send_raw(octets)
            answer = self.listen(wait_s)
        except OSError as error:
            self.wire.closed = True
            answer = Answer(Kind.CLOSED, reason=error.strerror or str(error))
        self.guard.tell(what, octets, answer, False)
        return answer

    def _exchange(self, octets: bytes, wait_s: float | None) -> Answer:
        if self.wire.closed:
            return Answer(Kind.CLOSED)
        try:
            self.wire.send(self.ports, octets)
        except (OSError, DlmsError) as error:
            self.wire.closed = True
            return Answer(Kind.CLOSED, reason=str(error))
        return self.listen(wait_s)

    def listen(self, wait_s: float | None = None) -> Answer:
        """The next APDU that is no notification, without its protection; notifications do not make the wait longer."""
        until = self.wire.clock() + (self.guard.wait_s if wait_s is None else wait_s)
        while True:
            answer = self.wire.receive(self.ports, until - self.wire.clock())
            if answer.kind is not Kind.APDU:
                return answer
            self.last_size = len(answer.octets)
            answer = self.opened_from(answer.octets)
            if not isinstance(answer.apdu, UNSOLICITED):
                return answer
            if self.wire.clock() >= until:
                return Answer(Kind.SILENCE, reason="nothing but notifications came")

    def listen_raw(self, wait_s: float | None = None) -> Answer:
        """The next APDU as it came."""
        answer = self.wire.receive(self.ports, self.guard.wait_s if wait_s is None else wait_s)
        self.last_size = len(answer.octets)
        if answer.kind is not Kind.APDU:
            return answer
        known = _known(answer.octets)
        return replace(answer, apdu=known, kind=Kind.GARBAGE if known is None else Kind.APDU)

    def opened_from(self, octets: bytes) -> Answer:
        """An APDU without its protection."""
        try:
            message = apdu.decode(octets)
        except DlmsError as error:
            return Answer(Kind.GARBAGE, None, octets, str(error))
        if not isinstance(message, CIPHERED):
            return Answer(Kind.APDU, message, octets)
        if len(message.content) >= 5:
            self.server_controls.append(message.content[0])
            self.server_counters.append(int.from_bytes(message.content[1:5], "big"))
            self.server_titles.append(getattr(message, "system_title", b""))
        try:
            verified = verify(self.protection, message)
        except DlmsError as error:
            return Answer(Kind.UNTRUSTED, None, octets, str(error), protected=True)
        return Answer(Kind.APDU, verified.apdu, verified.plaintext, protected=True)

    def _note_invoke(self, asked: Apdu | None, answer: Answer) -> None:
        wanted = getattr(asked, "invoke_id_and_priority", None)
        found = getattr(answer.apdu, "invoke_id_and_priority", None)
        if wanted is not None and found is not None and wanted != found:
            self.invoked_wrongly.append(f"{wanted:#04x} is answered under {found:#04x}")

    # --- services

    def get(self, descriptor: AttributeDescriptor, selection: SelectiveAccess | None = None, **more: Any) -> Outcome:
        """Read an attribute, in blocks where the meter wants."""
        invoke = self.invoke()
        answer = self.ask(GetRequestNormal(invoke, descriptor, selection), f"GET {descriptor}", **more)
        match answer.apdu:
            case GetResponseNormal(result=Data() as value):
                return Outcome(value, None, "", answer)
            case GetResponseNormal(result=DataAccessResult() as result):
                return Outcome(None, result, result.name.lower().replace("_", "-"), answer)
            case GetResponseWithDataBlock():
                joined, last = self.rest_of_blocks(invoke, answer)
                return self._whole(joined, last)
        return Outcome(None, None, str(answer), answer)

    def _whole(self, joined: bytes | None, last: Answer) -> Outcome:
        if joined is None:
            why = f" ({last.reason})" if last.apdu is not None and last.reason else ""
            return Outcome(None, None, f"a transfer in blocks that ends with {last}{why}", last)
        try:
            return Outcome(data.decode(joined), None, "", last)
        except DlmsError as error:
            return Outcome(None, None, f"blocks that hold no value: {error}", last)

    def rest_of_blocks(self, invoke: int, first: Answer) -> tuple[bytes | None, Answer]:
        """Ask for the blocks behind the first; the joined octets, None where the transfer does not go well."""
        joined, answer = bytearray(), first
        for number in range(1, MOST_BLOCKS):
            block = answer.apdu
            if not isinstance(block, GetResponseWithDataBlock) or not isinstance(block.result, bytes):
                return None, answer
            if block.block_number != number:
                return None, replace(answer, reason=f"block {block.block_number} where {number} is due")
            joined += block.result
            if len(joined) > MOST_JOINED:
                return None, replace(answer, reason=f"more than {MOST_JOINED} octets in blocks")
            if block.last_block:
                return bytes(joined), answer
            answer = self.ask(GetRequestNext(invoke, number), f"next block behind {number}")
        return None, answer

    def get_list(
        self, items: Sequence[AttributeDescriptor], selections: Sequence[SelectiveAccess | None] = ()
    ) -> tuple[tuple[Data | DataAccessResult, ...] | None, Answer]:
        """Read several; None where the answer is no list of results."""
        chosen = selections or (None,) * len(items)
        asked = tuple(AttributeItem(one, selection) for one, selection in zip(items, chosen, strict=True))
        invoke = self.invoke()
        answer = self.ask(GetRequestWithList(invoke, asked), f"GET of a list of {len(items)}")
        match answer.apdu:
            case GetResponseWithList(results=results):
                return results, answer
            case GetResponseWithDataBlock():
                joined, last = self.rest_of_blocks(invoke, answer)
                if joined is None:
                    return None, last
                try:
                    return contents.decode(contents.GET_RESULTS, joined), last
                except DlmsError as error:
                    return None, replace(last, kind=Kind.GARBAGE, reason=str(error))
        return None, answer

    def set(self, descriptor: AttributeDescriptor, value: Data, **more: Any) -> Answer:
        """Write an attribute; whoever calls it has it in the journal."""
        return self.ask(SetRequestNormal(self.invoke(), descriptor, None, value), f"SET {descriptor}", **more)

    def action(self, descriptor: MethodDescriptor, parameters: Data | None, **more: Any) -> Answer:
        """Call a method."""
        return self.ask(ActionRequestNormal(self.invoke(), descriptor, parameters), f"ACTION {descriptor}", **more)


def _named(asked: Apdu | None) -> Iterator[AttributeDescriptor | MethodDescriptor]:
    """The attributes and methods that a request names."""
    places = (getattr(asked, "items", ()), getattr(asked, "specifications", ()), getattr(asked, "descriptors", ()))
    for one in (asked, *(item for place in places for item in place)):
        named = getattr(one, "descriptor", one)
        if isinstance(named, AttributeDescriptor | MethodDescriptor):
            yield named


def _known(octets: bytes) -> Apdu | None:
    """The APDU that they are; None where they are none."""
    try:
        return apdu.decode(octets)
    except DlmsError:
        return None
