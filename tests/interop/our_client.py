"""Our client on a socket, and a real process of the simulated meter for it and for foreign clients."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w
from agreed import CLIENT_WPORT, KEYS, MECHANISMS, PASSWORD, SERVER_TITLE, aes_of_challenge, security
from loopback import SERVER_WPORT
from matrix import GMAC, Row

from ami_dlms.association import (
    ClientConnection,
    ClientOutput,
    ClientSettings,
    Open,
    Opened,
    Release,
    Released,
    Request,
)
from ami_dlms.security import GlobalKeys, SendCounter

AUTHENTICATIONS = {"none": "none", "LLS": "lls", GMAC: "hls-gmac"}
PATIENCE_S = 20


@dataclass
class OurClient:
    """Our client on a socket."""

    connection: ClientConnection
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, request: Request) -> ClientOutput:
        """Send a request and read until its event is there."""
        octets = self.connection.send(request)
        while True:
            self.writer.write(octets)
            received = await asyncio.wait_for(self.reader.read(65536), PATIENCE_S)
            assert received, "closed by the meter"
            self.connection.receive_data(received)
            event = self.connection.next_event()
            octets = self.connection.data_to_send()
            if event is not None:
                return event


@asynccontextmanager
async def our_client(
    row: Row, port: int, *, keys: GlobalKeys | None = None, counter: int = 1, **changes: Any
) -> AsyncIterator[OurClient]:
    """Our client, connected, its association not yet open."""
    settings: dict[str, Any] = {
        "client_wport": CLIENT_WPORT,
        "server_wport": SERVER_WPORT,
        "mechanism": MECHANISMS[row.mechanism],
        "secret": PASSWORD,
        "manufacturer_proof": aes_of_challenge,
        "security": security(row, server=False, keys=keys),
        "max_receive_pdu_size": row.pdu_size,
    }
    connection = ClientConnection(
        ClientSettings(**(settings | changes)), challenge=b"0123456789abcdef", send_counter=SendCounter(counter)
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield OurClient(connection, reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def association(row: Row, port: int) -> AsyncIterator[OurClient]:
    """An open association of ours, released at the end."""
    async with our_client(row, port) as client:
        opened = await client.ask(Open())
        assert isinstance(opened, Opened), opened
        yield client
        assert await client.ask(Release()) == Released()


@asynccontextmanager
async def simulated_meter(row: Row, directory: Path) -> AsyncIterator[int]:
    """`python -m ami_meter_sim` with one meter that fits the row; its port."""
    config = directory / "meter.toml"
    config.write_text(tomli_w.dumps(configuration(row, directory)))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ami_meter_sim", "serve", "--config", str(config), stdout=PIPE, stderr=PIPE
    )
    try:
        assert process.stdout is not None and process.stderr is not None
        ready = await asyncio.wait_for(process.stdout.readline(), PATIENCE_S)
        assert ready, (await process.stderr.read()).decode()
        yield int(json.loads(ready)["listen"][0].rpartition(":")[2])
    finally:
        process.terminate()
        await process.communicate()


def configuration(row: Row, directory: Path) -> dict[str, Any]:
    meter: dict[str, Any] = {
        "name": "M1001",
        "address": "127.0.0.1:4059",
        "client_wport": CLIENT_WPORT,
        "server_wport": SERVER_WPORT,
        "authentication": AUTHENTICATIONS[row.mechanism],
        "secret": PASSWORD.hex(),
        "ciphering": "none" if row.policy == "none" else "general-glo",
        "system_title": SERVER_TITLE.hex(),
        "logical_device_name": "AMI0000000001001",
        "device_id": "1001",
        "simulated": {"control_mode": 4, "listen": "127.0.0.1:0"},
    }
    if row.policy != "none":
        meter |= {"encryption_key": KEYS.encryption_key.hex(), "authentication_key": KEYS.authentication_key.hex()}
    return {"meter_sim": {"state": str(directory / "state")}, "meters": [meter]}
