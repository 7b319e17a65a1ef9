"""What passed on a tapped wire, as APDUs; and a meter read by our own client, beside the HES."""

from __future__ import annotations

import socket
from typing import Any

from patience import PATIENCE_S

from ami_dlms import apdu
from ami_dlms.apdu.acse import Aarq
from ami_dlms.apdu.ciphered import GeneralGloCiphering
from ami_dlms.association import ClientConnection, ClientSettings, Get, GetResult, Open, Opened, Release, Released
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.data import Data
from ami_dlms.enums import Mechanism
from ami_dlms.framing import wrapper
from ami_dlms.obis import Obis

DISCONNECT_CONTROL = Obis.parse("0-0:96.3.10*255")
GLOBAL_INITIATE = 0x21
"""glo-initiate-request, whose content begins as that of general-glo-ciphering does."""


def apdus(octets: bytes) -> list[Any]:
    """The clear APDUs of one direction of a wire, in order."""
    deframer = wrapper.Deframer()
    deframer.receive_data(bytes(octets))
    out = []
    while (pdu := deframer.next_pdu()) is not None:
        out.append(apdu.decode(pdu.apdu))
    return out


def frames(octets: bytes) -> list[wrapper.WrapperPdu]:
    deframer = wrapper.Deframer()
    deframer.receive_data(bytes(octets))
    out = []
    while (pdu := deframer.next_pdu()) is not None:
        out.append(pdu)
    return out


def read_public(port: int, *attributes: AttributeDescriptor) -> list[Data | None]:
    """Read attributes of a meter through its public association (client 16, no security)."""
    settings = ClientSettings(client_wport=16, server_wport=1, mechanism=Mechanism.LOWEST)
    connection = ClientConnection(settings)
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as sock:

        def ask(request: Any) -> Any:
            sock.sendall(connection.send(request))
            while (event := connection.next_event()) is None:
                octets = sock.recv(65536)
                assert octets, "the meter closed the connection"
                connection.receive_data(octets)
                if answer := connection.data_to_send():
                    sock.sendall(answer)
            return event

        assert isinstance(ask(Open()), Opened)
        values = []
        for attribute in attributes:
            result = ask(Get(attribute))
            assert isinstance(result, GetResult)
            values.append(result.value)
        assert isinstance(ask(Release()), Released)
        return values


def invocation_counter(port: int) -> int:
    """The meter's receive counter of the management client, as any client may read it."""
    (value,) = read_public(port, AttributeDescriptor(1, Obis.parse("0-0:43.1.1*255"), 2))
    assert value is not None and isinstance(value.value, int)
    return value.value


def counters(octets: bytes) -> list[tuple[bytes, int]]:
    """The system title and the invocation counter of everything that was ciphered; under one key, since the meter has one."""
    found, title = [], b""
    for one in apdus(octets):
        if isinstance(one, Aarq) and one.calling_ap_title:
            title = one.calling_ap_title
            content = one.user_information or b""
            assert content[0] == GLOBAL_INITIATE
            found.append((title, int.from_bytes(content[3:7], "big")))
        elif isinstance(one, GeneralGloCiphering):
            found.append((one.system_title, int.from_bytes(one.content[1:5], "big")))
    return found
