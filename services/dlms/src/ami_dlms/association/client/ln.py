"""How a client carries out GET, SET and ACTION, of one and of several, with long values in blocks (Green Book 9.3.6 to 9.3.8)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

from ami_dlms import apdu, data
from ami_dlms.apdu import contents, fast_get
from ami_dlms.apdu.action import (
    ActionRequestNextBlock,
    ActionRequestNormal,
    ActionRequestWithBlock,
    ActionRequestWithFirstBlock,
    ActionRequestWithList,
    ActionRequestWithListAndFirstBlock,
    ActionResponseNextBlock,
    ActionResponseNormal,
    ActionResponseWithBlock,
    ActionResponseWithList,
)
from ami_dlms.apdu.fields import ActionResponse, AttributeItem, Block
from ami_dlms.apdu.get import (
    GetRequestNext,
    GetRequestNormal,
    GetRequestWithList,
    GetResponseNormal,
    GetResponseWithDataBlock,
    GetResponseWithList,
)
from ami_dlms.apdu.set import (
    SetRequestNormal,
    SetRequestWithDataBlock,
    SetRequestWithFirstDataBlock,
    SetRequestWithList,
    SetRequestWithListAndFirstDataBlock,
    SetResponseDataBlock,
    SetResponseLastDataBlock,
    SetResponseLastDataBlockWithList,
    SetResponseNormal,
    SetResponseWithList,
)
from ami_dlms.association.client.exchange import Done, Exchange, ExchangeLimits, Step, counted, get_result, invoke_of
from ami_dlms.association.events import (
    Action,
    ActionList,
    ActionListOutcome,
    ActionOutcome,
    ClientOutput,
    Get,
    GetList,
    GetListResult,
    GetResult,
    Set,
    SetList,
    SetListResult,
    SetResult,
)
from ami_dlms.association.states import ClientEvent
from ami_dlms.cursor import Reader
from ami_dlms.data import Data, EncodedItems
from ami_dlms.enums import Conformance, DataAccessResult, DataTag
from ami_dlms.errors import ProtocolError

MULTIPLE = Conformance.MULTIPLE_REFERENCES
ARRAY = bytes((DataTag.ARRAY,))


def get_exchange(number: int, request: Get, limits: ExchangeLimits) -> GetExchange:
    """The exchange of a Get."""
    invoke = invoke_of(number, high_priority=limits.high_priority)
    kind = EncodedGetExchange if request.encoded else GetExchange
    return kind(invoke, apdu.encode(GetRequestNormal(invoke, request.descriptor, request.selection)))


class GetExchange(Exchange):
    """GET of one attribute."""

    __slots__ = ()

    answers: ClassVar[tuple[type, ...]] = (GetResponseNormal, GetResponseWithDataBlock)

    def _step(self, message: GetResponseNormal | GetResponseWithDataBlock) -> Step:
        if isinstance(message, GetResponseNormal):
            return Done(get_result(message.result))
        return self._block(message)

    def _block(self, message: GetResponseWithDataBlock) -> Step:
        if isinstance(message.result, DataAccessResult):
            if self.blocks.repeats(message.block_number):
                return None
            return Done(self._failed(message.result), ClientEvent.LAST_BLOCK)
        return self._collect(
            Block(message.last_block, message.block_number, message.result),
            partial(GetRequestNext, self.invoke_id_and_priority),
        )

    def _collected(self, whole: bytes) -> ClientOutput:
        return GetResult(data.decode(whole), DataAccessResult.SUCCESS)

    def _failed(self, result: DataAccessResult) -> ClientOutput:
        return get_result(result)


class EncodedGetExchange(GetExchange):
    """The same for who wants columns and no object for each value of a long array."""

    __slots__ = ()

    def _collected(self, whole: bytes) -> ClientOutput:
        if whole[:1] != ARRAY:
            return super()._collected(whole)
        reader = Reader(whole, 1)
        length = reader.length()
        return GetResult(Data(DataTag.ARRAY, EncodedItems(length, whole[reader.offset :])), DataAccessResult.SUCCESS)


def get_list_exchange(number: int, request: GetList, limits: ExchangeLimits) -> GetListExchange:
    """The exchange of a GetList."""
    kind = EncodedGetListExchange if request.items and request.items[-1].encoded else GetListExchange
    return kind(number, request, limits)


class GetListExchange(GetExchange):
    """GET of several attributes."""

    __slots__ = ("_count",)

    needs = MULTIPLE
    answers = (GetResponseWithList, GetResponseWithDataBlock, GetResponseNormal)

    def __init__(self, number: int, request: GetList, limits: ExchangeLimits) -> None:
        invoke = invoke_of(number, high_priority=limits.high_priority)
        items = tuple(AttributeItem(item.descriptor, item.selection) for item in request.items)
        super().__init__(invoke, apdu.encode(GetRequestWithList(invoke, items)))
        self._count = len(items)

    def _step(self, message: Any) -> Step:
        if isinstance(message, GetResponseWithList):
            return Done(self.results(message.results))
        if isinstance(message, GetResponseNormal):
            return Done(self._of_the_whole_list(message.result))
        return self._block(message)

    def _of_the_whole_list(self, result: Data | DataAccessResult) -> ClientOutput:
        """Servers that take no lists may refuse one like a single attribute; a value can't be the answer to a list."""
        if not isinstance(result, DataAccessResult):
            raise ProtocolError("one value answers a list")
        return self._failed(result)

    def _collected(self, whole: bytes) -> ClientOutput:
        return self.results(contents.decode(contents.GET_RESULTS, whole))

    def _failed(self, result: DataAccessResult) -> ClientOutput:
        return self.results((result,) * self._count)

    def results(self, results: Sequence[Data | DataAccessResult]) -> GetListResult:
        """The outcome with these; ProtocolError when they are not as many as were asked for."""
        return GetListResult(tuple([get_result(result) for result in counted(results, self._count)]))


