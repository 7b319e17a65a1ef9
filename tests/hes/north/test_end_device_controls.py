"""Planning and reporting EndDeviceControls: pure, and never a guess about which meter or what to do."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from north_bench import CONNECT, DISCONNECT, control, entries, mrid, registry, request

from ami_cim.codes import Level
from ami_cim.control_parameters import FirmwareImage, KeyChange, Limiter, LimiterEmergency
from ami_cim.identity import EndDevice, Identified, Identifier, Name, UsagePoint
from ami_cim.message import ReplyError, RequestMessage
from ami_cim.payloads.control_parameters import ControlParameters
from ami_cim.payloads.end_device_controls import EndDeviceControl, EndDeviceControls, PanDisplay
from ami_cim.payloads.opaque import OpaquePayload
from ami_hes.commands import Command, Lane, MeterId, Outcome
from ami_hes.meters.registry import Registry
from ami_hes.nouns import Plan, Refused, RequestContext, Worked
from ami_hes.nouns.end_device_controls import begins_at, begun, plan, report
from ami_hes.operations.control import parse_body
from ami_hes.served import OPERATIONS, end_of
from ami_mapping.controls import control_for

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
REGISTRY = registry()
CONTEXT = RequestContext(request_id="r1", verb="create", accepted_at=NOW)


def planned(*controls: EndDeviceControl) -> Plan:
    return plan(CONTEXT, request(*controls), REGISTRY)


def commands(*controls: EndDeviceControl) -> list[tuple[str, str]]:
    return [(c.meter.name, c.body) for c in planned(*controls).commands]


def refusal(message: RequestMessage) -> ReplyError:
    with pytest.raises(Refused) as refused:
        plan(CONTEXT, message, REGISTRY)
    (error,) = refused.value.errors
    return error


def devices(*end_devices: EndDevice) -> EndDeviceControl:
    return EndDeviceControl(control_type=DISCONNECT, end_devices=end_devices)


# planning


def test_by_mrid_by_name_and_by_usage_point() -> None:
    one = EndDeviceControl(
        control_type=DISCONNECT,
        end_devices=(EndDevice(mrid=mrid(1).upper()), EndDevice(names=(Name(name="M2"),))),
        usage_points=(UsagePoint(names=(Name(name="UP-3"),)),),
    )
    plan_ = planned(one)
    assert [(c.meter.name, c.meter.mrid, c.body) for c in plan_.commands] == [
        ("M1", mrid(1), DISCONNECT),
        ("M2", mrid(2), DISCONNECT),
        ("M3", mrid(3), DISCONNECT),
    ]
    assert plan_.errors == ()


def test_usage_point_by_mrid() -> None:
    one = EndDeviceControl(control_type=DISCONNECT, usage_points=(UsagePoint(mrid="UP-1"),))
    assert commands(one) == [("M1", DISCONNECT)]


def test_each_control_keeps_its_own_direction() -> None:
    assert commands(control(DISCONNECT, "M1"), control(CONNECT, "M2")) == [("M1", DISCONNECT), ("M2", CONNECT)]


def test_the_same_meter_in_several_ways_is_one_command() -> None:
    twice = control(DISCONNECT, "M1", "M1", points=["UP-1"])
    assert commands(twice, control(DISCONNECT, "M1"), control("0.31.0.23", "M1")) == [("M1", DISCONNECT)]


def test_a_meter_asked_for_opposites_is_not_touched_and_the_others_are() -> None:
    plan_ = planned(control(DISCONNECT, "M1", "M2"), control(CONNECT, points=["UP-1"]))
    assert [c.meter.name for c in plan_.commands] == ["M2"]
    (error,) = plan_.errors
    assert (error.code, error.identifier) == ("5.2", Identifier(value="M1", kind="name", object_type="EndDevice"))
    assert error.related == Identifier(value=mrid(1), kind="uuid", object_type="EndDevice")
    assert CONNECT in (error.reason or "") and DISCONNECT in (error.reason or "")


def test_unknown_meters_and_usage_points_are_errors_beside_the_commands() -> None:
    one = replace(
        control(DISCONNECT, "M1", "M9", "M9", points=["UP-9"]),
        end_devices=(*control(DISCONNECT, "M1", "M9", "M9").end_devices, EndDevice(mrid=mrid(77))),
    )
    plan_ = planned(one)
    assert [c.meter.name for c in plan_.commands] == ["M1"]
    assert [(e.code, e.level, e.identifier) for e in plan_.errors] == [
        ("2.4", Level.FATAL, Identifier(value="M9", kind="name", object_type="EndDevice")),
        ("2.4", Level.FATAL, Identifier(value=mrid(77), kind="uuid", object_type="EndDevice")),
        ("2.12", Level.FATAL, Identifier(value="UP-9", kind="name", object_type="UsagePoint")),
    ]
    assert all(e.identifier and e.identifier.value in (e.reason or "") for e in plan_.errors)


def test_mrid_and_name_of_different_meters_are_not_guessed() -> None:
    plan_ = planned(devices(EndDevice(mrid=mrid(1), names=(Name(name="M2"),))))
    assert plan_.commands == ()
    assert [e.code for e in plan_.errors] == ["2.4"]
    assert "M1 and M2" in (plan_.errors[0].reason or "")


def test_several_meters_as_names_of_one_device_are_not_guessed() -> None:
    plan_ = planned(devices(EndDevice(names=(Name(name="M1"), Name(name="M2")))))
    assert (plan_.commands, [e.code for e in plan_.errors]) == ((), ["2.4"])


def test_unknown_mrid_is_not_rescued_by_a_known_name() -> None:
    plan_ = planned(devices(EndDevice(mrid=mrid(77), names=(Name(name="M1"),))))
    assert (plan_.commands, [e.code for e in plan_.errors]) == ((), ["2.4"])


def test_a_name_that_only_the_cis_knows_does_no_harm() -> None:
    known = EndDevice(mrid=mrid(1), names=(Name(name="Kitchen"), Name(name="M1")))
    assert commands(devices(known)) == [("M1", DISCONNECT)]


def test_a_device_without_any_identity_is_an_error() -> None:
    plan_ = planned(devices(EndDevice(), EndDevice(mrid=mrid(1))))
    assert [c.meter.name for c in plan_.commands] == ["M1"]
    assert [(e.code, e.identifier) for e in plan_.errors] == [("2.4", None)]


@pytest.mark.parametrize("code", ["3.31.0.99", "9.9.9.9", "disconnect", "", "3.31.0.23 "])
def test_an_unknown_code_refuses_everything(code: str) -> None:
    error = refusal(request(control(DISCONNECT, "M1"), control(code, "M2")))
    assert error.code == "5.2"
    assert code in (error.reason or "")


@pytest.mark.parametrize("verb", ["get", "execute"])
def test_other_verbs_are_refused_with_their_reason(verb: str) -> None:
    error = refusal(request(control(DISCONNECT, "M1"), verb=verb))
    assert error.code == "2.9"
    assert verb in (error.reason or "") and len(error.reason or "") > 40


def test_nothing_to_do_is_refused() -> None:
    assert refusal(request()).code == "1.7"
    assert refusal(replace(request(), payload=EndDeviceControls(()))).code == "1.7"
    assert refusal(request(control(DISCONNECT))).code == "1.7"
    assert refusal(replace(request(), payload=OpaquePayload("{x}MeterReadings"))).code == "1.7"


def test_when_the_controls_of_a_message_begin() -> None:
    at = NOW + timedelta(hours=1)
    one, other = control(DISCONNECT, "M1", start_at=at), control(CONNECT, "M2")
    assert begins_at(request(one)) == begins_at(replace(request(other), start_at=at)) == at
    assert begins_at(request(other)) is None
    with pytest.raises(Refused):
        begins_at(request(one, other))
    assert begun(request(one, message_id="m")).payload == EndDeviceControls((replace(one, start_at=None),))


def test_what_would_be_done_by_half_is_refused() -> None:
    half = ("primaryDeviceTiming/randomisation", "PanDisplay")
    timed = refusal(request(control(DISCONNECT, "M1", unsupported=half)))
    assert timed.code == "5.2" and "primaryDeviceTiming/randomisation, PanDisplay" in (timed.reason or "")
    assert commands(control(DISCONNECT, "M1", unsupported=("EndDevices/isPan",))) == [("M1", DISCONNECT)]


EMERGENCY = ControlParameters(limiter_emergency=LimiterEmergency(threshold=Decimal(1000), duration_s=600))


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"duration_minutes": Decimal(5)}, "no meter ends the control disconnect by itself"),
        ({"is_indefinite": False}, "no duration is said"),
    ],
)
def test_a_switch_for_a_while_is_refused_with_what_to_do(more: dict[str, Any], why: str) -> None:
    error = refusal(request(control(DISCONNECT, "M1", **more)))
    assert error.code == "5.2" and why in (error.reason or "")
    assert commands(control(DISCONNECT, "M1", is_indefinite=True)) == [("M1", DISCONNECT)]


@pytest.mark.parametrize("more", [{}, {"is_indefinite": True}])
def test_an_emergency_limit_lasts_as_long_as_is_said_once(more: dict[str, Any]) -> None:
    limit = control("3.31.138.26", "M1", duration_minutes=Decimal(10), **more)
    asked = replace(request(limit), query=EMERGENCY)
    if more:
        assert "600 s" in (refusal(asked).reason or "")
        return
    (command,) = plan(CONTEXT, asked, registry()).commands
    assert '"duration_s":600' in command.body
    other = replace(request(replace(limit, duration_minutes=Decimal(11))), query=EMERGENCY)
    assert "600 s" in (refusal(other).reason or "")


@pytest.mark.parametrize(
    ("code", "parameters", "taken"),
    [
        ("3.12.32.13", ControlParameters(key_change=KeyChange(key="master")), '"key":"master"'),
        ("0.11.283.26", ControlParameters(firmware_image=FirmwareImage(identifier="F2")), '"identifier":"F2"'),
    ],
)
def test_what_campaigns_do_is_ordered_as_a_control(code: str, parameters: ControlParameters, taken: str) -> None:
    asked = request(control(code, "M1"))
    assert refusal(asked).code == "1.7", "it needs to be said which"
    (command,) = plan(CONTEXT, replace(asked, query=parameters), registry()).commands
    assert (command.operation, OPERATIONS[command.operation].lane) == ("long_control", Lane.CAMPAIGN)
    assert taken in command.body
    ended = end_of(command, Outcome(True, attempted=True), NOW)
    assert ended is not None and ended.code in ("0.12.32.24", "0.11.283.4")


# reporting


def worked(number: int, **outcome: object) -> Worked:
    command = Command("r1", MeterId(f"M{number}", mrid(number)), "disconnect_control", DISCONNECT)
    return Worked(command, Outcome(**({"ok": True} | outcome)))  # type: ignore[arg-type]


FAILED = {"ok": False, "code": "4.1", "level": "WARNING", "reason": "the meter did not answer in time"}
UNKNOWN = ReplyError(code="2.4", level=Level.FATAL, reason="unknown")


def test_all_done_is_ok_without_errors() -> None:
    reply, _ = report(CONTEXT, (), [worked(1), worked(2)])
    assert (reply.result, reply.errors) == ("OK", ())


def test_one_failed_is_partial_with_its_error() -> None:
    reply, _ = report(CONTEXT, (), [worked(1), worked(2, **FAILED)])
    assert reply.result == "PARTIAL"
    assert reply.errors == (
        ReplyError(
            code="4.1",
            level=Level.WARNING,
            reason="the meter did not answer in time",
            identifier=Identifier(value=mrid(2), kind="uuid", object_type="EndDevice"),
        ),
    )


def test_an_error_of_planning_makes_it_partial() -> None:
    assert report(CONTEXT, (UNKNOWN,), [worked(1)])[0].result == "PARTIAL"


def test_none_done_is_failed() -> None:
    reply, _ = report(CONTEXT, (UNKNOWN,), [worked(1, **FAILED)])
    assert (reply.result, [e.code for e in reply.errors]) == ("FAILED", ["2.4", "4.1"])
    assert report(CONTEXT, (UNKNOWN,), [])[0].result == "FAILED"


def test_ready_for_reconnection_is_ok_and_says_so() -> None:
    ready = worked(1, code="0.0", level="INFORM", reason="ready for reconnection: the supply is still off")
    reply, _ = report(CONTEXT, (), [ready, worked(2)])
    assert reply.result == "OK"
    (note,) = reply.errors
    assert (note.code, note.level, note.identifier and note.identifier.value) == ("0.0", Level.INFORM, mrid(1))
    assert "ready for reconnection" in (note.reason or "")


def test_a_failure_without_a_code_still_has_one() -> None:
    (error,) = report(CONTEXT, (), [worked(1, ok=False)])[0].errors
    assert (error.code, error.level) == ("5.3", Level.FATAL)


def test_a_sub_meter_is_not_switched_and_neither_is_the_meter_that_it_is_behind() -> None:
    behind = {"behind": "M1", "channel": 1, "identification": "12345678", "manufacturer": "AMI"}
    gas = {"name": "G1", "mrid": mrid(9), "usage_points": ["UP-G1"], **behind}
    made = plan(CONTEXT, request(control(DISCONNECT, "G1", "M2", points=["UP-G1"])), Registry([*entries(2), gas]))
    assert [one.meter.name for one in made.commands] == ["M2"]
    (error,) = made.errors
    assert (error.code, error.identifier) == ("5.2", Identifier(value="G1", kind="name", object_type="EndDevice"))
    assert error.related == Identifier(value=mrid(9), kind="uuid", object_type="EndDevice")
    assert "Nothing was switched: G1 is on channel 1 of M1" in (error.reason or "")


# parameters, texts and groups


LIMIT_SET, TEXT = "3.31.139.26", "3.13.112.77"
LIMIT = Limiter(threshold=Decimal(4600))


def test_what_a_control_takes_goes_with_its_command() -> None:
    message = replace(
        request(control(LIMIT_SET, "M1"), control(DISCONNECT, "M2")), query=ControlParameters(limiter=LIMIT)
    )
    limited, switched = plan(CONTEXT, message, REGISTRY).commands
    assert (limited.operation, parse_body(limited.body)) == ("control", (control_for(LIMIT_SET), LIMIT))
    assert (switched.operation, switched.body) == ("disconnect_control", DISCONNECT)
    (shown,) = planned(control(TEXT, "M1", display=PanDisplay("Good morning"))).commands
    assert parse_body(shown.body) == (control_for(TEXT), "Good morning")


def test_a_control_without_what_it_takes_is_refused() -> None:
    for code, lacking in ((LIMIT_SET, "Limiter"), (TEXT, "PanDisplay"), ("3.20.140.13", "TimeOfUse")):
        error = refusal(request(control(code, "M1")))
        assert error.code == "1.7" and lacking in (error.reason or "")


def test_what_no_control_takes_is_refused() -> None:
    message = replace(request(control(DISCONNECT, "M1")), query=ControlParameters(limiter=LIMIT))
    assert (refusal(message).code, "Limiter" in (refusal(message).reason or "")) == ("5.2", True)
    error = refusal(request(control(DISCONNECT, "M1", display=PanDisplay("Good morning"))))
    assert error.code == "5.2" and "PanDisplay" in (error.reason or "")


def test_what_has_an_end_is_done_until_then_or_not_at_all() -> None:
    end_at = NOW + timedelta(seconds=5)
    assert planned(control(DISCONNECT, "M1", end_at=end_at), control(CONNECT, "M2")).until == end_at
    assert planned(control(DISCONNECT, "M1")).until is None
    error = refusal(request(control(DISCONNECT, "M1", end_at=NOW)))
    assert error.code == "5.2" and "is past" in (error.reason or "")


def test_groups_are_their_meters() -> None:
    tagged = Registry([one | {"tags": {"feeder": f"F{number // 2}"}} for number, one in enumerate(entries(3))])
    group = (Identified(names=(Name(name="F0", name_type="feeder"),)),)
    for one in (
        EndDeviceControl(control_type=DISCONNECT, end_device_groups=group),
        EndDeviceControl(control_type=DISCONNECT, usage_point_groups=group),
    ):
        assert [c.meter.name for c in plan(CONTEXT, request(one), tagged).commands] == ["M1", "M2"]
    unknown = EndDeviceControl(control_type=DISCONNECT, end_device_groups=(Identified(names=(Name(name="F9"),)),))
    assert [e.code for e in plan(CONTEXT, request(unknown), tagged).errors] == ["2.4"]
