"""Associations with a meter, joined in memory: who may see what, under every protection, and what the faults do."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from types import NoneType
from typing import Any

import pytest
from bench import (
    ASSOCIATION,
    CLOCK,
    COUNTER,
    DEVICE_ID,
    DEVICE_NAME,
    EVENT_LOG,
    IMPORT,
    KEYS,
    METER_TITLE,
    POWER,
    PROFILE,
    SAPS,
    SECURITY_SETUP,
    START,
    SWITCH,
    WRONG_KEYS,
    Bench,
    Dialogue,
    ObjectName,
    all_die,
    attribute,
    clear_client,
    client_security,
    gmac,
    gmac_client,
    lls_client,
    method,
    misbehaving,
    public_client,
    randomness,
    session,
    setup,
)
from reported import as_read

from ami_dlms import data
from ami_dlms.association import (
    Action,
    ActionOutcome,
    Ciphering,
    Get,
    Opened,
    OpenRefused,
    Release,
    Released,
    Set,
    SetResult,
)
from ami_dlms.data import Data, to_python
from ami_dlms.enums import ActionResult, DataAccessResult, Mechanism
from ami_dlms.errors import SecurityError
from ami_dlms.obis import Obis
from ami_meter_sim.effects import Die, HangUp, Report, Wait
from ami_meter_sim.events import Switched
from ami_meter_sim.meter.session import Session
from ami_meter_sim.meter.setup import LockOutSetup, ManagementAssociation

DISCONNECT, CONNECT = Action(method(SWITCH, 1), data.integer(0)), Action(method(SWITCH, 2), data.integer(0))
READABLE_BY_ALL: list[ObjectName] = [DEVICE_NAME, CLOCK, SAPS, COUNTER, (1, "0-0:43.1.1")]
MANAGEMENT_ONLY: list[ObjectName] = [DEVICE_ID, IMPORT, POWER, PROFILE, SWITCH, EVENT_LOG, SECURITY_SETUP]


def told(dialogue: Dialogue, event: str) -> list[dict[str, object]]:
    found = [as_read(one.event) for one in dialogue.effects if isinstance(one, Report)]
    return [one for one in found if one["event"] == event]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    one = Bench(tmp_path)
    one.start()
    return one


def opened(bench: Bench, connection: Any = None) -> Dialogue:
    dialogue = Dialogue(session(bench.meter), connection or clear_client())
    assert isinstance(dialogue.open(), Opened)
    return dialogue


# --- who may see what


@pytest.mark.parametrize("which", READABLE_BY_ALL)
def test_the_public_client_reads_who_the_meter_is(bench: Bench, which: ObjectName) -> None:
    result = opened(bench, public_client()).get(which)
    assert result.result is DataAccessResult.SUCCESS and result.value is not None


@pytest.mark.parametrize("which", MANAGEMENT_ONLY)
def test_the_public_client_sees_nothing_else(bench: Bench, which: ObjectName) -> None:
    assert opened(bench, public_client()).get(which).result is DataAccessResult.OBJECT_UNDEFINED


def test_the_public_client_changes_nothing(bench: Bench) -> None:
    dialogue = opened(bench, public_client())
    assert dialogue.ask(DISCONNECT).result is not ActionResult.SUCCESS
    assert dialogue.ask(Action(method(CLOCK, 3), data.integer(0))).result is ActionResult.READ_WRITE_DENIED
    time = dialogue.get(CLOCK).value
    assert time is not None
    assert dialogue.ask(Set(attribute(CLOCK, 2), time)) == SetResult(DataAccessResult.READ_WRITE_DENIED)
    assert bench.meter.switch.output_state


def test_the_management_client_reads_everything(bench: Bench) -> None:
    dialogue = opened(bench)
    for which in READABLE_BY_ALL + MANAGEMENT_ONLY:
        assert dialogue.get(which).result is DataAccessResult.SUCCESS, which
        assert dialogue.get(which, 1).value == data.octet_string(Obis.parse(which[1]))


def test_identity(bench: Bench) -> None:
    dialogue = opened(bench)
    assert dialogue.get(DEVICE_NAME).value == data.octet_string(b"AMIM1001")
    assert dialogue.get(DEVICE_ID).value == data.octet_string(b"1001")
    assert dialogue.get(SAPS).value == data.array(data.structure(data.long_unsigned(1), data.octet_string(b"AMIM1001")))


@pytest.mark.parametrize(
    ("which", "number"), [((1, "0-0:96.99.99"), 2), ((3, "0-0:42.0.0"), 2), ((7, "1-0:99.2.0"), 2)]
)
def test_what_is_not_there(bench: Bench, which: ObjectName, number: int) -> None:
    assert opened(bench).get(which, number).result is DataAccessResult.OBJECT_UNDEFINED


@pytest.mark.parametrize(("which", "number"), [(ASSOCIATION, 7), (CLOCK, 10), (IMPORT, 0), (SECURITY_SETUP, 6)])
def test_what_nobody_may_read(bench: Bench, which: ObjectName, number: int) -> None:
    assert opened(bench).get(which, number).result is DataAccessResult.READ_WRITE_DENIED


# --- the association tells of itself


def object_list(dialogue: Dialogue) -> dict[tuple[int, str], tuple[dict[int, int], dict[int, int], int]]:
    value = dialogue.get(ASSOCIATION).value
    assert value is not None
    out = {}
    for class_id, version, name, (attributes, methods) in to_python(value):
        rights = {one[0]: one[1] for one in attributes}
        out[class_id, str(Obis(name))] = rights, {one[0]: one[1] for one in methods}, version
    return out


def test_the_object_list_shows_the_rights_of_the_one_who_asks(bench: Bench) -> None:
    public, management = object_list(opened(bench, public_client())), object_list(opened(bench))
    assert set(public) < set(management) and len(management) >= 18
    assert public[8, "0-0:1.0.0*255"][0][2] == 1 and management[8, "0-0:1.0.0*255"][0][2] == 3
    assert public[8, "0-0:1.0.0*255"][1][1] == 0 and management[8, "0-0:1.0.0*255"][1][1] == 1
    assert management[70, "0-0:96.3.10*255"] == ({1: 1, 2: 1, 3: 1, 4: 3}, {1: 1, 2: 1}, 0)
    for one in (public, management):
        assert one[15, "0-0:40.0.0*255"][0][7] == 0, "the secret is nobody's"


def test_what_the_object_list_promises_is_kept(bench: Bench) -> None:
    for connection in (public_client(), clear_client()):
        dialogue = opened(bench, connection)
        for (class_id, name), (attributes, _, _) in object_list(dialogue).items():
            for number, mode in attributes.items():
                readable = dialogue.get((class_id, name), number).result is DataAccessResult.SUCCESS
                assert readable is bool(mode & 1), (class_id, name, number)


def test_selective_access_is_announced(bench: Bench) -> None:
    value = opened(bench).get(ASSOCIATION).value
    assert value is not None
    profiles = [row for row in to_python(value) if row[0] == 7]
    assert [row[3][0][1] for row in profiles] == [[2, 1, [1, 2]]] * 2 or all(
        list(row[3][0][1])[:2] == [2, 1] and list(row[3][0][1][2]) == [1, 2] for row in profiles
    )


def test_current_association_of_the_public_client(bench: Bench) -> None:
    dialogue = opened(bench, public_client())
    assert dialogue.get(ASSOCIATION, 3).value == data.structure(data.integer(16), data.long_unsigned(1))
    assert dialogue.get(ASSOCIATION, 4).value == data.octet_string(bytes.fromhex("60857405080101"))
    assert dialogue.get(ASSOCIATION, 6).value == data.octet_string(bytes.fromhex("60857405080200"))
    assert dialogue.get(ASSOCIATION, 8).value == data.enum(2)
    info = dialogue.get(ASSOCIATION, 5).value
    assert info is not None and [part.value for part in info.value[1:]] == [65535, 65535, 6, 0, b""]  # type: ignore[index]


def test_current_association_of_the_management_client(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.start(setup(management=gmac()))
    dialogue = opened(bench, gmac_client())
    assert dialogue.get(ASSOCIATION, 3).value == data.structure(data.integer(1), data.long_unsigned(1))
    assert dialogue.get(ASSOCIATION, 4).value == data.octet_string(bytes.fromhex("60857405080103"))
    assert dialogue.get(ASSOCIATION, 6).value == data.octet_string(bytes.fromhex("60857405080205"))
    assert dialogue.get(ASSOCIATION, 9).value == data.octet_string(Obis.parse("0-0:43.0.0"))
    assert [dialogue.get(SECURITY_SETUP, n).value for n in (2, 3)] == [data.enum(3), data.enum(0)]
    assert dialogue.get(SECURITY_SETUP, 4).value == data.octet_string(bytes.fromhex("414D490000000001"))
    assert dialogue.get(SECURITY_SETUP, 5).value == data.octet_string(METER_TITLE)


# --- every protection


def test_low_level_security(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.start(setup(management=ManagementAssociation(mechanism=Mechanism.LOW, secret=b"open sesame")))
    dialogue = opened(bench, lls_client(b"open sesame"))
    assert dialogue.ask(DISCONNECT) == ActionOutcome(ActionResult.SUCCESS, None)
    wrong = Dialogue(session(bench.meter), lls_client(b"open sesami"))
    assert isinstance(wrong.open(), OpenRefused)
    assert told(wrong, "association")[0]["what"] == "refused"
    assert "sesam" not in str(wrong.effects)


@pytest.mark.parametrize("ciphering", Ciphering)
@pytest.mark.parametrize("policy", [(True, True), (True, False), (False, False)])
def test_high_level_security(tmp_path: Path, ciphering: Ciphering, policy: tuple[bool, bool]) -> None:
    more = {"ciphering": ciphering, "authenticated": policy[0], "encrypted": policy[1]}
    bench = Bench(tmp_path)
    bench.start(setup(management=gmac(**more)))
    dialogue = opened(bench, gmac_client(security=client_security(**more)))
    assert dialogue.ask(DISCONNECT) == ActionOutcome(ActionResult.SUCCESS, None)
    assert dialogue.get(SWITCH, 3).value == data.enum(0)
    assert dialogue.ask(CONNECT) == ActionOutcome(ActionResult.SUCCESS, None)
    assert isinstance(dialogue.ask(Release()), Released)
    assert [one["what"] for one in told(dialogue, "association")] == ["opened", "released"]
    assert [(s["method"], s["after"]["output_state"]) for s in told(dialogue, "switched")] == [  # type: ignore[index]
        ("remote_disconnect", False),
        ("remote_reconnect", True),
    ]


def test_a_wrong_key_opens_nothing_and_burns_no_counter(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.start(setup(management=gmac()))
    before = bench.meter.counters.receive.lowest_acceptable
    wrong = Dialogue(session(bench.meter), gmac_client(500, security=client_security(WRONG_KEYS)))
    assert not isinstance(wrong.open(), Opened)
    assert bench.meter.counters.receive.lowest_acceptable == before
    assert isinstance(opened(bench, gmac_client(1)), Dialogue)


def test_wrong_keys_lock_nobody_out_by_default(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    meter = bench.start(setup(management=gmac()))
    for counter in range(1, 101):
        wrong = gmac_client(counter, security=client_security(WRONG_KEYS))
        assert isinstance(Dialogue(session(meter), wrong).open(), OpenRefused)
    assert isinstance(Dialogue(session(meter), gmac_client(1)).open(), Opened)


def test_wrong_keys_lock_the_management_client_out_where_the_meter_does_so(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    meter = bench.start(setup(management=gmac(), lock_out=LockOutSetup(3, 10.0)))

    counters = count(1, 10)

    def attempt(*, right: bool = False) -> Any:
        keys = KEYS if right else WRONG_KEYS
        dialogue = Dialogue(session(meter, at=bench.at), gmac_client(next(counters), security=client_security(keys)))
        answer = dialogue.open()
        assert (answer is None) == (HangUp() in dialogue.effects)
        return type(answer)

    assert [attempt() for _ in range(2)] == [OpenRefused] * 2
    assert attempt(right=True) is Opened, "and counting begins anew"
    assert [attempt() for _ in range(4)] == [OpenRefused] * 3 + [NoneType]
    assert attempt(right=True) is NoneType, "closed for whoever comes"
    assert isinstance(Dialogue(session(meter, at=bench.at), public_client()).open(), Opened)
    bench.later(seconds=10)
    assert [attempt(), attempt(right=True)] == [OpenRefused, NoneType]
    bench.later(seconds=19)
    assert attempt(right=True) is NoneType, "twice as long now"
    bench.later(seconds=1)
    assert attempt(right=True) is Opened


def test_a_replayed_counter_is_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.start(setup(management=gmac()))
    opened(bench, gmac_client(1)).get(IMPORT)
    again = Dialogue(session(bench.meter), gmac_client(1))
    assert not isinstance(again.open(), Opened)


def test_the_meter_does_not_take_the_management_client_in_clear_when_it_has_keys(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.start(setup(management=gmac()))
    dialogue = Dialogue(session(bench.meter), clear_client())
    assert isinstance(dialogue.open(), OpenRefused)
    assert bench.meter.switch.output_state


def test_two_logical_devices_behind_one_address(tmp_path: Path) -> None:
    both = ((16, b"AMIM1003"), (17, b"AMIM1004"))
    one, two = Bench(tmp_path), Bench(tmp_path)
    one.start(setup("M1003", server_wport=16, logical_devices=both))
    two.start(setup("M1004", server_wport=17, logical_devices=both))
    shared = session(one.meter, two.meter)
    first, second = Dialogue(shared, clear_client(16)), Dialogue(shared, clear_client(17))
    for dialogue, name in ((first, b"AMIM1003"), (second, b"AMIM1004")):
        assert isinstance(dialogue.open(), Opened)
        assert dialogue.get(DEVICE_NAME).value == data.octet_string(name)
    assert first.ask(DISCONNECT).result is ActionResult.SUCCESS
    assert (one.meter.switch.output_state, two.meter.switch.output_state) == (False, True)
    assert len(second.get(SAPS).value.value) == 2  # type: ignore[union-attr, arg-type]
    stranger = Dialogue(shared, clear_client(18))
    assert isinstance(stranger.open(), OpenRefused)


# --- faults, at the edge only


def faulty(tmp_path: Path, *rules: dict[str, Any]) -> Dialogue:
    bench = Bench(tmp_path)
    bench.start(setup())
    return Dialogue(session(bench.meter, faults=misbehaving(*rules)), clear_client())


def meter_of(dialogue: Dialogue) -> Any:
    return dialogue.session._meters[1]


def test_a_lie(tmp_path: Path) -> None:
    dialogue = faulty(tmp_path, {"fault": "accepts-but-does-not-switch"})
    dialogue.open()
    assert dialogue.ask(DISCONNECT) == ActionOutcome(ActionResult.SUCCESS, None)
    assert dialogue.get(SWITCH).value == data.boolean(True)
    assert told(dialogue, "switched") == []


def test_a_refusal(tmp_path: Path) -> None:
    dialogue = faulty(tmp_path, {"fault": "refuses", "result": "temporary-failure"})
    dialogue.open()
    assert dialogue.ask(DISCONNECT).result is ActionResult.TEMPORARY_FAILURE
    assert dialogue.ask(Action(method(CLOCK, 3), data.integer(0))).result is ActionResult.SUCCESS, "other classes work"
    assert dialogue.get(SWITCH).value == data.boolean(True)


@pytest.mark.parametrize(("how", "effect"), [("close", HangUp()), ("reset", HangUp(abrupt=True)), ("exit", Die())])
def test_dead_between_action_and_answer(tmp_path: Path, how: str, effect: HangUp | Die) -> None:
    dialogue = faulty(tmp_path, {"fault": "reset-after-action", "how": how})
    dialogue.open()
    assert dialogue.ask(DISCONNECT) is None
    assert dialogue.effects[-1] == effect and len(told(dialogue, "switched")) == 1
    assert not meter_of(dialogue).switch.output_state
    all_die()
    bench = Bench(tmp_path)
    bench.start()
    assert bench.value(SWITCH) is False, "on disk before it died"


def test_slow(tmp_path: Path) -> None:
    dialogue = faulty(tmp_path, {"fault": "slow", "seconds": 2.5})
    dialogue.open()
    dialogue.get(CLOCK)
    dialogue.ask(DISCONNECT)
    assert [one for one in dialogue.effects if isinstance(one, Wait)] == [Wait(2.5)] * 3
    assert isinstance(dialogue.effects[-2], Report) and isinstance(dialogue.effects[-2].event, Switched), (
        "it switches, then waits"
    )


def test_silent_after_the_association(tmp_path: Path) -> None:
    dialogue = faulty(tmp_path, {"fault": "silent", "when": {"service": ["get", "set", "action"]}})
    assert isinstance(dialogue.open(), Opened)
    assert dialogue.ask(Get(attribute(CLOCK, 2))) is None


def test_silent_always(tmp_path: Path) -> None:
    assert faulty(tmp_path, {"fault": "silent"}).open() is None


# --- hostile octets


@pytest.mark.parametrize(
    "octets",
    [
        b"\x00" * 8,
        b"GET / HTTP/1.1\r\n\r\n",
        bytes.fromhex("0001001000010000"),
        bytes.fromhex("0001001000010001ff"),
        bytes.fromhex("000100100001000160"),
        bytes.fromhex("00010001000100020600"),
        bytes.fromhex("0001000100010005c001c10001"),
        bytes.fromhex("0001ffff00010003db0000"),
    ],
)
def test_nothing_that_arrives_raises(bench: Bench, octets: bytes) -> None:
    one = session(bench.meter)
    for number in range(len(octets)):
        list(one.receive_data(octets[number : number + 1]))
    assert bench.meter.switch.output_state
    assert isinstance(opened(bench).get(CLOCK).value, Data)


def test_what_is_no_wrapper_ends_the_connection(bench: Bench) -> None:
    effects = list(session(bench.meter).receive_data(b"GET / HTTP/1.1\r\n\r\n"))
    assert effects[-1] == HangUp()


def test_security_errors_of_the_client_side_are_not_ours(tmp_path: Path) -> None:
    """The meter's answers verify under the right key and under no other."""
    bench = Bench(tmp_path)
    bench.start(setup(management=gmac()))
    dialogue = Dialogue(session(bench.meter), gmac_client(1))
    assert isinstance(dialogue.open(), Opened)
    octets = b"".join(
        effect.octets
        for effect in dialogue.session.receive_data(dialogue.connection.send(Get(attribute(CLOCK, 2))))
        if hasattr(effect, "octets")
    )
    dialogue.connection.receive_data(octets[:-1] + bytes((octets[-1] ^ 1,)))
    with pytest.raises(SecurityError):
        dialogue.connection.next_event()


def test_one_of_a_thousand_meters_behind_an_address_is_one_association(tmp_path: Path) -> None:
    """A connection costs what is spoken over it, not what is behind the address."""
    bench = Bench(tmp_path)
    meter = bench.start(setup())
    meters = dict.fromkeys(range(1, 1001), meter)
    near = Session(meters, now=lambda: START, random_bytes=randomness())
    assert not near._connection._associations
    assert isinstance(Dialogue(near, public_client()).open(), Opened)
    assert list(near._connection._associations) == [(1, 16)]
