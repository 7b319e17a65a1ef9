"""Defects of block transfer (Green Book 9.3.7): numbers of blocks, and the mark of the last one."""

from dataclasses import replace

from pydantic import PrivateAttr

from ami_dlms.apdu import Apdu
from ami_dlms.apdu.get import GetRequestNext, GetResponseWithDataBlock
from ami_dlms.apdu.set import (
    SetRequestWithDataBlock,
    SetRequestWithFirstDataBlock,
    SetResponseDataBlock,
    SetResponseLastDataBlock,
)
from ami_dlms.enums import DataAccessResult
from ami_meter_sim.faults.defects.defect import InsideDefect


class CountsBlocksFromZero(InsideDefect):
    """Give the first block of an answer the number 0."""

    def arrived(self, message: Apdu) -> Apdu:
        """The client confirms what it was told."""
        return (
            replace(message, block_number=message.block_number + 1) if isinstance(message, GetRequestNext) else message
        )

    def changed(self, message: Apdu) -> Apdu:
        """One less."""
        if not isinstance(message, GetResponseWithDataBlock) or not message.block_number:
            return message
        return replace(message, block_number=message.block_number - 1)


class TakesAnyBlockNumber(InsideDefect):
    """Send the next block of an answer whatever number the client confirms."""

    _last: int | None = PrivateAttr(default=None)

    def arrived(self, message: Apdu) -> Apdu:
        """The number that was sent last."""
        if isinstance(message, GetRequestNext) and self._last is not None:
            return replace(message, block_number=self._last)
        return message

    def changed(self, message: Apdu) -> Apdu:
        """As it is."""
        if isinstance(message, GetResponseWithDataBlock):
            self._last = None if message.last_block else message.block_number
        return message


class EndsWithoutLastBlock(InsideDefect):
    """Send the last block of an answer without the mark that it is the last."""

    def changed(self, message: Apdu) -> Apdu:
        """Unmarked."""
        if isinstance(message, GetResponseWithDataBlock) and isinstance(message.result, bytes):
            return replace(message, last_block=False)
        return message


class EmptyBlockWithoutTransfer(InsideDefect):
    """Answer the request for a further block where no answer is under way with an empty last block, as if all were said."""

    def changed(self, message: Apdu) -> Apdu:
        """Success without octets."""
        if (
            not isinstance(message, GetResponseWithDataBlock)
            or message.result != DataAccessResult.NO_LONG_GET_IN_PROGRESS
        ):
            return message
        return replace(message, result=b"")


class JoinsSetWithGap(InsideDefect):
    """Put a SET in blocks together although numbers are missing."""

    _taken: int = PrivateAttr(default=0)
    _named: int = PrivateAttr(default=0)

    def arrived(self, message: Apdu) -> Apdu:
        """Under the number that is due."""
        if isinstance(message, SetRequestWithFirstDataBlock):
            self._taken = self._named = message.block.block_number
            return message
        if not isinstance(message, SetRequestWithDataBlock):
            return message
        self._taken, self._named = self._taken + 1, message.block.block_number
        return replace(message, block=replace(message.block, block_number=self._taken))

    def changed(self, message: Apdu) -> Apdu:
        """Confirmed under the number that came."""
        if isinstance(message, SetResponseDataBlock | SetResponseLastDataBlock):
            return replace(message, block_number=self._named)
        return message
