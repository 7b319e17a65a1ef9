"""How one input of the fuzzer is many messages: an octet with a length, then so many octets, and so on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

REST = 255
"""This length means all that is left."""


def chunks(octets: bytes) -> Iterator[bytes]:
    """The messages of an input; any input is a list of messages."""
    offset = 0
    while offset < len(octets):
        length = octets[offset]
        end = len(octets) if length == REST else offset + 1 + length
        yield octets[offset + 1 : end]
        offset = end


def joined(messages: Iterable[bytes]) -> bytes:
    """An input that `chunks` takes apart again; a message of 255 octets or more has to be the last."""
    return b"".join(bytes((min(len(message), REST),)) + message for message in messages)
