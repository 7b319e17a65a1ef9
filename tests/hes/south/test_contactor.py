"""OK means: the meter said so and was seen so. Every other end has its own code and words."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from patience import PATIENCE_S
from small_meter import CONNECT, DEVICE_ID, DISCONNECT, DISCONNECT_CONTROL, LOGICAL_DEVICE_NAME, South, eventually

from ami_dlms import data
from ami_dlms.apdu.acse import Diagnostic
from ami_dlms.enums import ActionResult, DataAccessResult, DiagnosticSource
from ami_dlms.obis import Obis
from ami_hes.store import EventQuery
from ami_process.clocks import Clock, ScaledClock, SteppedClock
from ami_process.environment import real_time

START = datetime(2026, 11, 20, 12, tzinfo=UTC)


async def test_disconnect_and_connect_are_read_back(ami: South) -> None:
    meter = await ami.meter()
    await ami.start()
    off = await ami.switch(DISCONNECT)
    assert (off.ok, off.reply_code, off.attempted, off.action_result) == (True, None, True, ActionResult.SUCCESS)
    assert off.before is not None and off.before.output_state
    assert off.after is not None and (off.after.output_state, off.after.control_state) == (False, 0)
    assert meter.output is False
    on = await ami.switch(CONNECT)
    assert on.ok and on.after is not None and (on.after.output_state, on.after.control_state) == (True, 1)
    assert meter.actions == 2
    done = ami.described[0]
    assert done["before"] == {"output_state": True, "control_state": 1, "control_mode": 4}
    assert done["after"] == {"output_state": False, "control_state": 0, "control_mode": 4}
    assert (done["class_id"], done["obis"], done["method"], done["action_result"]) == (
        70,
        "0-0:96.3.10*255",
        1,
        "success",
    )
    assert (done["code"], done["control"]) == (DISCONNECT, "disconnect")


@pytest.mark.parametrize("authentication", ["none", "lls", "hls-gmac"])
@pytest.mark.parametrize("ciphering", ["general-glo", "service-specific"])
async def test_every_way_of_authentication(ami: South, authentication: str, ciphering: str) -> None:
    meter = await ami.meter(authentication=authentication)
    await ami.start(meter.entry(ciphering=ciphering))
    assert (await ami.switch()).ok
    assert (await ami.switch(CONNECT)).ok
    assert meter.actions == 2


async def test_device_id_and_disconnect_control_are_where_the_registry_says(ami: South) -> None:
    elsewhere = {"device_id_object": Obis.parse("0-0:96.1.1*255"), "disconnect_object": Obis.parse("0-1:96.3.10*255")}
    meter = await ami.meter(**elsewhere)
    entry = {name: str(obis) for name, obis in elsewhere.items()}
    await ami.start(meter.entry(**entry))
    assert (await ami.switch()).ok and (await ami.switch(CONNECT)).ok
    assert meter.actions == 2 and ami.described[0]["obis"] == "0-1:96.3.10*255"


@pytest.mark.parametrize("field", ["device_id_object", "disconnect_object"])
async def test_object_that_the_meter_does_not_have_stops_before_the_action(ami: South, field: str) -> None:
    meter = await ami.meter()
    await ami.start(meter.entry(**{field: "0-9:96.1.9*255"}))
    outcome = await ami.switch()
    assert not outcome.ok and not outcome.attempted and "no such object" in outcome.reason
    assert meter.actions == 0


async def test_answers_that_come_octet_by_octet(ami: South) -> None:
    await ami.meter(cut=True)
    await ami.start()
    assert (await ami.switch()).ok


async def test_meter_that_hangs_up_after_a_release_is_called_again(ami: South) -> None:
    meter = await ami.meter(hangs_up=True)
    await ami.start()
    assert (await ami.switch()).ok
    assert (meter.connections, meter.actions) == (2, 1)


async def test_meter_that_lies_is_not_ok(ami: South) -> None:
    meter = await ami.meter(lies=True)
    await ami.start()
    outcome = await ami.switch()
    assert (outcome.ok, outcome.reply_code, outcome.level) == (False, "5.3", "FATAL")
    assert outcome.action_result is ActionResult.SUCCESS and outcome.attempted
    assert "did not disconnect" in outcome.reason and "connected (output_state true" in outcome.reason
    assert meter.actions == 1


async def test_switch_that_takes_its_time_is_read_again(ami: South) -> None:
    await ami.meter(slow_switch=2)
    await ami.start()
    assert (await ami.switch()).ok


async def test_lost_read_back_is_made_up_for_over_a_new_connection(ami: South) -> None:
    meter = await ami.meter(dies_after_answer=True)
    await ami.start()
    outcome = await ami.switch()
    assert outcome.ok and outcome.after is not None and outcome.after.output_state is False
    assert (meter.connections, meter.actions) == (2, 1)


async def test_lost_answer_is_told_with_the_state_and_is_not_ok(ami: South) -> None:
    meter = await ami.meter(dies_after_action=True)
    await ami.start()
    outcome = await ami.switch()
    assert (outcome.ok, outcome.reply_code, outcome.attempted) == (False, "5.3", True)
    assert "may or may not have switched" in outcome.reason
    assert "read again over a new connection: disconnected" in outcome.reason
    assert outcome.after is not None and outcome.after.output_state is False
    assert meter.actions == 1, "an ACTION that may have arrived is not repeated"
    assert meter.connections == 2


async def test_an_attempt_is_kept_before_the_action_leaves_and_only_then(ami: South) -> None:
    """What the store does not know before the first octet, the next life of the process would deny (M-021)."""
    meter = await ami.meter()
    await ami.start()
    assert (await ami.switch()).ok
    assert (ami.kept, meter.actions) == ([[0]], 1)
    await ami.switch(attempted=True)
    assert (ami.kept, meter.actions) == ([[0]], 2), "an earlier life has kept it already"
    meter.silent = True
    await ami.switch()
    assert ami.kept == [[0]], "nothing has been sent, so nothing is kept"


async def test_a_store_that_does_not_take_the_attempt_keeps_the_action_back(ami: South) -> None:
    meter = await ami.meter()
    await ami.start()
    ami.store_is_gone = True
    outcome = await ami.switch()
    assert (outcome.ok, outcome.reply_code, outcome.attempted) == (False, "5.1", False)
    assert "the store can't be written now" in outcome.reason and "was not sent" in outcome.reason
    assert (meter.actions, meter.output) == (0, True)


async def test_state_of_a_switch_that_still_moved_is_not_told_as_the_last_word(ami: South) -> None:
    """The first read-back disagrees, then the meter is gone: what it showed halfway proves nothing."""
    meter = await ami.meter(slow_switch=1, dies_after_reads=10)
    await ami.start(apdu_timeout_s=0.2)
    running = asyncio.create_task(ami.switch())
    await eventually(lambda: meter.asked.count("GET") == 10)
    await meter.close()
    outcome = await running
    assert (outcome.ok, outcome.reply_code, outcome.after) == (False, "5.3", None)
    assert "may or may not have switched" in outcome.reason and "did not disconnect" not in outcome.reason
    assert meter.output is False


@pytest.mark.parametrize("silent", [True, False])
async def test_a_fault_before_the_action_does_not_deny_what_an_earlier_life_sent(ami: South, silent: bool) -> None:
    meter = await ami.meter(silent=silent)
    if not silent:
        await meter.close()
    await ami.start(apdu_timeout_s=0.2)
    outcome = await ami.switch(attempted=True)
    assert (outcome.ok, outcome.attempted, outcome.reply_code) == (False, True, "4.1" if silent else "5.3")
    assert "may or may not have switched" in outcome.reason and "not sent" not in outcome.reason


async def test_lost_answer_of_a_meter_that_stays_away(ami: South) -> None:
    meter = await ami.meter(dies_after_action=True, gate=asyncio.Event())
    await ami.start(apdu_timeout_s=0.2)
    running = asyncio.create_task(ami.switch())
    await eventually(lambda: meter.actions)
    await meter.close()
    outcome = await running
    assert (outcome.ok, outcome.reply_code) == (False, "5.3")
    assert "may or may not have switched" in outcome.reason and "could not be read again" in outcome.reason
    assert outcome.after is None


async def test_no_answer_in_time_is_4_1_and_the_late_answer_is_told(ami: South) -> None:
    meter = await ami.meter(gate=asyncio.Event())
    await ami.start(apdu_timeout_s=0.2)
    outcome = await ami.switch()
    assert (outcome.ok, outcome.reply_code, outcome.attempted) == (False, "4.1", True)
    assert "may or may not have switched" in outcome.reason
    assert not ami.told("late_answer")
    assert meter.gate is not None
    meter.gate.set()
    (late,) = await eventually(lambda: ami.told("late_answer"))
    assert (late["meter"], late["message_id"], late["operation"]) == ("M1001", "request-1", "disconnect_control")
    assert late["details"]["action_result"] == "success"
    assert late["details"]["after"] == {"output_state": False, "control_state": 0, "control_mode": 4}
    assert meter.actions == 1 and late["kept"]
    (event,) = await ami.happened.find(EventQuery())
    assert (event.code, event.source, event.mrid) == ("3.31.0.68", "control", ami.meters.registry.meters[0].mrid)
    assert '["lateAnswer", "true"]' in event.details and "answered after the command had failed" in event.reason


async def test_who_waits_for_a_late_answer_makes_room_for_the_next_command(ami: South) -> None:
    meter = await ami.meter(gate=asyncio.Event())
    await ami.start(apdu_timeout_s=0.2, max_sessions=1)
    assert (await ami.switch()).reply_code == "4.1"
    meter.gate = None
    assert (await ami.switch(CONNECT)).ok
    assert not ami.told("late_answer")


async def test_silent_meter_is_4_1_and_nothing_was_attempted(ami: South) -> None:
    meter = await ami.meter(silent=True)
    await ami.start(apdu_timeout_s=0.2)
    outcome = await ami.switch()
    assert (outcome.ok, outcome.reply_code, outcome.attempted) == (False, "4.1", False)
    assert "did not answer in time" in outcome.reason
    assert meter.asked == []


async def test_deadline_ends_what_the_apdu_timeout_would_not(ami: South) -> None:
    await ami.meter(silent=True)
    await ami.start(apdu_timeout_s=60.0)
    assert (await ami.switch(deadline_s=0.2)).reply_code == "4.1"


async def test_passed_deadline_sends_no_frame(ami: South) -> None:
    meter = await ami.meter()
    await ami.start()
    outcome = await ami.switch(deadline_s=-1.0)
    assert (outcome.reply_code, outcome.attempted, meter.connections) == ("4.1", False, 0)


async def test_meter_that_is_not_there(ami: South) -> None:
    meter = await ami.meter()
    await meter.close()
    await ami.start()
    outcome = await ami.switch()
    assert (outcome.ok, outcome.reply_code, outcome.attempted) == (False, "5.2", False)
    assert "can't be reached" in outcome.reason and f"127.0.0.1:{meter.port}" in outcome.reason


@pytest.mark.parametrize("authentication", ["lls", "hls-gmac"])
async def test_wrong_key_is_named_and_burns_no_counter_in_the_meter(ami: South, authentication: str) -> None:
    meter = await ami.meter(authentication=authentication)
    await ami.start(meter.entry(encryption_key="00" * 16))
    outcome = await ami.switch()
    assert not outcome.ok and outcome.reply_code is not None and outcome.reply_code.startswith("7.")
    assert "key" in outcome.reason and not outcome.attempted
    assert meter.receive_counter.lowest_acceptable == 0
    assert meter.actions == 0
    assert "00" * 16 not in outcome.reason + str(ami.events)


async def test_wrong_password(ami: South) -> None:
    meter = await ami.meter(authentication="lls")
    await ami.start(meter.entry(secret="hex:00"))
    outcome = await ami.switch()
    assert (outcome.reply_code, meter.actions) == ("7.4", 0)


@pytest.mark.parametrize(
    ("source", "code", "words"),
    [
        (DiagnosticSource.ACSE_SERVICE_PROVIDER, "5.2", "another version of ACSE"),
        (DiagnosticSource.ACSE_SERVICE_USER, "7.6", "application context"),
    ],
)
async def test_refusal_of_the_acse_provider_is_told_as_what_it_is(
    ami: South, source: DiagnosticSource, code: str, words: str
) -> None:
    """Code 2 is in both lists and means something else in each."""
    meter = await ami.meter(refuses=Diagnostic(source, 2))
    await ami.start()
    outcome = await ami.switch()
    assert (outcome.ok, outcome.reply_code, outcome.attempted) == (False, code, False)
    assert words in outcome.reason
    assert meter.actions == 0


SOURCES = (DiagnosticSource.ACSE_SERVICE_USER, DiagnosticSource.ACSE_SERVICE_PROVIDER)
WITHOUT_A_REASON = {
    "aare-no-reason": Diagnostic(SOURCES[0], 1),
    "aare-null": Diagnostic(SOURCES[0], 0),
    "provider-no-reason": Diagnostic(SOURCES[1], 1),
    "confirmed-service-error": bytes.fromhex("0E010600"),
    "exception": bytes.fromhex("D80103"),
    "hangs-up": b"",
}


@pytest.mark.parametrize("refuses", WITHOUT_A_REASON.values(), ids=WITHOUT_A_REASON)
async def test_refusal_without_a_reason_points_at_the_keys(ami: South, refuses: Diagnostic | bytes) -> None:
    """As foreign meters answer what they can't decipher; the public client was answered on the same server wport."""
    meter = await ami.meter(refuses=refuses)
    await ami.start()
    outcome = await ami.switch()
    assert (outcome.ok, outcome.attempted, meter.actions) == (False, False, 0)
    assert "keys" in outcome.reason and "server_wport" not in outcome.reason
    assert outcome.reply_code == ("7.4" if refuses else "5.2")


