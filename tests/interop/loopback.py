"""A tiny server on 127.0.0.1 made of ServerConnection, and a foreign client run against it in a process of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlms import data
from dlms.association import (
    ActionAnswer,
    ActionRequested,
    AssociationProfile,
    AttributeAccess,
    GetAnswer,
    GetRequested,
    ServerConnection,
    ServerOutput,
    SetAnswer,
    SetRequested,
)
from dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from dlms.data import Data
from dlms.enums import ActionResult, DataAccessResult
from dlms.obis import Obis

ROOT = Path(__file__).resolve().parents[2]
PEERS = Path(__file__).parent / "peers"
CLOCK = AttributeDescriptor(8, Obis.parse("0-0:1.0.0*255"), 2)
NAME = AttributeDescriptor(1, Obis.parse("0-0:42.0.0*255"), 2)
LONG = AttributeDescriptor(7, Obis.parse("1-0:99.1.0*255"), 2)
DISCONNECT = MethodDescriptor(70, Obis.parse("0-0:96.3.10*255"), 1)
ROWS = [[number, 1000 + number] for number in range(96)]


def stored() -> dict[AttributeDescriptor, Data]:
    rows = (data.structure(data.long_unsigned(a), data.double_long_unsigned(b)) for a, b in ROWS)
    return {CLOCK: data.octet_string(bytes(12)), NAME: data.octet_string(b"AMI0000000001001"), LONG: data.array(*rows)}


class Rights:
    """Everything that the loopback server holds may be read and written."""

    def attribute(self, descriptor: AttributeDescriptor) -> AttributeAccess | None:
        return AttributeAccess.READ | AttributeAccess.WRITE if descriptor in (CLOCK, NAME, LONG) else None

    def method(self, descriptor: MethodDescriptor) -> bool | None:
        return True if descriptor == DISCONNECT else None


@dataclass
class Loopback:
    """One server; `seen` holds all its events, `tags` the first octet of every APDU that it was sent."""

    profile: AssociationProfile
    values: dict[AttributeDescriptor, Data] = field(default_factory=stored)
    seen: list[ServerOutput] = field(default_factory=list)
    tags: set[int] = field(default_factory=set)
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wports = (self.profile.server_wport, self.profile.client_wport)
        connection = ServerConnection({wports: self.profile}, random_bytes=lambda count: bytes(range(1, count + 1)))
        try:
            while not connection.closed and (octets := await reader.read(65536)):
                connection.receive_data(octets)
                self.tags.add(octets[8])
                while (event := connection.next_event()) is not None:
                    self.seen.append(event)
                    writer.write(connection.data_to_send() + self._answer(connection, event))
                writer.write(connection.data_to_send())
                await writer.drain()
        finally:
            writer.close()

    def _answer(self, connection: ServerConnection, event: ServerOutput) -> bytes:
        if isinstance(event, GetRequested):
            return connection.send(GetAnswer(event.key, self.values[event.descriptor]))
        if isinstance(event, SetRequested):
            self.values[event.descriptor] = event.value
            return connection.send(SetAnswer(event.key, DataAccessResult.SUCCESS))
        if isinstance(event, ActionRequested):
            return connection.send(ActionAnswer(event.key, ActionResult.SUCCESS))
        return b""


@asynccontextmanager
async def loopback(profile: AssociationProfile) -> AsyncIterator[Loopback]:
    server = Loopback(profile)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    async with listener:
        yield server


def peer_python(name: str) -> Path:
    return ROOT / ".venv" / "interop" / name / "bin" / "python"


async def run_peer(name: str, script: str, given: dict[str, Any]) -> dict[str, Any]:
    """What a peer's script prints; it has 30 s."""
    process = await asyncio.create_subprocess_exec(
        str(peer_python(name)),
        str(PEERS / script),
        json.dumps(given),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), 30)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode == 0, err.decode()
    outcome: dict[str, Any] = json.loads(out)
    return outcome
