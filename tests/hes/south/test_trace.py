"""The log of APDUs holds no password, not even one that goes over the wire unencrypted."""

from __future__ import annotations

from structlog.typing import EventDict

from ami_dlms.association import ClientConnection, ClientSettings, Open
from ami_dlms.enums import Mechanism
from ami_hes.meters.trace import ApduTrace


def test_the_password_of_lls_is_asterisks(events: list[EventDict]) -> None:
    settings = ClientSettings(client_wport=1, server_wport=1, mechanism=Mechanism.LOW, secret=b"swordfish")
    frame = ClientConnection(settings).send(Open())
    ApduTrace("M1").request(frame)
    [event] = events
    assert b"swordfish" in frame and event["name"] == "aarq" and len(event["hex"]) == 2 * len(frame)
    assert b"swordfish".hex().upper() not in event["hex"] and "*" * 18 in event["hex"]
