"""Associations that exist without being opened: served at once, never released, ciphered with titles known beforehand."""

from __future__ import annotations

from typing import Any

import pytest
from in_memory import CLIENT_TITLE, CLOCK, LONG, NAME, SERVER_TITLE, Pair, from_client, initiate, pair, pdus, security

from ami_dlms import apdu, data
from ami_dlms.apdu.acse import Aarq, Rlrq
from ami_dlms.apdu.faults import ExceptionResponse
from ami_dlms.association import (
    LN_CONFORMANCE,
    ClientState,
    Discarded,
    Get,
    GetResult,
    Open,
    PreEstablished,
    Release,
    ServerState,
    Set,
    SetResult,
)
from ami_dlms.enums import ApplicationContext, DataAccessResult, Mechanism
from ami_dlms.errors import LocalError

OK = DataAccessResult.SUCCESS
VALUE = data.octet_string(bytes(300))


def known(size: int = 0, *, ciphered: bool = False) -> Pair:
    agreed: dict[str, Any] = {
        "pre_established": PreEstablished(size),
        "max_receive_pdu_size": size,
        "conformance": LN_CONFORMANCE,
    }
    if not ciphered:
        return pair(client=agreed, server=agreed)
    ours = security(CLIENT_TITLE, peer_system_title=SERVER_TITLE)
    theirs = security(SERVER_TITLE, peer_system_title=CLIENT_TITLE)
    return pair(client=agreed | {"security": ours}, server=agreed | {"security": theirs})


@pytest.mark.parametrize("ciphered", [False, True])
@pytest.mark.parametrize("size", [0, 100, 1000])
def test_served_without_being_opened(size: int, ciphered: bool) -> None:
    joined = known(size, ciphered=ciphered)
    assert joined.client.state is ClientState.OPEN
    assert joined.server.state(17, 1) is ServerState.OPEN
    assert joined.ask(Get(NAME)) == [GetResult(joined.values[NAME], OK)]
    assert joined.ask(Get(LONG)) == [GetResult(joined.values[LONG], OK)]
    assert joined.ask(Set(CLOCK, VALUE)) == [SetResult(OK)]
    assert max(len(pdu.apdu) for _, octets in joined.wire for pdu in pdus(octets)) <= (size or 0xFFFF)


def test_neither_opened_nor_released() -> None:
    joined = known()
    for request in (Open(), Release()):
        with pytest.raises(LocalError):
            joined.client.send(request)
    for message in (Aarq(ApplicationContext.LN, user_information=initiate()), Rlrq()):
        (answer,) = pdus(joined.to_server(from_client(apdu.encode(message))))
        assert isinstance(apdu.decode(answer.apdu), ExceptionResponse)
        assert isinstance(joined.seen[-1], Discarded)
    assert joined.ask(Get(NAME)) == [GetResult(joined.values[NAME], OK)]


def test_what_it_takes() -> None:
    with pytest.raises(LocalError, match="no authentication"):
        pair(Mechanism.LOW, client={"pre_established": PreEstablished()})
    with pytest.raises(LocalError, match="system title"):
        pair(policy=(True, True), client={"pre_established": PreEstablished()})
