"""What a capture holds besides frames: who spoke to whom over which ports, and how it began. For when nothing was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from ami_cli.formatting import count
from ami_dlms.apdu import CODECS
from ami_dlms.framing import mbus
from ami_dlms.framing.hdlc import FLAG

FIRST = 8
MOST_CONVERSATIONS, MOST_KINDS, SHOWN = 1000, 50, 10
TLS = (b"\x16\x03", b"\x17\x03")


@dataclass(slots=True)
class _Conversation:
    first: bytes
    segments: int = 0
    octets: int = 0


class Seen:
    """Counts while a capture is read; bounded, so of very many conversations the first ones are known."""

    def __init__(self) -> None:
        self.packets = 0
        self.ends_early = False
        """Whether the file ends in the middle of a packet, or what follows is none."""
        self._cut = 0
        self._unknown: Counter[str] = Counter()
        self._conversations: dict[tuple[str, str, str], _Conversation] = {}

    def packet(self, *, is_cut: bool) -> None:
        """One more packet."""
        self.packets += 1
        self._cut += is_cut

    def unknown(self, what: str) -> None:
        """A packet in which there is no segment."""
        if what in self._unknown or len(self._unknown) < MOST_KINDS:
            self._unknown[what] += 1

    def segment(self, transport: str, ends: tuple[str, str], payload: bytes) -> None:
        """What one end said to the other."""
        if not payload:
            return
        key = (transport, *ends)
        known = self._conversations.get(key)
        if known is None:
            if len(self._conversations) >= MOST_CONVERSATIONS:
                return
            known = self._conversations[key] = _Conversation(payload[:FIRST])
        known.segments += 1
        known.octets += len(payload)

    def lines(self) -> Iterator[str]:
        """The largest conversations, then what is no conversation."""
        largest = sorted(self._conversations.items(), key=lambda item: -item[1].octets)
        for (transport, source, destination), one in largest[:SHOWN]:
            begins = f"begins {one.first.hex(' ').upper()}{guess(one.first)}"
            yield f"{transport} {source} → {destination}: {count(one.octets, 'octet')}, {begins}"
        if len(largest) > SHOWN:
            yield f"and {len(largest) - SHOWN} more directions"
        for what, number in self._unknown.most_common(SHOWN):
            yield f"{number:,} {what}"
        if self._cut:
            yield f"{count(self._cut, 'packet')} cut by the capture itself (snap length)"


def guess(first: bytes) -> str:
    """What octets that begin no good frame may be."""
    if first[:2] in TLS:
        return ", TLS"
    if first[:1] == bytes((FLAG,)):
        return ", perhaps HDLC"
    if first[:1] == bytes((mbus.LONG,)):
        return ", perhaps M-Bus"
    if first.isascii() and first.decode("ascii").strip().isprintable() and len(first) > 2:
        return ", text"
    return ", perhaps an APDU without a frame" if first[:1] and first[0] in CODECS else ""
