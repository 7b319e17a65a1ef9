"""The rows of interval blocks beside the tree of their message: nearly all of its octets, and valid by the way they are written.

In the tree a block has one empty row in place of its rows, so that a schema sees everything but them. No text becomes such an
element, whatever is in it, and no other element of MeterReadings has that name, so that the empty rows of the octets are the blocks.
"""

from collections.abc import Sequence
from dataclasses import replace

from ami_cim.errors import LocalError
from ami_cim.payloads import Payload
from ami_cim.payloads.interval_blocks import IntervalBlock
from ami_cim.payloads.interval_columns import IntervalColumns
from ami_cim.payloads.interval_writer import EMPTY_ROW, rows_of
from ami_cim.payloads.meter_readings import MeterReading, MeterReadings

_EMPTY = EMPTY_ROW.encode()
_BLOCK, _BEHIND_ROWS = b"<IntervalBlocks>", b"<ReadingType "
_ONE = IntervalColumns(values=(None,))


def set_apart(payload: Payload | None) -> tuple[Payload | None, list[bytes]]:
    """The payload with an empty row in each block that has rows, and the rows of these blocks, in their order.

    Raises LocalError for rows that can't be written.
    """
    rows: list[bytes] = []
    if not isinstance(payload, MeterReadings) or not any(one.blocks for one in payload.meter_readings):
        return payload, rows

    def without(block: IntervalBlock) -> IntervalBlock:
        if not len(block.columns):
            return block
        rows.append(rows_of(block.columns))
        return replace(block, columns=_ONE)

    def of_meter(one: MeterReading) -> MeterReading:
        return replace(one, blocks=tuple(map(without, one.blocks))) if one.blocks else one

    return replace(payload, meter_readings=tuple(map(of_meter, payload.meter_readings))), rows


def take_out(octets: bytes) -> tuple[bytes, list[bytes]]:
    """The inverse of `put_back`, of octets that were written here: the rows of blocks come first in them, and are none of another element."""
    first, *blocks = octets.split(_BLOCK)
    parts, rows = [first], list[bytes]()
    for block in blocks:
        end = block.find(_BEHIND_ROWS)
        if end > 0:
            rows.append(block[:end])
            block = _EMPTY + block[end:]
        parts += _BLOCK, block
    return b"".join(parts), rows


def put_back(octets: bytes, rows: Sequence[bytes]) -> bytes:
    """The rows in place of the empty ones."""
    if not rows:
        return octets
    first, *others = octets.split(_EMPTY)
    if len(others) != len(rows):
        raise LocalError("IntervalBlocks are not where they were written", f"{len(others)} of {len(rows)}")
    parts = [first]
    for row, other in zip(rows, others, strict=True):
        parts += row, other
    return b"".join(parts)