class EncodedGetListExchange(GetListExchange):
    """The same with a long array at the end, as of `EncodedGetExchange`."""

    __slots__ = ()

    def _collected(self, whole: bytes) -> ClientOutput:
        found = fast_get.results_with_array(whole)
        return super()._collected(whole) if found is None else self.results(found)


class SetExchange(Exchange):
    """SET of one attribute."""

    __slots__ = ()

    answers = (SetResponseNormal, SetResponseDataBlock, SetResponseLastDataBlock)

    def __init__(self, number: int, request: Set, limits: ExchangeLimits) -> None:
        invoke = invoke_of(number, high_priority=limits.high_priority)
        descriptor, selection, value = request.descriptor, request.selection, request.value
        super().__init__(invoke, apdu.encode(SetRequestNormal(invoke, descriptor, selection, value)))
        if self._too_long(limits, Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE):
            self._send_in_blocks(
                data.encode(value),
                limits,
                lambda block: SetRequestWithFirstDataBlock(invoke, descriptor, selection, block),
                lambda block: SetRequestWithDataBlock(invoke, block),
            )

    def _step(self, message: Any) -> Step:
        if isinstance(message, SetResponseDataBlock):
            return self._continue(message.block_number)
        return Done(SetResult(message.result))


class SetListExchange(Exchange):
    """SET of several attributes."""

    __slots__ = ("_count",)

    needs = MULTIPLE
    answers = (
        SetResponseWithList,
        SetResponseDataBlock,
        SetResponseLastDataBlock,
        SetResponseLastDataBlockWithList,
    )

    def __init__(self, number: int, request: SetList, limits: ExchangeLimits) -> None:
        invoke = invoke_of(number, high_priority=limits.high_priority)
        items = tuple(AttributeItem(item.descriptor, item.selection) for item in request.items)
        values = tuple(item.value for item in request.items)
        super().__init__(invoke, apdu.encode(SetRequestWithList(invoke, items, values)))
        self._count = len(items)
        if self._too_long(limits, Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE):
            self._send_in_blocks(
                contents.encode(contents.VALUES, values),
                limits,
                lambda block: SetRequestWithListAndFirstDataBlock(invoke, items, block),
                lambda block: SetRequestWithDataBlock(invoke, block),
            )

    def _step(self, message: Any) -> Step:
        if isinstance(message, SetResponseDataBlock):
            return self._continue(message.block_number)
        if isinstance(message, SetResponseLastDataBlock):
            results: Sequence[DataAccessResult] = (message.result,) * self._count
        else:
            results = counted(message.results, self._count)
        return Done(SetListResult(tuple(SetResult(result) for result in results)))


