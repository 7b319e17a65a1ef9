"""Our client on a socket, over the transport of its row."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from agreed import CLIENT_WPORT, MECHANISMS, PASSWORD, aes_of_challenge, security
from loopback import SERVER_WPORT
from matrix import HDLC, UDP, Row

from ami_dlms.association import (
    SN_CONFORMANCE,
    ClientConnection,
    ClientOutput,
    ClientSettings,
    Open,
    Opened,
    Release,
    Released,
    Request,
)
from ami_dlms.framing.hdlc_address import HdlcAddress
from ami_dlms.framing.hdlc_framing import HdlcClientFraming
from ami_dlms.security import GlobalKeys, SendCounter
from ami_meter_sim.objects.model_files import load_model
from ami_packs.base_names import names_of

PATIENCE_S = 20


@dataclass
class OurClient:
    """Our client on a socket."""

    connection: ClientConnection
    socket: socket.socket

    async def ask(self, request: Request) -> ClientOutput:
        """Send a request and read until its event is there."""
        loop = asyncio.get_running_loop()
        octets = self.connection.send(request)
        while True:
            if octets:
                await loop.sock_sendall(self.socket, octets)
            received = await asyncio.wait_for(loop.sock_recv(self.socket, 65536), PATIENCE_S)
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
    if row.names == "SN":
        settings |= {"short_names": names_of(load_model(row.model))["management"], "conformance": SN_CONFORMANCE}
    connection = ClientConnection(
        ClientSettings(**(settings | changes)),
        challenge=b"0123456789abcdef",
        send_counter=SendCounter(counter),
        framing=HdlcClientFraming(CLIENT_WPORT, HdlcAddress(SERVER_WPORT)) if row.framing == HDLC else None,
    )
    with socket.socket(type=socket.SOCK_DGRAM if row.framing == UDP else socket.SOCK_STREAM) as near:
        near.setblocking(False)
        await asyncio.get_running_loop().sock_connect(near, ("127.0.0.1", port))
        yield OurClient(connection, near)


@asynccontextmanager
async def association(row: Row, port: int) -> AsyncIterator[OurClient]:
    """An open association of ours, released at the end."""
    async with our_client(row, port) as client:
        opened = await client.ask(Open())
        assert isinstance(opened, Opened), opened
        yield client
        assert await client.ask(Release()) == Released()
