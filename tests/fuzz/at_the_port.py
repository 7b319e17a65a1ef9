"""What the fuzzer feeds to the HES's port for meters: datagrams, and callers up to their proof; over the transport in memory of `edges`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from chunks import chunks, joined
from edges import LOOPING, MOST, Transport, turns

from ami_dlms import apdu, data
from ami_dlms.apdu.access import CONFIRMED
from ami_dlms.apdu.ciphered import GeneralGloCiphering
from ami_dlms.apdu.notify import DataNotification
from ami_dlms.association import Security, protect_notification
from ami_dlms.enums import ApduTag
from ami_dlms.errors import DlmsError
from ami_dlms.framing.framing import WrapperPdu
from ami_dlms.framing.wrapper import HEADER_SIZE
from ami_dlms.framing.wrapper import encode as framed
from ami_dlms.security import GlobalKeys, SendCounter, protect
from ami_hes.events import Notification
from ami_hes.meters import Meters, MetersSettings, Registry, listener
from ami_hes.meters.channels import TcpChannel
from ami_hes.store.ports import CounterRange, ReceivedKey
from ami_process.environment import Environment
from ami_process.events import Event

TITLE = b"AMI\0\0\0\3\xe9"
KEYS = GlobalKeys(bytes(range(16)), bytes(range(0xD0, 0xE0)))
METER = {
    "name": "M1001",
    "mrid": "00000000-0000-0000-0000-000000001001",
    "usage_points": ["UP-1001"],
    "address": "dials-in",
    "authentication": "hls-gmac",
    "encryption_key": KEYS.encryption_key.hex(),
    "authentication_key": KEYS.authentication_key.hex(),
    "system_title": TITLE.hex(),
    "logical_device_name": "AMI0000000001001",
    "device_id": "1001",
}

listener.GREETING_S = 0.0
"""Who pushes has said so already when it is listened to."""


class _NothingKept:
    """A store of counters in which nothing was kept, and that keeps nothing."""

    async def load(self) -> dict[ReceivedKey, int]:
        return {}

    async def keep(self, key: ReceivedKey, lowest_acceptable: int) -> None:
        return

    async def reserve_counters(self, key_id: str, at_least: int, count: int) -> CounterRange:
        return CounterRange(at_least, at_least + count)

    async def try_counters(self, key_id: str, at_least: int, count: int, *, max_jump: int) -> CounterRange | None:
        return None


def _meters(emit: Callable[[Event], None]) -> Meters:
    kept = _NothingKept()
    settings = MetersSettings(host="127.0.0.1", port=0, system_title=b"AMI\0\0\0\0\1", apdu_timeout_s=0.2)
    return Meters(Registry([METER]), kept, kept, settings, Environment(emit=emit))  # type: ignore[arg-type]


def _travelling(chunk: bytes, number: int) -> bytes:
    """An APDU as it comes: as it is, or under the meter's key, because no fuzzer finds a tag."""
    how, text = chunk[:1], chunk[1:]
    if how == b"\1" and text:
        with suppress(DlmsError):
            return apdu.encode(GeneralGloCiphering(TITLE, protect(0x30, KEYS, TITLE, number + 1, text)))
    return text


def datagrams(octets: bytes) -> None:
    """Datagrams to the HES: each is one event at least, and what nobody vouches for is not answered."""
    told: list[Event] = []

    async def take() -> None:
        meters = _meters(told.append)
        door = meters._listener
        answered: list[bytes] = []
        door._datagrams.send = lambda reply, _: answered.append(reply) is None  # type: ignore[method-assign]
        for number, chunk in enumerate(chunks(octets)):
            text = _travelling(chunk, number)
            if not text:
                continue
            whole = text if chunk[:1] == b"\2" else framed(WrapperPdu(1, 102, text))
            await door._take_datagram(whole, ("127.0.0.1", 9))
        await turns()
        await meters._notifications.close()
        await meters._refusals.close()
        genuine = sum(isinstance(one, Notification) and one.secured for one in told)
        assert sum(one[HEADER_SIZE] != ApduTag.GENERAL_BLOCK_TRANSFER for one in answered) <= genuine

    LOOPING.run(take())


def greeting(octets: bytes) -> None:
    """A caller of the HES's port: it says all at once and ends, or answers whatever it is asked with its next message, until it has none.

    It is dropped, or has pushed, or is taken for the meter that it claims to be; the HES says no more than it may.
    """
    told: list[Event] = []
    speaks_first = octets[:1] == b"\0"
    messages = [
        one[1:] if one[:1] == b"\2" else framed(WrapperPdu(1, 16, one)) for one in chunks(octets[1:]) if one[1:]
    ]

    async def call() -> None:
        meters = _meters(told.append)
        channel, transport = TcpChannel(meters._listener._accept), Transport()
        left = iter(messages)

        def answer() -> None:
            if transport.ended:
                return
            if (one := next(left, None)) is None:
                channel.eof_received()
            else:
                channel.data_received(one)

        if not speaks_first:
            transport.written = answer
        channel.connection_made(transport)
        if speaks_first:
            for one in left:
                channel.data_received(one)
            channel.eof_received()
        while tasks := list(meters._listener._unknown.values()):
            await asyncio.wait(tasks)
        await meters._notifications.close()
        await meters._refusals.close()
        await meters._dialled_in.close()
        assert transport.said < MOST
        channel.connection_lost(None)

    LOOPING.run(call())


def calls() -> list[bytes]:
    """Seeds: who pushes, and who answers to the public client that it is the meter of the registry."""
    name = b"\xc4\x01\xc1\x00\x09\x10AMI0000000001001"
    aare = bytes.fromhex("6129A109060760857405080101A203020100A305A103020100BE10040E0800065F1F040000501F01F40007")
    answers = [aare, name, bytes.fromhex("6303800100")]
    hls = bytes.fromhex("6129A109060760857405080103A203020101A305A103020101BE10040E0800065F1F040000501F01F40007")
    return [b"\1" + joined(answers), b"\1" + joined([*answers, hls]), b"\1" + joined([aare, name[:4] + b"\x00"])] + [
        b"\0" + one for one in map(joined, ([plain_push()], [b"\2" + framed(WrapperPdu(1, 16, plain_push()))]))
    ]


def plain_push() -> bytes:
    """It asks to be confirmed."""
    return apdu.encode(DataNotification(7 | CONFIRMED, None, data.structure(data.double_long_unsigned(1))))


def pushes() -> list[bytes]:
    """Seeds: what meters send unasked, plain and protected."""
    asking, plain = apdu.decode(plain_push()), plain_push()
    assert isinstance(asking, DataNotification)
    genuine = protect_notification(asking, Security(keys=KEYS, system_title=TITLE), SendCounter(5))
    block = b"\xe0\x80\x00\x01\x00\x00" + bytes((len(genuine),)) + genuine
    whole = [b"\0" + plain, b"\1" + plain, b"\0" + genuine, b"\0" + block, b"\2" + framed(WrapperPdu(1, 16, plain))]
    return [joined([one]) for one in whole]
