"""What a client drops is kept with its reason, so that silence can be told from an answer that could not be taken."""

from __future__ import annotations

import pytest

from ami_dlms import apdu, data
from ami_dlms.apdu.access import AccessResponse
from ami_dlms.apdu.acse import Aare, Diagnostic
from ami_dlms.apdu.blocks import ABORT
from ami_dlms.apdu.get import GetResponseNormal
from ami_dlms.apdu.initiate import InitiateResponse
from ami_dlms.apdu.notify import EventNotificationRequest
from ami_dlms.apdu.set import SetResponseNormal
from ami_dlms.association import (
    LN_CONFORMANCE,
    Access,
    Cause,
    ClientConnection,
    ClientSettings,
    Discarded,
    Get,
    GetResult,
    Open,
    Opened,
)
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.enums import (
    AcseServiceUserDiagnostic,
    ApplicationContext,
    AssociationResult,
    Conformance,
    DataAccessResult,
)
from ami_dlms.framing import wrapper
from ami_dlms.framing.hdlc import Frame, FrameKind, control_of
from ami_dlms.framing.hdlc import encode as encode_frame
from ami_dlms.framing.hdlc_address import HdlcAddress
from ami_dlms.framing.hdlc_framing import HdlcClientFraming
from ami_dlms.framing.hdlc_link import PassedOver
from ami_dlms.obis import Obis

ENERGY = AttributeDescriptor(3, Obis.parse("1-0:1.8.0"), 2)
ANSWER = data.double_long_unsigned(1234)


def opened(conformance: Conformance = LN_CONFORMANCE, **change: bool) -> ClientConnection:
    client = ClientConnection(ClientSettings(client_wport=16, server_wport=1, conformance=conformance, **change))
    client.send(Open())
    initiate = InitiateResponse(conformance=conformance, server_max_receive_pdu_size=0xFFFF)
    accepted = Aare(
        ApplicationContext.LN,
        AssociationResult.ACCEPTED,
        Diagnostic.user(AcseServiceUserDiagnostic.NULL),
        user_information=apdu.encode(initiate),
    )
    assert isinstance(told(client, accepted), Opened)
    return client


def told(client: ClientConnection, message: apdu.Apdu, source: int = 1, destination: int = 16) -> object:
    client.receive_data(wrapper.encode(wrapper.WrapperPdu(source, destination, apdu.encode(message))))
    return client.next_event()


def test_a_foreign_invoke_id() -> None:
    client = opened()
    client.send(Get(ENERGY))
    assert told(client, GetResponseNormal(0xC7, ANSWER)) is None
    assert list(client.discarded) == [Discarded("an answer came under invoke id 7, 1 was asked", Cause.INVOKE_ID)]
    assert told(client, GetResponseNormal(0xC1, ANSWER)) == GetResult(ANSWER, DataAccessResult.SUCCESS)
    client.send(Get(ENERGY))
    assert not client.discarded, "what came before the last request explains nothing"


def test_a_foreign_long_invoke_id() -> None:
    client = opened()
    client.send(Access((Get(ENERGY),)))
    told(client, AccessResponse(0x40000007, None, None, (), ()))
    assert client.discarded[-1].reason == "an answer came under invoke id 7, 1 was asked"


def test_foreign_ports() -> None:
    client = opened()
    client.send(Get(ENERGY))
    assert told(client, GetResponseNormal(0xC1, ANSWER), 16, 1) is None
    assert client.discarded[-1] == Discarded("an answer came from 16 to 1, and not from 1 to 16", Cause.ADDRESS)


def test_what_was_not_asked_or_not_agreed() -> None:
    client = opened(LN_CONFORMANCE & ~Conformance.EVENT_NOTIFICATION)
    told(client, SetResponseNormal(0xC1, DataAccessResult.SUCCESS))
    told(client, ABORT)
    told(client, EventNotificationRequest(None, ENERGY, ANSWER))
    assert [one.cause for one in client.discarded] == [Cause.NOTHING_ASKED, Cause.NOTHING_ASKED, Cause.NOT_AGREED]
    client.send(Get(ENERGY))
    told(client, AccessResponse(0x40000001, None, None, (), ()))
    assert client.discarded[-1].reason == "AccessResponse came, which answers another service"


def test_only_the_last_few_are_kept() -> None:
    client = opened()
    client.send(Get(ENERGY))
    for number in range(100):
        told(client, GetResponseNormal(0xC2 + number % 8, ANSWER))
    assert len(client.discarded) == 8


@pytest.mark.parametrize("ports", [(1, 16), (16, 1), (7, 9)])
def test_tolerance_takes_them(ports: tuple[int, int]) -> None:
    client = opened(any_invoke_id=True, any_address=True)
    client.send(Get(ENERGY))
    assert told(client, GetResponseNormal(0x05, ANSWER), *ports) == GetResult(ANSWER, DataAccessResult.SUCCESS)


def test_tolerance_takes_no_answer_to_another_service() -> None:
    client = opened(any_invoke_id=True)
    client.send(Get(ENERGY))
    assert told(client, SetResponseNormal(0xC4, DataAccessResult.SUCCESS)) is None
    assert told(client, GetResponseNormal(0xC1, ANSWER)) == GetResult(ANSWER, DataAccessResult.SUCCESS)


@pytest.mark.parametrize(("high", "octet"), [(True, 0xC1), (False, 0x41)])
def test_the_priority_of_requests(high: bool, octet: int) -> None:
    client = opened(high_priority=high)
    frames = wrapper.Deframer()
    frames.receive_data(client.send(Get(ENERGY)))
    pdu = frames.next_pdu()
    assert pdu is not None and pdu.apdu[2] == octet


@pytest.mark.parametrize("any_address", [False, True])
def test_a_frame_from_another_station(any_address: bool) -> None:
    framing = HdlcClientFraming(16, HdlcAddress(1), any_address=any_address)
    framing.encode(16, 1, b"\x01")
    other = HdlcAddress(1, 17)
    framing.receive_data(encode_frame(Frame(HdlcAddress(16), other, control_of(FrameKind.UA))))
    framing.next_pdu()
    assert framing.link.connected is any_address
    assert list(framing.link.passed_over) == ([] if any_address else [PassedOver(other, HdlcAddress(16))])
