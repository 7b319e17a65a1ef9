"""The readers of `wire` as one function with schemas of its own, for a process that does nothing else.

Whether a message is worth another process is decided by what can be seen without reading it: its size, and whether it might hold
a payload that unpacks to more. What goes between the two processes is `transfer`'s."""

from collections.abc import Callable
from functools import cache

from ami_cim import transfer, wire
from ami_cim.errors import CimError
from ami_cim.schema import Schemas
from ami_cim.transfer import Kind, Read

LIGHT = 32_768
"""Octets that are read in 30 ms whatever they are; who reads many of them lets others have a turn in between."""

_READERS: dict[Kind, Callable[..., Read]] = {
    "request": wire.read_request,
    "delivery": wire.read_delivery,
    "response": wire.read_response,
}


def is_light(octets: bytes) -> bool:
    """Whether reading these octets takes so little that it need not leave the event loop."""
    return len(octets) <= LIGHT and not transfer.may_unpack(octets)


def read(head: bytes, octets: bytes) -> bytes:
    """What `read_request`, `read_delivery` or `read_response` of `wire` gives or raises, for `transfer` to read; `head` is an Order."""
    order = transfer.read_order(head)
    try:
        result = _READERS[order.kind](octets, _schemas(), order.limits, charset=order.charset)
    except CimError as error:
        return transfer.write_answer(error)
    return transfer.write_answer(result)


@cache
def _schemas() -> Schemas:
    return Schemas()
