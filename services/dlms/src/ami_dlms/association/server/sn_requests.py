"""Read and Write by short names at a server: what was named, judged item by item, and how it is answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ami_dlms.apdu import Apdu, contents
from ami_dlms.apdu.fields import Block
from ami_dlms.apdu.short_names import (
    DataBlockResult,
    ParameterizedAccess,
    ReadRequest,
    ReadResponse,
    VariableAccess,
    VariableName,
    WriteResponse,
)
from ami_dlms.association.events import Action, ActionOutcome, Get, ItemResult, RequestKey, Service, Set
from ami_dlms.association.server.requests import Denial, Item, PendingRequest, Response
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.cosem.selection import SelectiveAccess
from ami_dlms.cosem.short_names import ShortNames
from ami_dlms.data import NULL, Data
from ami_dlms.enums import ActionResult, Conformance, DataAccessResult
from ami_dlms.errors import ProtocolError


class _SnPendingRequest(PendingRequest):
    """What Read and Write have in common: some names stand for nothing, and there is one kind of result."""

    __slots__ = ()

    def _name(self, item: Item | None) -> str:
        return "a short name that names nothing" if item is None else str(item.descriptor)

    def _refused(self, denial: Denial) -> DataAccessResult:
        return DataAccessResult(denial)


class PendingRead(_SnPendingRequest):
    """Read: attributes, and methods that are called; None for a short name that names nothing."""

    __slots__ = ()

    service = Service.READ
    needs = Conformance.READ
    answer_blocks = Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
    blocks_wanted_by = ReadRequest
    always_answered = True

    def respond(self, results: Sequence[ItemResult]) -> Response:
        whole = ReadResponse(tuple(map(_read, results)))
        return Response(whole, self._refusal, lambda: contents.encode(contents.READ_RESPONSE, whole), _block)

    def _refusal(self) -> Apdu:
        return ReadResponse((DataAccessResult.OTHER_REASON,) * len(self.requested))


class PendingWrite(_SnPendingRequest):
    """Write, confirmed or not: attributes, and methods that are called."""

    __slots__ = ("_confirmed",)

    service = Service.WRITE
    needs = Conformance.WRITE

    def __init__(
        self,
        key: RequestKey,
        items: tuple[Item | None, ...],
        denials: Sequence[Denial | None],
        *,
        confirmed: bool = True,
    ) -> None:
        super().__init__(key, items, denials)
        self._confirmed = confirmed

    @property
    def silent(self) -> bool:
        return not self._confirmed

    def respond(self, results: Sequence[DataAccessResult | ActionOutcome]) -> Response:
        return Response(WriteResponse(tuple(map(_written, results))))


def read_item(names: ShortNames, variable: VariableAccess) -> Item | None:
    """What a variable of a Read asks for."""
    found, selection = _named(names, variable)
    if found is None:
        return None
    if isinstance(found, AttributeDescriptor):
        return Get(found, selection)
    return Action(found, None if selection is None or selection.parameters == NULL else selection.parameters)


def write_item(names: ShortNames, variable: VariableAccess, value: Data) -> Item | None:
    """What a variable of a Write asks for; a method is called with the value."""
    found, selection = _named(names, variable)
    if found is None:
        return None
    if isinstance(found, AttributeDescriptor):
        return Set(found, value, selection)
    return Action(found, None if value == NULL else value)


def _named(names: ShortNames, variable: VariableAccess) -> tuple[Any, SelectiveAccess | None]:
    if isinstance(variable, VariableName):
        return names.resolve(variable.name), None
    if isinstance(variable, ParameterizedAccess):
        return names.resolve(variable.name), SelectiveAccess(variable.selector, variable.parameter)
    raise ProtocolError("blocks among variables")


def _read(result: ItemResult) -> Data | DataAccessResult:
    """A method gives its value, null-data, or a code that both enumerations have."""
    if not isinstance(result, ActionOutcome):
        return result
    if result.result is not ActionResult.SUCCESS:
        return DataAccessResult(result.result)
    return NULL if result.value is None else result.value


def _written(result: DataAccessResult | ActionOutcome) -> DataAccessResult:
    return DataAccessResult(result.result) if isinstance(result, ActionOutcome) else result


def _block(block: Block) -> Apdu:
    return ReadResponse((DataBlockResult(block.last_block, block.block_number, block.raw_data),))
