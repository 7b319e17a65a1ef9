"""Requests of an open association and their answers, with long values in blocks both ways (Green Book 9.3.6 to 9.3.8).

Every service APDU ends in a Reply: octets for the client (or none) and an event for the application (or none). One long
value may travel in each direction; a new request ends what was under way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from dlms import apdu
from dlms.apdu import Apdu, contents
from dlms.apdu.access import AccessRequest
from dlms.apdu.action import (
    ActionRequestNextBlock,
    ActionRequestNormal,
    ActionRequestWithBlock,
    ActionRequestWithFirstBlock,
    ActionRequestWithList,
    ActionRequestWithListAndFirstBlock,
    ActionResponseNextBlock,
    ActionResponseNormal,
)
from dlms.apdu.faults import ExceptionResponse
from dlms.apdu.fields import AttributeItem, Block, Codec
from dlms.apdu.get import GetRequestNext, GetRequestNormal, GetRequestWithList, GetResponseWithDataBlock
from dlms.apdu.set import (
    SetRequestNormal,
    SetRequestWithDataBlock,
    SetRequestWithFirstDataBlock,
    SetRequestWithList,
    SetRequestWithListAndFirstDataBlock,
    SetResponseDataBlock,
    SetResponseLastDataBlock,
)
from dlms.association.asked import (
    Asked,
    AskedAction,
    AskedActionList,
    AskedGet,
    AskedGetList,
    AskedSet,
    AskedSetList,
    Item,
    Response,
)
from dlms.association.asked_access import AskedAccess
from dlms.association.events import Action, Answer, Discarded, Get, RequestKey, ServerOutput, Set
from dlms.association.protection import Form, largest_plaintext
from dlms.association.rights import judge
from dlms.association.settings import AssociationProfile
from dlms.association.states import ServerEvent
from dlms.association.transfer import EMPTY, MAX_REQUEST_OCTETS, IncomingBlocks, OutgoingBlocks, room_beside
from dlms.cosem.descriptors import MethodDescriptor
from dlms.data import NULL, Data
from dlms.enums import ActionResult, Conformance, DataAccessResult, ServiceError, StateError
from dlms.errors import DecodeError, LocalError, ProtocolError

MAX_PENDING = 16
Protect = Callable[[bytes, Form], bytes]


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
class _Sending:
    """A long answer on its way; the client asks for each block by `wanted_by`."""

    blocks: OutgoingBlocks
    block: Callable[[Block], Apdu]
    invoke: int
    form: Form
    wanted_by: type


@dataclass(slots=True)
class _Receiving:
    """A long request on its way; `finish` makes the request of what its blocks carried."""

    service: type[AskedSet] | type[AskedAction]
    finish: Callable[[bytes, int], Asked]
    invoke: int
    form: Form
    blocks: IncomingBlocks = field(default_factory=lambda: IncomingBlocks(MAX_REQUEST_OCTETS))


class Serving:
    """The open requests of one open association."""

    def __init__(
        self, profile: AssociationProfile, terms: Terms, protect: Protect, move: Callable[[ServerEvent], None]
    ) -> None:
        self._profile = profile
        self._terms = terms
        self._protect = protect
        self._move = move
        self._pending: dict[RequestKey, Asked] = {}
        self._sending: _Sending | None = None
        self._receiving: _Receiving | None = None
        self._in_one = False

    # --- requests

    def serve(self, message: Apdu, form: Form, *, in_one: bool = False) -> Reply:
        """React to one service APDU; `in_one` when it came by general block transfer, which its response has to follow."""
        self._in_one = in_one
        handler = _HANDLERS.get(type(message))
        if handler is None:
            reason = f"{type(message).__name__} is not served"
            return fault(reason, ServiceError.SERVICE_NOT_SUPPORTED, StateError.SERVICE_UNKNOWN)
        return handler(self, message, form)

    def _get(self, message: GetRequestNormal, form: Form) -> Reply:
        return self._whole(AskedGet, message, (Get(message.descriptor, message.selection),), form)

    def _get_list(self, message: GetRequestWithList, form: Form) -> Reply:
        items = tuple(Get(item.descriptor, item.selection) for item in message.items)
        return self._whole(AskedGetList, message, items, form)

    def _set(self, message: SetRequestNormal, form: Form) -> Reply:
        return self._whole(AskedSet, message, (Set(message.descriptor, message.value, message.selection),), form)

    def _set_list(self, message: SetRequestWithList, form: Form) -> Reply:
        return self._whole(AskedSetList, message, _sets(message.items, message.values), form)

    def _action(self, message: ActionRequestNormal, form: Form) -> Reply:
        return self._whole(AskedAction, message, (Action(message.descriptor, message.parameters),), form)

    def _action_list(self, message: ActionRequestWithList, form: Form) -> Reply:
        return self._whole(AskedActionList, message, _actions(message.descriptors, message.parameters), form)

    def _access(self, message: AccessRequest, form: Form) -> Reply:
        refused = self._begin(AskedAccess.needs, message)
        key = self._key(message.long_invoke_id_and_priority)
        return refused or self._admit(AskedAccess(key, message, self._judge), form)

    def _whole(self, kind: type[Asked], message: Any, items: tuple[Item, ...], form: Form) -> Reply:
        """A request in one APDU."""
        refused = self._begin(kind.needs, message)
        key = self._key(message.invoke_id_and_priority)
        return refused or self._admit(kind(key, items, self._judge), form)

    def _begin(self, needed: Conformance, message: Apdu) -> Reply | None:
        """A new request ends what was under way; the refusal of one that was not negotiated does not."""
        refused = self._not_negotiated(needed, message)
        if refused is None:
            self._move(ServerEvent.REQUEST)
            self._sending = self._receiving = None
        return refused

    def _admit(self, asked: Asked, form: Form) -> Reply:
        """Answer what nobody may have, and ask the application for the rest."""
        asked.form, asked.in_one = form, self._in_one
        if not asked.items:
            octets = b"" if asked.silent else self._write(asked, asked.respond(asked.denied()))
            return Reply(octets, Discarded(asked.reason))
        if asked.key in self._pending or len(self._pending) >= MAX_PENDING:
            return Reply(event=Discarded("the same request again, or too many at once"))
        self._pending[asked.key] = asked
        return Reply(event=asked.event())

    def _judge(self, item: Item) -> DataAccessResult | ActionResult | None:
        return judge(self._profile.access, self._terms.conformance, item)

    def _key(self, invoke: int) -> RequestKey:
        return RequestKey(self._profile.server_wport, self._profile.client_wport, invoke)

    def _not_negotiated(self, needed: Conformance, message: Apdu) -> Reply | None:
        if not needed & ~self._terms.conformance:
            return None
        return fault(f"{type(message).__name__} was not negotiated", ServiceError.SERVICE_NOT_SUPPORTED)

    # --- requests in blocks

    def _set_first(self, message: SetRequestWithFirstDataBlock, form: Form) -> Reply:
        descriptor, selection = message.descriptor, message.selection

        def item(value: Data) -> Set:
            return Set(descriptor, value, selection)

        return self._first(AskedSet, message, _Single(contents.VALUE, item), form)

    def _set_list_first(self, message: SetRequestWithListAndFirstDataBlock, form: Form) -> Reply:
        return self._first(AskedSetList, message, _Many(lambda values: _sets(message.items, values)), form)

    def _action_first(self, message: ActionRequestWithFirstBlock, form: Form) -> Reply:
        descriptor = message.descriptor

        def item(value: Data) -> Action:
            return Action(descriptor, value)

        return self._first(AskedAction, message, _Single(contents.VALUE, item), form)

    def _action_list_first(self, message: ActionRequestWithListAndFirstBlock, form: Form) -> Reply:
        return self._first(AskedActionList, message, _Many(lambda values: _actions(message.descriptors, values)), form)

    def _first(self, kind: Any, message: Any, items: _Single | _Many, form: Form) -> Reply:
        """The first block of a request."""
        refused = self._not_negotiated(kind.needs | kind.request_blocks, message)
        if refused is not None:
            return refused
        self._move(ServerEvent.FIRST_BLOCK)
        invoke = message.invoke_id_and_priority

        def finish(whole: bytes, block_number: int) -> Asked:
            asked: Asked = kind(self._key(invoke), items.of(whole), self._judge, block_number)
            return asked

        self._sending = None
        self._receiving = _Receiving(
            AskedSet if issubclass(kind, AskedSet | AskedSetList) else AskedAction, finish, invoke, form
        )
        denial = self._judge(items.make(NULL)) if isinstance(items, _Single) else None
        if denial is not None:
            return self._abort(message, form, denial)
        return self._block(message, form)

    def _block(self, message: Any, form: Form) -> Reply:
        """A block of a request, the first one included."""
        receiving, block = self._receiving, message.block
        service = AskedSet if isinstance(message, _SET_BLOCKS) else AskedAction
        if receiving is None or (receiving.service, receiving.invoke, receiving.form.way) != (
            service,
            message.invoke_id_and_priority,
            form.way,
        ):
            return self._refuse_block(message, form, _NONE_IN_PROGRESS[service])
        if receiving.blocks.repeats(block.block_number):
            return Reply(self._protect(apdu.encode(_taken(message)), form))
        try:
            receiving.blocks.take(block.block_number, block.raw_data)
        except ProtocolError:
            return self._abort(message, form, _WRONG_BLOCK[service])
        if block.last_block:
            return self._last(receiving, message, form)
        if block.block_number > 1:
            self._move(ServerEvent.BLOCK)
        return Reply(self._protect(apdu.encode(_taken(message)), form))

    def _last(self, receiving: _Receiving, message: Any, form: Form) -> Reply:
        try:
            asked = receiving.finish(receiving.blocks.whole(), receiving.blocks.block_number)
        except (DecodeError, ProtocolError):
            return self._abort(message, form, _UNREADABLE[receiving.service])
        self._move(ServerEvent.LAST_BLOCK)
        self._receiving = None
        return self._admit(asked, form)

    def _abort(self, message: Any, form: Form, result: DataAccessResult | ActionResult) -> Reply:
        self._move(ServerEvent.TRANSFER_ABORTED)
        self._receiving = None
        return self._refuse_block(message, form, result)

    def _refuse_block(self, message: Any, form: Form, result: DataAccessResult | ActionResult) -> Reply:
        invoke, number = message.invoke_id_and_priority, message.block.block_number
        response: Apdu = (
            ActionResponseNormal(invoke, result)
            if isinstance(result, ActionResult)
            else SetResponseLastDataBlock(invoke, result, number)
        )
        reason = f"block {number} of a request is not taken: {result.name.lower().replace('_', '-')}"
        return Reply(self._protect(apdu.encode(response), form), Discarded(reason))

    # --- answers

    def answer(self, answer: Answer) -> bytes:
        """The octets of an answer, none when the client wants none; LocalError when its request is not open any more."""
        asked = self._pending.get(answer.key)
        if asked is None:
            raise LocalError("this request is not open: answered, released, or opened anew")
        response = asked.respond(asked.results(answer))
        octets = b"" if asked.silent else self._write(asked, response)
        del self._pending[answer.key]
        return octets

    def _write(self, asked: Asked, response: Response) -> bytes:
        """A response whole, or its first block, or the refusal of what fits neither."""
        limit = largest_plaintext(self._terms.client_limit, asked.form)
        whole = apdu.encode(response.whole)
        if len(whole) <= limit:
            return self._write_once(whole, asked.form)
        if (
            response.contents is not None
            and response.block is not None
            and asked.answer_blocks & self._terms.conformance
        ):
            return self._write_first(asked, response.contents(), response.block, limit)
        if self._terms.conformance & Conformance.GENERAL_BLOCK_TRANSFER:
            return self._write_once(whole, asked.form)
        refusal = apdu.encode(response.refusal)
        if len(refusal) <= limit:
            return self._write_once(refusal, asked.form)
        self._move(ServerEvent.SEND_ANSWER)
        return apdu.encode(ExceptionResponse(StateError.SERVICE_NOT_ALLOWED, ServiceError.PDU_TOO_LONG))

    def _write_once(self, plaintext: bytes, form: Form) -> bytes:
        octets = self._protect(plaintext, form)
        self._move(ServerEvent.SEND_ANSWER)
        return octets

    def _write_first(self, asked: Asked, whole: bytes, block: Callable[[Block], Apdu], limit: int) -> bytes:
        wanted_by = GetRequestNext if isinstance(asked, AskedGet) else ActionRequestNextBlock
        sending = _Sending(
            OutgoingBlocks(whole, room_beside(block(EMPTY), limit)), block, asked.invoke, asked.form, wanted_by
        )
        octets = self._protect(apdu.encode(block(sending.blocks.next_block())), asked.form)
        self._move(ServerEvent.SEND_FIRST_BLOCK)
        self._sending, self._receiving = sending, None
        return octets

    def _next(self, message: GetRequestNext | ActionRequestNextBlock, form: Form) -> Reply:
        """The client wants the next block of a long answer."""
        sending, self._sending = self._sending, None
        get = isinstance(message, GetRequestNext)
        result: DataAccessResult | ActionResult = (
            DataAccessResult.NO_LONG_GET_IN_PROGRESS if get else ActionResult.NO_LONG_ACTION_IN_PROGRESS
        )
        if sending is not None and (sending.wanted_by, sending.invoke, sending.form.way) == (
            type(message),
            message.invoke_id_and_priority,
            form.way,
        ):
            blocks = sending.blocks
            if message.block_number == blocks.block_number:
                self._move(ServerEvent.LAST_BLOCK_WANTED if blocks.next_is_last else ServerEvent.NEXT_BLOCK_WANTED)
                self._sending = None if blocks.next_is_last else sending
                return Reply(self._protect(apdu.encode(sending.block(blocks.next_block())), form))
            result = DataAccessResult.DATA_BLOCK_NUMBER_INVALID if get else ActionResult.LONG_ACTION_ABORTED
        if sending is not None:
            self._move(ServerEvent.TRANSFER_ABORTED)
        return self._refuse_next(message, form, result)

    def _refuse_next(self, message: Any, form: Form, result: DataAccessResult | ActionResult) -> Reply:
        invoke, number = message.invoke_id_and_priority, message.block_number
        refusal: Apdu = (
            ActionResponseNormal(invoke, result)
            if isinstance(result, ActionResult)
            else GetResponseWithDataBlock(invoke, True, number, result)
        )
        return Reply(self._protect(apdu.encode(refusal), form), Discarded(f"block {number} can't be sent"))


class _Single(NamedTuple):
    """Blocks that carry one value."""

    codec: Codec
    make: Callable[[Data], Item]

    def of(self, whole: bytes) -> tuple[Item, ...]:
        return (self.make(contents.decode(self.codec, whole)),)


class _Many(NamedTuple):
    """Blocks that carry the values of a list."""

    make: Callable[[tuple[Data, ...]], tuple[Item, ...]]

    def of(self, whole: bytes) -> tuple[Item, ...]:
        return self.make(contents.decode(contents.VALUES, whole))


def _sets(items: tuple[AttributeItem, ...], values: tuple[Data, ...]) -> tuple[Item, ...]:
    _same_number(items, values)
    return tuple(Set(item.descriptor, value, item.selection) for item, value in zip(items, values, strict=True))


def _actions(descriptors: tuple[MethodDescriptor, ...], values: tuple[Data, ...]) -> tuple[Item, ...]:
    _same_number(descriptors, values)
    return tuple(
        Action(descriptor, None if value == NULL else value)
        for descriptor, value in zip(descriptors, values, strict=True)
    )


def _same_number(items: tuple[Any, ...], values: tuple[Data, ...]) -> None:
    if len(items) != len(values):
        raise ProtocolError(f"{len(values)} values for {len(items)} items")


def _taken(message: Any) -> Apdu:
    """The confirmation of a block."""
    kind = SetResponseDataBlock if isinstance(message, _SET_BLOCKS) else ActionResponseNextBlock
    return kind(message.invoke_id_and_priority, message.block.block_number)


_SET_BLOCKS = (SetRequestWithFirstDataBlock, SetRequestWithListAndFirstDataBlock, SetRequestWithDataBlock)
_NONE_IN_PROGRESS: dict[type, DataAccessResult | ActionResult] = {
    AskedSet: DataAccessResult.NO_LONG_SET_IN_PROGRESS,
    AskedAction: ActionResult.NO_LONG_ACTION_IN_PROGRESS,
}
_WRONG_BLOCK: dict[type, DataAccessResult | ActionResult] = {
    AskedSet: DataAccessResult.DATA_BLOCK_NUMBER_INVALID,
    AskedAction: ActionResult.LONG_ACTION_ABORTED,
}
_UNREADABLE: dict[type, DataAccessResult | ActionResult] = {
    AskedSet: DataAccessResult.OTHER_REASON,
    AskedAction: ActionResult.OTHER_REASON,
}
_HANDLERS: dict[type, Callable[[Serving, Any, Form], Reply]] = {
    AccessRequest: Serving._access,
    GetRequestNormal: Serving._get,
    GetRequestNext: Serving._next,
    GetRequestWithList: Serving._get_list,
    SetRequestNormal: Serving._set,
    SetRequestWithList: Serving._set_list,
    SetRequestWithFirstDataBlock: Serving._set_first,
    SetRequestWithListAndFirstDataBlock: Serving._set_list_first,
    SetRequestWithDataBlock: Serving._block,
    ActionRequestNormal: Serving._action,
    ActionRequestWithList: Serving._action_list,
    ActionRequestNextBlock: Serving._next,
    ActionRequestWithFirstBlock: Serving._action_first,
    ActionRequestWithListAndFirstBlock: Serving._action_list_first,
    ActionRequestWithBlock: Serving._block,
}
