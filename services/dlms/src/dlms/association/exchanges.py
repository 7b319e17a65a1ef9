"""How a client carries out one GET, SET or ACTION: the first APDU, and what follows from each answer (Green Book 9.3.6 to 9.3.8).

An exchange knows no keys and no state machine. It says which APDU is next and what that is to the table, or how it ended.
Requests that are too long for the server go in the blocks of their service when those were negotiated.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

from dlms import apdu, data
from dlms.apdu import Apdu, contents
from dlms.apdu.action import (
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
from dlms.apdu.fields import ActionResponse, AttributeItem, Block
from dlms.apdu.get import (
    GetRequestNext,
    GetRequestNormal,
    GetRequestWithList,
    GetResponseNormal,
    GetResponseWithDataBlock,
    GetResponseWithList,
)
from dlms.apdu.set import (
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
from dlms.association.events import (
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
from dlms.association.states import ClientEvent
from dlms.association.transfer import EMPTY, IncomingBlocks, OutgoingBlocks, room_beside
from dlms.data import Data
from dlms.enums import Conformance, DataAccessResult
from dlms.errors import LocalError, ProtocolError

ServiceRequest = Get | Set | Action | GetList | SetList | ActionList
INVOKE_ID_MASK = 0x0F
MULTIPLE = Conformance.MULTIPLE_REFERENCES


class Limits(NamedTuple):
    """What the server takes: plain octets of one request, and what was negotiated."""

    room: int
    conformance: Conformance


class Next(NamedTuple):
    """Send this, and go on."""

    octets: bytes
    event: ClientEvent


class Done(NamedTuple):
    """The exchange is over."""

    outcome: ClientOutput
    event: ClientEvent = ClientEvent.RESPONSE


Step = Next | Done | None


class Exchange(ABC):
    """One request until its answer is complete."""

    needs: ClassVar[Conformance] = Conformance(0)
    answers: ClassVar[tuple[type, ...]] = ()

    __slots__ = ("_following", "_outgoing", "blocks", "first", "invoke_id_and_priority")

    def __init__(self, invoke_id_and_priority: int, first: bytes) -> None:
        self.invoke_id_and_priority = invoke_id_and_priority
        self.first = first
        self.blocks = IncomingBlocks()
        self._outgoing: OutgoingBlocks | None = None
        self._following: Callable[[Block], Apdu] | None = None

    @property
    def event(self) -> ClientEvent:
        """What sending the first APDU is to the table."""
        return ClientEvent.SEND_REQUEST if self._outgoing is None else ClientEvent.SEND_FIRST_BLOCK

    def concerns(self, message: Any) -> bool:
        """Whether an answer carries our invoke id; priority and service class do not matter."""
        return not (message.invoke_id_and_priority ^ self.invoke_id_and_priority) & INVOKE_ID_MASK

    def receive(self, message: Apdu) -> Step:
        """What follows from an answer that concerns this exchange; ProtocolError when it can't be one."""
        if not isinstance(message, self.answers):
            raise ProtocolError(f"{type(message).__name__} answers {type(self).__name__}")
        return self._step(message)

    @abstractmethod
    def _step(self, message: Any) -> Step:
        """What follows from an answer of the right kind."""

    def _collected(self, whole: bytes) -> ClientOutput:
        raise ProtocolError(f"{type(self).__name__} has no answer in blocks")

    def _collect(self, block: Block, ask: type) -> Step:
        """Take a block of the answer and ask for the next one."""
        if self.blocks.repeats(block.block_number):
            return None
        self.blocks.take(block.block_number, block.raw_data)
        if block.last_block:
            return Done(self._collected(self.blocks.whole()), ClientEvent.LAST_BLOCK)
        return Next(apdu.encode(ask(self.invoke_id_and_priority, block.block_number)), ClientEvent.BLOCK)

    def _send_in_blocks(self, whole: bytes, limits: Limits, first: Callable[[Block], Apdu], following: Any) -> None:
        """Replace the first APDU by one with a block; a general block transfer may still carry it when that has no room."""
        room = limits.room
        if Conformance.GENERAL_BLOCK_TRANSFER & limits.conformance and len(apdu.encode(first(EMPTY))) >= room:
            return
        self._following = following
        self._outgoing = OutgoingBlocks(whole, room_beside(following(EMPTY), room), room_beside(first(EMPTY), room))
        self.first = apdu.encode(first(self._outgoing.next_block()))

    def _continue(self, taken: int) -> Next | None:
        """The server has taken a block and wants the next one."""
        outgoing = self._outgoing
        if outgoing is not None and taken == outgoing.block_number - 1:
            return None
        if outgoing is None or self._following is None or taken != outgoing.block_number or outgoing.exhausted:
            raise ProtocolError(f"the server wants the block after block {taken}")
        event = ClientEvent.LAST_BLOCK_WANTED if outgoing.next_is_last else ClientEvent.NEXT_BLOCK_WANTED
        return Next(apdu.encode(self._following(outgoing.next_block())), event)


