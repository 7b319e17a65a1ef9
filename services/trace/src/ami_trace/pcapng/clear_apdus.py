"""The clear APDUs of a message that has been explained: deciphered ones, and those that several messages give together.

Blocks of GET and ACTION responses carry a value and no APDU: put together they are shown as the response that would have
come without blocks. What is clear as it travelled needs no companion.
"""

from __future__ import annotations

from collections.abc import Iterator

from ami_dlms.apdu.action import ActionResponseWithBlock
from ami_dlms.apdu.fields import ActionResponse
from ami_dlms.apdu.get import GetResponseWithDataBlock
from ami_dlms.data import Data
from ami_dlms.explain import Node, deciphered, headline, inside, is_ciphered
from ami_trace.pcapng.capture import Companion

APDU = "apdu"
TOGETHER = "ami: put together from several messages"
NORMAL, WITH_LIST = 1, 3
MOST = 100
"""Companions of one message: it has one or two, and an attacker has room for many."""


def companions(tree: Node) -> list[Companion]:
    """Those of one frame or APDU, in the order of its octets."""
    return [companion for companion, _ in zip(_found(tree, assembled=False), range(MOST), strict=False)]


def _found(node: Node, *, assembled: bool) -> Iterator[Companion]:
    if node.type == APDU:
        yield from _of_apdu(node, assembled=assembled)
        return
    for part in node.parts:
        yield from _found(part, assembled=assembled)
    for derived in node.derived:
        if derived.tree is not None:
            yield from _found(derived.tree, assembled=True)


def _of_apdu(root: Node, *, assembled: bool) -> Iterator[Companion]:
    held = deciphered(root)
    readable = held is root and not is_ciphered(root)
    if held is not root or (assembled and readable):
        yield Companion(held.octets, headline(held), (TOGETHER,) if assembled else ())
    initiate = inside(held)
    if initiate is not None and deciphered(initiate) is not initiate:
        yield from _of_apdu(initiate, assembled=False)
    for derived in held.derived:
        if derived.tree is not None and derived.good:
            yield from _together(held, derived.tree)


def _together(last: Node, tree: Node) -> Iterator[Companion]:
    """What the last block completes: an APDU, or the value of a response."""
    if tree.type == APDU:
        yield from _of_apdu(tree, assembled=True)
        return
    value = last.value
    if isinstance(value, GetResponseWithDataBlock):
        is_one = isinstance(tree.value, Data)
        head = bytes((last.octets[0], NORMAL if is_one else WITH_LIST, value.invoke_id_and_priority))
        octets = head + (b"\0" if is_one else b"") + tree.octets
        yield Companion(octets, f"get-response: {tree.text}".rstrip(": "), (TOGETHER,))
    elif isinstance(value, ActionResponseWithBlock) and not isinstance(tree.value, Data):
        choice = NORMAL if isinstance(tree.value, ActionResponse) else WITH_LIST
        head = bytes((last.octets[0], choice, value.invoke_id_and_priority))
        yield Companion(head + tree.octets, f"action-response: {tree.text}".rstrip(": "), (TOGETHER,))