class ActionExchange(Exchange):
    """ACTION of one method."""

    __slots__ = ()

    answers = (ActionResponseNormal, ActionResponseWithBlock, ActionResponseNextBlock)

    def __init__(self, number: int, request: Action, limits: ExchangeLimits) -> None:
        invoke = invoke_of(number, high_priority=limits.high_priority)
        descriptor, parameters = request.descriptor, request.parameters
        super().__init__(invoke, apdu.encode(ActionRequestNormal(invoke, descriptor, parameters)))
        if parameters is not None and self._too_long(limits, Conformance.BLOCK_TRANSFER_WITH_ACTION):
            self._send_in_blocks(
                data.encode(parameters),
                limits,
                lambda block: ActionRequestWithFirstBlock(invoke, descriptor, block),
                lambda block: ActionRequestWithBlock(invoke, block),
            )

    def _step(self, message: Any) -> Step:
        if isinstance(message, ActionResponseNextBlock):
            return self._continue(message.block_number)
        if isinstance(message, ActionResponseWithBlock):
            return self._collect(message.block, partial(ActionRequestNextBlock, self.invoke_id_and_priority))
        return Done(action_outcome(message))

    def _collected(self, whole: bytes) -> ClientOutput:
        return action_outcome(contents.decode(contents.ACTION_RESPONSE, whole))


class ActionListExchange(Exchange):
    """ACTION of several methods."""

    __slots__ = ("_count",)

    needs = MULTIPLE
    answers = (ActionResponseWithList, ActionResponseWithBlock, ActionResponseNextBlock, ActionResponseNormal)

    def __init__(self, number: int, request: ActionList, limits: ExchangeLimits) -> None:
        invoke = invoke_of(number, high_priority=limits.high_priority)
        descriptors = tuple(item.descriptor for item in request.items)
        values = tuple(data.null() if item.parameters is None else item.parameters for item in request.items)
        super().__init__(invoke, apdu.encode(ActionRequestWithList(invoke, descriptors, values)))
        self._count = len(descriptors)
        if self._too_long(limits, Conformance.BLOCK_TRANSFER_WITH_ACTION):
            self._send_in_blocks(
                contents.encode(contents.VALUES, values),
                limits,
                lambda block: ActionRequestWithListAndFirstBlock(invoke, descriptors, block),
                lambda block: ActionRequestWithBlock(invoke, block),
            )

    def _step(self, message: Any) -> Step:
        if isinstance(message, ActionResponseNextBlock):
            return self._continue(message.block_number)
        if isinstance(message, ActionResponseWithBlock):
            return self._collect(message.block, partial(ActionRequestNextBlock, self.invoke_id_and_priority))
        if isinstance(message, ActionResponseNormal):
            return Done(self._outcomes((ActionResponse(message.result),) * self._count))
        return Done(self._outcomes(message.results))

    def _collected(self, whole: bytes) -> ClientOutput:
        return self._outcomes(contents.decode(contents.ACTION_RESPONSES, whole))

    def _outcomes(self, results: Sequence[ActionResponse]) -> ActionListOutcome:
        return ActionListOutcome(tuple(action_outcome(result) for result in counted(results, self._count)))


def action_outcome(response: ActionResponse | ActionResponseNormal) -> ActionOutcome:
    """What an Action-Response-With-Optional-Data says."""
    returned = response.return_parameters
    return ActionOutcome(response.result, None if isinstance(returned, DataAccessResult) else returned)