class GetExchange(Exchange):
    """GET of one attribute."""

    answers: ClassVar[tuple[type, ...]] = (GetResponseNormal, GetResponseWithDataBlock)
    __slots__ = ()

    def __init__(self, invoke: int, request: Get, limits: Limits) -> None:
        super().__init__(invoke, apdu.encode(GetRequestNormal(invoke, request.descriptor, request.selection)))

    def _step(self, message: GetResponseNormal | GetResponseWithDataBlock) -> Step:
        if isinstance(message, GetResponseNormal):
            return Done(get_result(message.result))
        return self._block(message)

    def _block(self, message: GetResponseWithDataBlock) -> Step:
        if isinstance(message.result, DataAccessResult):
            if self.blocks.repeats(message.block_number):
                return None
            return Done(self._failed(message.result), ClientEvent.LAST_BLOCK)
        return self._collect(Block(message.last_block, message.block_number, message.result), GetRequestNext)

    def _collected(self, whole: bytes) -> ClientOutput:
        return GetResult(data.decode(whole), DataAccessResult.SUCCESS)

    def _failed(self, result: DataAccessResult) -> ClientOutput:
        return get_result(result)


class GetListExchange(GetExchange):
    """GET of several attributes."""

    needs = MULTIPLE
    answers = (GetResponseWithList, GetResponseWithDataBlock)
    __slots__ = ("_count",)

    def __init__(self, invoke: int, request: GetList, limits: Limits) -> None:
        items = tuple(AttributeItem(item.descriptor, item.selection) for item in request.items)
        Exchange.__init__(self, invoke, apdu.encode(GetRequestWithList(invoke, items)))
        self._count = len(items)

    def _step(self, message: Any) -> Step:
        if isinstance(message, GetResponseWithList):
            return Done(self._results(message.results))
        return self._block(message)

    def _collected(self, whole: bytes) -> ClientOutput:
        return self._results(contents.decode(contents.GET_RESULTS, whole))

    def _failed(self, result: DataAccessResult) -> ClientOutput:
        return self._results((result,) * self._count)

    def _results(self, results: Sequence[Data | DataAccessResult]) -> GetListResult:
        return GetListResult(tuple(get_result(result) for result in counted(results, self._count)))


