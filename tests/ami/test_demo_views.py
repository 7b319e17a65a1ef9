"""Plain lines and the live view say the same things in the same words."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import story
from rich.console import Console

from ami_cli import formatting, plain_text, view
from ami_cli.configuration import Listener
from ami_cli.decoding import decode
from ami_cli.demo_state import DemoState
from ami_cli.looking import Looking
from ami_hes.events import Apdu

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LISTENERS = (
    Listener("127.0.0.1", 8080, "cis.port", "the CIS", "CIS_PORT"),
    Listener("127.0.0.1", 8081, "hes.port", "CIM at the HES", "HES_PORT"),
    Listener("127.0.0.1", 4059, "hes.dlms_port", "meters dial in", "DLMS_PORT"),
    Listener("127.0.0.1", 4061, "the address of meter M1001", "a meter", "METER_PORT"),
    Listener("127.0.0.1", 4062, "the address of meter M1002", "a meter", "METER_PORT"),
)
APDU = {
    "event": "apdu",
    "message_id": None,
    "meter": "M1001",
    "direction": "request",
    "name": "ACTION remote_disconnect",
    "hex": "000100010001",
    "ms": 0.0,
}


@pytest.fixture
def model() -> DemoState:
    model = DemoState(meters=story.METERS, started_at=AT)
    model.apply("cis", story.request_sent("4711-a", story.DISCONNECT), AT)
    model.apply("hes", APDU, AT)
    model.apply("hes", APDU | {"direction": "response", "name": "ACTION response: success", "ms": 4.0}, AT)
    model.apply("hes", story.meter_done("4711-a", story.DISCONNECT, "M1001"), AT)
    model.apply(
        "hes",
        story.meter_done("4711-a", story.DISCONNECT, "M1002", ok=False, after=None, reply_code="4.1", reason="silence"),
        AT,
    )
    model.apply(
        "cis",
        story.reply_received("4711-a", "PARTIAL", ({"code": "4.1", "meter": "M1002", "reason": "silence"},), 31.0),
        AT,
    )
    model.apply("hes", story.dialled_in("M1002", "127.0.0.1:5"), AT)
    return model


def drawn(model: DemoState, width: int, height: int, looking: Looking | None = None) -> str:
    console = Console(width=width, height=height, theme=view.THEME, file=io.StringIO(), record=True)
    frame = view.Frame(
        now=AT + timedelta(seconds=4),
        width=width,
        height=height,
        title="ami demo",
        places=plain_text.places(LISTENERS),
        consoles=plain_text.consoles(LISTENERS),
        wire="HES and meters, wrapper over TCP, hls-gmac",
        notice="stopping",
        looking=looking or Looking(),
        next_steps=partial(plain_text.next_steps, LISTENERS),
    )
    console.print(view.draw(model, frame), height=height)
    return console.export_text()


def test_the_live_view_shows_requests_steps_wire_and_events(model: DemoState) -> None:
    text = drawn(model, 140, 40)
    for expected in (
        "ami demo   CIS :8080   HES :8081   meters :4061 :4062   dial-in :4059",
        "up 4 s",
        "consoles   CIS http://127.0.0.1:8080  HES http://127.0.0.1:8081",
        "● 0 connected  ○ 1 disconnected  ◐ 0 ready  ▲ 0 no answer",
        "1 of 2 commands confirmed",
        "median 31 ms",
        "◐ PARTIAL",
        "Disconnect 3.31.0.23",
        "4711-a",
        "HES → M1001",
        "70 0-0:96.3.10*255",
        "● connected → ○ disconnected",
        "▲ 4.1 silence",
        "ACTION remote_disconnect",
        "000100010001",
        "M1002 dialled in",
        "Ctrl-C stop",
    ):
        assert expected in text, f"{expected!r} is missing in\n{text}"


def test_the_request_of_somebody_else_and_the_refusal_of_another_are_seen(model: DemoState) -> None:
    model.apply("hes", story.request_accepted("theirs-1"), AT)
    model.apply("hes", story.meter_done("theirs-1", story.DISCONNECT, "M1001"), AT)
    model.apply("hes", story.reply_sent("theirs-1"), AT)
    model.apply("hes", story.request_refused("theirs-2"), AT)
    for width, height in ((160, 50), (100, 30), (80, 24)):
        text = drawn(model, width, height)
        assert "RUNNING" not in text
        assert "▲ FAILED refused other" in " ".join(text.split()), text
        assert "Disconnect 3.31.0.23 other" in text, text
        assert "▲ 2.4 No such meter M9" in text, text
        assert "2 requests of others" in text, text


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (120, 40), (160, 50)])
def test_how_long_a_reading_took_and_its_values_are_seen_whole(width: int, height: int) -> None:
    model = DemoState(meters=story.METERS, started_at=AT)
    model.apply("cis", story.read_sent("the-reading"), AT)
    model.apply("cis", story.registers_read("the-reading", ("M1001", "13482.592")), AT)
    model.apply("cis", story.reply_received("the-reading", ms=1234.0), AT)
    text = drawn(model, width, height)
    requests, steps = text.split("Steps")
    assert re.search(r"● OK +Read +import +2 +━+ +1\.2 s", requests), text
    assert "M1001 import 13482.592 kWh" in steps, text
    if width != 100:
        assert "the-read" in requests, text


@pytest.mark.parametrize("width", [100, 120, 160])
def test_no_event_is_cut_before_its_word(model: DemoState, width: int) -> None:
    switched = story.switched("M1001")
    model.apply("meter", switched, AT)
    model.apply("meter", switched | {"after": story.READY}, AT)
    refused = story.association("M1001", "refused", "authentication-failure")
    model.apply("meter", refused, AT)
    text = " ".join(drawn(model, width, 40).split())
    assert "○ M1001 disconnected" in text
    assert "◐ M1001 ready for" in text
    for word in ("reconnection", "association:", "authentication-failur"):
        assert word in text, text


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (100, 31), (120, 37), (160, 50)])
def test_of_what_does_not_fit_the_newest_is_seen(model: DemoState, width: int, height: int) -> None:
    for number in range(40):
        model.apply("hes", APDU | {"name": f"APDU{number}"}, AT)
        model.apply("hes", story.dialled_in(f"M{number}", ""), AT)
    meters = tuple(f"M{number}" for number in range(40))
    model.apply("cis", story.request_sent("many", story.DISCONNECT, meters), AT)
    for meter in meters:
        model.apply("hes", story.meter_done("many", story.DISCONNECT, meter), AT)
    model.apply("cis", story.reply_received("many", ms=4711), AT)
    text = drawn(model, width, height)
    assert "HES → CIS" in text
    assert "HES → M39" in text
    if width >= 100:
        assert "M39 dialled in" in text
    if height >= 30:
        assert "APDU39" in text


def test_eighty_columns_are_enough_for_the_states_before_and_after(model: DemoState) -> None:
    text = drawn(model, 80, 24)
    assert "remote_disconnect  ● connected → ○ disconnected   12 ms" in text
    assert "1 of 2 commands confirmed" in text


@pytest.mark.parametrize(("width", "height"), [(80, 24), (60, 20), (40, 12), (200, 60)])
def test_the_live_view_fits_any_terminal(model: DemoState, width: int, height: int) -> None:
    lines = drawn(model, width, height).splitlines()
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    assert "Requests" in "\n".join(lines)


def test_the_live_view_begins_with_nothing() -> None:
    text = drawn(DemoState(meters=story.METERS, started_at=AT), 120, 40)
    assert "2 not asked yet" in text
    assert "median" not in text


def test_a_step_is_one_line(model: DemoState) -> None:
    lines = [plain_text.step(step) for step in model.steps]
    assert lines[0] == "03:04:05  CIS → HES       create EndDeviceControls: disconnect M1001, M1002  3.31.0.23"
    assert (
        lines[1]
        == "03:04:05  HES → M1001     remote_disconnect  70 0-0:96.3.10*255  connected → disconnected  ● OK  12 ms"
    )
    assert lines[2].endswith("connected → –  ▲ FAILED  12 ms  4.1 silence")
    assert lines[3] == "03:04:05  HES → CIS       reply  ◐ PARTIAL  31 ms  M1002 4.1 silence"
    event = decode("hes", APDU)
    assert isinstance(event, Apdu)
    assert plain_text.apdu(event).split() == ["HES", "→", "M1001", "ACTION", "remote_disconnect", "000100010001"]


def test_the_steps_are_those_of_the_newest_command_with_the_values_around_it() -> None:
    model = DemoState(meters=story.METERS, started_at=AT)
    for number, code in enumerate((story.DISCONNECT, story.CONNECT)):
        before, command, after = f"before-{number}", f"command-{number}", f"after-{number}"
        for message_id in (before, after):
            if message_id == after:
                model.apply("cis", story.request_sent(command, code), AT)
                model.apply("cis", story.reply_received(command), AT)
            model.apply("cis", story.read_sent(message_id), AT)
            model.apply("cis", story.registers_read(message_id, ("M1001", f"{message_id}")), AT)
            model.apply("cis", story.reply_received(message_id), AT)
    text = drawn(model, 140, 40)
    assert "import before-1" in text and "import after-1" in text
    assert "import before-0" not in text and "import after-0" not in text
    assert "of the newest command, create EndDeviceControls 3.31.0.18" in text


def test_readings_are_counted_beside_the_commands(model: DemoState) -> None:
    for message_id, result in (("r1", "OK"), ("r2", "PARTIAL")):
        model.apply("cis", story.read_sent(message_id), AT)
        model.apply("cis", story.reply_received(message_id, result), AT)
    assert "\n2 readings of registers, 1 of them in full\n" in plain_text.summary(model.summary())


def test_the_answer_to_a_request_of_an_earlier_demo_is_not_counted_as_of_this_one(model: DemoState) -> None:
    before = model.summary()
    model.apply("cis", story.reply_received("of-an-earlier-demo", "FAILED"), AT)
    after = model.summary()
    assert (after.requests, after.unfulfilled, after.counts) == (before.requests, before.unfulfilled, before.counts)
    assert after.others == {"FAILED": 1}


def test_the_totals_in_words(model: DemoState) -> None:
    assert plain_text.summary(model.summary()) == (
        "0 cycles: 0 disconnects confirmed; 1 of 2 commands confirmed by the meters\n"
        "request to reply: median 31 ms, longest 31 ms\n"
        "▲ 1 request not confirmed by every meter"
    )


def test_what_stays_on_the_screen(model: DemoState) -> None:
    console = Console(width=120, theme=view.THEME, file=io.StringIO(), record=True)
    console.print(view.closing(model.summary(), ["hes ended with exit code 3"]))
    text = console.export_text()
    assert "1 of 2 commands confirmed" in text
    assert "hes ended with exit code 3" in text


@pytest.mark.parametrize(
    ("ms", "text"), [(None, ""), (8.44, "8.4 ms"), (23.4, "23 ms"), (999, "999 ms"), (1234.0, "1.2 s")]
)
def test_durations(ms: float | None, text: str) -> None:
    assert formatting.took(ms) == text
