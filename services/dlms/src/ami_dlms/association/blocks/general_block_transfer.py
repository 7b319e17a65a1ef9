"""General block transfer of one exchange, without I/O and clock (Green Book 9.4.6.13): windows, streaming, lost blocks.

Both ends number every APDU that they send, from 1. A sender hands out as many blocks as the other's window allows and lets
the last of them ask for a confirmation (STR = 0); the confirmation names the last APDU before the first gap (BNA) and the
sender goes on behind it. Whatever was protected is one whole here: it is cut after ciphering and joined before deciphering.
When nothing comes for too long, the owner calls `timeout`. The end of a request is confirmed by its response, and the end of
a response by nothing, so it is the client that asks again. An APDU that the network doubles has no effect, so traffic can't
multiply: a confirmation has a new number unless it answers a repetition.
"""

from __future__ import annotations

from typing import NamedTuple

from ami_dlms import apdu
from ami_dlms.apdu.blocks import MAX_WINDOW, BlockControl, GeneralBlockTransfer
from ami_dlms.association.settings import MAX_REQUEST_OCTETS, MAX_RESULT_OCTETS
from ami_dlms.cursor import largest_counted
from ami_dlms.enums import ApduTag
from ami_dlms.errors import LocalError, ProtocolError

HEADER = 6
MAX_BLOCKS = 0xFFFF
MAX_AHEAD = 2 * MAX_WINDOW
GENERAL_BLOCK_TRANSFER = bytes((ApduTag.GENERAL_BLOCK_TRANSFER,))


class Step(NamedTuple):
    """What a received APDU leads to: APDUs to send, and the whole when it is complete for the first time."""

    to_send: tuple[bytes, ...] = ()
    whole: bytes | None = None


class GeneralTransfer:
    """One exchange: our direction and the other's. `room` is what the peer takes in one APDU, 0 for any length."""

    def __init__(self, *, client: bool, window: int, room: int, limit: int = MAX_RESULT_OCTETS) -> None:
        if not 1 <= window <= MAX_WINDOW:
            raise LocalError(f"a window is a number from 1 to {MAX_WINDOW}, not {window}")
        self._client = client
        self._window = window
        self._room = _largest_block(room)
        self._limit = limit
        self._sent: list[bytes] = []  # all that has a number; a confirmation is b""
        self._blocks_end = 0  # number of our last block
        self._handed_out = 0
        self._acknowledged = 0
        self._peer_window = 1
        self._received: dict[int, bytes] = {}
        self._joined = 0  # number of the last APDU before the first gap
        self._told = -1  # what our last confirmation said of it
        self._heard: dict[int, int] = {}  # confirmations of the other: number and what they said
        self._last: int | None = None
        self._size = 0

    @property
    def complete(self) -> bool:
        """Whether the other's direction is there without gaps."""
        return self._last is not None and self._joined >= self._last

    def repeats(self, message: GeneralBlockTransfer) -> bool:
        """Whether a block is one that came before."""
        return self._received.get(message.block_number) == message.block_data

    def continues(self, message: GeneralBlockTransfer) -> bool:
        """Whether an APDU from a client belongs to this exchange, or else begins another one."""
        if not message.block_data or self.repeats(message):
            return True
        return not self._blocks_end and not self.complete and not self._received.get(message.block_number)

    # --- sending

    def send(self, whole: bytes) -> tuple[bytes, ...]:
        """The first blocks of our direction."""
        room = self._room or len(whole)
        parts = [whole[start : start + room] for start in range(0, len(whole), room)]
        if len(self._sent) + len(parts) > MAX_BLOCKS:
            raise LocalError(f"{len(whole)} octets need more than {MAX_BLOCKS} blocks")
        self._sent += parts
        self._blocks_end = len(self._sent)
        return self._burst()

    def timeout(self) -> tuple[bytes, ...]:
        """What to send when nothing came for too long; nothing when there is nothing that we could repeat."""
        if self._acknowledged < self._blocks_end and (self._client or self._handed_out < self._blocks_end):
            return self._burst()
        if (self._size or (self._client and self._blocks_end)) and not self.complete:
            return (self._confirmation(),)
        return ()

    def _burst(self) -> tuple[bytes, ...]:
        """As many blocks as the other takes, after confirmations that it missed; the last block asks for a confirmation."""
        numbers: list[int] = []
        left = self._peer_window
        for number in range(self._acknowledged + 1, self._blocks_end + 1):
            if not left:
                break
            numbers.append(number)
            left -= 1 if self._sent[number - 1] else 0
        self._handed_out = max(self._handed_out, *numbers[-1:], 0)
        return tuple(self._numbered(number, streaming=number != numbers[-1]) for number in numbers)

    def _numbered(self, number: int, *, streaming: bool) -> bytes:
        control = BlockControl(number == self._blocks_end, streaming, self._window)
        return apdu.encode(GeneralBlockTransfer(control, number, self._joined, self._sent[number - 1]))

    def _confirmation(self, *, repeated: bool = False) -> bytes:
        """An empty APDU with a number of its own; the client has nothing else to say, so it marks it as its last."""
        if not (repeated and self._told == self._joined and self._sent and not self._sent[-1]):
            self._sent.append(b"")
        self._told = self._joined
        control = BlockControl(self._client, False, self._window)
        return apdu.encode(GeneralBlockTransfer(control, len(self._sent), self._joined, b""))

    # --- receiving

    def receive(self, message: GeneralBlockTransfer) -> Step:
        """Take one APDU; ProtocolError when the whole grows too long."""
        self._peer_window = message.block_control.window or self._peer_window
        wants_more = self._acknowledge(message)
        was_complete, is_new = self.complete, self._store(message)
        if not was_complete and self.complete:
            return Step(whole=b"".join(self._received[number] for number in range(1, (self._last or 0) + 1)))
        if message.block_control.streaming:
            return Step()
        if not message.block_data:
            return Step(self._burst() if wants_more else ())
        if was_complete:
            return Step(self._burst())
        return Step((self._confirmation(repeated=not is_new),))

    def _acknowledge(self, message: GeneralBlockTransfer) -> bool:
        """Note what the other has; whether it waits for more of ours."""
        if self._client and message.block_data:
            self._acknowledged = max(self._acknowledged, self._blocks_end)
        confirmed = min(message.block_number_ack, len(self._sent))
        if confirmed < self._acknowledged or (not message.block_data and self._has_heard(message)):
            return False
        self._acknowledged = confirmed
        return confirmed < self._blocks_end

    def _has_heard(self, message: GeneralBlockTransfer) -> bool:
        """Whether a confirmation came before; one without a number of its own always counts."""
        number, said = message.block_number, message.block_number_ack
        before = self._heard.get(number) if number else None
        self._heard[number] = said
        return before == said

    def _store(self, message: GeneralBlockTransfer) -> bool:
        """Keep a block; whether it is new."""
        number, part = message.block_number, message.block_data
        if self.complete or not number:
            return False
        if part and self._received.get(number) == b"":
            self._renumber()
        if number in self._received or not self._joined < number <= self._joined + MAX_AHEAD:
            return False
        self._size += len(part)
        if self._size > self._limit:
            raise ProtocolError(f"a long value of more than {self._limit} octets")
        self._received[number] = part
        if message.block_control.last_block and self._size:
            self._last = number
        while self._joined + 1 in self._received:
            self._joined += 1
        return True

    def _renumber(self) -> None:
        """The other gives its confirmations numbers that it uses again for its blocks: forget the confirmations."""
        self._received = {number: part for number, part in self._received.items() if part}
        self._joined = 0


