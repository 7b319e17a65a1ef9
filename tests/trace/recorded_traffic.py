"""Conversations of a client and a server joined in memory, and pushes, as somebody would have captured them on the line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from in_memory import (
    CLIENT_TITLE,
    CLIENT_WPORT,
    CLOCK,
    DISCONNECT,
    HIDDEN,
    LONG,
    NAME,
    SERVER_TITLE,
    SERVER_WPORT,
    Pair,
    opened,
    pdus,
)

from ami_dlms import apdu, data
from ami_dlms.apdu.ciphered import GeneralGloCiphering
from ami_dlms.apdu.notify import DataNotification, EventNotificationRequest
from ami_dlms.association import (
    LN_CONFORMANCE,
    Access,
    Action,
    Ciphering,
    Get,
    GetList,
    Release,
    Request,
    Set,
    SetList,
)
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import Conformance, Mechanism
from ami_dlms.explain import Keyring
from ami_dlms.framing.wrapper import WrapperPdu, encode
from ami_dlms.security import AUTHENTICATED, ENCRYPTED, GlobalKeys, protect
from ami_trace.pcapng import Capture, Endpoint, Message, Transport

AT = datetime(2026, 11, 30, 1, 2, 3, 456789, tzinfo=UTC)
CLIENT, METER = Endpoint("10.0.0.1", 40000), Endpoint("10.0.0.5", 4059)
VECTORS = Path(__file__).parents[1] / "vectors"
BLOCKS_OF_SERVICES = (
    Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
    | Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE
    | Conformance.BLOCK_TRANSFER_WITH_ACTION
)
VALUE = data.octet_string(bytes(range(200)))
REQUESTS: tuple[Request, ...] = (
    Get(NAME),
    Get(CLOCK),
    Get(HIDDEN),
    Get(LONG),
    GetList((Get(NAME), Get(CLOCK))),
    Set(CLOCK, VALUE),
    SetList((Set(CLOCK, data.octet_string(bytes(12))), Set(CLOCK, VALUE))),
    Action(DISCONNECT, data.integer(0)),
    Action(DISCONNECT, VALUE),
    Access((Set(CLOCK, data.octet_string(bytes(12))), Get(CLOCK))),
    Release(),
)


@dataclass(frozen=True)
class Recording:
    """Frames in their order, each with whether it is the client's; and what opens them."""

    name: str
    frames: tuple[tuple[bool, bytes], ...]
    keyring: Keyring
    transport: Transport = Transport.TCP

    def capture(self, *, together: bool = False) -> bytes:
        """As a file without clear text; `together`: all that one end sends in a row comes as segments of 100 octets."""
        capture = Capture("test", clear_text=False, handshake=True)
        written = capture.begin()
        for number, (from_client, octets) in enumerate(self.frames):
            ends = (CLIENT, METER) if from_client else (METER, CLIENT)
            step = 100 if together and self.transport is Transport.TCP else len(octets)
            for place in range(0, len(octets), step):
                at = AT + timedelta(milliseconds=10 * number)
                written += capture.message(Message(at, *ends, octets[place : place + step], transport=self.transport))
        return written


def keys_of(suite: int, meter: int = 0) -> GlobalKeys:
    """Keys of a length that the suite has, those of each meter different."""
    length = 32 if suite == 2 else 16
    return GlobalKeys(bytes(range(meter, meter + length)), bytes(range(0xC0, 0xC0 + length)))


def keyring_of(keys: GlobalKeys) -> Keyring:
    """What a person would know of them."""
    return Keyring(keys.encryption_key, keys.authentication_key, title=CLIENT_TITLE, title_peer=SERVER_TITLE)


