"""What follows an LLC header: one APDU, several with a header each, or a later block that has no header of its own.

Meters that cut a long APDU into blocks of general-block-transfer send the header with the first block alone, and some put
several notifications into one frame.
"""

from __future__ import annotations

from ami_dlms.apdu import CODECS
from ami_dlms.apdu.blocks import GeneralBlockTransfer
from ami_dlms.cursor import Reader
from ami_dlms.errors import DecodeError
from ami_dlms.explain.apdus import NOT_DECODED
from ami_dlms.explain.keyring import DecodingSession
from ami_dlms.explain.node import MISSING, Node, described
from ami_dlms.explain.protected import read_message
from ami_dlms.framing.hdlc_segments import LLC_COMMAND, LLC_RESPONSE

LLC_LENGTH = len(LLC_COMMAND)
LLC = {LLC_COMMAND: "command", LLC_RESPONSE: "response"}


def read_information(octets: bytes, start: int, session: DecodingSession) -> list[Node]:
    """The parts of the information field whose first octet is number `start` of what it came in."""
    parts: list[Node] = []
    place = 0
    while True:
        has_header = octets[place : place + LLC_LENGTH] in LLC
        if has_header and place + LLC_LENGTH < len(octets):
            parts.append(_header(octets, place, start))
            place += LLC_LENGTH
        elif has_header or apdu_end(octets, place) is None:
            return [
                *parts,
                Node(
                    NOT_DECODED, start + place, octets[place:], type=MISSING, trouble=_no_header(octets, place, start)
                ),
            ]
        end = apdu_end(octets, place)
        last = end is None or octets[end : end + LLC_LENGTH] not in LLC
        message = read_message(octets[place:] if last else octets[place:end], start + place, session)
        if not has_header and not _is_later_block(message):
            message.trouble = _no_header(octets, place, start)
        parts.append(message)
        if end is None or last:
            return parts
        place = end


def begins_with_llc(octets: bytes) -> bool:
    """Whether an LLC header and something behind it are there."""
    return octets[:LLC_LENGTH] in LLC and len(octets) > LLC_LENGTH


def _no_header(octets: bytes, place: int, start: int) -> str:
    head = octets[place : place + LLC_LENGTH].hex() or "the end"
    return described(DecodeError("the LLC header E6E600 or E6E700 and an APDU", head, start + place, "llc"))


def _is_later_block(message: Node) -> bool:
    return isinstance(message.value, GeneralBlockTransfer) and message.value.block_number > 1


def _header(octets: bytes, place: int, start: int) -> Node:
    head = octets[place : place + LLC_LENGTH]
    return Node("llc", start + place, head, type="octets", value=head, text=LLC[head])


def apdu_end(octets: bytes, place: int) -> int | None:
    """Where the APDU ends that begins here; None when none does. What follows it is not looked at."""
    reader = Reader(octets, place)
    try:
        known = CODECS.get(reader.u8())
        if known is None:
            return None
        known[1].read(reader)
    except DecodeError:
        return None
    return reader.offset
