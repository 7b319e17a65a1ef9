"""The HES says OK only for what it has read back from the meter; every other end has its own words. Real processes, real sockets."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from harness import Process, Receiver, System, system
from stranger import CONNECT, DISCONNECT, Answer, Stranger, by_mrid, by_name
from wire import DISCONNECT_CONTROL, apdus, frames, invocation_counter

from ami_cim import envelope, soap
from ami_dlms.apdu.action import ActionRequestNormal
from ami_dlms.apdu.get import GetRequestNormal, GetRequestWithList
from ami_dlms.obis import Obis


def port_of(meter: dict[str, Any]) -> int:
    return int(meter["address"].rsplit(":", 1)[1])


def switched(process: Process, times: int = 0) -> list[tuple[bool, bool]]:
    """(before, after) output_state of every switching that the meter itself tells of, as soon as there are so many."""
    return [changed(event) for event in process.wait_for_some("switched", times)]


def changed(event: dict[str, Any]) -> tuple[bool, bool]:
    return event["before"]["output_state"], event["after"]["output_state"]


def named_by(request: object) -> list[Obis]:
    """The objects that a request is about."""
    match request:
        case GetRequestNormal() | ActionRequestNormal():
            return [request.descriptor.instance_id]
        case GetRequestWithList():
            return [item.descriptor.instance_id for item in request.items]
    return []


def test_both_meters_are_switched_and_read_back(whole: System) -> None:
    stranger = Stranger(whole.hes_url)
    both = whole.config["meters"]

    answer = stranger.switch(DISCONNECT, [by_mrid(both[0]), by_name(both[1])])
    assert (answer.result, answer.failures) == ("OK", [])
    for meter in ("M1001", "M1002"):
        done = whole.hes.wait_for("meter_done", meter=meter)
        assert done["ok"] and done["details"]["after"]["output_state"] is False
        assert done["details"]["after"]["control_state"] == 0
        assert switched(whole.process(meter), 1) == [(True, False)]

    answer = stranger.switch(CONNECT, [by_mrid(m) for m in both])
    assert (answer.result, answer.failures) == ("OK", [])
    for meter in ("M1001", "M1002"):
        assert switched(whole.process(meter), 2) == [(True, False), (False, True)]


def test_usage_point_resolves_to_its_meter(whole: System) -> None:
    answer = Stranger(whole.hes_url).switch(DISCONNECT, usage_points=["UP-1001", "UP-1002"])
    assert answer.result == "OK"
    assert [switched(whole.process(m), 1) for m in ("M1001", "M1002")] == [[(True, False)]] * 2


def test_reply_correlates_to_the_request(whole: System) -> None:
    mine = str(uuid.uuid4())
    answer = Stranger(whole.hes_url).switch(DISCONNECT, [by_mrid(whole.meter("M1001"))], message_id=mine)
    assert answer.header.CorrelationID == mine
    assert (answer.header.Verb, answer.header.Noun) == ("reply", "EndDeviceControls")


FAULTS: dict[str, dict[str, Any]] = {
    "lying": {"lie_about_action": True},
    "killed after the action": {"kill_after_action": True},
    "silent": {"silent": True},
    "slow": {"answer_delay_s": 30.0},
}
ABSENT, WRONG_KEY, OTHER_DEVICE_ID = "absent", "wrong key", "other device id"
MISBEHAVING = (*FAULTS, ABSENT, WRONG_KEY, OTHER_DEVICE_ID)


@dataclass(frozen=True)
class Pair:
    """A meter that misbehaves, or that the HES knows wrongly, and a good one beside it."""

    system: System
    meter: dict[str, Any]
    good: dict[str, Any]

    def switched(self, meter: dict[str, Any], times: int = 0) -> list[tuple[bool, bool]]:
        """Of one of the two, from the process that is all meters."""
        process = self.system.processes[0]
        if times:
            process.wait_for("switched", meter=meter["name"])
        return [changed(e) for e in process.seen("switched") if e["meter"] == meter["name"]]

    def disconnect(self, *meters: dict[str, Any]) -> Answer:
        return Stranger(self.system.hes_url).switch(DISCONNECT, [by_mrid(meter) for meter in meters])


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Pair]]:
    """A pair for each of MISBEHAVING, the meters in one process; with two of them the HES has no keys."""
    with system(tmp_path_factory.mktemp("pairs"), meters=2 * len(MISBEHAVING)) as one:
        meters = one.config["meters"]
        found = {kind: Pair(one, *meters[2 * at : 2 * at + 2]) for at, kind in enumerate(MISBEHAVING)}
        for kind, fault in FAULTS.items():
            found[kind].meter["simulated"] |= fault
        found[OTHER_DEVICE_ID].meter["authentication"] = "none"
        one.tap(found[OTHER_DEVICE_ID].meter["name"])
        served = copy.deepcopy(one.config)
        served["meters"].remove(found[ABSENT].meter)
        found[WRONG_KEY].meter["encryption_key"] = "00" * 16
        found[OTHER_DEVICE_ID].meter["device_id"] = "7777"
        one.config["hes"] |= {"deadline_s": 4.0, "apdu_timeout_s": 1.5}
        one.start_together(served)
        yield found


def test_meter_that_lies_is_not_ok(pairs: dict[str, Pair]) -> None:
    pair = pairs["lying"]
    answer = pair.disconnect(pair.meter, pair.good)
    assert answer.result == "PARTIAL"
    (error,) = answer.failures
    assert (error.code, error.ID["_value_1"]) == ("5.3", pair.meter["mrid"])
    assert "connected" in error.reason
    assert pair.switched(pair.good, 1) == [(True, False)]


def test_meter_killed_between_action_and_answer_is_not_ok(pairs: dict[str, Pair]) -> None:
    pair = pairs["killed after the action"]
    answer = pair.disconnect(pair.meter, pair.good)
    assert answer.result == "PARTIAL"
    (error,) = answer.failures
    assert error.ID["_value_1"] == pair.meter["mrid"]
    assert error.code in ("4.1", "5.3")
    assert len(pair.switched(pair.meter, 1)) == 1, "the meter did switch once, and was not switched blindly again"


def test_meter_process_dead_after_action_is_not_ok(ami: System) -> None:
    ami.meter("M1001")["simulated"]["kill_after_action"] = "exit"
    ami.start()
    answer = Stranger(ami.hes_url).switch(DISCONNECT, [by_mrid(ami.meter("M1001"))])
    assert answer.result == "FAILED"
    assert answer.failures[0].code in ("4.1", "5.3")


@pytest.mark.parametrize("kind", ["silent", "slow"])
def test_meter_that_does_not_answer_in_time(pairs: dict[str, Pair], kind: str) -> None:
    pair = pairs[kind]
    answer = pair.disconnect(pair.meter, pair.good)
    assert answer.result == "PARTIAL"
    assert [e.code for e in answer.failures] == ["4.1"]
    assert answer.failures[0].ID["_value_1"] == pair.meter["mrid"]


def test_meter_that_is_not_there(pairs: dict[str, Pair]) -> None:
    pair = pairs[ABSENT]
    answer = pair.disconnect(pair.meter, pair.good)
    assert answer.result == "PARTIAL"
    assert len(answer.failures) == 1 and answer.failures[0].ID["_value_1"] == pair.meter["mrid"]
    assert pair.switched(pair.good, 1) == [(True, False)]


def test_unknown_meter_is_2_4_and_the_other_is_switched(whole: System) -> None:
    answer = Stranger(whole.hes_url).switch(
        DISCONNECT, [{"Names": [{"name": "M9999"}]}, by_mrid(whole.meter("M1001"))], usage_points=["UP-nowhere"]
    )
    assert answer.result == "PARTIAL"
    assert sorted(e.code for e in answer.failures) == ["2.12", "2.4"]
    assert "M9999" in next(e for e in answer.failures if e.code == "2.4").reason
    assert switched(whole.process("M1001"), 1) == [(True, False)]


def test_no_resolvable_device_at_all_is_failed(whole: System) -> None:
    answer = Stranger(whole.hes_url).switch(DISCONNECT, [{"Names": [{"name": "M9999"}]}])
    assert (answer.result, answer.codes) == ("FAILED", ["2.4"])


@pytest.mark.parametrize("code", ["3.31.0.99", "9.9.9.9", "disconnect", "3.31.0.230", ""])
def test_unknown_control_code_is_refused_without_a_frame(whole: System, code: str) -> None:
    tap = whole.taps[0]
    answer = Stranger(whole.hes_url).switch(code, [by_mrid(whole.meter("M1001"))])
    assert answer.result == "FAILED"
    assert (tap.connections, bytes(tap.requests)) == (0, b"")
    assert switched(whole.process("M1001")) == []


def test_wrong_key_fails_with_its_reason_and_burns_no_counter(pairs: dict[str, Pair]) -> None:
    pair = pairs[WRONG_KEY]
    before = invocation_counter(port_of(pair.meter))
    answer = pair.disconnect(pair.meter)
    assert answer.result == "FAILED"
    assert answer.failures[0].code.startswith("7.")
    assert "key" in answer.failures[0].reason.lower()
    assert pair.switched(pair.meter) == []
    assert invocation_counter(port_of(pair.meter)) == before
    assert pair.system.hes is not None and "00" * 16 not in str(pair.system.hes.events)


def test_other_device_id_is_refused_before_the_action(pairs: dict[str, Pair]) -> None:
    pair = pairs[OTHER_DEVICE_ID]
    (tap,) = pair.system.taps
    answer = pair.disconnect(pair.meter)
    assert answer.result == "FAILED"
    assert "7777" in answer.reasons and pair.meter["name"].removeprefix("M") in answer.reasons
    assert tap.requests and not [a for a in apdus(tap.requests) if isinstance(a, ActionRequestNormal)]
    assert pair.switched(pair.meter) == []


@pytest.mark.parametrize(
    ("mode", "result", "word"),
    [
        (0, "FAILED", "mode 0"),
        (1, "OK", "ready for reconnection"),
        (2, "OK", ""),
        (3, "OK", "ready for reconnection"),
        (4, "OK", ""),
        (5, "OK", "ready for reconnection"),
        (6, "OK", "ready for reconnection"),
    ],
)
def test_connect_ends_as_the_control_mode_allows(modes: System, mode: int, result: str, word: str) -> None:
    meter = modes.config["meters"][mode]
    stranger = Stranger(modes.hes_url)
    stranger.switch(DISCONNECT, [by_mrid(meter)])
    answer = stranger.switch(CONNECT, [by_mrid(meter)])
    assert answer.result == result
    assert word in answer.reasons.replace("_", " ").lower()
    if word.startswith("ready"):
        done = modes.hes.wait_for("meter_done", meter=meter["name"], ok=True, reply_code="0.0")
        assert done["details"]["control"] == "connect"
        assert done["details"]["after"] == {"output_state": False, "control_state": 2, "control_mode": mode}


def test_same_message_id_twice_is_one_switching_and_the_same_answer(whole: System) -> None:
    stranger = Stranger(whole.hes_url)
    mine = str(uuid.uuid4())
    once = stranger.switch(DISCONNECT, [by_mrid(whole.meter("M1001"))], message_id=mine)
    twice = stranger.switch(DISCONNECT, [by_mrid(whole.meter("M1001"))], message_id=mine)
    assert once.result == "OK"
    assert (once.result, once.header.MessageID) == (twice.result, twice.header.MessageID)
    whole.hes.wait_for("request_repeated", message_id=mine)
    assert len(whole.hes.seen("meter_done")) == 1
    assert switched(whole.process("M1001"), 1) == [(True, False)]


def test_same_message_id_with_another_content_is_refused(whole: System) -> None:
    stranger = Stranger(whole.hes_url)
    mine = str(uuid.uuid4())
    stranger.switch(DISCONNECT, [by_mrid(whole.meter("M1001"))], message_id=mine)
    answer = stranger.switch(CONNECT, [by_mrid(whole.meter("M1001"))], message_id=mine)
    assert answer.result == "FAILED"
    assert switched(whole.process("M1001"), 1) == [(True, False)]


@pytest.mark.parametrize("verb", ["change", "cancel", "close", "delete"])
def test_what_cannot_be_done_is_said(whole: System, verb: str) -> None:
    tap = whole.taps[0]
    answer = Stranger(whole.hes_url).switch(DISCONNECT, [by_mrid(whole.meter("M1001"))], verb=verb)
    assert answer.result == "FAILED"
    assert answer.failures and answer.failures[0].reason
    assert tap.connections == 0


def test_asynchronous_reply_is_retried_until_taken(whole: System) -> None:
    receiver = Receiver(refuse_first=2)
    try:
        mine = str(uuid.uuid4())
        acknowledgement = Stranger(whole.hes_url).switch(
            DISCONNECT,
            [by_mrid(m) for m in whole.config["meters"]],
            message_id=mine,
            AsyncReplyFlag=True,
            ReplyAddress=receiver.url,
        )
        assert (acknowledgement.result, acknowledgement.codes) == ("OK", ["0.3"])
        (body,) = receiver.wait()
        reply = envelope.parse_response(soap.unwrap(body))
        assert (reply.reply.result, reply.header.correlation_id) == ("OK", mine)
        assert receiver.refused == 2
    finally:
        receiver.close()


def test_asynchronous_without_reply_address_is_refused(whole: System) -> None:
    tap = whole.taps[0]
    answer = Stranger(whole.hes_url).switch(DISCONNECT, [by_mrid(whole.meter("M1001"))], AsyncReplyFlag=True)
    assert (answer.result, tap.connections) == ("FAILED", 0)


def test_hes_killed_in_the_middle_finishes_after_its_restart(ami: System) -> None:
    """kill -9 after the meter has switched and before the HES has heard of it; the restarted HES reads before any ACTION."""
    for meter in ami.config["meters"]:
        meter["authentication"] = "none"
    ami.meter("M1001")["simulated"]["answer_delay_s"] = 0.3
    ami.config["hes"]["deadline_s"] = 20.0
    tap = ami.tap("M1001")
    receiver = Receiver()
    try:
        ami.start()
        mine = str(uuid.uuid4())
        Stranger(ami.hes_url).switch(
            DISCONNECT,
            [by_mrid(m) for m in ami.config["meters"]],
            message_id=mine,
            AsyncReplyFlag=True,
            ReplyAddress=receiver.url,
        )
        ami.process("M1001").wait_for("switched")
        ami.hes.kill()
        first_life = len(tap.requests)
        ami.start_hes()

        (body,) = receiver.wait()
        reply = envelope.parse_response(soap.unwrap(body))
        assert reply.header.correlation_id == mine
        assert reply.reply.result in ("OK", "PARTIAL", "FAILED")
        after = apdus(bytes(tap.requests)[first_life:])
        control = [type(a) for a in after if DISCONNECT_CONTROL in named_by(a)]
        assert control and control[0] in (GetRequestNormal, GetRequestWithList), "the first thing is a read"
        # the meter's state changed exactly once over both lives of the HES
        assert [pair for pair in switched(ami.process("M1001"), 1) if pair[0] != pair[1]] == [(True, False)]
        if reply.reply.result == "OK":
            assert ami.hes.wait_for("meter_done", meter="M1001")["details"]["after"]["output_state"] is False
    finally:
        receiver.close()


def test_accepted_and_never_started_is_not_forgotten(ami: System) -> None:
    """Nobody answers at the meters' addresses when the HES is killed; after its restart they are switched or honestly failed."""
    ami.config["hes"] |= {"deadline_s": 50.0}
    ami.meter("M1001")["simulated"]["silent"] = True
    receiver = Receiver()
    try:
        ami.start()
        mine = str(uuid.uuid4())
        Stranger(ami.hes_url).switch(
            DISCONNECT,
            [by_mrid(ami.meter("M1001"))],
            message_id=mine,
            AsyncReplyFlag=True,
            ReplyAddress=receiver.url,
        )
        ami.hes.kill()
        ami.process("M1001").stop()
        ami.meter("M1001")["simulated"]["silent"] = False
        ami.start_meter("M1001")
        ami.start_hes()
        (body,) = receiver.wait()
        reply = envelope.parse_response(soap.unwrap(body))
        assert (reply.reply.result, reply.header.correlation_id) == ("OK", mine)
        assert switched(ami.process("M1001"), 1) == [(True, False)]
    finally:
        receiver.close()


