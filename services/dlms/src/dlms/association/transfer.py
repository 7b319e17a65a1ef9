"""Long GETs on both sides (Green Book 9.3.6): splitting an encoded result into blocks, and putting blocks together again."""

from __future__ import annotations

from dlms.apdu.get import GetResponseWithDataBlock
from dlms.association.protection import Form, largest_counted, largest_plaintext
from dlms.enums import DataAccessResult
from dlms.errors import ProtocolError

BLOCK_HEADER = 9
MAX_RESULT_OCTETS = 64 * 1024 * 1024


def block_room(limit: int, form: Form) -> int:
    """Octets of raw data in one block when the whole protected APDU may have `limit` octets."""
    return largest_counted(largest_plaintext(limit, form) - BLOCK_HEADER)


class OutgoingBlocks:
    """A server's side: an encoded result, handed out block by block."""

    __slots__ = ("_offset", "_result", "_room", "block_number", "form", "invoke_id_and_priority")

    def __init__(self, result: bytes, room: int, form: Form, invoke_id_and_priority: int) -> None:
        self._result = result
        self._room = room
        self._offset = 0
        self.form = form
        self.invoke_id_and_priority = invoke_id_and_priority
        self.block_number = 0

    @property
    def next_is_last(self) -> bool:
        return self._offset + self._room >= len(self._result)

    def next_block(self) -> GetResponseWithDataBlock:
        """The block that comes after the last one."""
        last = self.next_is_last
        part = self._result[self._offset : self._offset + self._room]
        self._offset += self._room
        self.block_number += 1
        return GetResponseWithDataBlock(self.invoke_id_and_priority, last, self.block_number, part)


class IncomingBlocks:
    """A client's side: blocks in their order, each once."""

    __slots__ = ("_result", "block_number")

    def __init__(self) -> None:
        self._result = bytearray()
        self.block_number = 0

    def repeats(self, block: GetResponseWithDataBlock) -> bool:
        """Whether this is the last block once more, as a slow meter may send it after a repeated question."""
        return block.block_number == self.block_number and self.block_number > 0

    def take(self, block: GetResponseWithDataBlock) -> DataAccessResult | None:
        """Add a block; the peer's reason when it sent one instead of octets."""
        if isinstance(block.result, DataAccessResult):
            return block.result
        if block.block_number != self.block_number + 1:
            raise ProtocolError(f"block {block.block_number} follows block {self.block_number}")
        if len(self._result) + len(block.result) > MAX_RESULT_OCTETS:
            raise ProtocolError(f"a result of more than {MAX_RESULT_OCTETS} octets")
        self.block_number = block.block_number
        self._result += block.result
        return None

    def result(self) -> bytes:
        return bytes(self._result)