def one_way(whole: bytes, room: int) -> tuple[bytes, ...]:
    """The blocks of something unsolicited that is not confirmed, each in an APDU of `room` octets at most."""
    size = _largest_block(room) or len(whole)
    parts = [whole[start : start + size] for start in range(0, len(whole), size)]
    if len(parts) > MAX_BLOCKS:
        raise LocalError(f"{len(whole)} octets need more than {MAX_BLOCKS} blocks")
    return tuple(
        apdu.encode(GeneralBlockTransfer(BlockControl(number == len(parts), True, 0), number, 0, part))
        for number, part in enumerate(parts, 1)
    )


class OneWayBlocks:
    """Blocks of something unsolicited that is not confirmed, such as a long push."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._begin()

    @property
    def joined(self) -> int:
        """Number of the last block that is here."""
        return len(self._parts)

    def take(self, message: GeneralBlockTransfer) -> bytes | None:
        """The whole when this was its last block; what has a gap, or grows too long, is dropped."""
        if message.block_number == 1:
            self._begin()
        self._size += len(message.block_data)
        if message.block_number != len(self._parts) + 1 or self._size > self._limit:
            self._begin()
            return None
        self._parts.append(message.block_data)
        if not message.block_control.last_block:
            return None
        whole = b"".join(self._parts)
        self._begin()
        return whole

    def _begin(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0


BEGINNING = 16
"""Octets that say what it is, and whose."""


class PushedBlocks:
    """Pushes of one sender outside associations, where long ones come in blocks of a general block transfer.

    What makes more than `most` octets together is dropped. `acknowledgement` is the APDU that the sender of the last block wants before
    it goes on; None where it wants none, or where a block is missing.
    """

    def __init__(self, most: int = MAX_REQUEST_OCTETS) -> None:
        self._blocks = OneWayBlocks(most)
        self.acknowledgement: bytes | None = None
        self.begins = b""
        """The first octets of what is joined."""

    def join(self, octets: bytes) -> bytes | None:
        """The APDU that is complete with these octets, for `unprotect_notification`; None: more blocks are needed."""
        self.acknowledgement = None
        if octets[:1] != GENERAL_BLOCK_TRANSFER:
            return octets
        block = apdu.decode(octets)
        if not isinstance(block, GeneralBlockTransfer):
            return None
        if block.block_number == 1:
            self.begins = block.block_data[:BEGINNING]
        whole = self._blocks.take(block)
        fits = whole is not None or 0 < self._blocks.joined == block.block_number
        if fits and block.block_data and not block.block_control.streaming:
            self._tell(block.block_number)
        return whole

    def _tell(self, number: int) -> None:
        control = BlockControl(True, False, MAX_WINDOW)
        self.acknowledgement = apdu.encode(GeneralBlockTransfer(control, 1, number, b""))


def _largest_block(room: int) -> int:
    """Octets of a block in an APDU of `room` octets; 0 stands for any length."""
    if not room:
        return 0
    largest = largest_counted(room - HEADER)
    if largest < 1:
        raise LocalError(f"{room} octets leave no room for a block")
    return largest
