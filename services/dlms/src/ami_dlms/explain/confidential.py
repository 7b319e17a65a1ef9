"""Which parts of a message are secrets, and its octets in hex without them: for logs and for reading along.

A person who decodes octets of his own sees all of them; a program that shows what passes by does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ami_dlms.apdu.acse import Aarq
from ami_dlms.apdu.initiate import InitiateRequest
from ami_dlms.cosem.confidential import is_secret
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.data import Data
from ami_dlms.enums import Mechanism
from ami_dlms.explain.apdus import APDU
from ami_dlms.explain.node import Node
from ami_dlms.explain.summaries import is_ciphered

PROOFS = frozenset(Mechanism) - {Mechanism.LOWEST, Mechanism.LOW, Mechanism.UNKNOWN}
"""Mechanisms whose authentication value is a challenge, and no password."""
HIDDEN = "*"


def secret_nodes(root: Node, *, carries: bool = False) -> list[Node]:
    """The parts that are secrets, the APDUs inside included; what is deciphered is a tree of its own.

    `carries` says that this message belongs to an exchange about a secret, which its octets alone may not tell: answers,
    later blocks, requests by short names. Then every value counts.
    """
    return [found for node in _same_octets(root) if node.type == APDU for found in _of_apdu(node, carries)]


def without_secrets(root: Node, hidden: Iterable[Node]) -> str:
    """The octets of a tree in hex, with an asterisk for each digit of these parts."""
    digits = list(root.octets.hex().upper())
    for node in hidden:
        first, last = 2 * (node.start - root.start), 2 * (node.end - root.start)
        digits[first:last] = HIDDEN * (last - first)
    return "".join(digits)


def _of_apdu(node: Node, carries: bool) -> Iterator[Node]:
    value = node.value
    if is_ciphered(node):
        return
    if isinstance(value, Aarq) and value.mechanism not in PROOFS:
        yield from _named(node, "calling_authentication_value")
    elif isinstance(value, InitiateRequest):
        yield from _named(node, "dedicated_key")
    elif carries or any(_is_about_a_secret(part) for part in _same_octets(node)):
        yield from _values(node)


def _named(node: Node, name: str) -> Iterator[Node]:
    part = node.part(name)
    if part is not None and part.value:
        yield part


def _is_about_a_secret(node: Node) -> bool:
    return isinstance(node.value, AttributeDescriptor | MethodDescriptor) and is_secret(node.value)


def _values(node: Node) -> Iterator[Node]:
    """Values, and blocks of them, each as a whole."""
    for part in node.parts:
        if type(part.value) is Data or type(part.value) is bytes:
            yield part
        else:
            yield from _values(part)


def _same_octets(node: Node) -> Iterator[Node]:
    yield node
    for part in node.parts:
        yield from _same_octets(part)
