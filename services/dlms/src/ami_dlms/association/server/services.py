"""Requests of an open association and their answers, whichever way names are given (Green Book 9.3.6 to 9.3.9).

Every service APDU ends in a Reply: octets for the client (or none) and an event for the application (or none). One long
value may travel in each direction; a new request ends what was under way.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from ami_dlms import apdu
from ami_dlms.apdu import Apdu
from ami_dlms.apdu.faults import ExceptionResponse
from ami_dlms.apdu.fields import Block
from ami_dlms.apdu.notify import DataNotificationConfirm
from ami_dlms.association.blocks.service_block_transfer import EMPTY, IncomingBlocks, OutgoingBlocks, room_beside
from ami_dlms.association.events import (
    Answer,
    Cause,
    Discarded,
    NotificationConfirmed,
    Requested,
    RequestKey,
    ServerOutput,
)
from ami_dlms.association.protection.apdu_protection import ApduProtection, largest_plaintext
from ami_dlms.association.protection.association_protection import AssociationProtection
from ami_dlms.association.server.access_control import judge
from ami_dlms.association.server.fast_path import FastPath
from ami_dlms.association.server.requests import NOTHING_DENIED, Denial, Item, PendingGet, PendingRequest, Response
from ami_dlms.association.settings import AssociationProfile, Inside
from ami_dlms.association.states import ServerEvent
from ami_dlms.enums import Conformance, DataAccessResult, ServiceError, StateError
from ami_dlms.errors import LocalError
from ami_dlms.security import ProtectionFlags

MAX_PENDING = 16
REQUEST, SEND_ANSWER = ServerEvent.REQUEST, ServerEvent.SEND_ANSWER
INVOKE_ID = 2
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


def fault(
    reason: str,
    service_error: ServiceError,
    state_error: StateError = StateError.SERVICE_NOT_ALLOWED,
    cause: Cause = Cause.OTHER,
) -> Reply:
    """An exception-response for the peer, and the reason for ourselves."""
    return Reply(apdu.encode(ExceptionResponse(state_error, service_error)), Discarded(reason, cause))


@dataclass(slots=True)
class LongAnswer:
    """An answer in blocks on its way; the client asks for each block by an APDU of the type `wanted_by`."""

    blocks: OutgoingBlocks
    block: Callable[[Block], Apdu]
    wanted_by: type
    invoke: int
    answer_protection: ApduProtection
    required_protection: ProtectionFlags
    request_protection: ProtectionFlags


@dataclass(slots=True)
class LongRequest:
    """A request in blocks on its way; `finish` makes the request of what its blocks carried."""

    service: type
    finish: Callable[[bytes, int], PendingRequest]
    invoke: int
    answer_protection: ApduProtection
    blocks: IncomingBlocks
    request_protection: ProtectionFlags = ProtectionFlags.NOTHING

    def takes(
        self, service: type, invoke: int, answer_protection: ApduProtection, request_protection: ProtectionFlags
    ) -> bool:
        """Whether a block of this service, invoke id and protection belongs here."""
        return (self.service, self.invoke, self.answer_protection.scheme, self.request_protection) == (
            service,
            invoke,
            answer_protection.scheme,
            request_protection,
        )


class Services(ABC):
    """The open requests of one open association."""

    handlers: ClassVar[Mapping[type, Callable[[Any, Any, ApduProtection], Reply]]]

    def __init__(
        self,
        profile: AssociationProfile,
        terms: Terms,
        move: Callable[[ServerEvent], None],
        protection: AssociationProtection | None,
        fast: FastPath | None,
    ) -> None:
        self._profile = profile
        self._wports = (profile.server_wport, profile.client_wport)
        self._terms = terms
        self._missing = ~int(terms.conformance)
        self._move = move
        self._protection = protection
        self._protect: Protect = _unprotected if protection is None else protection.protect
        if profile.inside is not None:
            self._protect = _through(profile.inside, self._protect)
        self._fast = fast
        self._pending: dict[RequestKey, PendingRequest] = {}
        self._answer: LongAnswer | None = None
        self._request: LongRequest | None = None
        self._most = profile.max_request_octets
        self._in_one = False
        self._request_protection = self._required = ProtectionFlags.NOTHING

    # --- requests

    def serve(
        self,
        message: Apdu,
        answer_protection: ApduProtection,
        *,
        in_one: bool = False,
        request_protection: ProtectionFlags = ProtectionFlags.NOTHING,
    ) -> Reply:
        """React to one service APDU, which had these protections, and whose answer is protected so.

        `in_one` when it came by general block transfer, which its response has to follow.
        """
        self._in_one, self._request_protection, self._required = in_one, request_protection, ProtectionFlags.NOTHING
        if isinstance(message, DataNotificationConfirm):
            key = self._key(message.long_invoke_id_and_priority)
            return Reply(event=NotificationConfirmed(*key))
        handler = self.handlers.get(type(message))
        if handler is None:
            reason = f"{type(message).__name__} is not served"
            return fault(reason, ServiceError.SERVICE_NOT_SUPPORTED, StateError.SERVICE_UNKNOWN)
        return handler(self, message, answer_protection)

    def serve_fast(self, plaintext: bytes) -> Requested | None:
        """The event of a plain GET; None: nothing has moved, and the general path decides."""
        fast = self._fast
        items = None if fast is None else fast.granted(plaintext)
        if fast is None or items is None:
            return None
        key = self._key(plaintext[INVOKE_ID])
        if key in self._pending or len(self._pending) >= MAX_PENDING:
            return None
        self._move(REQUEST)
        self._answer = self._request = None
        pending = PendingGet(key, items, NOTHING_DENIED)
        pending.answer_protection, pending.request_protection = fast.answer_protection, fast.request_protection
        self._pending[key] = pending
        return Requested(key, pending.service, items)

    def _begin(self, needed: Conformance, message: Apdu) -> Reply | None:
        """A new request ends what was under way; the refusal of one that was not negotiated does not."""
        refused = self._not_negotiated(needed, message)
        if refused is None:
            self._move(REQUEST)
            self._answer = self._request = None
        return refused

    def _begin_long(self, needed: Conformance, message: Apdu, request: LongRequest) -> Reply | None:
        """The same for the first block of a long request."""
        refused = self._not_negotiated(needed, message)
        if refused is None:
            self._move(ServerEvent.FIRST_BLOCK)
            request.request_protection = self._request_protection
            self._answer, self._request = None, request
        return refused

    def _admit(self, pending: PendingRequest, answer_protection: ApduProtection) -> Reply:
        """Answer what is denied, and ask the application for the rest."""
        pending.answer_protection, pending.in_one = self._raised(answer_protection, self._required), self._in_one
        pending.request_protection, pending.required_protection = self._request_protection, self._required
        if not pending.items:
            octets = b"" if pending.silent else self._write(pending, pending.respond(pending.denied()))
            return Reply(octets, Discarded(pending.reason))
        if pending.key in self._pending or len(self._pending) >= MAX_PENDING:
            return Reply(event=Discarded("the same request again, or too many at once"))
        self._pending[pending.key] = pending
        return Reply(event=pending.event())

    def _judged(self, items: Sequence[Item | None]) -> list[Denial | None]:
        """Why each item is denied, None where it is granted; None among the items is a name of no existing object."""
        return [DataAccessResult.OBJECT_UNDEFINED if item is None else self._judge(item) for item in items]

    def _judge(self, item: Item) -> Denial | None:
        return self._judge_under(item, self._terms.conformance)

    def _judge_under(self, item: Item, conformance: Conformance) -> Denial | None:
        """Judge an item by the protection of its request; what is granted adds to what its answer needs."""
        judgement = judge(self._profile.access, conformance, item, self._request_protection, self._can_protect)
        if judgement.response:
            self._required |= judgement.response
        return judgement.denial

    def _can_protect(self, required: ProtectionFlags) -> bool:
        return self._protection is not None and self._protection.can_protect(required)

    def _raised(self, answer_protection: ApduProtection, required: ProtectionFlags) -> ApduProtection:
        return (
            answer_protection
            if not required or self._protection is None
            else self._protection.raised_to(answer_protection, required)
        )

    def _key(self, invoke: int) -> RequestKey:
        return _new_tuple(RequestKey, (*self._wports, invoke))

    def _not_negotiated(self, needed: Conformance, message: Apdu) -> Reply | None:
        if not int(needed) & self._missing:
            return None
        return fault(f"{type(message).__name__} was not negotiated", ServiceError.SERVICE_NOT_SUPPORTED)

    def _say(self, message: Apdu, answer_protection: ApduProtection, event: ServerOutput | None = None) -> Reply:
        """An answer that the protocol itself gives."""
        return Reply(self._protect(apdu.encode(message), answer_protection), event)

    # --- answers

    def answer(self, answer: Answer) -> bytes:
        """The octets of an answer, none when the client wants none; LocalError when its request is not open any more."""
        pending = self._pending.get(answer.key)
        if pending is None:
            raise LocalError("this request is not open: answered, released, or opened anew")
        fast = self._fast
        whole = None if fast is None else fast.response(pending, answer)
        if fast is not None and whole is not None:
            octets = fast.seal(whole)
            self._move(SEND_ANSWER)
        else:
            response = pending.respond(pending.results(answer))
            octets = b"" if pending.silent else self._write(pending, response)
        del self._pending[answer.key]
        return octets

    def _write(self, pending: PendingRequest, response: Response) -> bytes:
        """A response whole, or its first block, or the refusal of what fits neither."""
        limit = largest_plaintext(self._terms.client_limit, pending.answer_protection)
        whole = apdu.encode(response.whole)
        if len(whole) <= limit or pending.in_one:
            return self._write_once(whole, pending.answer_protection)
        if (
            response.contents is not None
            and response.block is not None
            and pending.answer_blocks & self._terms.conformance
        ):
            return self._write_first(pending, response.contents(), response.block, limit)
        if self._terms.conformance & Conformance.GENERAL_BLOCK_TRANSFER:
            return self._write_once(whole, pending.answer_protection)
        refusal = whole if response.refusal is None else apdu.encode(response.refusal())
        if len(refusal) <= limit:
            return self._write_once(refusal, pending.answer_protection)
        self._move(SEND_ANSWER)
        return apdu.encode(ExceptionResponse(StateError.SERVICE_NOT_ALLOWED, ServiceError.PDU_TOO_LONG))

    def _write_once(self, plaintext: bytes, answer_protection: ApduProtection) -> bytes:
        octets = self._protect(plaintext, answer_protection)
        self._move(SEND_ANSWER)
        return octets

    def _write_first(self, pending: PendingRequest, whole: bytes, block: Callable[[Block], Apdu], limit: int) -> bytes:
        blocks = OutgoingBlocks(whole, room_beside(block(EMPTY), limit))
        wanted_by, invoke = pending.blocks_wanted_by, pending.invoke
        long_answer = LongAnswer(
            blocks,
            block,
            wanted_by,
            invoke,
            pending.answer_protection,
            pending.required_protection,
            pending.request_protection,
        )
        octets = self._protect(apdu.encode(block(blocks.next_block())), pending.answer_protection)
        self._move(ServerEvent.SEND_FIRST_BLOCK)
        self._answer, self._request = long_answer, None
        return octets

    def _next_block(
        self, wanted_by: type, invoke: int, block_number: int, answer_protection: ApduProtection
    ) -> Reply | None:
        """The block after this one, for whom the answer is; None, and an answer under way is over, for anybody else."""
        answer, self._answer = self._answer, None
        if answer is None:
            return None
        blocks, answer_protection = answer.blocks, self._raised(answer_protection, answer.required_protection)
        wanted = (wanted_by, invoke, answer_protection.scheme, block_number)
        expected = (answer.wanted_by, answer.invoke, answer.answer_protection.scheme, blocks.block_number)
        if wanted != expected or answer.request_protection & ~self._request_protection:
            self._move(ServerEvent.TRANSFER_ABORTED)
            return None
        self._move(ServerEvent.LAST_BLOCK_WANTED if blocks.next_is_last else ServerEvent.NEXT_BLOCK_WANTED)
        self._answer = None if blocks.next_is_last else answer
        return self._say(answer.block(blocks.next_block()), answer_protection)

    @abstractmethod
    def proof_in(self, message: Apdu) -> bytes | None:
        """The client's proof of HLS, when a message is a call of reply_to_HLS_authentication."""

    @abstractmethod
    def proof_answer(self, message: Apdu, proof: bytes | None) -> Apdu:
        """The response to such a call: our own proof, or None for a refusal."""


Protect = Callable[[bytes, ApduProtection], bytes]


def _unprotected(plaintext: bytes, _: ApduProtection) -> bytes:
    return plaintext


def _through(inside: Inside, protect: Protect) -> Protect:
    return lambda plaintext, protection: protect(inside.leaves(plaintext), protection)


def words(code: Denial) -> str:
    """A result code for a person."""
    return code.name.lower().replace("_", "-")
