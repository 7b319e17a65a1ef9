"""General-Block-Transfer (IEC 62056-5-3): any APDU that is too long for one, cut into numbered blocks."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, NamedTuple

from ami_dlms.apdu.codec import Codec
from ami_dlms.apdu.fields import Octets, Unsigned16
from ami_dlms.cursor import Reader
from ami_dlms.errors import LocalError
from ami_dlms.frozen import frozen

MAX_WINDOW = 63
LAST_BLOCK, STREAMING = 0x80, 0x40


class BlockControl(NamedTuple):
    """Block-Control. The window is how many blocks its sender can take in one go, 0 for none: a confirmation is lost."""

    last_block: bool
    streaming: bool
    window: int


class BlockControlOctet(Codec[BlockControl]):
    """Block-Control: two bits and the window in one octet."""

    __slots__ = ()

    def read(self, reader: Reader) -> BlockControl:
        octet = reader.u8()
        return BlockControl(bool(octet & LAST_BLOCK), bool(octet & STREAMING), octet & MAX_WINDOW)

    def write(self, out: bytearray, value: BlockControl) -> None:
        if not 0 <= value.window <= MAX_WINDOW:
            raise LocalError(f"a window is a number from 0 to {MAX_WINDOW}, not {value.window}")
        out.append((LAST_BLOCK if value.last_block else 0) | (STREAMING if value.streaming else 0) | value.window)


@frozen
class GeneralBlockTransfer:
    """General-Block-Transfer; the block is part of something larger that may be a secret, and is not shown."""

    block_control: Annotated[BlockControl, BlockControlOctet()]
    block_number: Unsigned16
    block_number_ack: Unsigned16
    block_data: Octets = field(repr=False)

    @property
    def aborts(self) -> bool:
        """Whether its sender gives the transfer up: nothing in it but the bit that this is the end.

        With a window it may be a confirmation of nothing, by somebody who gives confirmations no numbers.
        """
        return self == ABORT

    @property
    def reason(self) -> str:
        """What it says, for a person."""
        return "the transfer in blocks was given up" if self.aborts else f"block {self.block_number}"


ABORT = GeneralBlockTransfer(BlockControl(True, False, 0), 0, 0, b"")
