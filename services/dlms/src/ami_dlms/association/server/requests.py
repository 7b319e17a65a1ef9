"""Pending requests of a server, from the request to its response: one class per service (Green Book 9.3.6 to 9.3.8).

Each knows the items that the client may have, the event of the application, and how its answer is written: whole, in the
blocks of the service, or as a refusal when it fits neither.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

from ami_dlms import data
from ami_dlms.apdu import Apdu, contents
from ami_dlms.apdu.action import (
    ActionRequestNextBlock,
    ActionResponseNormal,
    ActionResponseWithBlock,
    ActionResponseWithList,
)
from ami_dlms.apdu.fields import ActionResponse, Block
from ami_dlms.apdu.get import GetRequestNext, GetResponseNormal, GetResponseWithDataBlock, GetResponseWithList
from ami_dlms.apdu.set import (
    SetResponseLastDataBlock,
    SetResponseLastDataBlockWithList,
    SetResponseNormal,
    SetResponseWithList,
)
from ami_dlms.association.events import (
    Action,
    ActionOutcome,
    Answer,
    Get,
    Requested,
    RequestKey,
    Service,
    Set,
)
from ami_dlms.association.protection.apdu_protection import PLAIN
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult, Conformance, DataAccessResult
from ami_dlms.errors import LocalError
from ami_dlms.security import ProtectionFlags

Item = Get | Set | Action
Denial = DataAccessResult | ActionResult
CONFIRMED = 0x40
RESULTS_OF: dict[type, tuple[type, ...]] = {
    Get: (Data, DataAccessResult),
    Set: (DataAccessResult,),
    Action: (ActionOutcome,),
}
NOTHING_DENIED: Sequence[Denial | None] = (None,)


class Response(NamedTuple):
    """A response whole; what is said when it does not fit; what its blocks carry and look like, when there may be blocks."""

    whole: Apdu
    refusal: Callable[[], Apdu] | None = None
    contents: Callable[[], bytes] | None = None
    block: Callable[[Block], Apdu] | None = None


class PendingRequest(ABC):
    """One request that waits for the application; `block_number` when it came in that many blocks of its service.

    With `in_one` the response is not cut in blocks of the service: it goes by general block transfer, as the request came.
    """

    __slots__ = (
        "answer_protection",
        "block_number",
        "denials",
        "in_one",
        "items",
        "key",
        "request_protection",
        "requested",
        "required_protection",
    )

    service: ClassVar[Service]
    needs: ClassVar[Conformance]
    request_blocks: ClassVar[Conformance] = Conformance(0)
    answer_blocks: ClassVar[Conformance] = Conformance(0)
    blocks_wanted_by: ClassVar[type] = GetRequestNext
    always_answered: ClassVar[bool] = False

    def __init__(
        self,
        key: RequestKey,
        requested: tuple[Any, ...],
        denials: Sequence[Denial | None],
        block_number: int | None = None,
    ) -> None:
        self.key = key
        self.requested = requested
        self.denials = denials
        self.items = requested
        if denials is not NOTHING_DENIED:
            self.items = tuple(item for item, denial in zip(requested, denials, strict=True) if denial is None)
        self.block_number = block_number
        self.in_one = False
        self.answer_protection = PLAIN
        self.request_protection = ProtectionFlags.NOTHING
        self.required_protection = ProtectionFlags.NOTHING  # of the answer, for the sake of its items

    @property
    def invoke(self) -> int:
        return self.key.invoke_id_and_priority

    @property
    def silent(self) -> bool:
        """Whether the client wants no response at all."""
        return not self.always_answered and not self.invoke & CONFIRMED

    @property
    def reason(self) -> str:
        """What was denied and why, for ourselves."""
        return "; ".join(
            f"{self._name(item)}: {denial.name.lower().replace('_', '-')}"
            for item, denial in zip(self.requested, self.denials, strict=True)
            if denial is not None
        )

    def _name(self, item: Any) -> str:
        return str(item.descriptor)

    def event(self) -> Requested:
        """The event for the application."""
        return Requested(self.key, self.service, self.items)

    @abstractmethod
    def respond(self, results: Sequence[Any]) -> Response:
        """The response with a result for each item of the request."""

    def results(self, answer: Answer) -> Sequence[Any]:
        """The results that an answer brings, with the refusals, in the order of the request; LocalError when they don't fit."""
        results = answer.results
        for item, result in zip(self.items, results, strict=False):
            if not isinstance(result, RESULTS_OF[type(item)]):
                raise LocalError(f"{type(result).__name__} does not answer {type(item).__name__}")
        return self._merged(results)

    def denied(self) -> Sequence[Any]:
        """The results when nothing is allowed."""
        return self._merged(())

    def _merged(self, results: Sequence[Any]) -> Sequence[Any]:
        """The application's results and the refusals, in the order of the request."""
        if len(results) != len(self.items):
            raise LocalError(f"{len(results)} results for {len(self.items)} items")
        granted = iter(results)
        return [next(granted) if denial is None else self._refused(denial) for denial in self.denials]

    def _refused(self, denial: Denial) -> Any:
        return ActionOutcome(denial, None) if isinstance(denial, ActionResult) else denial


