"""Services with logical names at a server: GET, SET, ACTION, ACCESS, and their long requests in blocks (Green Book 9.3.6 to 9.3.9)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

from ami_dlms import data
from ami_dlms.apdu import Apdu, contents
from ami_dlms.apdu.access import AccessRequest
from ami_dlms.apdu.action import (
    ActionRequestNextBlock,
    ActionRequestNormal,
    ActionRequestWithBlock,
    ActionRequestWithFirstBlock,
    ActionRequestWithList,
    ActionRequestWithListAndFirstBlock,
    ActionResponseNextBlock,
    ActionResponseNormal,
)
from ami_dlms.apdu.fields import AttributeItem
from ami_dlms.apdu.get import GetRequestNext, GetRequestNormal, GetRequestWithList, GetResponseWithDataBlock
from ami_dlms.apdu.set import (
    SetRequestNormal,
    SetRequestWithDataBlock,
    SetRequestWithFirstDataBlock,
    SetRequestWithList,
    SetRequestWithListAndFirstDataBlock,
    SetResponseDataBlock,
    SetResponseLastDataBlock,
)
from ami_dlms.apdu.shortcuts import GET_REQUEST_NORMAL, asked_in
from ami_dlms.association.asked import (
    Asked,
    AskedAction,
    AskedActionList,
    AskedGet,
    AskedGetList,
    AskedSet,
    AskedSetList,
    Denial,
    Item,
)
from ami_dlms.association.asked_access import AskedAccess
from ami_dlms.association.authentication import octets_of
from ami_dlms.association.events import Action, Discarded, Get, GetRequested, Set
from ami_dlms.association.forms import Form
from ami_dlms.association.quick_get import AskedPlainGet
from ami_dlms.association.rights import ALL_BUT_WRITE, READ, REPLY_TO_HLS_AUTHENTICATION
from ami_dlms.association.serving import MAX_PENDING, LongRequest, Reply, Serving, words
from ami_dlms.association.states import ServerEvent
from ami_dlms.association.transfer import IncomingBlocks
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.data import NULL, Data
from ami_dlms.enums import ActionResult, Conformance, DataAccessResult
from ami_dlms.errors import DecodeError, ProtocolError

GET = int(Conformance.GET)


class LnServing(Serving):
    """The open requests of an association with logical names."""

    def _get(self, message: GetRequestNormal, form: Form) -> Reply:
        invoke, descriptor, selection = message.invoke_id_and_priority, message.descriptor, message.selection
        if selection is None and not self._in_one and not form.signed:
            asked = self._ask_plainly(invoke, descriptor, form)
            if asked is not None:
                return Reply(event=asked)
        return self._whole(AskedGet, message, (Get(message.descriptor, message.selection),), form)

    def serve_quickly(self, plaintext: bytes, form: Form) -> GetRequested | None:
        """A plain GET, straight from its octets."""
        asked = asked_in(plaintext) if plaintext[:2] == GET_REQUEST_NORMAL else None
        return None if asked is None else self._ask_plainly(*asked, form)

    def _ask_plainly(self, invoke: int, descriptor: AttributeDescriptor, form: Form) -> GetRequested | None:
        """A GET that asks for nothing else; None: nothing has moved, and the general road decides."""
        allowed = self._profile.access.attribute(descriptor)
        if allowed is None or int(allowed) & ALL_BUT_WRITE != READ or GET & self._missing:
            return None
        key = self._key(invoke)
        if key in self._pending or len(self._pending) >= MAX_PENDING:
            return None
        if self._answer is not None or self._request is not None:
            self._begin_anew()
        self._pending[key] = AskedPlainGet(key, form)
        return GetRequested(key, descriptor, None)

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

    # --- requests in blocks

    def _set_first(self, message: SetRequestWithFirstDataBlock, form: Form) -> Reply:
        descriptor, selection = message.descriptor, message.selection

        def item(value: Data) -> Set:
            return Set(descriptor, value, selection)

        return self._first(AskedSet, message, _Single(item), form)

    def _set_list_first(self, message: SetRequestWithListAndFirstDataBlock, form: Form) -> Reply:
        return self._first(AskedSetList, message, _Many(lambda values: _sets(message.items, values)), form)

    def _action_first(self, message: ActionRequestWithFirstBlock, form: Form) -> Reply:
        descriptor = message.descriptor

        def item(value: Data) -> Action:
            return Action(descriptor, value)

        return self._first(AskedAction, message, _Single(item), form)

    def _action_list_first(self, message: ActionRequestWithListAndFirstBlock, form: Form) -> Reply:
        return self._first(AskedActionList, message, _Many(lambda values: _actions(message.descriptors, values)), form)

    def _first(self, kind: type[Asked], message: Any, items: _Single | _Many, form: Form) -> Reply:
        """The first block of a request; what is denied is denied at once."""
        invoke = message.invoke_id_and_priority

        def finish(whole: bytes, block_number: int) -> Asked:
            return kind(self._key(invoke), items.of(whole), self._judge, block_number)

        request = LongRequest(_service(message), finish, invoke, form, IncomingBlocks(self._most))
        refused = self._begin_long(kind.needs | kind.request_blocks, message, request)
        if refused is not None:
            return refused
        denial = self._judge(items.make(NULL)) if isinstance(items, _Single) else None
        return self._block(message, form) if denial is None else self._abort(message, form, denial)

    def _block(self, message: Any, form: Form) -> Reply:
        """A block of a request, the first one included."""
        request, block, service = self._request, message.block, _service(message)
        if request is None or not request.takes(service, message.invoke_id_and_priority, form, self._bore):
            return self._refuse_block(message, form, _NONE_IN_PROGRESS[service])
        if request.blocks.repeats(block.block_number):
            return self._say(_taken(message), form)
        try:
            request.blocks.take(block.block_number, block.raw_data)
        except ProtocolError:
            return self._abort(message, form, _WRONG_BLOCK[service])
        if block.last_block:
            return self._last(request, message, form)
        if block.block_number > 1:
            self._move(ServerEvent.BLOCK)
        return self._say(_taken(message), form)

    def _last(self, request: LongRequest, message: Any, form: Form) -> Reply:
        try:
            asked = request.finish(request.blocks.whole(), request.blocks.block_number)
        except (DecodeError, ProtocolError):
            return self._abort(message, form, _UNREADABLE[request.service])
        self._move(ServerEvent.LAST_BLOCK)
        self._request = None
        return self._admit(asked, form)

    def _abort(self, message: Any, form: Form, result: Denial) -> Reply:
        self._move(ServerEvent.TRANSFER_ABORTED)
        self._request = None
        return self._refuse_block(message, form, result)

    def _refuse_block(self, message: Any, form: Form, result: Denial) -> Reply:
        invoke, number = message.invoke_id_and_priority, message.block.block_number
        response: Apdu = (
            ActionResponseNormal(invoke, result)
            if isinstance(result, ActionResult)
            else SetResponseLastDataBlock(invoke, result, number)
        )
        return self._say(response, form, Discarded(f"block {number} of a request is not taken: {words(result)}"))

    # --- answers in blocks

    def _next(self, message: GetRequestNext | ActionRequestNextBlock, form: Form) -> Reply:
        """The client wants the next block of a long answer."""
        invoke, number, begun = message.invoke_id_and_priority, message.block_number, self._answer
        reply = self._next_block(type(message), invoke, number, form)
        if reply is not None:
            return reply
        ours = begun is not None and begun.invoke == invoke and begun.wanted_by is type(message)
        refusal: Apdu
        if isinstance(message, GetRequestNext):
            result = DataAccessResult.DATA_BLOCK_NUMBER_INVALID if ours else DataAccessResult.NO_LONG_GET_IN_PROGRESS
            refusal = GetResponseWithDataBlock(invoke, True, number, result)
        else:
            ended = ActionResult.LONG_ACTION_ABORTED if ours else ActionResult.NO_LONG_ACTION_IN_PROGRESS
            refusal = ActionResponseNormal(invoke, ended)
        return self._say(refusal, form, Discarded(f"block {number} can't be sent"))

    # --- the proof of HLS

    def proof_in(self, message: Apdu) -> bytes | None:
        if not isinstance(message, ActionRequestNormal) or message.descriptor != REPLY_TO_HLS_AUTHENTICATION:
            return None
        return octets_of(message.parameters)

    def proof_answer(self, message: Apdu, proof: bytes | None) -> Apdu:
        invoke = message.invoke_id_and_priority if isinstance(message, ActionRequestNormal) else 0
        if proof is None:
            return ActionResponseNormal(invoke, ActionResult.OTHER_REASON)
        return ActionResponseNormal(invoke, ActionResult.SUCCESS, data.octet_string(proof))

    handlers: ClassVar[Mapping[type, Callable[[Any, Any, Form], Reply]]] = {
        AccessRequest: _access,
        GetRequestNormal: _get,
        GetRequestNext: _next,
        GetRequestWithList: _get_list,
        SetRequestNormal: _set,
        SetRequestWithList: _set_list,
        SetRequestWithFirstDataBlock: _set_first,
        SetRequestWithListAndFirstDataBlock: _set_list_first,
        SetRequestWithDataBlock: _block,
        ActionRequestNormal: _action,
        ActionRequestWithList: _action_list,
        ActionRequestNextBlock: _next,
        ActionRequestWithFirstBlock: _action_first,
        ActionRequestWithListAndFirstBlock: _action_list_first,
        ActionRequestWithBlock: _block,
    }


class _Single(NamedTuple):
    """Blocks that carry one value."""

    make: Callable[[Data], Item]

    def of(self, whole: bytes) -> tuple[Item, ...]:
        return (self.make(contents.decode(contents.VALUE, whole)),)


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


_SET_BLOCKS = (SetRequestWithFirstDataBlock, SetRequestWithListAndFirstDataBlock, SetRequestWithDataBlock)
_NONE_IN_PROGRESS: dict[type, Denial] = {
    AskedSet: DataAccessResult.NO_LONG_SET_IN_PROGRESS,
    AskedAction: ActionResult.NO_LONG_ACTION_IN_PROGRESS,
}
_WRONG_BLOCK: dict[type, Denial] = {
    AskedSet: DataAccessResult.DATA_BLOCK_NUMBER_INVALID,
    AskedAction: ActionResult.LONG_ACTION_ABORTED,
}
_UNREADABLE: dict[type, Denial] = {AskedSet: DataAccessResult.OTHER_REASON, AskedAction: ActionResult.OTHER_REASON}


def _service(message: Any) -> type:
    """The service that a block belongs to."""
    return AskedSet if isinstance(message, _SET_BLOCKS) else AskedAction


def _taken(message: Any) -> Apdu:
    """The confirmation of a block."""
    kind = SetResponseDataBlock if isinstance(message, _SET_BLOCKS) else ActionResponseNextBlock
    return kind(message.invoke_id_and_priority, message.block.block_number)
