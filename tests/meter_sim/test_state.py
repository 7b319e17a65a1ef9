"""What a meter keeps over a restart: switch, energy, profile, clock, and counters that are never used twice."""

from __future__ import annotations

import json
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from bench import (
    CLOCK,
    COUNTER,
    EVENT_LOG,
    EXPORT,
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
    no_room,
    public_client,
    session,
    setup,
)

from ami_dlms import data
from ami_dlms.association import Opened
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_dlms.security.counters import COUNTER_END
from ami_meter_sim.meter.counters import RECEIVE_AHEAD, SEND_AHEAD, Counters
from ami_meter_sim.meter.setup import MeterSetup
from ami_meter_sim.meter.simulated_meter import Meter
from ami_meter_sim.meter.state import take_over_all
from ami_meter_sim.population.columns import Columns
from ami_meter_sim.population.journal import Change, StateUnusable
from ami_meter_sim.population.row import Row, row_in_memory
from ami_meter_sim.population.store import Store, WantedMeters

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
    assert one.meter.row.number != two.meter.row.number


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
    segment = bench.store.journal.segments[-1]
    dialogue = Dialogue(session(meter), gmac_client(1))
    assert isinstance(dialogue.open(), Opened)
    ends = set()
    for _ in range(400):
        dialogue.get(IMPORT)
        ends.add(segment.end)
    assert 4 <= len(ends) <= 400 / RECEIVE_AHEAD + 2


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


def test_counters_are_covered_until_one_of_them_is_used() -> None:
    row = row_in_memory()
    counters = Counters.of(row)
    assert counters.moved, "what was never looked at may not be covered"
    counters.reserve()
    counters.written()
    counters.cover(row)
    assert not counters.moved
    counters.send.take()
    assert counters.moved
    counters.cover(row)
    counters.receive.accept(7)
    assert counters.moved
    counters.cover(row)
    assert (row.send_next, row.receive_lowest, counters.moved) == (counters.send.next_value, 8, False)


def test_counters_that_the_journal_did_not_take_are_put_down_later() -> None:
    class Full:
        full = True

        def add(self, change: Change) -> None:
            if self.full:
                raise StateUnusable("there is no room")

    sink = Full()
    row = Row(Columns(1), 0, 0, sink)
    counters = Counters.of(row)
    counters.reserve()
    with pytest.raises(StateUnusable):
        counters.note(row)
    assert row.send_reserved < counters.send_from, "nothing may be sent that is not covered"
    sink.full = False
    counters.note(row)
    assert row.send_reserved == counters.send_from


# --- the store and its files


def test_all_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "meters")
    bench.start()
    files = list((tmp_path / "meters").iterdir())
    assert {file.suffix for file in files} >= {".sqlite", ".journal"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files if file.name != "in-use.lock"} == {0o600}


