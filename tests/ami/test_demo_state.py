"""The demo's model: what counts as confirmed, in whatever order the processes are heard."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest
import story

from ami_cli import plain_text
from ami_cli.demo_state import DemoState

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def model() -> DemoState:
    return DemoState(meters=story.METERS, started_at=AT)


def disconnect(
    *done: story.Event, result: str = "OK", errors: tuple[story.Event, ...] = ()
) -> list[tuple[str, story.Event]]:
    sent = ("cis", story.request_sent("m", story.DISCONNECT))
    return [sent, *(("hes", one) for one in done), ("cis", story.reply_received("m", result, errors))]


def test_a_request_is_confirmed_in_whatever_order_its_events_are_heard() -> None:
    done = [story.meter_done("m", story.DISCONNECT, meter) for meter in story.METERS]
    for order in itertools.permutations(disconnect(*done)):
        model = DemoState(meters=story.METERS, started_at=AT)
        for role, event in order:
            model.apply(role, event, AT)
        total = model.summary()
        assert (total.confirmed_commands, total.commands, total.unfulfilled) == (2, 2, 0)
        assert model.newest_first[0].fulfilled
        assert model.count("disconnected") == 2


def test_two_cycles_are_counted_as_two(model: DemoState) -> None:
    for role, events in zip(("cis", "hes"), story.cycles(2), strict=True):
        for event in events:
            model.apply(role, event, AT)
    total = model.summary()
    assert (total.cycles, total.requests, total.confirmed_commands, total.commands) == (2, 4, 8, 8)
    assert total.counts == {"Disconnect": 2, "Connect": 2}
    assert (total.median_ms, total.max_ms) == (20.0, 20.0)


def test_what_is_read_is_shown_and_is_no_command(model: DemoState) -> None:
    values = (("M1001", "12.5"), ("M1002", None))
    for event in (story.read_sent("r"), story.reply_received("r")):
        model.apply("cis", event, AT)
    assert model.finished == 0, "what it has brought is still to come"
    model.apply("cis", story.registers_read("r", *values), AT)
    assert [step.text for step in model.steps] == ["M1001 import 12.5 kWh", "M1002 import missing"]
    total = model.summary()
    assert (total.requests, total.commands, total.reads, total.reads_ok, total.all_confirmed) == (0, 0, 1, 1, True)
    assert model.finished == 1


def test_a_reading_that_is_not_whole_is_reported(model: DemoState) -> None:
    missing = {"code": "2.6", "reason": "M1002 has no such register", "meter": "M1002"}
    for event in (story.read_sent("r"), story.reply_received("r", "PARTIAL", (missing,))):
        model.apply("cis", event, AT)
    assert [(step.text, step.outcome) for step in model.steps] == [("reply", "PARTIAL")]
    total = model.summary()
    assert not total.all_confirmed
    assert "▲ 1 reading without every value of every meter" in plain_text.summary(total)
    assert model.states == {}, "a register that is missing says nothing of the switch"


def test_what_a_person_has_the_cis_order_is_no_command_and_no_cycle(model: DemoState) -> None:
    order = {"verb": "create", "noun": "MeterReadSchedule", "control": ""}
    for event in (story.request_sent("s", "every day") | order, story.reply_received("s")):
        model.apply("cis", event, AT)
    total = model.summary()
    assert (total.cycles, total.requests, total.commands, total.unfulfilled, total.reads) == (0, 0, 0, 0, 0)
    assert (dict(total.others), total.counts, total.all_confirmed) == ({"OK": 1}, {}, True)
    assert (model.finished, model.settled) == (0, True)


def test_what_is_read_of_many_meters_is_one_line() -> None:
    meters = tuple(f"M{number}" for number in range(1001, 1101))
    model = DemoState(meters=meters, started_at=AT)
    first = [(meter, "1") for meter in meters[:50]]
    for event in (story.read_sent("r", meters), story.reply_received("r"), story.registers_read("r", *first, more=50)):
        model.apply("cis", event, AT)
    assert [step.text for step in model.steps] == ["100 values of 100 meters"]


@pytest.mark.parametrize(
    "second",
    [
        {"ok": False, "reply_code": "4.1", "reason": "no answer", "after": None},
        {"ok": "true"},
        {"after": story.CONNECTED},
        {"after": None},
        {"meter": "M9999"},
    ],
    ids=["failed", "ok is no boolean", "did not switch", "not read back", "somebody else"],
)
def test_an_ok_reply_that_a_meter_does_not_bear_out_is_not_confirmed(model: DemoState, second: story.Event) -> None:
    done = [
        story.meter_done("m", story.DISCONNECT, "M1001"),
        story.meter_done("m", story.DISCONNECT, "M1002", **second),
    ]
    for role, event in disconnect(*done):
        model.apply(role, event, AT)
    total = model.summary()
    assert (total.confirmed_commands, total.commands, total.unfulfilled) == (1, 2, 1)
    assert not total.all_confirmed


def test_an_ok_reply_without_any_word_of_the_hes_confirms_nothing(model: DemoState) -> None:
    for role, event in disconnect():
        model.apply(role, event, AT)
    assert model.summary().confirmed_commands == 0
    assert model.summary().unfulfilled == 1


def test_a_partial_reply_confirms_the_meters_that_did_it_and_names_the_other(model: DemoState) -> None:
    done = [
        story.meter_done("m", story.DISCONNECT, "M1001"),
        story.meter_done(
            "m",
            story.DISCONNECT,
            "M1002",
            ok=False,
            reply_code="4.1",
            reason="no answer in 5 s",
            before=None,
            after=None,
        ),
    ]
    error = {"code": "4.1", "reason": "no answer in 5 s", "meter": "M1002"}
    steps = [
        step
        for role, event in disconnect(*done, result="PARTIAL", errors=(error,))
        for step in model.apply(role, event, AT)
    ]
    assert model.newest_first[0].confirmed == ("M1001",)
    assert model.states == {"M1001": "disconnected", "M1002": "no answer"}
    assert steps[2].note == "4.1 no answer in 5 s"
    assert steps[-1].note == "M1002 4.1 no answer in 5 s"


def test_connect_that_leaves_the_meter_ready_is_fulfilled_and_said_so(model: DemoState) -> None:
    model.apply("cis", story.request_sent("m", story.CONNECT, ("M1001",)), AT)
    model.apply("hes", story.meter_done("m", story.CONNECT, "M1001", after=story.READY), AT)
    model.apply("cis", story.reply_received("m"), AT)
    assert model.newest_first[0].fulfilled
    assert model.count("ready for reconnection") == 1


def test_a_request_without_reply_is_failed_with_its_reason(model: DemoState) -> None:
    model.apply("cis", story.request_sent("m", story.DISCONNECT), AT)
    (step,) = model.apply("cis", {"event": "request_failed", "message_id": "m", "reason": "connection refused"}, AT)
    assert (step.outcome, step.note) == ("FAILED", "connection refused")
    assert model.summary().unfulfilled == 1


def test_a_running_request_is_neither_good_nor_bad(model: DemoState) -> None:
    model.apply("cis", story.request_sent("m", story.DISCONNECT, asynchronous=True), AT)
    (step,) = model.apply("cis", {"event": "acknowledged", "message_id": "m"}, AT)
    assert step.cim == "0.3"
    total = model.summary()
    assert (total.requests, total.running, total.unfulfilled) == (0, 1, 0)


def test_the_steps_tell_codes_states_and_times(model: DemoState) -> None:
    model.apply("cis", story.request_sent("m", story.DISCONNECT), AT)
    (step,) = model.apply("hes", story.meter_done("m", story.DISCONNECT, "M1001"), AT)
    assert (step.source, step.target, step.text) == ("HES", "M1001", "remote_disconnect")
    assert (step.cosem, step.before, step.after, step.ms) == ("70 0-0:96.3.10*255", "connected", "disconnected", 12.3)


def test_unknown_events_and_events_without_fields_change_nothing(model: DemoState) -> None:
    assert model.apply("hes", {"event": "weather"}, AT) == ()
    assert model.apply("meter", {"event": "meter_done", "message_id": "m"}, AT) == ()
    for name in ("request_sent", "reply_received", "acknowledged", "request_failed"):
        model.apply("cis", {"event": name}, AT)
    for name in ("meter_done", "apdu", "notification", "dialled_in"):
        model.apply("hes", {"event": name}, AT)
    assert model.summary().confirmed_commands == 0


def test_what_happens_by_itself_is_kept(model: DemoState) -> None:
    model.apply("hes", story.dialled_in("M1002", "127.0.0.1:5000"), AT)
    model.apply("hes", story.notification(system_title="414D4900000003E9"), AT)
    model.apply("hes", story.notification(transport="tcp", service="event-notification", meter="M1001"), AT)
    dropped = {"event": "dropped", "transport": "udp", "peer": "127.0.0.1:7000", "reason": "wrong tag"}
    model.apply("hes", dropped | {"hex": "", "looks_like": None}, AT)
    model.apply("hes", {"event": "not_proved", "meter": "M1002", "peer": "127.0.0.1:5000", "reason": "wrong key"}, AT)
    for what in ("opened", "refused", "released"):
        model.apply("meter", story.association("M1001", what, "wrong key"), AT)
    model.apply("meter", story.switched("M1001"), AT)
    assert [(one.text, one.who) for one in model.happenings] == [
        ("dialled in", "M1002"),
        ("DataNotification over UDP", "414D4900000003E9"),
        ("EventNotification over TCP", "M1001"),
        ("dropped by the HES: wrong tag", "127.0.0.1:7000"),
        ("did not prove its keys: wrong key", "M1002"),
        ("refused an association: wrong key", "M1001"),
        ("disconnected", "M1001"),
    ]


def test_a_long_run_keeps_its_totals_and_not_its_requests() -> None:
    model = DemoState(meters=story.METERS, started_at=AT)
    cis, hes = story.cycles(150)
    for number in range(300):
        for event in hes[2 * number : 2 * number + 2]:
            model.apply("hes", event, AT)
        for event in cis[2 * number : 2 * number + 2]:
            model.apply("cis", event, AT)
    assert len(model.requests) <= 200
    assert model.finished == 300
    assert model.summary().confirmed_commands == 600
    assert model.summary().cycles == 150
