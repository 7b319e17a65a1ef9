"""Requests of an open association and their answers, whichever way names are given (Green Book 9.3.6 to 9.3.9).

Every service APDU ends in a Reply: octets for the client (or none) and an event for the application (or none). One long
value may travel in each direction; a new request ends what was under way.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from ami_dlms import apdu
from ami_dlms.apdu import Apdu
from ami_dlms.apdu.faults import ExceptionResponse
from ami_dlms.apdu.fields import Block
from ami_dlms.apdu.notify import DataNotificationConfirm
from ami_dlms.association.asked import Asked, Denial, Item, Response
from ami_dlms.association.events import Answer, Discarded, NotificationConfirmed, RequestKey, ServerOutput
from ami_dlms.association.forms import Form, largest_plaintext
from ami_dlms.association.protection import Protection
from ami_dlms.association.quick_get import AskedPlainGet, whole_answer
from ami_dlms.association.rights import judge
from ami_dlms.association.settings import AssociationProfile
from ami_dlms.association.states import ServerEvent
from ami_dlms.association.transfer import EMPTY, IncomingBlocks, OutgoingBlocks, room_beside
from ami_dlms.enums import Conformance, ServiceError, StateError
from ami_dlms.errors import LocalError
from ami_dlms.security import Demand

MAX_PENDING = 16
REQUEST, SEND_ANSWER = ServerEvent.REQUEST, ServerEvent.SEND_ANSWER
Protect = Callable[[bytes, Form], bytes]
_new_tuple = tuple.__new__


class Reply(NamedTuple):
    """What a received APDU leads to: an APDU or blocks to send, and an event."""

    octets: bytes = b""
    event: ServerOutput | None = None
    blocks: tuple[bytes, ...] = ()


class Terms(NamedTuple):
    """What was negotiated: the services, and how long an APDU the client takes."""

    conformance: Conformance
    client_limit: int


def fault(reason: str, service_error: ServiceError, state_error: StateError = StateError.SERVICE_NOT_ALLOWED) -> Reply:
    """An exception-response for the peer, and the reason for ourselves."""
    return Reply(apdu.encode(ExceptionResponse(state_error, service_error)), Discarded(reason))


@dataclass(slots=True)
class LongAnswer:
    """An answer in blocks on its way; the client asks for each block by an APDU of the type `wanted_by`."""

    blocks: OutgoingBlocks
    block: Callable[[Block], Apdu]
    wanted_by: type
    invoke: int
    form: Form
    demanded: Demand
    bore: Demand


@dataclass(slots=True)
class LongRequest:
    """A request in blocks on its way; `finish` makes the request of what its blocks carried."""

    service: type
    finish: Callable[[bytes, int], Asked]
    invoke: int
    form: Form
    blocks: IncomingBlocks
    bore: Demand = Demand.NOTHING

    def takes(self, service: type, invoke: int, form: Form, bore: Demand) -> bool:
        """Whether a block of this service, invoke id and protection belongs here."""
        return (self.service, self.invoke, self.form.way, self.bore) == (service, invoke, form.way, bore)


class Serving(ABC):
    """The open requests of one open association."""

    handlers: ClassVar[Mapping[type, Callable[[Any, Any, Form], Reply]]]

    def __init__(
        self,
        profile: AssociationProfile,
        terms: Terms,
        protect: Protect,
        move: Callable[[ServerEvent], None],
        protection: Protection | None = None,
    ) -> None:
        self._profile = profile
        self._wports = (profile.server_wport, profile.client_wport)
        self._terms = terms
        self._missing = ~int(terms.conformance)
        self._protect = protect
        self._move = move
        self._pending: dict[RequestKey, Asked] = {}
        self._answer: LongAnswer | None = None
        self._request: LongRequest | None = None
        self._protection = protection
        self._most = profile.max_request_octets
        self._in_one = False
        self._bore = self._demanded = Demand.NOTHING

    # --- requests

    def serve(self, message: Apdu, form: Form, *, in_one: bool = False, bore: Demand = Demand.NOTHING) -> Reply:
        """React to one service APDU, which bore these protections and is answered in this form.

        `in_one` when it came by general block transfer, which its response has to follow.
        """
        self._in_one, self._bore, self._demanded = in_one, bore, Demand.NOTHING
        if isinstance(message, DataNotificationConfirm):
            key = self._key(message.long_invoke_id_and_priority)
            return Reply(event=NotificationConfirmed(*key))
        handler = self.handlers.get(type(message))
        if handler is None:
            reason = f"{type(message).__name__} is not served"
            return fault(reason, ServiceError.SERVICE_NOT_SUPPORTED, StateError.SERVICE_UNKNOWN)
        return handler(self, message, form)

    def serve_quickly(self, plaintext: bytes, form: Form) -> ServerOutput | None:
        """What an APDU asks of the application, by the quick road; None: nothing has moved, and the general road decides."""
        return None

    def _begin(self, needed: Conformance, message: Apdu) -> Reply | None:
        """A new request ends what was under way; the refusal of one that was not negotiated does not."""
        refused = self._not_negotiated(needed, message)
        if refused is None:
            self._begin_anew()
        return refused

    def _begin_anew(self) -> None:
        self._move(REQUEST)
        self._answer = self._request = None

    def _begin_long(self, needed: Conformance, message: Apdu, request: LongRequest) -> Reply | None:
        """The same for the first block of a long request."""
        refused = self._not_negotiated(needed, message)
        if refused is None:
            self._move(ServerEvent.FIRST_BLOCK)
            request.bore = self._bore
            self._answer, self._request = None, request
        return refused

    def _admit(self, asked: Asked, form: Form) -> Reply:
        """Answer what nobody may have, and ask the application for the rest."""
        asked.form, asked.in_one = self._stronger(form, self._demanded), self._in_one
        asked.bore, asked.demanded = self._bore, self._demanded
        if not asked.items:
            octets = b"" if asked.silent else self._write(asked, asked.respond(asked.denied()))
            return Reply(octets, Discarded(asked.reason))
        if asked.key in self._pending or len(self._pending) >= MAX_PENDING:
            return Reply(event=Discarded("the same request again, or too many at once"))
        self._pending[asked.key] = asked
        return Reply(event=asked.event())

    def _judge(self, item: Item) -> Denial | None:
        return self._judge_under(item, self._terms.conformance)

    def _judge_under(self, item: Item, conformance: Conformance) -> Denial | None:
        """Judge an item by what its request bore; what is granted adds to what the answer has to bear."""
        judgement = judge(self._profile.access, conformance, item, self._bore, self._can_bear)
        if judgement.response:
            self._demanded |= judgement.response
        return judgement.denial

    def _can_bear(self, demand: Demand) -> bool:
        return self._protection is not None and self._protection.can_bear(demand)

    def _stronger(self, form: Form, demand: Demand) -> Form:
        return form if not demand or self._protection is None else self._protection.stronger(form, demand)

    def _key(self, invoke: int) -> RequestKey:
        return _new_tuple(RequestKey, (*self._wports, invoke))

    def _not_negotiated(self, needed: Conformance, message: Apdu) -> Reply | None:
        if not int(needed) & self._missing:
            return None
        return fault(f"{type(message).__name__} was not negotiated", ServiceError.SERVICE_NOT_SUPPORTED)

    def _say(self, message: Apdu, form: Form, event: ServerOutput | None = None) -> Reply:
        """An answer that the protocol itself gives."""
        return Reply(self._protect(apdu.encode(message), form), event)

    # --- answers

    def answer(self, answer: Answer) -> bytes:
        """The octets of an answer, none when the client wants none; LocalError when its request is not open any more."""
        asked = self._pending.get(answer.key)
        if asked is None:
            raise LocalError("this request is not open: answered, released, or opened anew")
        whole = whole_answer(asked, answer, self._terms.client_limit) if type(asked) is AskedPlainGet else None
        if whole is not None:
            # Whatever state it is, an answer in one leaves it as it is.
            octets = self._protect(whole, asked.form)
        else:
            response = asked.respond(asked.results(answer))
            octets = b"" if asked.silent else self._write(asked, response)
        del self._pending[answer.key]
        return octets

    def _write(self, asked: Asked, response: Response) -> bytes:
        """A response whole, or its first block, or the refusal of what fits neither."""
        limit = largest_plaintext(self._terms.client_limit, asked.form)
        whole = apdu.encode(response.whole)
        if len(whole) <= limit or asked.in_one:
            return self._write_once(whole, asked.form)
        if (
            response.contents is not None
            and response.block is not None
            and asked.answer_blocks & self._terms.conformance
        ):
            return self._write_first(asked, response.contents(), response.block, limit)
        if self._terms.conformance & Conformance.GENERAL_BLOCK_TRANSFER:
            return self._write_once(whole, asked.form)
        refusal = whole if response.refusal is None else apdu.encode(response.refusal())
        if len(refusal) <= limit:
            return self._write_once(refusal, asked.form)
        self._move(SEND_ANSWER)
        return apdu.encode(ExceptionResponse(StateError.SERVICE_NOT_ALLOWED, ServiceError.PDU_TOO_LONG))

    def _write_once(self, plaintext: bytes, form: Form) -> bytes:
        octets = self._protect(plaintext, form)
        self._move(SEND_ANSWER)
        return octets

    def _write_first(self, asked: Asked, whole: bytes, block: Callable[[Block], Apdu], limit: int) -> bytes:
        blocks = OutgoingBlocks(whole, room_beside(block(EMPTY), limit))
        wanted_by, invoke = asked.blocks_wanted_by, asked.invoke
        long_answer = LongAnswer(blocks, block, wanted_by, invoke, asked.form, asked.demanded, asked.bore)
        octets = self._protect(apdu.encode(block(blocks.next_block())), asked.form)
        self._move(ServerEvent.SEND_FIRST_BLOCK)
        self._answer, self._request = long_answer, None
        return octets

    def _next_block(self, wanted_by: type, invoke: int, block_number: int, form: Form) -> Reply | None:
        """The block after this one, for whom the answer is; None, and an answer under way is over, for anybody else."""
        answer, self._answer = self._answer, None
        if answer is None:
            return None
        blocks, form = answer.blocks, self._stronger(form, answer.demanded)
        asked_by = (wanted_by, invoke, form.way, block_number)
        expected = (answer.wanted_by, answer.invoke, answer.form.way, blocks.block_number)
        if asked_by != expected or answer.bore & ~self._bore:
            self._move(ServerEvent.TRANSFER_ABORTED)
            return None
        self._move(ServerEvent.LAST_BLOCK_WANTED if blocks.next_is_last else ServerEvent.NEXT_BLOCK_WANTED)
        self._answer = None if blocks.next_is_last else answer
        return self._say(answer.block(blocks.next_block()), form)

    @abstractmethod
    def proof_in(self, message: Apdu) -> bytes | None:
        """The client's proof of HLS, when a message is a call of reply_to_HLS_authentication."""

    @abstractmethod
    def proof_answer(self, message: Apdu, proof: bytes | None) -> Apdu:
        """The response to such a call: our own proof, or None for a refusal."""


def words(code: Denial) -> str:
    """A result code for a person."""
    return code.name.lower().replace("_", "-")
