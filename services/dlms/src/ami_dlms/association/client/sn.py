"""How a client carries out Read and Write by short names, with long requests and answers in blocks (Green Book 9.3.14, 9.3.15).

There is no invoke id: an answer belongs to the one request that is open. GET, SET and ACTION of an association with short
names are sent as Read and Write; a method is called by a Read with its parameter, so that its answer has a place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ami_dlms import apdu, data
from ami_dlms.apdu import Apdu, contents
from ami_dlms.apdu.fields import Block
from ami_dlms.apdu.short_names import (
    BlockNumberAccess,
    DataBlockResult,
    ParameterizedAccess,
    ReadDataBlockAccess,
    ReadRequest,
    ReadResponse,
    VariableAccess,
    VariableName,
    WriteDataBlockAccess,
    WriteRequest,
    WriteResponse,
)
from ami_dlms.association.client.exchange import Done, Exchange, ExchangeLimits, Step, counted, get_result
from ami_dlms.association.events import (
    Action,
    ActionList,
    ActionListOutcome,
    ActionOutcome,
    ClientOutput,
    Get,
    GetList,
    GetListResult,
    Read,
    ReadResult,
    Set,
    SetList,
    SetListResult,
    SetResult,
    Write,
    WriteResult,
)
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.cosem.selection import SelectiveAccess
from ami_dlms.cosem.short_names import ShortNames
from ami_dlms.data import NULL, Data
from ami_dlms.enums import ActionResult, Conformance, DataAccessResult
from ami_dlms.errors import LocalError, ProtocolError

METHOD_SELECTOR = 0
_ACTION_RESULTS = frozenset(map(int, ActionResult))
Finish = Callable[[Sequence[Any]], ClientOutput]


class SnExchange(Exchange):
    """One Read or Write; `finish` says what its results are to the application."""

    __slots__ = ("_count", "_finish", "_needed")

    def __init__(self, whole: Apdu, variables: Sequence[VariableAccess], service: Conformance, finish: Finish) -> None:
        super().__init__(0, apdu.encode(whole))
        self._count = len(variables)
        self._finish = finish
        self._needed = service
        if any(isinstance(variable, ParameterizedAccess) for variable in variables):
            self._needed |= Conformance.PARAMETERIZED_ACCESS
        if len(variables) > 1:
            self._needed |= Conformance.MULTIPLE_REFERENCES

    @property
    def needed(self) -> Conformance:
        return self._needed

    def concerns(self, message: Any) -> bool:
        """Whether an answer is one of these services at all."""
        return isinstance(message, ReadResponse | WriteResponse)

    def _finished(self, results: Sequence[Any]) -> ClientOutput:
        """One error alone speaks for everything: so the server ends a long transfer."""
        if len(results) == 1 and isinstance(results[0], DataAccessResult):
            results = (results[0],) * self._count
        if any(isinstance(result, DataBlockResult) or type(result) is int for result in results):
            raise ProtocolError("blocks among results")
        return self._finish(counted(results, self._count))


class ReadExchange(SnExchange):
    """Read."""

    __slots__ = ()

    answers = (ReadResponse,)

    def __init__(self, variables: tuple[VariableAccess, ...], limits: ExchangeLimits, finish: Finish) -> None:
        super().__init__(ReadRequest(variables), variables, Conformance.READ, finish)
        if self._too_long(limits, Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ):
            whole = contents.encode(contents.READ_REQUEST, ReadRequest(variables))
            self._send_in_blocks(whole, limits, _read_block, _read_block)

    def _step(self, message: ReadResponse) -> Step:
        only = message.results[0] if len(message.results) == 1 else None
        if isinstance(only, DataBlockResult):
            block = Block(only.last_block, only.block_number, only.raw_data)
            return self._collect(block, lambda number: ReadRequest((BlockNumberAccess(number),)))
        if type(only) is int:
            return self._continue(only)
        return Done(self._finished(message.results))

    def _collected(self, whole: bytes) -> ClientOutput:
        return self._finished(contents.decode(contents.READ_RESPONSE, whole).results)


class WriteExchange(SnExchange):
    """Write."""

    __slots__ = ()

    answers = (WriteResponse,)

    def __init__(
        self, variables: tuple[VariableAccess, ...], values: tuple[Data, ...], limits: ExchangeLimits, finish: Finish
    ) -> None:
        request = WriteRequest(variables, values)
        super().__init__(request, variables, Conformance.WRITE, finish)
        if len(values) != len(variables):
            raise LocalError(f"{len(values)} values for {len(variables)} variables")
        if self._too_long(limits, Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE):
            self._send_in_blocks(contents.encode(contents.WRITE_REQUEST, request), limits, _write_block, _write_block)

    def _step(self, message: WriteResponse) -> Step:
        only = message.results[0] if len(message.results) == 1 else None
        if type(only) is int:
            return self._continue(only)
        return Done(self._finished(message.results))


def start_sn(request: Any, limits: ExchangeLimits, names: ShortNames) -> Exchange:
    """Begin to carry out any request of an association with short names."""
    return _STARTS[type(request)](request, limits, names)


def start_proof_sn(name: int, proof: bytes, limits: ExchangeLimits) -> Exchange:
    """The call of reply_to_HLS_authentication."""
    call = ParameterizedAccess(name, METHOD_SELECTOR, data.octet_string(proof))
    return ReadExchange((call,), limits, lambda results: _called(results[0]))


def _read(request: Read, limits: ExchangeLimits, names: ShortNames) -> Exchange:
    return ReadExchange(request.variables, limits, lambda results: ReadResult(tuple(map(get_result, results))))


def _write(request: Write, limits: ExchangeLimits, names: ShortNames) -> Exchange:
    def finish(results: Sequence[DataAccessResult]) -> ClientOutput:
        return WriteResult(tuple(map(SetResult, results)))

    return WriteExchange(request.variables, request.values, limits, finish)


def _get(request: Get, limits: ExchangeLimits, names: ShortNames) -> Exchange:
    return ReadExchange((_attribute(names, request),), limits, lambda results: get_result(results[0]))


def _get_list(request: GetList, limits: ExchangeLimits, names: ShortNames) -> Exchange:
    variables = tuple(_attribute(names, item) for item in request.items)
    return ReadExchange(variables, limits, lambda results: GetListResult(tuple(map(get_result, results))))


def _set(request: Set, limits: ExchangeLimits, names: ShortNames) -> Exchange:
    return WriteExchange((_attribute(names, request),), (request.value,), limits, lambda results: SetResult(results[0]))


def _set_list(request: SetList, limits: ExchangeLimits, names: ShortNames) -> Exchange:
    variables = tuple(_attribute(names, item) for item in request.items)
    values = tuple(item.value for item in request.items)
    return WriteExchange(variables, values, limits, lambda results: SetListResult(tuple(map(SetResult, results))))


def _action(request: Action, limits: ExchangeLimits, names: ShortNames) -> Exchange:
    return ReadExchange((_method(names, request),), limits, lambda results: _called(results[0]))


def _action_list(request: ActionList, limits: ExchangeLimits, names: ShortNames) -> Exchange:
    variables = tuple(_method(names, item) for item in request.items)
    return ReadExchange(variables, limits, lambda results: ActionListOutcome(tuple(map(_called, results))))


_STARTS: dict[type, Callable[[Any, ExchangeLimits, ShortNames], Exchange]] = {
    Read: _read,
    Write: _write,
    Get: _get,
    GetList: _get_list,
    Set: _set,
    SetList: _set_list,
    Action: _action,
    ActionList: _action_list,
}


def _attribute(names: ShortNames, item: Get | Set) -> VariableAccess:
    return variable_of(names, item.descriptor, item.selection)


def variable_of(
    names: ShortNames, descriptor: AttributeDescriptor, selection: SelectiveAccess | None = None
) -> VariableAccess:
    """How an attribute is named."""
    name = names.name_of(descriptor)
    if selection is None:
        return VariableName(name)
    return ParameterizedAccess(name, selection.selector, selection.parameters)


def _method(names: ShortNames, item: Action) -> VariableAccess:
    parameter = data.null() if item.parameters is None else item.parameters
    return ParameterizedAccess(names.name_of(item.descriptor), METHOD_SELECTOR, parameter)


def _called(result: Data | DataAccessResult) -> ActionOutcome:
    """What a Read of a method says; the codes of both services have the same numbers."""
    if not isinstance(result, DataAccessResult):
        return ActionOutcome(ActionResult.SUCCESS, None if result == NULL else result)
    same = int(result) in _ACTION_RESULTS and result is not DataAccessResult.SUCCESS
    return ActionOutcome(ActionResult(result) if same else ActionResult.OTHER_REASON, None)


def _read_block(block: Block) -> Apdu:
    return ReadRequest((ReadDataBlockAccess(block.last_block, block.block_number, block.raw_data),))


def _write_block(block: Block) -> Apdu:
    variable = WriteDataBlockAccess(block.last_block, block.block_number)
    return WriteRequest((variable,), (data.octet_string(block.raw_data),))
