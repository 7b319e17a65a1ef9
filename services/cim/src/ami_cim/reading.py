"""How the messages that come in are read: here, or by a process that does nothing else.

Whether a message is worth another process is decided by what can be seen without reading it: its size, and whether it might hold
a payload that unpacks to more. What goes between the two processes is `transfer`'s."""

from collections.abc import Callable
from functools import cache
from typing import Final, Generic, TypeVar, cast

from ami_cim import transfer, wire
from ami_cim.errors import CimError
from ami_cim.limits import HEAD_END, UNKNOWN_PEER, Limits
from ami_cim.message import ResponseMessage
from ami_cim.schema import Schemas
from ami_cim.transfer import Kind, Read, TransferOrder

R = TypeVar("R", bound=Read)

LIGHT = 32_768
"""Octets that are read in 30 ms whatever they are; who reads many of them lets others have a turn in between."""

FUNCTION = "ami_cim.reading:read"
"""What the process that reads calls."""

_READERS: Final[dict[Kind, tuple[Callable[..., Read], Callable[[bytes], Read]]]] = {
    "request": (wire.read_request, transfer.read_request),
    "delivery": (wire.read_delivery, transfer.read_delivery),
    "response": (wire.read_response, transfer.read_response),
}
"""How each kind is read from the wire, and from the answer of the process that has read it."""


class SoapReading(Generic[R]):
    """One kind of message in SOAP."""

    def __init__(
        self,
        kind: Kind,
        schemas: Schemas,
        limits: Limits = UNKNOWN_PEER,
        understood: frozenset[str] = frozenset(),
    ) -> None:
        """`understood` names (Clark) the SOAP header blocks that the caller deals with."""
        self.limits = limits
        self._understood = understood
        self._kind = kind
        self._schemas = schemas

    def is_light(self, octets: bytes) -> bool:
        """Whether reading these octets takes so little that it need not leave the event loop."""
        return is_light(octets)

    def read(self, octets: bytes, charset: str | None) -> R:
        """The message; raises CimError."""
        return cast(
            R, _READERS[self._kind][0](octets, self._schemas, self.limits, charset=charset, understood=self._understood)
        )

    def order(self, octets: bytes, charset: str | None) -> tuple[bytes, int]:
        """What the reading process is given, and how many octets its answer may have."""
        order = TransferOrder(kind=self._kind, limits=self.limits, charset=charset, understood=self._understood)
        return transfer.write_order(order), order.room(octets)

    def read_answer(self, answer: bytes) -> R:
        """The message in the answer of that process; raises the error in it, or TransferError."""
        return cast(R, _READERS[self._kind][1](answer))


def responses(schemas: Schemas, understood: frozenset[str] = frozenset()) -> SoapReading[ResponseMessage]:
    """What is read of the answer of the head-end that one is configured for."""
    return SoapReading("response", schemas, HEAD_END, understood)


def is_light(octets: bytes) -> bool:
    """Whether reading these octets takes so little that it need not leave the event loop."""
    return len(octets) <= LIGHT and not transfer.may_unpack(octets)


def read(head: bytes, octets: bytes) -> bytes:
    """What `read_request`, `read_delivery` or `read_response` of `wire` gives or raises, for `transfer` to read; `head` is an TransferOrder."""
    order = transfer.read_order(head)
    try:
        result = _READERS[order.kind][0](
            octets, _schemas(), order.limits, charset=order.charset, understood=order.understood
        )
    except CimError as error:
        return transfer.write_answer(error)
    return transfer.write_answer(result)


@cache
def _schemas() -> Schemas:
    return Schemas()
