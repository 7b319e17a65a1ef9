"""Our client works through a session with a meter made of a foreign library, in a process of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from loopback import CLOCK, DISCONNECT, LONG, NAME, PEERS, peer_python, stored

from dlms import data
from dlms.association import (
    Action,
    ActionOutcome,
    Ciphering,
    ClientConnection,
    ClientOutput,
    ClientSettings,
    Get,
    GetResult,
    Open,
    Opened,
    OpenRefused,
    Release,
    Released,
    Request,
    Security,
    Set,
    SetResult,
)
from dlms.cosem.descriptors import AttributeDescriptor
from dlms.enums import ActionResult, DataAccessResult, Mechanism
from dlms.security import GlobalKeys, SendCounter

KEYS = GlobalKeys(bytes(range(16)), bytes(range(0xD0, 0xE0)))
OTHER_KEYS = GlobalKeys(bytes(range(1, 17)), bytes(range(0xD0, 0xE0)))
CLIENT_TITLE = b"AMI\0\0\0\0\1"
SERVER_TITLE = b"AMI\0\0\0\3\xe9"
PASSWORD = b"12345678"
MECHANISMS = {"none": Mechanism.LOWEST, "lls": Mechanism.LOW, "gmac": Mechanism.GMAC}
POLICIES = {"none": (False, False), "authenticated": (True, False), "encrypted": (False, True), "both": (True, True)}
COMBINATIONS = [
    ("none", None, "service-specific"),
    ("lls", None, "service-specific"),
    ("gmac", "none", "service-specific"),
    *(
        (mechanism, policy, ciphering)
        for mechanism in MECHANISMS
        for policy in ("authenticated", "encrypted", "both")
        for ciphering in ("service-specific", "general-glo")
    ),
]

pytestmark = pytest.mark.skipif(not peer_python("gurux").exists(), reason="run: python tests/interop/prepare.py")


@dataclass
class Session:
    """Our client on a socket."""

    client: ClientConnection
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, request: Request) -> ClientOutput:
        octets = self.client.send(request)
        while True:
            self.writer.write(octets)
            received = await asyncio.wait_for(self.reader.read(65536), 10)
            assert received, "closed by the meter"
            self.client.receive_data(received)
            event = self.client.next_event()
            octets = self.client.data_to_send()
            if event is not None:
                return event


def name_of(descriptor: AttributeDescriptor) -> str:
    head = descriptor.class_id.to_bytes(2, "big") + bytes(descriptor.instance_id)
    return (head + bytes((descriptor.attribute_id,))).hex()


@asynccontextmanager
async def session(
    mechanism: str, policy: str | None, ciphering: str = "service-specific", **changes: Any
) -> AsyncIterator[Session]:
    given: dict[str, Any] = {
        "mechanism": mechanism,
        "policy": policy,
        "ciphering": ciphering,
        "secret": PASSWORD.hex(),
        "system_title": SERVER_TITLE.hex(),
        "invocation_counter": 0,
        "objects": {name_of(descriptor): data.encode(value).hex() for descriptor, value in stored().items()},
    }
    security = None
    if policy is not None:
        given |= {
            "encryption_key": KEYS.encryption_key.hex(),
            "authentication_key": KEYS.authentication_key.hex(),
        }
        authenticated, encrypted = POLICIES[policy]
        security = Security(
            keys=changes.pop("keys", KEYS),
            system_title=CLIENT_TITLE,
            authenticated=authenticated,
            encrypted=encrypted,
            ciphering=Ciphering(ciphering),
        )
    settings: dict[str, Any] = {
        "client_wport": 1,
        "server_wport": 1,
        "mechanism": MECHANISMS[mechanism],
        "secret": PASSWORD,
        "security": security,
        "max_receive_pdu_size": 200,
    }
    client = ClientConnection(
        ClientSettings(**(settings | changes)), challenge=b"0123456789abcdef", send_counter=SendCounter(100)
    )
    script = str(PEERS / "gurux_server.py")
    meter = await asyncio.create_subprocess_exec(
        str(peer_python("gurux")), script, json.dumps(given), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert meter.stdout is not None
        port = int(await asyncio.wait_for(meter.stdout.readline(), 20))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        yield Session(client, reader, writer)
        writer.close()
        await writer.wait_closed()
        await asyncio.wait_for(meter.wait(), 10)
    finally:
        if meter.returncode is None:
            meter.kill()
            await meter.wait()


@pytest.mark.parametrize(("mechanism", "policy", "ciphering"), COMBINATIONS)
async def test_gurux_meter(mechanism: str, policy: str | None, ciphering: str) -> None:
    held = stored()
    new_clock = data.octet_string(bytes.fromhex("07EA0B1801010203FF800000"))
    success = DataAccessResult.SUCCESS
    async with session(mechanism, policy, ciphering) as meter:
        opened = await meter.ask(Open())
        assert isinstance(opened, Opened)
        assert opened.server_system_title == (None if policy is None else SERVER_TITLE)
        assert await meter.ask(Get(NAME)) == GetResult(held[NAME], success)
        assert await meter.ask(Get(LONG)) == GetResult(held[LONG], success), "in blocks"
        assert await meter.ask(Set(CLOCK, new_clock)) == SetResult(success)
        assert await meter.ask(Get(CLOCK)) == GetResult(new_clock, success)
        assert await meter.ask(Action(DISCONNECT, data.integer(0))) == ActionOutcome(ActionResult.SUCCESS, None)
        assert await meter.ask(Release()) == Released()


async def test_gurux_meter_refuses_a_wrong_password() -> None:
    async with session("lls", None, secret=b"87654321") as meter:
        refused = await meter.ask(Open())
    assert isinstance(refused, OpenRefused)
    assert "authentication-failure" in refused.reason


async def test_gurux_meter_refuses_a_wrong_proof() -> None:
    async with session("gmac", "none", keys=OTHER_KEYS) as meter:
        refused = await meter.ask(Open())
    assert isinstance(refused, OpenRefused)
    assert "proof" in refused.reason
