"""ACCESS at a server: a mixture of reading, writing and calling, judged item by item (Green Book 9.3.9)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ami_dlms.apdu.access import (
    BREAK_ON_ERROR,
    CONFIRMED,
    SELF_DESCRIPTIVE,
    AccessRequest,
    AccessRequestAction,
    AccessRequestGet,
    AccessRequestGetWithSelection,
    AccessRequestSetWithSelection,
    AccessRequestSpecification,
    AccessResponse,
    AccessResponseAction,
    AccessResponseGet,
    AccessResponseSet,
    AccessResponseSpecification,
)
from ami_dlms.association.events import (
    AccessAnswer,
    AccessRequested,
    Action,
    ActionOutcome,
    Get,
    GetResult,
    RequestKey,
    ServerOutput,
    Set,
    SetResult,
)
from ami_dlms.association.server.requests import Denial, Item, PendingRequest, Response
from ami_dlms.data import NULL, Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import ActionResult, Conformance, DataAccessResult
from ami_dlms.errors import LocalError, ProtocolError

Result = GetResult | SetResult | ActionOutcome
_ANSWERED_BY: dict[type, type] = {Get: GetResult, Set: SetResult, Action: ActionOutcome}


class PendingAccess(PendingRequest):
    """ACCESS; its long invoke id is in the key."""

    __slots__ = ("_date_time", "_message", "break_on_error")

    answered_by = AccessAnswer
    needs = Conformance.ACCESS

    def __init__(
        self, key: RequestKey, message: AccessRequest, items: tuple[Item, ...], denials: Sequence[Denial | None]
    ) -> None:
        self._message = message
        self._date_time: CosemDateTime | None = None
        self.break_on_error = bool(message.long_invoke_id_and_priority & BREAK_ON_ERROR)
        super().__init__(key, items, _up_to_the_first(items, denials) if self.break_on_error else denials)

    @property
    def silent(self) -> bool:
        return not self.invoke & CONFIRMED

    def event(self) -> ServerOutput:
        return AccessRequested(self.key, self.items, self.break_on_error, self._message.date_time)

    def respond(self, results: Sequence[Result]) -> Response:
        said = [_said(item, result) for item, result in zip(self.requested, results, strict=True)]
        return Response(self._response(said), self._refusal)

    def _refusal(self) -> AccessResponse:
        return self._response([_said(item, _failed(item)) for item in self.requested])

    def _response(self, said: Sequence[tuple[AccessResponseSpecification, Data]]) -> AccessResponse:
        described = self._message.specifications if self.invoke & SELF_DESCRIPTIVE else None
        values, results = tuple(value for _, value in said), tuple(result for result, _ in said)
        return AccessResponse(self.invoke, self._date_time, described, values, results)

    def _results(self, answer: AccessAnswer) -> Sequence[Any]:
        self._date_time = answer.date_time
        left = len(self.items) - len(answer.results)
        stopped = self.break_on_error and left > 0
        return [*answer.results, *map(_failed, self.items[-left:])] if stopped else answer.results

    def _merged(self, results: Sequence[Any]) -> Sequence[Any]:
        if len(results) != len(self.items):
            raise LocalError(f"{len(results)} results for {len(self.items)} items")
        granted = iter(results)
        pairs = zip(self.requested, self.denials, strict=True)
        return [next(granted) if denial is None else _denied(item, denial) for item, denial in pairs]


def _up_to_the_first(items: Sequence[Item], denials: Sequence[Denial | None]) -> Sequence[Denial | None]:
    """Behind an item that is denied everything is, so that nothing of it reaches the application."""
    first = next((index for index, denial in enumerate(denials) if denial is not None), len(denials))
    return [*denials[: first + 1], *(_failed(item).result for item in items[first + 1 :])]


def items_of(message: AccessRequest) -> tuple[Item, ...]:
    """What an ACCESS asks for; ProtocolError when its two lists differ in length."""
    specifications, values = message.specifications, message.values
    if len(specifications) != len(values):
        raise ProtocolError(f"{len(values)} data for {len(specifications)} specifications")
    return tuple(_item(specification, value) for specification, value in zip(specifications, values, strict=True))


def _item(specification: AccessRequestSpecification, value: Data) -> Item:
    if isinstance(specification, AccessRequestAction):
        return Action(specification.descriptor, None if value == NULL else value)
    if isinstance(specification, AccessRequestGet):
        return Get(specification.descriptor)
    if isinstance(specification, AccessRequestGetWithSelection):
        return Get(specification.descriptor, specification.selection)
    return Set(
        specification.descriptor,
        value,
        specification.selection if isinstance(specification, AccessRequestSetWithSelection) else None,
    )


def _failed(item: Item) -> Result:
    """What is said of an item that was not carried out for no reason of its own."""
    return _denied(item, ActionResult.OTHER_REASON if isinstance(item, Action) else DataAccessResult.OTHER_REASON)


def _denied(item: Item, denial: Denial) -> Result:
    if isinstance(item, Action):
        return ActionOutcome(ActionResult(denial), None)
    result = DataAccessResult(denial)
    return GetResult(None, result) if isinstance(item, Get) else SetResult(result)


def _said(item: Item, result: Result) -> tuple[AccessResponseSpecification, Data]:
    """A result as the response says it: its code, and its data or null-data."""
    if not isinstance(result, _ANSWERED_BY[type(item)]):
        raise LocalError(f"{type(result).__name__} does not answer {type(item).__name__}")
    if isinstance(result, SetResult):
        return AccessResponseSet(result.result), NULL
    value = NULL if result.value is None else result.value
    if isinstance(result, ActionOutcome):
        return AccessResponseAction(result.result), value
    return AccessResponseGet(result.result), value