async def test_refusal_without_a_reason_and_without_keys_does_not_point_at_keys(ami: South) -> None:
    meter = await ami.meter(authentication="none", refuses=Diagnostic(SOURCES[0], 1))
    await ami.start()
    outcome = await ami.switch()
    assert (outcome.reply_code, meter.actions) == ("5.2", 0)
    assert "client_wport" in outcome.reason and "encryption_key" not in outcome.reason


async def test_other_system_title_is_refused(ami: South) -> None:
    meter = await ami.meter()
    await ami.start(meter.entry(system_title="0102030405060708"))
    outcome = await ami.switch()
    assert not outcome.ok and meter.actions == 0
    assert outcome.reply_code == "7.4"


async def test_other_device_id_is_refused_before_the_action(ami: South) -> None:
    meter = await ami.meter()
    meter.values[DEVICE_ID, 2] = data.octet_string(b"7777")
    await ami.start()
    outcome = await ami.switch()
    assert (outcome.ok, outcome.reply_code, outcome.level, outcome.attempted) == (False, "5.2", "FATAL", False)
    assert "1001" in outcome.reason and "7777" in outcome.reason
    assert meter.actions == 0


async def test_other_logical_device_name_is_refused_before_a_key_is_used(ami: South) -> None:
    meter = await ami.meter()
    meter.values[LOGICAL_DEVICE_NAME, 2] = data.octet_string(b"SOMEBODYELSE")
    await ami.start()
    outcome = await ami.switch()
    assert (outcome.reply_code, outcome.attempted) == ("5.2", False)
    assert "SOMEBODYELSE" in outcome.reason
    assert meter.asked == ["open 16", "GET"]


