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
from ami_dlms.association.blocks.service_block_transfer import IncomingBlocks
from ami_dlms.association.events import Action, Discarded, Get, Set
from ami_dlms.association.protection.apdu_protection import ApduProtection
from ami_dlms.association.protection.authentication import REPLY_TO_HLS_AUTHENTICATION, octets_of
from ami_dlms.association.server.access_request import PendingAccess, items_of
from ami_dlms.association.server.requests import (
    Denial,
    Item,
    PendingAction,
    PendingActionList,
    PendingGet,
    PendingGetList,
    PendingRequest,
    PendingSet,
    PendingSetList,
)
from ami_dlms.association.server.services import LongRequest, Reply, Services, words
from ami_dlms.association.states import ServerEvent
from ami_dlms.cosem.descriptors import MethodDescriptor
from ami_dlms.data import NULL, Data
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_dlms.errors import DecodeError, ProtocolError


class LnServices(Services):
    """The open requests of an association with logical names."""

    def _get(self, message: GetRequestNormal, answer_protection: ApduProtection) -> Reply:
        return self._whole(PendingGet, message, (Get(message.descriptor, message.selection),), answer_protection)

    def _get_list(self, message: GetRequestWithList, answer_protection: ApduProtection) -> Reply:
        items = tuple(Get(item.descriptor, item.selection) for item in message.items)
        return self._whole(PendingGetList, message, items, answer_protection)

    def _set(self, message: SetRequestNormal, answer_protection: ApduProtection) -> Reply:
        return self._whole(
            PendingSet, message, (Set(message.descriptor, message.value, message.selection),), answer_protection
        )

    def _set_list(self, message: SetRequestWithList, answer_protection: ApduProtection) -> Reply:
        return self._whole(PendingSetList, message, _sets(message.items, message.values), answer_protection)

    def _action(self, message: ActionRequestNormal, answer_protection: ApduProtection) -> Reply:
        return self._whole(PendingAction, message, (Action(message.descriptor, message.parameters),), answer_protection)

    def _action_list(self, message: ActionRequestWithList, answer_protection: ApduProtection) -> Reply:
        return self._whole(
            PendingActionList, message, _actions(message.descriptors, message.parameters), answer_protection
        )

    def _access(self, message: AccessRequest, answer_protection: ApduProtection) -> Reply:
        refused = self._begin(PendingAccess.needs, message)
        if refused is not None:
            return refused
        key, items = self._key(message.long_invoke_id_and_priority), items_of(message)
        return self._admit(PendingAccess(key, message, items, self._judged(items)), answer_protection)

    def _whole(
        self, kind: type[PendingRequest], message: Any, items: tuple[Item, ...], answer_protection: ApduProtection
    ) -> Reply:
        """A request in one APDU."""
        refused = self._begin(kind.needs, message)
        key = self._key(message.invoke_id_and_priority)
        return refused or self._admit(kind(key, items, self._judged(items)), answer_protection)

    # --- requests in blocks

    def _set_first(self, message: SetRequestWithFirstDataBlock, answer_protection: ApduProtection) -> Reply:
        descriptor, selection = message.descriptor, message.selection

        def item(value: Data) -> Set:
            return Set(descriptor, value, selection)

        return self._first(PendingSet, message, _Single(item), answer_protection)

    def _set_list_first(self, message: SetRequestWithListAndFirstDataBlock, answer_protection: ApduProtection) -> Reply:
        return self._first(
            PendingSetList, message, _Many(lambda values: _sets(message.items, values)), answer_protection
        )

    def _action_first(self, message: ActionRequestWithFirstBlock, answer_protection: ApduProtection) -> Reply:
        descriptor = message.descriptor

        def item(value: Data) -> Action:
            return Action(descriptor, value)

        return self._first(PendingAction, message, _Single(item), answer_protection)

    def _action_list_first(
        self, message: ActionRequestWithListAndFirstBlock, answer_protection: ApduProtection
    ) -> Reply:
        return self._first(
            PendingActionList, message, _Many(lambda values: _actions(message.descriptors, values)), answer_protection
        )

    def _first(
        self, kind: type[PendingRequest], message: Any, items: _Single | _Many, answer_protection: ApduProtection
    ) -> Reply:
        """The first block of a request; what is denied is denied at once."""
        invoke = message.invoke_id_and_priority

        def finish(whole: bytes, block_number: int) -> PendingRequest:
            found = items.of(whole)
            return kind(self._key(invoke), found, self._judged(found), block_number)

        request = LongRequest(_service(message), finish, invoke, answer_protection, IncomingBlocks(self._most))
        refused = self._begin_long(kind.needs | kind.request_blocks, message, request)
        if refused is not None:
            return refused
        denial = self._judge(items.make(NULL)) if isinstance(items, _Single) else None
        return (
            self._block(message, answer_protection)
            if denial is None
            else self._abort(message, answer_protection, denial)
        )

    def _block(self, message: Any, answer_protection: ApduProtection) -> Reply:
        """A block of a request, the first one included."""
        request, block, service = self._request, message.block, _service(message)
        if request is None or not request.takes(
            service, message.invoke_id_and_priority, answer_protection, self._request_protection
        ):
            return self._refuse_block(message, answer_protection, _NONE_IN_PROGRESS[service])
        if request.blocks.repeats(block.block_number):
            return self._say(_taken(message), answer_protection)
        try:
            request.blocks.take(block.block_number, block.raw_data)
        except ProtocolError:
            return self._abort(message, answer_protection, _WRONG_BLOCK[service])
        if block.last_block:
            return self._last(request, message, answer_protection)
        if block.block_number > 1:
            self._move(ServerEvent.BLOCK)
        return self._say(_taken(message), answer_protection)

    def _last(self, request: LongRequest, message: Any, answer_protection: ApduProtection) -> Reply:
        try:
            pending = request.finish(request.blocks.whole(), request.blocks.block_number)
        except (DecodeError, ProtocolError):
            return self._abort(message, answer_protection, _UNREADABLE[request.service])
        self._move(ServerEvent.LAST_BLOCK)
        self._request = None
        return self._admit(pending, answer_protection)

    def _abort(self, message: Any, answer_protection: ApduProtection, result: Denial) -> Reply:
        self._move(ServerEvent.TRANSFER_ABORTED)
        self._request = None
        return self._refuse_block(message, answer_protection, result)

    def _refuse_block(self, message: Any, answer_protection: ApduProtection, result: Denial) -> Reply:
        invoke, number = message.invoke_id_and_priority, message.block.block_number
        response: Apdu = (
            ActionResponseNormal(invoke, result)
            if isinstance(result, ActionResult)
            else SetResponseLastDataBlock(invoke, result, number)
        )
        return self._say(
            response, answer_protection, Discarded(f"block {number} of a request is not taken: {words(result)}")
        )

    # --- answers in blocks

    def _next(self, message: GetRequestNext | ActionRequestNextBlock, answer_protection: ApduProtection) -> Reply:
        """The client wants the next block of a long answer."""
        invoke, number, begun = message.invoke_id_and_priority, message.block_number, self._answer
        reply = self._next_block(type(message), invoke, number, answer_protection)
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
        return self._say(refusal, answer_protection, Discarded(f"block {number} can't be sent"))

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

    handlers: ClassVar[Mapping[type, Callable[[Any, Any, ApduProtection], Reply]]] = {
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
    PendingSet: DataAccessResult.NO_LONG_SET_IN_PROGRESS,
    PendingAction: ActionResult.NO_LONG_ACTION_IN_PROGRESS,
}
_WRONG_BLOCK: dict[type, Denial] = {
    PendingSet: DataAccessResult.DATA_BLOCK_NUMBER_INVALID,
    PendingAction: ActionResult.LONG_ACTION_ABORTED,
}
_UNREADABLE: dict[type, Denial] = {PendingSet: DataAccessResult.OTHER_REASON, PendingAction: ActionResult.OTHER_REASON}


def _service(message: Any) -> type:
    """The service that a block belongs to."""
    return PendingSet if isinstance(message, _SET_BLOCKS) else PendingAction


def _taken(message: Any) -> Apdu:
    """The confirmation of a block."""
    kind = SetResponseDataBlock if isinstance(message, _SET_BLOCKS) else ActionResponseNextBlock
    return kind(message.invoke_id_and_priority, message.block.block_number)
