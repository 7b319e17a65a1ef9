"""ACCESS at a server: a mixture of reading, writing and calling, judged item by item (Green Book 9.3.9)."""

from __future__ import annotations

from collections.abc import Sequence

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
    Action,
    ActionOutcome,
    Answer,
    Get,
    ItemResult,
    Requested,
    RequestKey,
    Service,
    Set,
)
from ami_dlms.association.server.requests import Denial, Item, PendingRequest, Response
from ami_dlms.data import NULL, Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import ActionResult, Conformance, DataAccessResult
from ami_dlms.errors import ProtocolError


class PendingAccess(PendingRequest):
    """ACCESS; its long invoke id is in the key."""

    __slots__ = ("_date_time", "_message", "break_on_error")

    service = Service.ACCESS
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

    def event(self) -> Requested:
        return Requested(self.key, self.service, self.items, self.break_on_error, self._message.date_time)

    def respond(self, results: Sequence[ItemResult]) -> Response:
        said = [_said(item, result) for item, result in zip(self.requested, results, strict=True)]
        return Response(self._response(said), self._refusal)

    def _refusal(self) -> AccessResponse:
        return self._response([_said(item, _failed(item)) for item in self.requested])

    def _response(self, said: Sequence[tuple[AccessResponseSpecification, Data]]) -> AccessResponse:
        described = self._message.specifications if self.invoke & SELF_DESCRIPTIVE else None
        values, results = tuple(value for _, value in said), tuple(result for result, _ in said)
        return AccessResponse(self.invoke, self._date_time, described, values, results)

    def results(self, answer: Answer) -> Sequence[ItemResult]:
        self._date_time = answer.date_time
        left = len(self.items) - len(answer.results)
        if not self.break_on_error or left <= 0:
            return super().results(answer)
        return super().results(Answer(answer.key, (*answer.results, *map(_failed, self.items[-left:]))))


def _up_to_the_first(items: Sequence[Item], denials: Sequence[Denial | None]) -> Sequence[Denial | None]:
    """Behind an item that is denied everything is, so that nothing of it reaches the application."""
    first = next((index for index, denial in enumerate(denials) if denial is not None), len(denials))
    return [*denials[: first + 1], *map(_failure, items[first + 1 :])]


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


def _failure(item: Item) -> Denial:
    return ActionResult.OTHER_REASON if isinstance(item, Action) else DataAccessResult.OTHER_REASON


def _failed(item: Item) -> ItemResult:
    """What is said of an item that was not carried out for no reason of its own."""
    failure = _failure(item)
    return ActionOutcome(failure, None) if isinstance(failure, ActionResult) else failure


def _said(item: Item, result: ItemResult) -> tuple[AccessResponseSpecification, Data]:
    """A result as the response says it: its code, and its data or null-data."""
    if isinstance(result, ActionOutcome):
        return AccessResponseAction(result.result), NULL if result.value is None else result.value
    if isinstance(result, Data):
        return AccessResponseGet(DataAccessResult.SUCCESS), result
    return (AccessResponseSet if isinstance(item, Set) else AccessResponseGet)(result), NULL