async def test_endless_names_are_cut(ami: South) -> None:
    meter = await ami.meter()
    meter.values[LOGICAL_DEVICE_NAME, 2] = data.octet_string(b"X" * 60_000)
    await ami.start()
    outcome = await ami.switch()
    assert outcome.reply_code == "5.2" and len(outcome.reason) < 600


@pytest.mark.parametrize(
    ("mode", "ok", "code", "words"),
    [(0, False, "5.2", "control mode 0"), (2, True, None, "connected"), (4, True, None, "connected")]
    + [(mode, True, "0.0", "ready for reconnection") for mode in (1, 3, 5, 6)],
)
async def test_connect_ends_as_the_control_mode_allows(
    ami: South, mode: int, ok: bool, code: str | None, words: str
) -> None:
    meter = await ami.meter(mode=mode)
    if mode:
        meter.output, meter.state = False, 0
    await ami.start()
    outcome = await ami.switch(CONNECT)
    assert (outcome.ok, outcome.reply_code) == (ok, code)
    assert words in outcome.reason
    assert meter.actions == (1 if mode else 0)


async def test_already_there_still_acts(ami: South) -> None:
    meter = await ami.meter()
    await ami.start()
    outcome = await ami.switch(CONNECT)
    assert outcome.ok and "as it was before the control" in outcome.reason
    assert meter.actions == 1


