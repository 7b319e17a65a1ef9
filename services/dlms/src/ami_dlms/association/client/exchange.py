"""What every exchange of a client has in common: the first APDU, and what follows from each answer.

An exchange knows no keys and no state machine. It says which APDU is next and what that is to the table, or how it ended.
Requests that are too long for the server go in the blocks of their service when those were negotiated.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

from ami_dlms import apdu
from ami_dlms.apdu import Apdu
from ami_dlms.apdu.fields import Block
from ami_dlms.association.blocks.service_block_transfer import EMPTY, IncomingBlocks, OutgoingBlocks, room_beside
from ami_dlms.association.events import ClientOutput, GetResult
from ami_dlms.association.settings import MAX_RESULT_OCTETS
from ami_dlms.association.states import ClientEvent
from ami_dlms.data import Data
from ami_dlms.enums import Conformance, DataAccessResult
from ami_dlms.errors import ProtocolError

CONFIRMED, HIGH_PRIORITY = 0x40, 0x80
INVOKE_ID_MASK = 0x0F
SEND_REQUEST, SEND_FIRST_BLOCK = ClientEvent.SEND_REQUEST, ClientEvent.SEND_FIRST_BLOCK
SUCCESS = DataAccessResult.SUCCESS


def invoke_id(number: int) -> int:
    """Of the request with this number: from 1 to 15 in turn."""
    return (number - 1) % INVOKE_ID_MASK + 1


def invoke_flags(*, high_priority: bool) -> int:
    """The other bits of invoke-id-and-priority: the request is confirmed."""
    return CONFIRMED | HIGH_PRIORITY if high_priority else CONFIRMED


def invoke_of(number: int, *, high_priority: bool = True) -> int:
    """Invoke-id-and-priority of the request with this number."""
    return invoke_flags(high_priority=high_priority) | invoke_id(number)


class ExchangeLimits(NamedTuple):
    """What the server takes: plain octets of one request, and what was negotiated; and the priority that requests have."""

    room: int
    conformance: Conformance
    high_priority: bool = True


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

    __slots__ = ("_following", "_incoming", "_outgoing", "first", "invoke_id_and_priority", "most")

    needs: ClassVar[Conformance] = Conformance(0)
    answers: ClassVar[tuple[type, ...]] = ()

    def __init__(self, invoke_id_and_priority: int, first: bytes) -> None:
        self.invoke_id_and_priority = invoke_id_and_priority
        self.first = first
        self.most = MAX_RESULT_OCTETS  # octets that the blocks of the answer may make together
        self._incoming: IncomingBlocks | None = None
        self._outgoing: OutgoingBlocks | None = None
        self._following: Callable[[Block], Apdu] | None = None

    @property
    def event(self) -> ClientEvent:
        """What sending the first APDU is to the table."""
        return SEND_REQUEST if self._outgoing is None else SEND_FIRST_BLOCK

    @property
    def blocks(self) -> IncomingBlocks:
        """The blocks of the answer; most answers come whole."""
        if self._incoming is None:
            self._incoming = IncomingBlocks(self.most)
        return self._incoming

    @property
    def needed(self) -> Conformance:
        """What must have been negotiated."""
        return self.needs

    def concerns(self, message: Any) -> bool:
        """Whether an answer carries our invoke id; priority and service class do not matter."""
        answered, requested = self.invoke_ids(message)
        return answered == requested

    def invoke_ids(self, message: Any) -> tuple[int | None, int]:
        """The answer's invoke id, None when it has none of this kind, and ours."""
        invoke = getattr(message, "invoke_id_and_priority", None)
        requested = self.invoke_id_and_priority & INVOKE_ID_MASK
        return None if invoke is None else invoke & INVOKE_ID_MASK, requested

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

    def _too_long(self, limits: ExchangeLimits, blocks: Conformance) -> bool:
        """Whether the first APDU is too long for the server and may be sent in blocks of its service."""
        return len(self.first) > limits.room and bool(limits.conformance & blocks)

    def _collect(self, block: Block, ask: Callable[[int], Apdu]) -> Step:
        """Take a block of the answer and ask for the next one."""
        if self.blocks.repeats(block.block_number):
            return None
        self.blocks.take(block.block_number, block.raw_data)
        if block.last_block:
            return Done(self._collected(self.blocks.whole()), ClientEvent.LAST_BLOCK)
        return Next(apdu.encode(ask(block.block_number)), ClientEvent.BLOCK)

    def _send_in_blocks(
        self, whole: bytes, limits: ExchangeLimits, first: Callable[[Block], Apdu], following: Any
    ) -> None:
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


def counted(results: Sequence[Any], count: int) -> Sequence[Any]:
    """The results of a list; ProtocolError when they are not as many as were asked for."""
    if len(results) != count:
        raise ProtocolError(f"{len(results)} results for {count} items")
    return results


def get_result(result: Data | DataAccessResult) -> GetResult:
    """What a Get-Data-Result says."""
    if isinstance(result, DataAccessResult):
        return GetResult(None, result)
    return GetResult(result, SUCCESS)
