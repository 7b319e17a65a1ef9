"""Long values in the blocks of a service, on both sides (Green Book 9.3.6 to 9.3.8): cutting encoded octets into blocks, and putting blocks together."""

from __future__ import annotations

from ami_dlms import apdu
from ami_dlms.apdu import Apdu
from ami_dlms.apdu.fields import Block
from ami_dlms.cursor import largest_counted
from ami_dlms.errors import LocalError, ProtocolError

EMPTY = Block(False, 1, b"")


def room_beside(empty: Apdu, limit: int) -> int:
    """Octets of raw data that an APDU with an empty block leaves of `limit` plain octets; LocalError when there are none."""
    room = largest_counted(limit - len(apdu.encode(empty)) + 1)
    if room < 1:
        raise LocalError(f"{type(empty).__name__} leaves no room for a block in {limit} octets")
    return room


class OutgoingBlocks:
    """Encoded octets, handed out block by block; the first block may have less room than the others."""

    __slots__ = ("_first_room", "_offset", "_room", "_whole", "block_number")

    def __init__(self, whole: bytes, room: int, first_room: int | None = None) -> None:
        self._whole = whole
        self._room = room
        self._first_room = room if first_room is None else first_room
        self._offset = 0
        self.block_number = 0

    @property
    def next_is_last(self) -> bool:
        return self._offset + self._next_room >= len(self._whole)

    @property
    def exhausted(self) -> bool:
        """Whether the last block has been handed out."""
        return self._offset >= len(self._whole)

    def next_block(self) -> Block:
        """The block that comes after the last one."""
        last, room = self.next_is_last, self._next_room
        part = self._whole[self._offset : self._offset + room]
        self._offset += room
        self.block_number += 1
        return Block(last, self.block_number, part)

    @property
    def _next_room(self) -> int:
        return self._room if self.block_number else self._first_room


class IncomingBlocks:
    """Blocks in their order, each once."""

    __slots__ = ("_limit", "_whole", "block_number")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._whole = bytearray()
        self.block_number = 0

    def repeats(self, block_number: int) -> bool:
        """Whether this is the last block once more, as a slow peer may send it after a repeated question."""
        return block_number == self.block_number > 0

    def take(self, block_number: int, raw_data: bytes) -> None:
        """Add a block; ProtocolError when it is not the next one, or the whole grows too long."""
        if block_number != self.block_number + 1:
            raise ProtocolError(f"block {block_number} follows block {self.block_number}")
        if len(self._whole) + len(raw_data) > self._limit:
            raise ProtocolError(f"a long value of more than {self._limit} octets")
        self.block_number = block_number
        self._whole += raw_data

    def whole(self) -> bytes:
        return bytes(self._whole)
