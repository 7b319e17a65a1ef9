"""Client and server joined in memory: every mechanism, policy and way of ciphering, whole and octet by octet."""

from __future__ import annotations

import pytest
from in_memory import (
    CLOCK,
    DISCONNECT,
    FORBIDDEN,
    HIDDEN,
    LONG,
    NAME,
    PASSWORD,
    SERVER_TITLE,
    UNKNOWN,
    WRITE_ONLY,
    Pair,
    opened,
    pair,
)

from ami_dlms import data
from ami_dlms.association import (
    Action,
    ActionOutcome,
    AssociationOpened,
    AssociationReleased,
    Ciphering,
    ClientState,
    Get,
    GetResult,
    Open,
    Opened,
    Release,
    Released,
    Set,
    SetResult,
)
from ami_dlms.enums import ActionResult, Conformance, DataAccessResult, Mechanism

POLICIES = [None, (True, True), (True, False), (False, True)]
MECHANISMS = [Mechanism.LOWEST, Mechanism.LOW, Mechanism.GMAC]
COMBINATIONS = [
    (mechanism, policy, ciphering, key)
    for mechanism in MECHANISMS
    for policy in [*POLICIES, (False, False)]
    for ciphering in Ciphering
    for key in (None, b"dedicated key 16")
    if not (mechanism is Mechanism.GMAC and policy is None)
    and not ((policy is None or policy == (False, False)) and (key or ciphering is Ciphering.SERVICE_SPECIFIC))
]


def whole_session(joined: Pair) -> None:
    title = None if joined.client._protection is None else SERVER_TITLE
    (first,) = joined.ask(Open())
    assert isinstance(first, Opened)
    assert first.server_system_title == title
    assert first.conformance & Conformance.GET
    assert isinstance(joined.seen[-1], AssociationOpened)
    assert joined.ask(Get(NAME)) == [GetResult(joined.values[NAME], DataAccessResult.SUCCESS)]
    assert joined.ask(Set(CLOCK, data.octet_string(b"new time 123"))) == [SetResult(DataAccessResult.SUCCESS)]
    assert joined.ask(Get(CLOCK)) == [GetResult(data.octet_string(b"new time 123"), DataAccessResult.SUCCESS)]
    assert joined.ask(Action(DISCONNECT, data.integer(0))) == [ActionOutcome(ActionResult.SUCCESS, data.integer(0))]
    assert joined.ask(Get(HIDDEN)) == [GetResult(None, DataAccessResult.OBJECT_UNDEFINED)]
    assert joined.ask(Release()) == [Released()]
    assert isinstance(joined.seen[-1], AssociationReleased)
    assert joined.client.state is ClientState.IDLE


@pytest.mark.parametrize(("mechanism", "policy", "ciphering", "key"), COMBINATIONS)
def test_whole_session(
    mechanism: Mechanism, policy: tuple[bool, bool] | None, ciphering: Ciphering, key: bytes | None
) -> None:
    joined = pair(mechanism, policy=policy, ciphering=ciphering, dedicated_key=key)
    whole_session(joined)
    if policy is not None and policy[1]:
        assert not [octets for _, octets in joined.wire if b"AMI0000000001001" in octets]


@pytest.mark.parametrize("portion", [1, 2, 7])
@pytest.mark.parametrize("policy", [None, (True, True)])
def test_whole_session_in_portions(portion: int, policy: tuple[bool, bool] | None) -> None:
    whole_session(pair(Mechanism.LOWEST if policy is None else Mechanism.GMAC, policy=policy, portion=portion))


@pytest.mark.parametrize("ciphering", Ciphering)
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("limit", [64, 127, 128, 150, 200, 255, 256, 300, 500, 700, 65535, 0])
def test_long_get_keeps_to_the_clients_limit(
    limit: int, policy: tuple[bool, bool] | None, ciphering: Ciphering
) -> None:
    joined = opened(policy=policy, ciphering=ciphering, client={"max_receive_pdu_size": limit})
    joined.wire.clear()
    assert joined.ask(Get(LONG)) == [GetResult(joined.values[LONG], DataAccessResult.SUCCESS)]
    answers = [octets for end, octets in joined.wire if end == "server"]
    sizes = [len(octets) - 8 for octets in answers]
    if limit in (65535, 0):
        assert len(answers) == 1
        return
    assert len(answers) > 1
    assert max(sizes) <= limit
    assert set(sizes[:-1]) <= {limit, limit - 1}, "every block but the last fills the limit"
    assert joined.ask(Get(NAME)) == [GetResult(joined.values[NAME], DataAccessResult.SUCCESS)]


def test_long_get_without_block_transfer_is_refused() -> None:
    conformance = Conformance.GET
    joined = opened(client={"max_receive_pdu_size": 64, "conformance": conformance})
    assert joined.ask(Get(LONG)) == [GetResult(None, DataAccessResult.OTHER_REASON)]


def test_access_rights_are_checked_before_the_application() -> None:
    joined = opened(Mechanism.LOW)
    joined.seen.clear()
    assert joined.ask(Get(WRITE_ONLY)) == [GetResult(None, DataAccessResult.READ_WRITE_DENIED)]
    assert joined.ask(Get(HIDDEN)) == [GetResult(None, DataAccessResult.OBJECT_UNDEFINED)]
    assert joined.ask(Set(NAME, data.null())) == [SetResult(DataAccessResult.READ_WRITE_DENIED)]
    assert joined.ask(Set(HIDDEN, data.null())) == [SetResult(DataAccessResult.OBJECT_UNDEFINED)]
    assert joined.ask(Action(FORBIDDEN)) == [ActionOutcome(ActionResult.READ_WRITE_DENIED, None)]
    assert joined.ask(Action(UNKNOWN)) == [ActionOutcome(ActionResult.OBJECT_UNDEFINED, None)]
    assert {type(event).__name__ for event in joined.seen} == {"Discarded"}


def test_no_secret_in_any_repr() -> None:
    joined = opened(Mechanism.GMAC, policy=(True, True))
    shown = repr([joined.client, joined.server, joined.client._settings, joined.seen, joined.got])
    assert repr(PASSWORD)[2:-1] not in shown
    assert "x0b\\x0c\\r" not in shown
