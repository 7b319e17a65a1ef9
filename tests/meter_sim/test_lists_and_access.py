"""GET, SET and ACTION of many, and ACCESS: each item with its own right, its own result, its own trouble."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bench import (
    CLOCK,
    DEVICE_NAME,
    IMPORT,
    PROFILE,
    SWITCH,
    Bench,
    Caller,
    Dialogue,
    Wire,
    attribute,
    client_security,
    gmac,
    method,
    misbehaving,
    session,
    setup,
)

from ami_dlms import data
from ami_dlms.association import (
    LN_CONFORMANCE,
    Access,
    Action,
    ActionList,
    ActionListOutcome,
    ActionOutcome,
    ClientConnection,
    ClientSettings,
    Get,
    GetList,
    GetListResult,
    GetResult,
    Open,
    Opened,
    Set,
    SetList,
    SetListResult,
    SetResult,
)
from ami_dlms.cosem.selection import EntryDescriptor
from ami_dlms.enums import ActionResult, Conformance, DataAccessResult, Mechanism
from ami_dlms.security import SendCounter
from ami_meter_sim.effects import Die, HangUp, Report
from ami_meter_sim.events import Switched
from ami_meter_sim.faults import Faults

DISCONNECT, CONNECT = Action(method(SWITCH, 1), data.integer(0)), Action(method(SWITCH, 2), data.integer(0))
DENIED, UNDEFINED = DataAccessResult.READ_WRITE_DENIED, DataAccessResult.OBJECT_UNDEFINED
SUCCESS, NOWHERE = DataAccessResult.SUCCESS, (3, "1-0:99.99.99")
ZONE = attribute(CLOCK, 3)


def client(**more: Any) -> ClientConnection:
    settings = {"client_wport": 1, "server_wport": 1, "conformance": LN_CONFORMANCE} | more
    return ClientConnection(ClientSettings(**settings))


def secured_client(**more: Any) -> ClientConnection:
    settings = ClientSettings(
        client_wport=1,
        server_wport=1,
        conformance=LN_CONFORMANCE,
        mechanism=Mechanism.GMAC,
        security=client_security(),
        **more,
    )
    return ClientConnection(settings, challenge=b"client's words 1", send_counter=SendCounter(1))


def talk(
    tmp_path: Path, connection: ClientConnection | None = None, faults: Faults | None = None, **more: Any
) -> tuple[Dialogue, Bench]:
    bench = Bench(tmp_path)
    dialogue = Dialogue(session(bench.start(setup(**more)), faults=faults), connection or client())
    assert isinstance(dialogue.open(), Opened)
    return dialogue, bench


def access(*items: Any, **more: Any) -> Access:
    return Access(items, **more)


def test_what_is_offered_is_what_is_served(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    opened = Dialogue(session(bench.start(setup())), client()).open()
    assert opened.conformance == LN_CONFORMANCE & ~Conformance.EVENT_NOTIFICATION


def test_each_attribute_of_a_list_has_its_own_result(tmp_path: Path) -> None:
    dialogue, _ = talk(tmp_path)
    asked = (attribute(IMPORT, 3), attribute(NOWHERE, 2), attribute(SWITCH, 9), attribute(DEVICE_NAME, 2))
    results = dialogue.ask(GetList(tuple(Get(one) for one in asked)))
    assert isinstance(results, GetListResult)
    assert [one.result for one in results.results] == [SUCCESS, UNDEFINED, DENIED, SUCCESS]
    assert results.results[3].value == data.octet_string(b"AMIM1001")


def test_a_public_client_sees_no_more_in_a_list(tmp_path: Path) -> None:
    dialogue, _ = talk(tmp_path, client(client_wport=16), management=gmac())
    results = dialogue.ask(GetList((Get(attribute(SWITCH, 2)), Get(attribute(DEVICE_NAME, 2)))))
    assert [one.result for one in results.results] == [UNDEFINED, SUCCESS]


def test_a_list_with_a_profile_by_entries_comes_in_blocks(tmp_path: Path) -> None:
    dialogue, bench = talk(tmp_path, client(max_receive_pdu_size=200))
    session_at = bench.later(days=1)
    dialogue.session._now = lambda: session_at
    selection = EntryDescriptor(1, 10).encode()
    results = dialogue.ask(GetList((Get(attribute(PROFILE, 2), selection), Get(attribute(PROFILE, 7)))))
    assert [len(results.results[0].value.value), results.results[1].value.value] == [10, 96]


def test_each_value_of_a_list_is_written_or_refused(tmp_path: Path) -> None:
    dialogue, bench = talk(tmp_path)
    results = dialogue.ask(
        SetList(
            (Set(ZONE, data.long(120)), Set(attribute(DEVICE_NAME, 2), data.NULL), Set(ZONE, data.octet_string(b"?")))
        )
    )
    assert isinstance(results, SetListResult)
    assert [one.result for one in results.results] == [SUCCESS, DENIED, DataAccessResult.TYPE_UNMATCHED]
    assert bench.value(CLOCK, 3) == 120


def test_a_part_of_an_attribute_is_not_written_whole(tmp_path: Path) -> None:
    dialogue, bench = talk(tmp_path)
    before = bench.value(CLOCK, 3)
    selection = EntryDescriptor(1).encode()
    assert dialogue.ask(Set(ZONE, data.long(120), selection)) == SetResult(DataAccessResult.SCOPE_OF_ACCESS_VIOLATED)
    assert bench.value(CLOCK, 3) == before


def test_methods_of_a_list_run_in_its_order(tmp_path: Path) -> None:
    dialogue, bench = talk(tmp_path)
    outcomes = dialogue.ask(ActionList((DISCONNECT, Action(method(SWITCH, 9), None), CONNECT, DISCONNECT)))
    assert isinstance(outcomes, ActionListOutcome)
    assert [one.result for one in outcomes.results] == [
        ActionResult.SUCCESS,
        ActionResult.READ_WRITE_DENIED,
        ActionResult.SUCCESS,
        ActionResult.SUCCESS,
    ]
    told = [one.event.method for one in dialogue.effects if isinstance(one, Report) and isinstance(one.event, Switched)]
    assert told == ["remote_disconnect", "remote_reconnect", "remote_disconnect"]
    assert bench.meter.switch.output_state is False


def test_access_reads_writes_and_calls_in_one(tmp_path: Path) -> None:
    dialogue, bench = talk(tmp_path, secured_client(), management=gmac())
    answer = dialogue.ask(
        access(Get(attribute(SWITCH, 2)), DISCONNECT, Get(attribute(SWITCH, 2)), Set(ZONE, data.long(60)))
    )
    assert answer.results == (
        GetResult(data.boolean(True), SUCCESS),
        ActionOutcome(ActionResult.SUCCESS, None),
        GetResult(data.boolean(False), SUCCESS),
        SetResult(SUCCESS),
    )
    assert bench.meter.switch.output_state is False


def test_access_stops_at_the_first_failure_where_it_is_told_to(tmp_path: Path) -> None:
    dialogue, bench = talk(tmp_path)
    wrong_type = Set(ZONE, data.octet_string(b"?"))
    answer = dialogue.ask(access(wrong_type, DISCONNECT, break_on_error=True))
    assert answer.results[0] == SetResult(DataAccessResult.TYPE_UNMATCHED)
    assert answer.results[1].result is not ActionResult.SUCCESS
    assert bench.meter.switch.output_state is True
    answer = dialogue.ask(access(wrong_type, DISCONNECT))
    assert answer.results[1] == ActionOutcome(ActionResult.SUCCESS, None)
    assert bench.meter.switch.output_state is False


@pytest.mark.parametrize(("how", "effect"), [("close", HangUp()), ("exit", Die())])
def test_a_meter_that_dies_after_switching_answers_no_list(tmp_path: Path, how: str, effect: HangUp | Die) -> None:
    dialogue, bench = talk(tmp_path, faults=misbehaving({"fault": "reset-after-action", "how": how}))
    assert dialogue.ask(access(Get(attribute(IMPORT, 2)), DISCONNECT)) is None
    assert effect in dialogue.effects
    assert bench.meter.switch.output_state is False


def test_a_meter_that_lies_lies_in_lists_too(tmp_path: Path) -> None:
    dialogue, bench = talk(tmp_path, faults=misbehaving({"fault": "accepts-but-does-not-switch"}))
    assert dialogue.ask(ActionList((DISCONNECT,))).results == (ActionOutcome(ActionResult.SUCCESS, None),)
    assert bench.meter.switch.output_state is True


def test_a_silent_meter_keeps_silent(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    faults = misbehaving({"fault": "silent", "when": {"service": "get"}})
    dialogue = Dialogue(session(bench.start(setup()), faults=faults), client())
    assert isinstance(dialogue.open(), Opened)
    assert dialogue.ask(GetList((Get(attribute(IMPORT, 2)),))) is None


async def test_lists_and_access_over_a_socket(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    wire = Wire(bench.start(setup(management=gmac())))
    await wire.listen()
    caller = await Caller.call(wire.port, secured_client())
    assert isinstance(await caller.ask(Open()), Opened)
    results = await caller.ask(GetList((Get(attribute(IMPORT, 2)), Get(attribute(SWITCH, 2)))))
    assert results.results[1].value == data.boolean(True)
    answer = await caller.ask(access(DISCONNECT, Get(attribute(SWITCH, 2))))
    assert answer.results[1].value == data.boolean(False)
    await caller.close()
    await wire.stop()
