"""Elements of an array that stay encoded: for who makes many rows at once, and for an answer that only carries them on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

from ami_dlms.cursor import encode_length
from ami_dlms.data.decoding import decode
from ami_dlms.data.types import Data
from ami_dlms.enums import DataTag


class EncodedItems(Sequence[Data]):
    """`length` elements, one after the other in `octets`; the value of an array in place of a tuple, and equal to that tuple.

    They are taken apart when one of them is asked for, and DecodeError says then that the octets are no such elements.
    """

    __slots__ = ("_items", "_length", "octets")

    def __init__(self, length: int, octets: bytes) -> None:
        self._length = length
        self.octets = octets
        self._items: tuple[Data, ...] | None = None

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> Data: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Data, ...]: ...
    def __getitem__(self, index: int | slice) -> Any:
        return self.items[index]

    def __iter__(self) -> Iterator[Data]:
        return iter(self.items)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, EncodedItems):
            return (len(self), self.octets) == (len(other), other.octets)
        return self.items == other

    def __hash__(self) -> int:
        return hash(self.items)

    @property
    def items(self) -> tuple[Data, ...]:
        """The elements, taken apart once."""
        if self._items is None:
            self._items = decode(bytes((DataTag.ARRAY,)) + encode_length(len(self)) + self.octets).value
        return self._items
