"""The readers of `edge` as one function with schemas of its own, for a process that does nothing else.

Whether a message is worth another process is decided by what can be seen without reading it: its size, and whether it might hold
a payload that unpacks to more."""

import copyreg
from functools import cache
from typing import Literal

from lxml import etree

from cim import edge
from cim.envelope import Delivered, Received
from cim.limits import Limits
from cim.message import ResponseMessage
from cim.schema import Schemas

LIGHT = 32_768
"""Octets that are read in a few milliseconds whatever they are."""

Kind = Literal["request", "delivery", "response"]


def is_light(octets: bytes) -> bool:
    """Whether reading these octets takes so little that it need not leave the event loop."""
    return len(octets) <= LIGHT and b"Compressed" not in octets and b"\x00" not in octets  # NUL: UTF-16 hides the word


def read(kind: Kind, octets: bytes, limits: Limits, charset: str | None) -> Received | Delivered | ResponseMessage:
    """What `read_request`, `read_delivery` or `read_response` of `edge` gives; raises what they raise."""
    if kind == "request":
        return edge.read_request(octets, _schemas(), limits, charset=charset)
    if kind == "delivery":
        return edge.read_delivery(octets, _schemas(), limits, charset=charset)
    return edge.read_response(octets, _schemas(), limits, charset=charset)


@cache
def _schemas() -> Schemas:
    return Schemas()


def _reduce(name: etree.QName) -> tuple[type[etree.QName], tuple[str]]:
    return etree.QName, (name.text,)


copyreg.pickle(etree.QName, _reduce)
