"""What nobody asked for and what nobody answers: notifications of every kind, confirmations, unconfirmed requests."""

from __future__ import annotations

from typing import Any

import pytest
from in_memory import (
    CLOCK,
    DISCONNECT,
    KEYS,
    LONG,
    NAME,
    SERVER_TITLE,
    Pair,
    from_server,
    opened,
    pdus,
    requested,
)

from ami_dlms import apdu, data
from ami_dlms.apdu.ciphered import GeneralGloCiphering
from ami_dlms.apdu.notify import DataNotification, DataNotificationConfirm, EventNotificationRequest
from ami_dlms.apdu.short_names import InformationReportRequest, VariableName
from ami_dlms.association import (
    LN_CONFORMANCE,
    SN_CONFORMANCE,
    Access,
    Action,
    ActionList,
    Ciphering,
    ClientState,
    Confirm,
    EventNotified,
    Get,
    GetResult,
    InformationReported,
    NotificationConfirmed,
    Notified,
    Read,
    ServerState,
    Service,
    Set,
    SetList,
    Unconfirmed,
    Write,
)
from ami_dlms.cosem.short_names import NamedObject, ShortNames
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import Conformance, DataAccessResult
from ami_dlms.errors import LocalError
from ami_dlms.security import protect

OK = DataAccessResult.SUCCESS
NAMES = ShortNames([NamedObject(0x0100, 8, 0, CLOCK.instance_id), NamedObject(0x0600, 70, 0, DISCONNECT.instance_id)])
PUSH = DataNotification(0xC0000007, None, data.octet_string(bytes(20)))
EVENT = EventNotificationRequest(None, CLOCK, data.octet_string(bytes(12)))
REPORT = InformationReportRequest(None, (VariableName(0x0108),), (data.null(),))
POLICIES = [None, (True, True)]


def talking(
    size: int = 0, without: Conformance | None = None, *, names: ShortNames | None = None, **changes: Any
) -> Pair:
    everything = LN_CONFORMANCE if names is None else SN_CONFORMANCE
    agreed = {
        "max_receive_pdu_size": size,
        "conformance": everything & ~(without or Conformance(0)),
        "short_names": names,
    }
    return opened(client=agreed, server=agreed, **changes)


def told(joined: Pair, notification: Any) -> list[Any]:
    return joined.carry_back(joined.server.notify(17, 1, notification))


# --- notifications


@pytest.mark.parametrize("ciphering", Ciphering)
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("key", [None, b"dedicated key 16"])
def test_every_notification(policy: tuple[bool, bool] | None, ciphering: Ciphering, key: bytes | None) -> None:
    if policy is None and (key or ciphering is not Ciphering.GENERAL_GLO):
        return
    protected = policy is not None
    for names, notification, event in (
        (None, PUSH, Notified(PUSH, protected)),
        (None, EVENT, EventNotified(EVENT, protected)),
        (NAMES, REPORT, InformationReported(REPORT, protected)),
        (NAMES, PUSH, Notified(PUSH, protected)),
    ):
        joined = talking(names=names, policy=policy, ciphering=ciphering, dedicated_key=key)
        assert told(joined, notification) == [event]
        assert joined.client.state is ClientState.OPEN


@pytest.mark.parametrize(
    ("notification", "needed"),
    [
        (PUSH, Conformance.DATA_NOTIFICATION),
        (EVENT, Conformance.EVENT_NOTIFICATION),
        (REPORT, Conformance.INFORMATION_REPORT),
    ],
)
def test_a_server_sends_what_was_agreed(notification: Any, needed: Conformance) -> None:
    joined = talking(without=needed)
    with pytest.raises(LocalError, match="not negotiated"):
        joined.server.notify(17, 1, notification)
    with pytest.raises(LocalError, match="no such association"):
        joined.server.notify(17, 99, notification)


@pytest.mark.parametrize("notification", [EVENT, REPORT])
def test_a_client_drops_what_was_not_agreed(notification: Any) -> None:
    joined = opened()
    assert joined.carry_back(from_server(apdu.encode(notification))) == []
    assert joined.ask(Get(NAME)) == [GetResult(joined.values[NAME], OK)]


@pytest.mark.parametrize("policy", POLICIES)
def test_in_the_middle_of_a_long_get(policy: tuple[bool, bool] | None) -> None:
    joined = talking(100, policy=policy)
    first = joined.to_server(joined.client.send(Get(LONG)))
    assert joined.server.state(17, 1) is ServerState.SENDING_BLOCKS
    pushed = joined.server.notify(17, 1, EVENT)
    assert joined.carry_back(first + pushed) == [
        EventNotified(EVENT, policy is not None),
        GetResult(joined.values[LONG], OK),
    ]


