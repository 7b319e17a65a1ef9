"""What a request asks of a meter, item by item, and how the results become its answer: one table for all services.

With logical and with short names a request is a row of readings, writings and method calls. Whoever carries them out need
not know how they came.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ami_dlms.association import (
    AccessAnswer,
    AccessRequested,
    Action,
    ActionAnswer,
    ActionListAnswer,
    ActionListRequested,
    ActionOutcome,
    ActionRequested,
    Get,
    GetAnswer,
    GetListAnswer,
    GetListRequested,
    GetRequested,
    GetResult,
    ReadAnswer,
    ReadRequested,
    Set,
    SetAnswer,
    SetListAnswer,
    SetListRequested,
    SetRequested,
    SetResult,
    WriteAnswer,
    WriteRequested,
)
from ami_dlms.association.events import Answer
from ami_dlms.data import NULL, Data
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_meter_sim.faults import Item, Result

Requested = (
    GetRequested
    | SetRequested
    | ActionRequested
    | GetListRequested
    | SetListRequested
    | ActionListRequested
    | AccessRequested
    | ReadRequested
    | WriteRequested
)


def items_of(event: Requested) -> tuple[Item, ...]:
    """What is to be done, in this order."""
    match event:
        case GetRequested(_, descriptor, selection):
            return (Get(descriptor, selection),)
        case SetRequested(_, descriptor, selection, value):
            return (Set(descriptor, value, selection),)
        case ActionRequested(_, descriptor, parameters):
            return (Action(descriptor, parameters),)
    return event.items


def stops_at(event: Requested, result: Result) -> bool:
    """Whether nothing behind this result is to be done."""
    return isinstance(event, AccessRequested) and event.break_on_error and not _succeeded(result)


def answer_to(event: Requested, results: Sequence[Any]) -> Answer:
    """The answer that these results make."""
    return _ANSWERS[type(event)](event, results)


def _succeeded(result: Result) -> bool:
    if isinstance(result, ActionOutcome):
        return result.result is ActionResult.SUCCESS
    return isinstance(result, Data) or result is DataAccessResult.SUCCESS


def _accessed(event: AccessRequested, results: Sequence[Result]) -> AccessAnswer:
    told = [_told(item, result) for item, result in zip(event.items, results, strict=False)]
    return AccessAnswer(event.key, tuple(told))


def _told(item: Item, result: Any) -> GetResult | SetResult | ActionOutcome:
    if isinstance(item, Action):
        outcome: ActionOutcome = result
        return outcome
    if isinstance(item, Set):
        return SetResult(result)
    return GetResult(result, DataAccessResult.SUCCESS) if isinstance(result, Data) else GetResult(None, result)


def _by_name(result: Result) -> Data | DataAccessResult:
    """With short names a method gives its value, null-data, or a code that both enumerations have."""
    if not isinstance(result, ActionOutcome):
        return result
    if result.result is not ActionResult.SUCCESS:
        return DataAccessResult(result.result)
    return NULL if result.value is None else result.value


def _written(result: Any) -> DataAccessResult:
    return DataAccessResult(result.result) if isinstance(result, ActionOutcome) else DataAccessResult(result)


_ANSWERS: Mapping[type, Callable[[Any, Sequence[Any]], Answer]] = {
    GetRequested: lambda event, results: GetAnswer(event.key, results[0]),
    SetRequested: lambda event, results: SetAnswer(event.key, results[0]),
    ActionRequested: lambda event, results: ActionAnswer(event.key, results[0].result, results[0].value),
    GetListRequested: lambda event, results: GetListAnswer(event.key, tuple(results)),
    SetListRequested: lambda event, results: SetListAnswer(event.key, tuple(results)),
    ActionListRequested: lambda event, results: ActionListAnswer(event.key, tuple(results)),
    AccessRequested: _accessed,
    ReadRequested: lambda event, results: ReadAnswer(event.key, tuple(map(_by_name, results))),
    WriteRequested: lambda event, results: WriteAnswer(event.key, tuple(map(_written, results))),
}