async def test_run_again_begins_with_a_read(ami: South) -> None:
    meter = await ami.meter(dies_after_action=True)
    await ami.start()
    await ami.switch()
    again = await ami.switch(attempted=True)
    assert again.ok and again.attempted
    first = meter.asked.index("ACTION")
    second = meter.asked.index("ACTION", first + 1)
    assert meter.asked[first + 1 : second].count("GET") >= 4, "name, identity and state were read in between"


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (ActionResult.HARDWARE_FAULT, "5.3"),
        (ActionResult.TEMPORARY_FAILURE, "5.3"),
        (ActionResult.READ_WRITE_DENIED, "7.5"),
        (ActionResult.OTHER_REASON, "5.3"),
    ],
)
async def test_refused_action(ami: South, result: ActionResult, code: str) -> None:
    meter = await ami.meter(result=result)
    await ami.start()
    outcome = await ami.switch()
    assert (outcome.ok, outcome.reply_code, outcome.action_result) == (False, code, result)
    assert "connected (output_state true" in outcome.reason, "the state is told all the same"
    assert meter.actions == 1


async def test_object_that_cannot_be_read_fails_before_the_action(ami: South) -> None:
    meter = await ami.meter()
    meter.values[DISCONNECT_CONTROL, 2] = DataAccessResult.READ_WRITE_DENIED  # type: ignore[assignment]
    await ami.start()
    outcome = await ami.switch()
    assert (outcome.reply_code, outcome.attempted, meter.actions) == ("7.5", False, 0)