def test_rows_that_can_not_be_kept_are_a_hardware_fault_and_not_a_crash(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.start()
    with no_room(bench):
        assert bench.meter.act(method(SWITCH, 1), None, bench.at).result is ActionResult.SUCCESS
        with pytest.raises(StateUnusable, match="journal can't be written"):
            bench.store.journal.write()
        assert bench.meter.act(method(PROFILE, 2), None, bench.at).result is ActionResult.HARDWARE_FAULT
        written = bench.meter.set(attribute(SWITCH, 4), data.enum(3), bench.at)
        assert written is DataAccessResult.HARDWARE_FAULT
    assert bench.meter.act(method(PROFILE, 2), None, bench.at).result is ActionResult.SUCCESS
    bench.start()
    assert (bench.value(SWITCH), bench.value(PROFILE, 7)) == (False, 1), "what was tried without room came later"


def test_no_key_is_on_disk_or_in_a_repr(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    meter = bench.start(SECURED)
    meter.finish(bench.at)
    bench.store.journal.write()
    bench.start(SECURED)
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert bytes("M1001", "ascii") in kept
    security = SECURED.management.security
    assert security is not None
    for key in (security.keys.encryption_key, security.keys.authentication_key):
        assert key not in kept and key.hex().encode() not in kept.lower()
        for text in (repr(SECURED), repr(meter.profiles)):
            assert key.hex() not in text.lower() and repr(key) not in text


def test_time_in_the_state_is_readable(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.start()
    bench.meter.finish(bench.later(minutes=1))
    bench.store.close()
    with closing(sqlite3.connect(tmp_path / "meters.sqlite")) as store:
        (captured_until,) = store.execute("SELECT captured_until FROM rows").fetchone()
    assert datetime.fromtimestamp(captured_until, UTC) == START + timedelta(minutes=1)


# --- files of earlier versions

CONTENT = {
    "format": 1,
    "control_mode": 3,
    "control_state": 0,
    "configured_control_mode": 4,
    "import_ws": 5_000 * 3_600,
    "export_ws": 6_000 * 3_600,
    "offset_s": -7,
    "time_zone_minutes": -60,
    "configured_time_zone_minutes": 0,
    "event_code": 62,
    "profile_status": 0,
    "captured_until_s": int(START.timestamp()) - 3_600,
    "send_from": 1_001,
    "receive_from": 101,
}
ROW = data.encode(data.structure(data.octet_string(bytes(12)), data.unsigned(3)))


def left_by_an_earlier_version(directory: Path, **change: object) -> Path:
    path = directory / "M1001.json"
    path.write_text(json.dumps(CONTENT | change))
    return path


def taken_over(directory: Path, one: MeterSetup = SECURED) -> Bench:
    """A bench whose meter goes on where the files end."""
    bench = Bench(directory)
    with closing_on_error(Store.open(directory, [WantedMeters("M1001")])) as store:
        take_over_all(directory, [one], store)
        store.close()
    bench.start(one)
    return bench


@contextmanager
def closing_on_error(store: Store) -> Iterator[Store]:
    try:
        yield store
    except BaseException:
        store.abandon()
        raise


def test_a_meter_goes_on_where_an_earlier_version_left_it(tmp_path: Path) -> None:
    left_by_an_earlier_version(tmp_path)
    rows = tmp_path / "M1001.0-0_99.98.2_255.rows"
    rows.write_text(f"{ROW.hex()}\n{ROW.hex()}\n7468")
    bench = taken_over(tmp_path)
    assert [bench.value(SWITCH, number) for number in (2, 3, 4)] == [False, 0, 3]
    assert (bench.value(IMPORT), bench.value(EXPORT)) == (5_000, 6_000)
    assert bench.read(EVENT_LOG) == data.array(data.decode(ROW), data.decode(ROW)), "and the torn row is dropped"
    assert (bench.meter.row.clock_offset_s, bench.value(CLOCK, 3), bench.meter.row.event_code) == (-7, -60, 62)
    assert (bench.meter.counters.send.next_value, bench.meter.counters.receive.lowest_acceptable) == (1_001, 101)
    assert sorted(file.name for file in tmp_path.glob("M1001*")) == [
        "M1001.0-0_99.98.2_255.rows.imported",
        "M1001.json.imported",
    ]


def test_what_was_imported_is_never_read_again(tmp_path: Path) -> None:
    left_by_an_earlier_version(tmp_path, control_mode=4)
    bench = taken_over(tmp_path)
    bench.meter.act(method(SWITCH, 2), None, bench.at)
    left_by_an_earlier_version(tmp_path)
    bench.store.journal.write()
    bench.store.abandon()
    assert taken_over(tmp_path).value(SWITCH) is True


@pytest.mark.parametrize("change", [{"format": 2}, {"send_from": "9"}, {"send_from": True}, {"more": 1}])
def test_another_format_is_refused_by_name(tmp_path: Path, change: dict[str, object]) -> None:
    left_by_an_earlier_version(tmp_path, **change)
    with pytest.raises(StateUnusable, match=r"M1001\.json"):
        taken_over(tmp_path)
    assert (tmp_path / "M1001.json").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff"])
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "M1001.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(StateUnusable, match=r"M1001\.json"):
        taken_over(tmp_path)


def test_a_damaged_row_is_refused_by_name(tmp_path: Path) -> None:
    left_by_an_earlier_version(tmp_path)
    (tmp_path / "M1001.1-0_99.1.0_255.rows").write_text("no digits\n")
    with pytest.raises(StateUnusable, match=r"M1001\.1-0_99\.1\.0_255\.rows"):
        taken_over(tmp_path)
