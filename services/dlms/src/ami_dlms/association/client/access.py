"""How a client carries out ACCESS: reading, writing and calling in one request (Green Book 9.3.9)."""

from __future__ import annotations

from typing import Any

from ami_dlms import apdu, data
from ami_dlms.apdu.access import (
    BREAK_ON_ERROR,
    CONFIRMED,
    HIGH_PRIORITY,
    LONG_INVOKE_ID_MASK,
    SELF_DESCRIPTIVE,
    AccessRequest,
    AccessRequestAction,
    AccessRequestGet,
    AccessRequestGetWithSelection,
    AccessRequestSet,
    AccessRequestSetWithSelection,
    AccessRequestSpecification,
    AccessResponse,
    AccessResponseAction,
    AccessResponseGet,
    AccessResponseSet,
    AccessResponseSpecification,
)
from ami_dlms.association.client.exchange import Done, Exchange, ExchangeLimits, Step, counted
from ami_dlms.association.events import Access, AccessResult, Action, ActionOutcome, Get, GetResult, Set, SetResult
from ami_dlms.data import NULL, Data
from ami_dlms.enums import ActionResult, Conformance, DataAccessResult
from ami_dlms.errors import ProtocolError

Item = Get | Set | Action
_ANSWERED_BY: dict[type, type] = {Get: AccessResponseGet, Set: AccessResponseSet, Action: AccessResponseAction}


class AccessExchange(Exchange):
    """ACCESS; what is too long goes by general block transfer, the service has no blocks of its own."""

    __slots__ = ("_items", "_long_invoke_id")

    needs = Conformance.ACCESS
    answers = (AccessResponse,)

    def __init__(self, number: int, request: Access, limits: ExchangeLimits) -> None:
        flags = CONFIRMED | (HIGH_PRIORITY if limits.high_priority else 0)
        flags |= BREAK_ON_ERROR if request.break_on_error else 0
        flags |= SELF_DESCRIPTIVE if request.self_descriptive else 0
        self._long_invoke_id = number & LONG_INVOKE_ID_MASK
        self._items = request.items
        specifications = tuple(_specification(item) for item in request.items)
        values = tuple(_value(item) for item in request.items)
        whole = AccessRequest(flags | self._long_invoke_id, request.date_time, specifications, values)
        super().__init__(0, apdu.encode(whole))

    def invoke_ids(self, message: Any) -> tuple[int | None, int]:
        """The answer's long invoke id, None when it has none, and ours."""
        invoke = getattr(message, "long_invoke_id_and_priority", None)
        return None if invoke is None else invoke & LONG_INVOKE_ID_MASK, self._long_invoke_id

    def _step(self, message: AccessResponse) -> Step:
        results = counted(message.results, len(self._items))
        values = counted(message.values, len(self._items))
        outcomes = tuple(_outcome(*told) for told in zip(self._items, results, values, strict=True))
        return Done(AccessResult(outcomes, message.date_time))


def _specification(item: Item) -> AccessRequestSpecification:
    if isinstance(item, Action):
        return AccessRequestAction(item.descriptor)
    if isinstance(item, Get):
        if item.selection is None:
            return AccessRequestGet(item.descriptor)
        return AccessRequestGetWithSelection(item.descriptor, item.selection)
    if item.selection is None:
        return AccessRequestSet(item.descriptor)
    return AccessRequestSetWithSelection(item.descriptor, item.selection)


def _value(item: Item) -> Data:
    if isinstance(item, Get):
        return data.null()
    value = item.value if isinstance(item, Set) else item.parameters
    return data.null() if value is None else value


def _outcome(item: Item, response: AccessResponseSpecification, value: Data) -> GetResult | SetResult | ActionOutcome:
    if not isinstance(response, _ANSWERED_BY[type(item)]):
        raise ProtocolError(f"{type(response).__name__} answers {type(item).__name__}")
    result = response.result
    if isinstance(result, ActionResult):
        return ActionOutcome(result, None if value == NULL else value)
    if isinstance(item, Set):
        return SetResult(result)
    return GetResult(value if result is DataAccessResult.SUCCESS else None, result)