async def test_value_of_another_type_fails_before_the_action(ami: South) -> None:
    meter = await ami.meter()
    meter.values |= {(DISCONNECT_CONTROL, attribute): data.visible_string("on") for attribute in (2, 3, 4)}
    await ami.start()
    outcome = await ami.switch()
    assert (outcome.reply_code, outcome.attempted, meter.actions) == ("5.2", False, 0)


async def test_unknown_control_code_sends_no_frame(ami: South) -> None:
    meter = await ami.meter()
    await ami.start()
    for code in ("3.31.0.99", "9.9.9.9", "disconnect", "3.31.0.23 ", ""):
        outcome = await ami.switch(code)
        assert (outcome.ok, outcome.reply_code, outcome.attempted) == (False, "5.2", False)
        assert repr(code) in outcome.reason
    assert meter.connections == 0


async def test_counters_go_on_above_what_the_meter_has_seen(ami: South) -> None:
    meter = await ami.meter()
    meter.receive_counter.accept(5000)
    await ami.start()
    assert (await ami.switch()).ok
    assert meter.receive_counter.lowest_acceptable > 5001


async def test_many_sessions_need_few_reservations(ami: South) -> None:
    await ami.meter()
    await ami.start()
    for _ in range(10):
        assert (await ami.switch()).ok
    assert (ami.counters.reservations, ami.counters.tries) == (1, 1), "the first session begins with a claim"


async def test_spent_counter_is_told(ami: South) -> None:
    meter = await ami.meter()
    meter.receive_counter.accept(2**32 - 100)
    await ami.start(max_counter_jump=2**32)
    assert (await ami.switch()).ok, "the last values of a key are values"
    for _ in range(10):
        outcome = await ami.switch()
    assert (outcome.reply_code, outcome.attempted) == ("7.7", False)
    assert "used up" in outcome.reason
    assert max(meter.counters_seen()) < 2**32


@pytest.mark.parametrize("clock", [ScaledClock(START, 10_000.0), SteppedClock(START)], ids=["scaled", "stepped"])
async def test_looking_again_ends_in_real_seconds_by_whatever_clock(ami: South, clock: Clock) -> None:
    """The meter has gone after the ACTION and stays away: it is tried for twice the APDU timeout, of the sockets' time."""
    meter = await ami.meter(dies_after_action=True)
    await ami.start(clock=clock, apdu_timeout_s=0.6)
    began = real_time()
    switching = asyncio.create_task(ami.switch())
    await eventually(lambda: meter.actions)
    await meter.close()
    async with asyncio.timeout(PATIENCE_S):
        outcome = await switching
    assert not outcome.ok and "could not be read again" in outcome.reason
    assert 0.6 <= real_time() - began < 10.0