class SetExchange(Exchange):
    """SET of one attribute."""

    answers = (SetResponseNormal, SetResponseDataBlock, SetResponseLastDataBlock)
    __slots__ = ()

    def __init__(self, invoke: int, request: Set, limits: Limits) -> None:
        descriptor, selection, value = request.descriptor, request.selection, request.value
        super().__init__(invoke, apdu.encode(SetRequestNormal(invoke, descriptor, selection, value)))
        if _in_blocks(self.first, limits, Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE):
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

    needs = MULTIPLE
    answers = (
        SetResponseWithList,
        SetResponseDataBlock,
        SetResponseLastDataBlock,
        SetResponseLastDataBlockWithList,
    )
    __slots__ = ("_count",)

    def __init__(self, invoke: int, request: SetList, limits: Limits) -> None:
        items = tuple(AttributeItem(item.descriptor, item.selection) for item in request.items)
        values = tuple(item.value for item in request.items)
        super().__init__(invoke, apdu.encode(SetRequestWithList(invoke, items, values)))
        self._count = len(items)
        if _in_blocks(self.first, limits, Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE):
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

    answers = (ActionResponseNormal, ActionResponseWithBlock, ActionResponseNextBlock)
    __slots__ = ()

    def __init__(self, invoke: int, request: Action, limits: Limits) -> None:
        descriptor, parameters = request.descriptor, request.parameters
        super().__init__(invoke, apdu.encode(ActionRequestNormal(invoke, descriptor, parameters)))
        if parameters is not None and _in_blocks(self.first, limits, Conformance.BLOCK_TRANSFER_WITH_ACTION):
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
            return self._collect(message.block, ActionRequestNextBlock)
        return Done(action_outcome(message))

    def _collected(self, whole: bytes) -> ClientOutput:
        return action_outcome(contents.decode(contents.ACTION_RESPONSE, whole))


class ActionListExchange(Exchange):
    """ACTION of several methods."""

    needs = MULTIPLE
    answers = (ActionResponseWithList, ActionResponseWithBlock, ActionResponseNextBlock, ActionResponseNormal)
    __slots__ = ("_count",)

    def __init__(self, invoke: int, request: ActionList, limits: Limits) -> None:
        descriptors = tuple(item.descriptor for item in request.items)
        values = tuple(data.null() if item.parameters is None else item.parameters for item in request.items)
        super().__init__(invoke, apdu.encode(ActionRequestWithList(invoke, descriptors, values)))
        self._count = len(descriptors)
        if _in_blocks(self.first, limits, Conformance.BLOCK_TRANSFER_WITH_ACTION):
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
            return self._collect(message.block, ActionRequestNextBlock)
        if isinstance(message, ActionResponseNormal):
            return Done(self._outcomes((ActionResponse(message.result),) * self._count))
        return Done(self._outcomes(message.results))

    def _collected(self, whole: bytes) -> ClientOutput:
        return self._outcomes(contents.decode(contents.ACTION_RESPONSES, whole))

    def _outcomes(self, results: Sequence[ActionResponse]) -> ActionListOutcome:
        return ActionListOutcome(tuple(action_outcome(result) for result in counted(results, self._count)))


_EXCHANGES: dict[type, Callable[[int, Any, Limits], Exchange]] = {
    Get: GetExchange,
    Set: SetExchange,
    Action: ActionExchange,
    GetList: GetListExchange,
    SetList: SetListExchange,
    ActionList: ActionListExchange,
}


def start(request: ServiceRequest, invoke_id_and_priority: int, limits: Limits) -> Exchange:
    """Begin to carry out a request; LocalError when its service was not negotiated."""
    exchange = _EXCHANGES[type(request)](invoke_id_and_priority, request, limits)
    missing = exchange.needs & ~limits.conformance
    if missing:
        raise LocalError(f"{type(request).__name__} was not negotiated with this server: {missing.name}")
    return exchange


def _in_blocks(whole: bytes, limits: Limits, needed: Conformance) -> bool:
    return len(whole) > limits.room and bool(limits.conformance & needed)


def counted(results: Sequence[Any], count: int) -> Sequence[Any]:
    """The results of a list; ProtocolError when they are not as many as were asked for."""
    if len(results) != count:
        raise ProtocolError(f"{len(results)} results for {count} items")
    return results


def get_result(result: Data | DataAccessResult) -> GetResult:
    """What a Get-Data-Result says."""
    if isinstance(result, DataAccessResult):
        return GetResult(None, result)
    return GetResult(result, DataAccessResult.SUCCESS)


def action_outcome(response: ActionResponse | ActionResponseNormal) -> ActionOutcome:
    """What an Action-Response-With-Optional-Data says."""
    returned = response.return_parameters
    return ActionOutcome(response.result, None if isinstance(returned, DataAccessResult) else returned)
