"""What probably happened to a frame of HDLC whose check does not hold: one bit, line ends translated on the way, octets lost.

A check sequence is linear: what it differs by depends on the wrong bits alone. So the one wrong bit of a frame is looked up,
not searched for (CRC-16/X.25 tells all single bits of a frame apart), and a flood of broken frames costs little.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache

from ami_dlms.errors import DecodeError
from ami_dlms.framing import hdlc
from ami_dlms.framing.hdlc import BITS_REVERSED, CHECK_SIZE, FLAG, FORMAT_SIZE, MAX_LENGTH, check_sequence

NEWLINE, TRANSLATED = b"\n", b"\r\n"
MOST_ATTEMPTS = 64
UNKNOWN = "more than one bit is wrong"


def damage(octets: bytes, start: int) -> str:
    """A guess about a frame from flag to flag, whose first octet is number `start` of the input."""
    return _one_bit(octets, start) or _line_ends(octets, start) or _doubled(octets, start) or _length(octets)


def _one_bit(octets: bytes, start: int) -> str:
    found = wrong_bit(octets[1:-1])
    if found is None:
        return ""
    place, bit = found[0] + 1, found[1]
    sent = octets[place] ^ 1 << bit
    if not _is_good(octets[:place] + bytes((sent,)) + octets[place + 1 :]):
        return ""
    return f"one wrong bit explains it: octet 0x{start + place:04X} is {octets[place]:02X} and was {sent:02X}"


def wrong_bit(octets: bytes) -> tuple[int, int] | None:
    """Octet and number of the one bit that, turned over, makes the check sequence at the end of `octets` hold."""
    if len(octets) <= CHECK_SIZE or len(octets) > MAX_LENGTH:
        return None
    body, check = octets[:-CHECK_SIZE], octets[-CHECK_SIZE:]
    difference = _number(check_sequence(body)) ^ _number(check)
    if difference.bit_count() == 1:
        place, bit = divmod(8 * CHECK_SIZE - difference.bit_length(), 8)
        return len(body) + place, bit
    found = _single_bits().get(difference)
    return None if found is None or found[0] >= len(body) else (len(body) - 1 - found[0], found[1])


def _number(check: bytes) -> int:
    """A check sequence as the register of the library's CRC has it, its first octet's lowest bit leading."""
    return int.from_bytes(check.translate(BITS_REVERSED), "big")


@cache
def _single_bits() -> dict[int, tuple[int, int]]:
    """What a single wrong bit makes the register differ by -> octets behind it, number of the bit."""
    found: dict[int, tuple[int, int]] = {}
    for bit in range(8):
        register = crc_hqx(bytes((0x80 >> bit,)), 0)
        for behind in range(MAX_LENGTH):
            found[register] = behind, bit
            register = crc_hqx(b"\0", register)
    return found


def _line_ends(octets: bytes, start: int) -> str:
    """Terminals and files in text mode send 0D 0A for 0A; a serial port that is not raw reads 0A for 0D."""
    if TRANSLATED in octets and _is_good(octets.replace(TRANSLATED, NEWLINE)):
        return "0D 0A is where 0A was sent: line ends were translated on the way (a port or a file in text mode)"
    for place in _first(_places(octets, NEWLINE)):
        if _is_good(octets[:place] + b"\r" + octets[place + 1 :]):
            return f"octet 0x{start + place:04X} is 0A and was 0D: the serial port translates line ends (set it to raw)"
    return ""


def _doubled(octets: bytes, start: int) -> str:
    twice = (place for place in range(1, len(octets) - 1) if octets[place] == octets[place - 1])
    if _claimed(octets) != len(octets) - 3:
        return ""
    for place in _first(twice):
        if _is_good(octets[:place] + octets[place + 1 :]):
            return f"octet 0x{start + place:04X} is there twice"
    return ""


def _length(octets: bytes) -> str:
    too_many = len(octets) - 2 - _claimed(octets)
    if octets[-1] != FLAG or not too_many:
        return UNKNOWN if not too_many else ""
    count = f"{abs(too_many)} octet{'' if abs(too_many) == 1 else 's'}"
    return f"{count} too many" if too_many > 0 else f"{count} missing"


def _claimed(octets: bytes) -> int:
    return int.from_bytes(octets[1 : 1 + FORMAT_SIZE], "big") & MAX_LENGTH


def _places(octets: bytes, what: bytes) -> Iterator[int]:
    place = octets.find(what)
    while place >= 0:
        yield place
        place = octets.find(what, place + 1)


def _first(places: Iterable[int]) -> Iterator[int]:
    return (place for _, place in zip(range(MOST_ATTEMPTS), places, strict=False))


def _is_good(octets: bytes) -> bool:
    with suppress(DecodeError):
        hdlc.decode(octets)
        return True
    return False
