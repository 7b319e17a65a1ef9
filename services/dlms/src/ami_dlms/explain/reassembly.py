"""Blocks of long transfers put together over several messages: what they carry is derived from the last one.

What the blocks of a service carry is not written in them, so the forms that it may have are tried in turn. A block that
comes twice counts once; a block 1 begins anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ami_dlms.apdu.blocks import GeneralBlockTransfer
from ami_dlms.apdu.codec import DATA, Codec, SequenceOf, sequence
from ami_dlms.apdu.fields import GET_DATA_RESULT, ActionResponse, Block
from ami_dlms.apdu.get import GetResponseWithDataBlock
from ami_dlms.explain.apdus import read_part
from ami_dlms.explain.keyring import MOST_WAITING, DecodingSession, waiting
from ami_dlms.explain.node import Derived, Node, is_sound

INVOKE_ID = 0x0F
TOGETHER = "put together from all blocks"
_LIST, _RESULTS = SequenceOf(DATA), SequenceOf(GET_DATA_RESULT)
_RESPONSE = sequence(ActionResponse)
CARRIED: Mapping[str, tuple[Codec[Any], ...]] = {
    "get_response": (DATA, _RESULTS),
    "set_request": (DATA, _LIST),
    "action_request": (DATA, _LIST),
    "action_response": (_RESPONSE, SequenceOf(_RESPONSE), DATA),
}
"""What the blocks of a service may carry together, by the beginning of its APDUs' names."""


def whole_apdu(value: object, session: DecodingSession) -> bytes | None:
    """The octets of an APDU whose last block this is.

    A block that only confirms has a number too: an answer goes on behind those that its sender used to confirm the request.
    """
    if not isinstance(value, GeneralBlockTransfer) or not value.block_number:
        return None
    key = ("general-block-transfer", session.route)
    is_last = value.block_control.last_block and bool(value.block_data)
    return _gather(session, key, (value.block_number, value.block_data), is_last)


def whole_value(root: Node, session: DecodingSession) -> Derived | None:
    """The value whose last block this message carries."""
    carried = next((name for name in CARRIED if root.name.startswith(name)), None)
    block = _block(root)
    if carried is None or block is None:
        return None
    key = (carried, session.route, getattr(root.value, "invoke_id_and_priority", 0) & INVOKE_ID)
    octets = _gather(session, key, (block.block_number, block.raw_data), block.last_block)
    if octets is None:
        return None
    trees = [read_part("value", codec, octets) for codec in CARRIED[carried]]
    tree = next((tree for tree in trees if is_sound(tree)), None)
    if tree is None:
        return Derived(f"{TOGETHER}: {len(octets)} octets that are no value", None)
    return Derived(TOGETHER, True, tree)


def _block(root: Node) -> Block | None:
    value = root.value
    if isinstance(value, GetResponseWithDataBlock):
        result = value.result
        return Block(value.last_block, value.block_number, result) if isinstance(result, bytes) else None
    block = getattr(value, "block", None)
    return block if isinstance(block, Block) else None


def _gather(session: DecodingSession, key: tuple[object, ...], block: tuple[int, bytes], last: bool) -> bytes | None:
    """All octets once the last block is there and none is missing."""
    blocks: dict[int, bytes] = waiting(session.blocks, key, dict)
    number, octets = block
    if number == 1 or sum(map(len, blocks.values())) > MOST_WAITING:
        blocks.clear()
    blocks[number] = octets or blocks.get(number, b"")
    if not last:
        return None
    complete = len(blocks) == number and min(blocks) == 1
    whole = b"".join(blocks[one] for one in sorted(blocks)) if complete else None
    blocks.clear()
    return whole
