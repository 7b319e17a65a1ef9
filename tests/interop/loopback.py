"""A small server of ours on 127.0.0.1, made of ServerConnection, over the wrapper or HDLC, with a few objects behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from ami_dlms import data
from ami_dlms.association import (
    Action,
    ActionOutcome,
    Answer,
    AssociationProfile,
    AttributeAccess,
    Get,
    ItemResult,
    Requested,
    ServerConnection,
    ServerOutput,
    Set,
    lookup_among,
)
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.cosem.selection import BY_ENTRY, EntryDescriptor, RangeDescriptor, SelectiveAccess
from ami_dlms.cosem.short_names import NamedObject, ShortNames
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_dlms.framing.framing import Framing, LinkLost, WrapperPdu
from ami_dlms.framing.hdlc_framing import HdlcServerFraming
from ami_dlms.framing.wrapper import WrapperFraming
from ami_dlms.obis import Obis

NAME = AttributeDescriptor(1, Obis.parse("0-0:42.0.0*255"), 2)
CLOCK = AttributeDescriptor(8, Obis.parse("0-0:1.0.0*255"), 2)
TEXT = AttributeDescriptor(1, Obis.parse("0-0:96.13.0*255"), 2)
PROFILE = AttributeDescriptor(7, Obis.parse("1-0:99.1.0*255"), 2)
DISCONNECT = MethodDescriptor(70, Obis.parse("0-0:96.3.10*255"), 1)
SERVER_WPORT = 1
BASE_NAMES = {NAME: 0xFD00, CLOCK: 0x2BC0, TEXT: 0x6000, PROFILE: 0x6200, DISCONNECT: 0x6400}
SHORT_NAMES = ShortNames(
    [NamedObject(base, one.class_id, 1 if one is PROFILE else 0, one.instance_id) for one, base in BASE_NAMES.items()]
    + [NamedObject(0xFA00, 12, 3, Obis.parse("0-0:40.0.0*255"))]
)

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
TIMES = [BEGIN + timedelta(minutes=15 * number) for number in range(96)]
ROWS = [[CosemDateTime.from_datetime(time).encode(), 1000 + number] for number, time in enumerate(TIMES)]


def row(number: int) -> Data:
    time, value = ROWS[number]
    return data.structure(data.octet_string(bytes(time)), data.double_long_unsigned(int(value)))


def stored() -> dict[AttributeDescriptor, Data]:
    return {
        NAME: data.octet_string(b"AMI0000000001001"),
        CLOCK: data.octet_string(bytes(12)),
        TEXT: data.octet_string(b"nothing to say"),
        PROFILE: data.array(*map(row, range(len(ROWS)))),
    }


class Rights:
    """Everything that the loopback server holds may be read and written."""

    def attribute(self, descriptor: AttributeDescriptor) -> AttributeAccess | None:
        return AttributeAccess.READ | AttributeAccess.WRITE if descriptor in stored() else None

    def method(self, descriptor: MethodDescriptor) -> bool | None:
        return True if descriptor == DISCONNECT else None


class Noting:
    """A framing that notes the tag of every APDU that came through it."""

    def __init__(self, framing: Framing, tags: set[int]) -> None:
        self._framing = framing
        self._tags = tags

    def __getattr__(self, name: str) -> Any:
        return getattr(self._framing, name)

    def next_pdu(self) -> WrapperPdu | LinkLost | None:
        pdu = self._framing.next_pdu()
        if isinstance(pdu, WrapperPdu):
            self._tags.add(pdu.apdu[0])
        return pdu


FRAMINGS: dict[str, Callable[[], Framing]] = {
    "wrapper": WrapperFraming,
    "HDLC": lambda: HdlcServerFraming([SERVER_WPORT]),
}


@dataclass
class Loopback:
    """One server; `seen` holds all its events, `tags` the first octet of every APDU that it was sent."""

    profile: AssociationProfile
    framing: str = "wrapper"
    values: dict[AttributeDescriptor, Data] = field(default_factory=stored)
    seen: list[ServerOutput] = field(default_factory=list)
    tags: set[int] = field(default_factory=set)
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = ServerConnection(
            lookup_among(self.profile),
            random_bytes=lambda count: bytes(range(1, count + 1)),
            framing=cast(Framing, Noting(FRAMINGS[self.framing](), self.tags)),
        )
        try:
            while not connection.closed and (octets := await reader.read(65536)):
                connection.receive_data(octets)
                while (event := connection.next_event()) is not None:
                    self.seen.append(event)
                    answer = self._answer(event)
                    octets = b"" if answer is None else connection.send(answer)
                    writer.write(connection.data_to_send() + octets)
                writer.write(connection.data_to_send())
                await writer.drain()
        except ConnectionError:
            pass  # a peer that gives up
        finally:
            writer.close()

    def _answer(self, event: ServerOutput) -> Answer | None:
        return Answer(event.key, tuple(map(self._do, event.items))) if isinstance(event, Requested) else None

    def _do(self, item: Get | Set | Action) -> ItemResult:
        if isinstance(item, Get):
            return self.values[item.descriptor] if item.selection is None else selected(item.selection)
        if isinstance(item, Action):
            return ActionOutcome(ActionResult.SUCCESS, None)
        self.values[item.descriptor] = item.value
        return DataAccessResult.SUCCESS


def selected(selection: SelectiveAccess) -> Data:
    """The rows of the profile that are asked for, with all their columns."""
    if selection.selector == BY_ENTRY:
        wanted = EntryDescriptor.decode(selection)
        return data.array(*map(row, range(wanted.from_entry - 1, wanted.to_entry or len(ROWS))))
    asked = RangeDescriptor.decode(selection)
    assert (asked.restricting_object.logical_name, asked.restricting_object.attribute_index) == (CLOCK.instance_id, 2)
    first, last = (CosemDateTime.decode(end.value).to_datetime() for end in (asked.from_value, asked.to_value))
    return data.array(*(row(number) for number, time in enumerate(TIMES) if first <= time <= last))


@asynccontextmanager
async def loopback(profile: AssociationProfile, framing: str = "wrapper") -> AsyncIterator[Loopback]:
    server = Loopback(profile, framing)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    async with listener:
        yield server