def session(
    suite: int = 0,
    ciphering: Ciphering = Ciphering.GENERAL_GLO,
    *,
    policy: tuple[bool, bool] | None = (True, True),
    size: int = 180,
    general_blocks: bool = False,
    dedicated_key: bytes | None = None,
    meter: int = 0,
) -> Recording:
    """Everything that a client may ask, in small PDUs, so that long values come in blocks."""
    keys = keys_of(suite, meter)
    left_out = BLOCKS_OF_SERVICES if general_blocks else Conformance.GENERAL_BLOCK_TRANSFER
    ends = {"max_receive_pdu_size": size, "conformance": LN_CONFORMANCE & ~left_out, "block_window": 3}
    joined = _opened(suite, keys, ciphering, policy, ends, dedicated_key)
    for request in REQUESTS:
        joined.ask(request)
    frames = tuple((side == "client", encode(pdu)) for side, octets in joined.wire for pdu in pdus(octets))
    name = f"suite {suite}, {ciphering.value}, {policy}, {size}, {general_blocks}, {dedicated_key is not None}"
    return Recording(name, frames, keyring_of(keys))


def _opened(
    suite: int,
    keys: GlobalKeys,
    ciphering: Ciphering,
    policy: tuple[bool, bool] | None,
    ends: dict[str, Any],
    dedicated_key: bytes | None,
) -> Pair:
    if policy is None:
        return opened(client=ends, server=ends)
    bits = {"authenticated": policy[0], "encrypted": policy[1], "keys": keys, "suite": suite}
    client = ends | {"security": _security(CLIENT_TITLE, ciphering=ciphering, **bits)}
    server = ends | {"security": _security(SERVER_TITLE, **bits)}
    return opened(Mechanism.GMAC, client=client, server=server, dedicated_key=dedicated_key)


def _security(title: bytes, **changes: Any) -> Any:
    from ami_dlms.association import Security

    return Security(system_title=title, **changes)


def pushes(suite: int = 0) -> Recording:
    """Datagrams of a meter: a DataNotification and an EventNotification, unencrypted and general-glo."""
    keys = keys_of(suite)
    body = data.structure(
        data.octet_string(NAME.instance_id), data.array(*(data.long_unsigned(number) for number in range(20)))
    )
    said = (
        apdu.encode(DataNotification(7, CosemDateTime(2026, 11, 30, 1, 2, 3), body)),
        apdu.encode(EventNotificationRequest(None, CLOCK, data.octet_string(bytes(12)))),
    )
    control = suite | AUTHENTICATED | ENCRYPTED
    ciphered = (
        apdu.encode(GeneralGloCiphering(SERVER_TITLE, protect(control, keys, SERVER_TITLE, counter, one)))
        for counter, one in enumerate(said, 5)
    )
    frames = tuple((False, encode(WrapperPdu(SERVER_WPORT, CLIENT_WPORT, one))) for one in (*said, *ciphered))
    return Recording(f"pushes, suite {suite}", frames, keyring_of(keys), Transport.UDP)


def hdlc_sessions() -> Iterator[Recording]:
    """Foreign clients with our server, octet for octet (tests/vectors/hdlc.json); their keys are those of the recordings."""
    keys = GlobalKeys(bytes(range(16)), bytes(range(0xD0, 0xE0)))
    for row in json.loads((VECTORS / "hdlc.json").read_text())["sessions"]:
        frames = tuple((side == "C", bytes.fromhex(octets)) for side, octets in row["exchange"])
        yield Recording(f"HDLC, {row['id']}", frames, Keyring(keys.encryption_key, keys.authentication_key))


def recordings() -> list[Recording]:
    """One of each kind."""
    return [
        *(session(suite) for suite in (0, 1, 2)),
        session(policy=None),
        session(policy=(True, False)),
        session(policy=(False, True)),
        session(ciphering=Ciphering.SERVICE_SPECIFIC, dedicated_key=bytes(range(50, 66))),
        session(1, Ciphering.GENERAL_CIPHERING, size=300),
        session(general_blocks=True),
        *(pushes(suite) for suite in (0, 1, 2)),
        *hdlc_sessions(),
    ]
