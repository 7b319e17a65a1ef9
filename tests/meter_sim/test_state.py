"""What a meter keeps over a restart: switch, energy, profile, clock, and counters that are never used twice."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from bench import (
    CLOCK,
    COUNTER,
    EVENT_LOG,
    IMPORT,
    PROFILE,
    START,
    SWITCH,
    Bench,
    Dialogue,
    attribute,
    gmac,
    gmac_client,
    method,
    public_client,
    session,
    setup,
)

from ami_dlms import data
from ami_dlms.association import Opened
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import ActionResult
from ami_dlms.security.counters import COUNTER_END
from ami_meter_sim.meter.counters import RECEIVE_AHEAD, SEND_AHEAD, Counters
from ami_meter_sim.meter.simulated_meter import Meter
from ami_meter_sim.meter.state import MeterState, RowFile, StateError, StateFiles

SECURED = setup(management=gmac())


def counter_shown(meter: Meter) -> int:
    """What any client may read before it opens a secured association."""
    dialogue = Dialogue(session(meter), public_client())
    assert isinstance(dialogue.open(), Opened)
    value = dialogue.get(COUNTER).value
    assert value is not None and isinstance(value.value, int)
    return value.value


def frames_sent(dialogue: Dialogue) -> None:
    assert isinstance(dialogue.open(), Opened)
    for _ in range(5):
        dialogue.get(IMPORT)


def test_switch_energy_clock_and_event_survive(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    meter = bench.start()
    bench.later(minutes=30)
    assert meter.set(attribute(CLOCK, 2), data.octet_string(CosemDateTime.from_datetime(START).encode()), bench.at) == 0
    assert meter.act(method(SWITCH, 1), data.integer(0), bench.at).result is ActionResult.SUCCESS
    energy, profile, log = bench.value(IMPORT), bench.read(PROFILE), bench.read(EVENT_LOG)
    bench.start()  # no goodbye
    assert bench.value(SWITCH) is False
    assert bench.value(IMPORT) == energy
    assert (bench.read(PROFILE), bench.read(EVENT_LOG)) == (profile, log)
    assert CosemDateTime.decode(bench.value(CLOCK)).to_datetime() == START


def test_while_the_process_is_down_nothing_flows_and_the_next_row_says_so(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.start()
    bench.later(minutes=12)
    bench.meter.finish(bench.at)
    energy = bench.value(IMPORT)
    bench.later(days=2)
    bench.start()
    assert bench.value(IMPORT) == energy
    bench.later(minutes=30)
    assert [row.value[1].value for row in bench.value(PROFILE)] == [0, 0x80, 0]


def test_a_setup_that_changes_the_mode_wins_over_what_was_kept(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    meter = bench.start(setup(control_mode=4))
    meter.act(method(SWITCH, 1), None, bench.at)
    meter.set(attribute(SWITCH, 4), data.enum(3), bench.at)
    bench.start(setup(control_mode=4))
    assert [bench.value(SWITCH, number) for number in (2, 3, 4)] == [False, 0, 3], "the mode that a client wrote"
    bench.start(setup(control_mode=1))
    assert [bench.value(SWITCH, number) for number in (2, 3, 4)] == [False, 0, 1]
    bench.start(setup(control_mode=0))
    assert [bench.value(SWITCH, number) for number in (2, 3, 4)] == [True, 1, 0], "mode 0 is always connected"


def test_a_setup_that_changes_the_time_zone_wins(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.start(setup(time_zone_minutes=0))
    bench.start(setup(time_zone_minutes=-60))
    assert bench.value(CLOCK, 3) == -60


def test_two_meters_share_nothing(tmp_path: Path) -> None:
    one, two = Bench(tmp_path), Bench(tmp_path)
    one.start(setup("M1001"))
    two.start(setup("M1002"))
    one.meter.act(method(SWITCH, 1), None, START)
    one.later(hours=1)
    two.later(hours=1)
    assert (one.value(SWITCH), two.value(SWITCH)) == (False, True)
    assert (one.value(EVENT_LOG, 7), two.value(EVENT_LOG, 7)) == (1, 0)
    assert one.value(IMPORT) != two.value(IMPORT)
    one.meter.act(method(PROFILE, 1), None, one.at)
    assert (one.value(PROFILE, 7), two.value(PROFILE, 7)) == (0, 4)
    assert sorted(file.name for file in tmp_path.glob("*.json")) == ["M1001.json", "M1002.json"]


# --- invocation counters


def test_after_a_clean_end_the_counters_are_exact(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.start(SECURED)
    frames_sent(Dialogue(session(bench.meter), gmac_client(1)))
    sent, accepted = bench.meter.counters.send.next_value, counter_shown(bench.meter)
    bench.meter.finish(bench.at)
    bench.start(SECURED)
    assert bench.meter.counters.send.next_value == sent
    assert counter_shown(bench.meter) == accepted


def test_after_a_crash_no_counter_is_used_or_accepted_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.start(SECURED)
    frames_sent(Dialogue(session(bench.meter), gmac_client(1)))
    sent, accepted = bench.meter.counters.send.next_value, counter_shown(bench.meter)
    assert accepted >= 7
    bench.start(SECURED)
    assert bench.meter.counters.send.next_value >= sent
    shown = counter_shown(bench.meter)
    assert accepted <= shown <= accepted + RECEIVE_AHEAD
    refused = Dialogue(session(bench.meter), gmac_client(accepted + 1))
    assert shown > accepted and not isinstance(refused.open(), Opened), "inside the gap"
    assert isinstance(Dialogue(session(bench.meter), gmac_client(shown + 1)).open(), Opened)


def test_writes_are_bounded(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    meter = bench.start(SECURED)
    written = []
    original = meter.save
    meter.save = lambda: (written.append(1), original())[1]  # type: ignore[method-assign, func-returns-value]
    dialogue = Dialogue(session(meter), gmac_client(1))
    assert isinstance(dialogue.open(), Opened)
    for _ in range(400):
        dialogue.get(IMPORT)
    assert len(written) <= 400 / RECEIVE_AHEAD + 2


def test_reservations_stop_at_the_end_of_the_numbers() -> None:
    counters = Counters(COUNTER_END - 3, COUNTER_END - 3)
    counters.reserve()
    counters.written()
    assert (counters.send_from, counters.send.remaining) == (COUNTER_END, 3)
    assert counters.settled
    for _ in range(3):
        counters.send.take()
    counters.receive.accept(COUNTER_END - 1)
    counters.reserve()
    assert (counters.send_from, counters.receive_from) == (COUNTER_END, COUNTER_END)


def test_nothing_is_sent_beyond_what_is_written() -> None:
    counters = Counters(1, 1)
    assert not counters.settled and counters.send.remaining == 0
    counters.reserve()
    assert counters.send.remaining == 0, "not before it is written"
    counters.written()
    assert counters.send.limit == counters.send_from == 1 + SEND_AHEAD


# --- files

STATE = MeterState(
    control_mode=4,
    control_state=1,
    configured_control_mode=4,
    import_ws=5,
    export_ws=6,
    offset_s=-7,
    time_zone_minutes=-60,
    configured_time_zone_minutes=-60,
    event_code=62,
    profile_status=0,
    captured_until_s=8,
    send_from=9,
    receive_from=10,
)


def test_state_comes_back_as_it_went(tmp_path: Path) -> None:
    files = StateFiles(tmp_path, "M1001")
    assert files.load() is None
    files.save(STATE)
    assert files.load() == STATE
    assert [file.name for file in tmp_path.iterdir()] == ["M1001.json"]


@pytest.mark.parametrize("change", [{"format": 2}, {"send_from": "9"}, {"send_from": True}, {"more": 1}])
def test_another_format_is_refused_by_name(tmp_path: Path, change: dict[str, object]) -> None:
    files = StateFiles(tmp_path, "M1001")
    files.save(STATE)
    path = tmp_path / "M1001.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(StateError, match=r"M1001\.json"):
        files.load()


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff"])
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "M1001.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(StateError, match=r"M1001\.json"):
        StateFiles(tmp_path, "M1001").load()


def test_a_torn_row_is_dropped_and_the_next_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    first = RowFile(path, 10)
    first.append(b"one")
    first.append(b"two")
    path.write_bytes(path.read_bytes() + b"7468")
    assert RowFile(path, 10).read() == [b"one", b"two"]
    second = RowFile(path, 10)
    second.append(b"four")
    assert RowFile(path, 10).read() == second.read() == [b"one", b"two", b"four"]


def test_rows_that_can_not_be_kept_are_a_hardware_fault_and_not_a_crash(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.start()
    (tmp_path / "M1001.1-0_99.1.0_255.rows").mkdir()
    assert bench.refusal(PROFILE, 2).name == "HARDWARE_FAULT"
    assert bench.meter.act(method(PROFILE, 2), None, bench.at).result is ActionResult.HARDWARE_FAULT


def test_no_key_is_on_disk_or_in_a_repr(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    meter = bench.start(SECURED)
    meter.finish(bench.at)
    kept = (tmp_path / "M1001.json").read_text()
    security = SECURED.management.security
    assert security is not None
    for key in (security.keys.encryption_key, security.keys.authentication_key):
        for text in (kept, repr(SECURED), repr(meter.profiles)):
            assert key.hex() not in text.lower() and repr(key) not in text


def test_time_in_the_state_is_readable(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.start()
    bench.meter.finish(bench.later(minutes=1))
    kept = json.loads((tmp_path / "M1001.json").read_text())
    assert datetime.fromtimestamp(kept["captured_until_s"], UTC) == START + timedelta(minutes=1)