class PendingGet(PendingRequest):
    """GET of one attribute."""

    __slots__ = ()

    service: ClassVar[Service] = Service.GET
    needs = Conformance.GET
    answer_blocks = Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
    always_answered = True

    def respond(self, results: Sequence[Data | DataAccessResult]) -> Response:
        (result,) = results
        whole = GetResponseNormal(self.invoke, result)
        if isinstance(result, DataAccessResult):
            return Response(whole)
        return Response(whole, self._refusal, lambda: data.encode(result), self._block)

    def _refusal(self) -> Apdu:
        return GetResponseNormal(self.invoke, DataAccessResult.OTHER_REASON)

    def _block(self, block: Block) -> Apdu:
        return GetResponseWithDataBlock(self.invoke, block.last_block, block.block_number, block.raw_data)


class PendingGetList(PendingGet):
    """GET of several attributes."""

    __slots__ = ()

    service = Service.GET_WITH_LIST
    needs = Conformance.GET | Conformance.MULTIPLE_REFERENCES

    def respond(self, results: Sequence[Data | DataAccessResult]) -> Response:
        whole = GetResponseWithList(self.invoke, tuple(results))
        return Response(whole, self._refusal, lambda: contents.encode(contents.GET_RESULTS, results), self._block)

    def _refusal(self) -> Apdu:
        return GetResponseWithList(self.invoke, (DataAccessResult.OTHER_REASON,) * len(self.requested))


class PendingSet(PendingRequest):
    """SET of one attribute."""

    __slots__ = ()

    service = Service.SET
    needs = Conformance.SET
    request_blocks = Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE

    def respond(self, results: Sequence[DataAccessResult]) -> Response:
        (result,) = results
        whole: Apdu = SetResponseNormal(self.invoke, result)
        if self.block_number is not None:
            whole = SetResponseLastDataBlock(self.invoke, result, self.block_number)
        return Response(whole)


class PendingSetList(PendingRequest):
    """SET of several attributes."""

    __slots__ = ()

    service = Service.SET_WITH_LIST
    needs = Conformance.SET | Conformance.MULTIPLE_REFERENCES
    request_blocks = Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE

    def respond(self, results: Sequence[DataAccessResult]) -> Response:
        whole: Apdu = SetResponseWithList(self.invoke, tuple(results))
        if self.block_number is not None:
            whole = SetResponseLastDataBlockWithList(self.invoke, tuple(results), self.block_number)
        return Response(whole)


class PendingAction(PendingRequest):
    """ACTION of one method."""

    __slots__ = ()

    service: ClassVar[Service] = Service.ACTION
    needs = Conformance.ACTION
    request_blocks = Conformance.BLOCK_TRANSFER_WITH_ACTION
    answer_blocks = Conformance.BLOCK_TRANSFER_WITH_ACTION
    blocks_wanted_by = ActionRequestNextBlock

    def respond(self, results: Sequence[ActionOutcome]) -> Response:
        (outcome,) = results
        whole = ActionResponseNormal(self.invoke, outcome.result, outcome.value)
        if outcome.value is None:
            return Response(whole)
        response = ActionResponse(outcome.result, outcome.value)
        return Response(
            whole,
            lambda: ActionResponseNormal(self.invoke, outcome.result, DataAccessResult.OTHER_REASON),
            lambda: contents.encode(contents.ACTION_RESPONSE, response),
            self._block,
        )

    def _block(self, block: Block) -> Apdu:
        return ActionResponseWithBlock(self.invoke, block)


class PendingActionList(PendingAction):
    """ACTION of several methods."""

    __slots__ = ()

    service = Service.ACTION_WITH_LIST
    needs = Conformance.ACTION | Conformance.MULTIPLE_REFERENCES

    def respond(self, results: Sequence[ActionOutcome]) -> Response:
        responses = tuple(ActionResponse(outcome.result, outcome.value) for outcome in results)
        refused = tuple(ActionResponse(outcome.result, DataAccessResult.OTHER_REASON) for outcome in results)
        return Response(
            ActionResponseWithList(self.invoke, responses),
            lambda: ActionResponseWithList(self.invoke, refused),
            lambda: contents.encode(contents.ACTION_RESPONSES, responses),
            self._block,
        )
