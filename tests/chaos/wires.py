"""The wires between head-end and meters: a relay in front of each, and what is seen on all of them over all lives of both ends.

The keys that AES-GCM ciphers with are those of the configuration and are never changed in a run (authentication keys are), so what passes can be read: which
APDU is an ACTION on the switch, and whether the switch was read since the one before. What is kept of a frame is its counter and a digest.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from ami_dlms import apdu
from ami_dlms.apdu.action import ActionRequestNormal
from ami_dlms.apdu.get import GetRequestNormal, GetRequestWithList
from ami_dlms.errors import DlmsError
from ami_dlms.framing import wrapper
from ami_dlms.obis import Obis

SWITCH = Obis.parse("0-0:96.3.10*255")
GENERAL_GLO, ENCRYPTED, GET_RESPONSE = 0xDB, 0x20, 0xC4
OUTPUT_STATE, CONTROL_STATE = 2, 3


@dataclass(frozen=True)
class Ciphered:
    """general-glo-ciphering, its parts."""

    title: bytes
    control: int
    counter: int
    content: bytes
    """Behind the counter: what is ciphered, and the tag."""

    @classmethod
    def of(cls, octets: bytes) -> Ciphered | None:
        """None for any other APDU."""
        if len(octets) < 17 or octets[0] != GENERAL_GLO or octets[1] != 8:
            return None
        begin = 11 + (octets[10] & 0x7F if octets[10] & 0x80 else 0)
        return cls(octets[2:10], octets[begin], int.from_bytes(octets[begin + 1 : begin + 5]), octets[begin + 5 :])

    def clear(self, key: bytes) -> bytes:
        """The APDU; its tag is not checked, which needs the other key. GCM counts blocks from 2 on (NIST SP 800-38D)."""
        if not self.control & ENCRYPTED:
            return self.content[:-12]
        block = self.title + self.counter.to_bytes(4) + (2).to_bytes(4)
        return Cipher(algorithms.AES(key), modes.CTR(block)).decryptor().update(self.content[:-12])


@dataclass
class Seen:
    """What has passed, of all meters; `broken` are the invariants that did not hold."""

    keys: Mapping[str, bytes]
    """The encryption key of each meter, by its name."""
    frames: int = 0
    ciphered: int = 0
    switchings: int = 0
    unread: int = 0
    broken: list[str] = field(default_factory=list)
    highest: dict[tuple[str, bytes], int] = field(default_factory=dict)
    """The highest counter of a meter's key, by who has sent it."""
    _digests: dict[tuple[str, bytes, int], bytes] = field(default_factory=dict)
    _unread_switchings: set[str] = field(default_factory=set)

    def counted(self, meter: str, octets: bytes) -> bytes:
        """Any APDU of either side: its counter is new under its key; the APDU in clear."""
        self.frames += 1
        one = Ciphered.of(octets)
        if one is None:
            return octets
        self.ciphered += 1
        nonce, digest = (meter, one.title, one.counter), blake2b(octets, digest_size=8).digest()
        if self._digests.setdefault(nonce, digest) != digest:
            self.broken.append(f"{meter}: {one.title.hex()} has used invocation counter {one.counter} for two frames")
        self.highest[nonce[:2]] = max(one.counter, self.highest.get(nonce[:2], 0))
        return one.clear(self.keys[meter])

    def asked(self, meter: str, octets: bytes) -> bool:
        """An APDU in clear from the head-end; whether it asks how the switch is."""
        with suppress(DlmsError):
            request = apdu.decode(octets)
            if isinstance(request, ActionRequestNormal) and request.descriptor.instance_id == SWITCH:
                self._switch(meter)
            if isinstance(request, GetRequestNormal):
                return _shows_switch(request.descriptor)
            if isinstance(request, GetRequestWithList):
                return any(_shows_switch(item.descriptor) for item in request.items)
        return False

    def _switch(self, meter: str) -> None:
        self.switchings += 1
        if meter in self._unread_switchings:
            self.broken.append(f"{meter}: a second ACTION on the switch, which was not read since the first one")
        self._unread_switchings.add(meter)

    def read(self, meter: str) -> None:
        """The meter has answered such a question."""
        self._unread_switchings.discard(meter)


def _shows_switch(descriptor: object) -> bool:
    wanted = (OUTPUT_STATE, CONTROL_STATE)
    return getattr(descriptor, "instance_id", None) == SWITCH and getattr(descriptor, "attribute_id", 0) in wanted


class Watcher:
    """Of one connection: tells what passes in both directions."""

    def __init__(self, seen: Seen, meter: str) -> None:
        self._seen, self._meter = seen, meter
        self._from_hes, self._from_meter = wrapper.Deframer(), wrapper.Deframer()
        self._asks = False

    def from_hes(self, octets: bytes) -> None:
        self._from_hes.receive_data(octets)
        while (pdu := self._from_hes.next_pdu()) is not None:
            self._asks = self._seen.asked(self._meter, self._seen.counted(self._meter, pdu.apdu))

    def from_meter(self, octets: bytes) -> None:
        self._from_meter.receive_data(octets)
        while (pdu := self._from_meter.next_pdu()) is not None:
            clear = self._seen.counted(self._meter, pdu.apdu)
            if self._asks and clear and clear[0] == GET_RESPONSE:
                self._seen.read(self._meter)


class Relay:
    """Stands at a port and hands on to another one; its connections can be cut."""

    def __init__(self, seen: Seen, meter: str, *targets: int, from_meter: bool = False) -> None:
        """`from_meter`: it is the meter that calls. Of several targets each has its turn, and one that is not there is passed over, as by a balancer."""
        self._seen, self._meter, self._targets, self._calls = seen, meter, deque(targets), from_meter
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def open(self, port: int) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)

    async def _serve(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        connected = await self._connected()
        if connected is None:
            back.transport.abort()
            return
        far, there = connected
        watcher = Watcher(self._seen, self._meter)
        near_side, far_side = watcher.from_hes, watcher.from_meter
        if self._calls:
            near_side, far_side = far_side, near_side
        self._writers |= {back, there}
        try:
            await asyncio.gather(_pump(near, there, near_side), _pump(far, back, far_side))
        finally:
            self._writers -= {back, there}
            back.close()
            there.close()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for _ in range(len(self._targets)):
            self._targets.rotate()
            with suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", self._targets[0])
        return None

    def cut(self) -> int:
        """End all that is open, in the middle of whatever it is; how many connections."""
        cut = [one.transport.abort() for one in self._writers]
        return len(cut) // 2

    def close(self) -> None:
        self.cut()
        if self._server is not None:
            self._server.close()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, watch: object) -> None:
    assert callable(watch)
    with suppress(OSError):
        while octets := await source.read(65536):
            with suppress(DlmsError):
                watch(octets)
            sink.write(octets)
            await sink.drain()
    if sink.can_write_eof():
        with suppress(OSError, RuntimeError):
            sink.write_eof()