def test_invocation_counters_survive_restarts_and_are_never_reused(ami: System) -> None:
    tap = ami.tap("M1001")
    ami.start("M1001")
    Stranger(ami.hes_url).switch(DISCONNECT, [by_mrid(ami.meter("M1001"))])
    ami.hes.kill()
    ami.process("M1001").kill()
    ami.start("M1001")
    assert Stranger(ami.hes_url).switch(CONNECT, [by_mrid(ami.meter("M1001"))]).result == "OK"
    for direction in (tap.requests, tap.answers):
        counters = [general_glo_counter(f.apdu) for f in frames(direction) if f.apdu[0] == 0xDB]
        assert len(counters) > 6
        assert len(set(counters)) == len(counters)
        assert counters == sorted(counters)


def general_glo_counter(apdu: bytes) -> int:
    """general-glo-ciphering: tag, length and system title (8), length, security control, counter."""
    assert apdu[1] == 8 and apdu[10] < 0x80
    return int.from_bytes(apdu[12:16], "big")


def test_both_meters_have_their_own_keys_and_no_key_is_ever_told(ami: System) -> None:
    ami.config["hes"]["log_apdus"] = True
    ami.start()
    Stranger(ami.hes_url).switch(DISCONNECT, [by_mrid(m) for m in ami.config["meters"]])
    keys = [m[k].lower() for m in ami.config["meters"] for k in ("encryption_key", "authentication_key")]
    assert len(set(keys)) == 4
    ami.hes.wait_for_some("meter_done", 2)
    printed = " ".join(str(p.events) for p in ami.processes).lower()
    assert "meter_done" in printed
    assert not [k for k in keys if k in printed]