def test_one_in_clear_says_so_in_a_ciphered_association() -> None:
    joined = talking(policy=(True, True))
    assert joined.carry_back(from_server(apdu.encode(EVENT))) == [EventNotified(EVENT, protected=False)]
    content = protect(0x30, KEYS, SERVER_TITLE, 9000, apdu.encode(EVENT))
    sealed = from_server(apdu.encode(GeneralGloCiphering(SERVER_TITLE, content)))
    assert joined.carry_back(sealed) == [EventNotified(EVENT, protected=True)]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("size", [64, 100, 300])
def test_long_ones_go_in_blocks_that_nobody_confirms(size: int, policy: tuple[bool, bool] | None) -> None:
    joined = talking(size, policy=policy)
    push = DataNotification(7, None, data.octet_string(bytes(1000)))
    octets = joined.server.notify(17, 1, push)
    assert max(len(pdu.apdu) for pdu in pdus(octets)) <= size
    joined.wire.clear()
    assert joined.carry_back(octets) == [Notified(push, policy is not None)]
    assert len(joined.wire) == 1, "the client says nothing to it"
    limited = talking(size, without=Conformance.GENERAL_BLOCK_TRANSFER, policy=policy)
    with pytest.raises(LocalError, match="at most"):
        limited.server.notify(17, 1, push)


# --- confirmations


@pytest.mark.parametrize("ciphering", Ciphering)
@pytest.mark.parametrize("policy", POLICIES)
def test_a_confirmation_reaches_the_server(policy: tuple[bool, bool] | None, ciphering: Ciphering) -> None:
    if policy is None and ciphering is not Ciphering.GENERAL_GLO:
        return
    joined = talking(policy=policy, ciphering=ciphering)
    told(joined, PUSH)
    moment = CosemDateTime(2026, 11, 20, 5, 12, 0, 0, 0, 0, 0)
    assert joined.to_server(joined.client.send(Confirm(PUSH, moment))) == b""
    assert joined.seen[-1] == NotificationConfirmed(17, 1, PUSH.long_invoke_id_and_priority)
    assert joined.ask(Get(NAME)) == [GetResult(joined.values[NAME], OK)]


def test_a_confirmation_while_an_answer_is_awaited() -> None:
    joined = talking()
    octets = joined.client.send(Get(NAME))
    confirmation = joined.client.send(Confirm(PUSH))
    assert apdu.decode(pdus(confirmation)[0].apdu) == DataNotificationConfirm(PUSH.long_invoke_id_and_priority, None)
    assert joined.carry(confirmation + octets) == [GetResult(joined.values[NAME], OK)]
    assert isinstance(joined.seen[-2], NotificationConfirmed)


# --- requests without an answer


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    ("request_", "service"),
    [
        (Set(CLOCK, data.null()), Service.SET),
        (SetList((Set(CLOCK, data.null()),)), Service.SET_WITH_LIST),
        (Action(DISCONNECT), Service.ACTION),
        (ActionList((Action(DISCONNECT),)), Service.ACTION_WITH_LIST),
        (Access((Get(NAME), Set(CLOCK, data.null()))), Service.ACCESS),
    ],
)
def test_unconfirmed_requests(request_: Any, service: Service, policy: tuple[bool, bool] | None) -> None:
    joined = talking(policy=policy)
    assert joined.to_server(joined.client.send(Unconfirmed(request_))) == b""
    requested(joined.seen[-1], service)
    assert joined.client.state is ClientState.OPEN
    assert joined.ask(Get(NAME)) == [GetResult(joined.values[NAME], OK)]


@pytest.mark.parametrize("request_", [
    Write((VariableName(0x0108),), (data.null(),)),
    Set(CLOCK, data.null()),
    SetList((Set(CLOCK, data.null()),) * 2),
])  # fmt: skip
def test_unconfirmed_writes(request_: Any) -> None:
    joined = talking(names=NAMES, without=Conformance.WRITE)
    assert joined.to_server(joined.client.send(Unconfirmed(request_))) == b""
    requested(joined.seen[-1], Service.WRITE)
    assert joined.values[CLOCK] == data.null()
    with pytest.raises(LocalError, match="UNCONFIRMED_WRITE"):
        talking(names=NAMES, without=Conformance.UNCONFIRMED_WRITE).client.send(Unconfirmed(request_))


def test_what_can_not_go_without_an_answer() -> None:
    joined = talking(64)
    value = data.octet_string(bytes(300))
    for request in (Set(CLOCK, value), Action(DISCONNECT, value), Access((Set(CLOCK, value),))):
        with pytest.raises(LocalError):
            joined.client.send(Unconfirmed(request))
    named = talking(64, names=NAMES)
    for wrong in (Action(DISCONNECT), Read((VariableName(8),)), Write((VariableName(8),), (value,))):
        with pytest.raises(LocalError):
            named.client.send(Unconfirmed(wrong))  # type: ignore[arg-type]
    assert joined.client.state is named.client.state is ClientState.OPEN
