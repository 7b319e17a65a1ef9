"""Sum of intervals = register difference, always: against a plain account of what flowed, whatever happens to the meter.

The account is kept by the test: it walks through what happens and adds up the house's flow while there is power and the switch is closed. The meter has to
show the same when it is read on the way, and in the rows of its profile when all is over.
"""

from __future__ import annotations

import hashlib
import itertools
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from devices import CLOCK, Inside, described
from hypothesis import given, settings
from hypothesis import strategies as st
from sizes import examples

from ami_dlms import data
from ami_dlms.cosem.selection import CaptureObject
from ami_dlms.data import to_python
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_dlms.obis import Obis
from ami_meter_sim.clock.daylight_saving import DaylightSaving
from ami_meter_sim.load import House, house
from ami_meter_sim.load import HouseKind as HouseKind
from ami_meter_sim.objects.computed_rows import instants
from ami_meter_sim.objects.memory import Record, RecordKind
from ami_meter_sim.objects.periods import every

IMPORT, EXPORT = (3, "1-0:1.8.0"), (3, "1-0:2.8.0")
TARIFFS = ((3, "1-0:1.8.1"), (3, "1-0:1.8.2"))
PROFILE = (7, "1-0:99.1.0")
ROLL_OVER = 100_000
"""Watt-hours, in thousandths: some tens of kilowatt-hours, so that it happens."""
STARTS = [datetime(2026, 3, 27, 7, 3, 11, tzinfo=UTC), datetime(2026, 10, 23, 21, 59, 59, tzinfo=UTC)]
EUROPE = DaylightSaving(CosemDateTime(None, 3, 0xFE, 7, 2, 0, 0), CosemDateTime(None, 10, 0xFE, 7, 3, 0, 0), 60, True)
EVENTS = st.one_of(
    st.tuples(st.just("power"), st.booleans()),
    st.tuples(st.just("switch"), st.sampled_from([0, 1, 2])),
    st.tuples(st.just("clock"), st.integers(-5_000, 5_000)),
    st.tuples(st.just("tariff"), st.sampled_from([1, 2, 3])),
    st.tuples(st.just("load"), st.integers(-4_000, 4_000)),
    st.tuples(st.just("billing"), st.none()),
    st.tuples(st.just("reset"), st.none()),
    st.tuples(st.just("read"), st.none()),
)
STEPS = st.lists(st.tuples(st.integers(0, 40_000), EVENTS), max_size=25)


@dataclass
class Account:
    """What flowed, in watt-seconds, kept step by step."""

    house: House
    at: int
    powered: bool = True
    closed: bool = True
    tariff: int = 1
    watts: int = 0
    history: list[tuple[int, bool, int, int]] = field(default_factory=list)

    def note(self) -> None:
        """From this second on it is like this."""
        self.history.append((self.at, self.powered and self.closed, self.tariff, self.watts))

    def until(self, second: int, tariff: int | None = None) -> tuple[int, int]:
        """Import and export since the beginning, of one tariff or of all."""
        imported = exported = 0
        ends = [since for since, *_ in self.history[1:]] + [second]
        for (since, flowing, in_force, watts), end in zip(self.history, ends, strict=True):
            if flowing and since < min(end, second) and tariff in (None, in_force):
                begin, stop = since, min(end, second)
                imported += self.house.import_ws(stop) - self.house.import_ws(begin) + max(watts, 0) * (stop - begin)
                exported += self.house.export_ws(stop) - self.house.export_ws(begin) + max(-watts, 0) * (stop - begin)
        return imported, exported


def meter(start: datetime, house: House) -> Inside:
    columns = tuple(CaptureObject(c, Obis.parse(o), 2) for c, o in (CLOCK, IMPORT, EXPORT, *TARIFFS))
    fine = {"type": "long64-unsigned"}
    inside = Inside(
        described(IMPORT, value="import_energy_wh", options=fine | {"roll_over": ROLL_OVER}),
        described(EXPORT, value="export_energy_wh", scaler=-3, options=fine),
        *(described(TARIFFS[n], value=f"import_energy_t{n + 1}_wh", scaler=-3, options=fine) for n in range(2)),
        described(PROFILE, version=1, columns=columns, capture_period=900, profile_entries=2_000),
        at=start,
        zone=-60,
        house=house,
    )
    inside.device.clock.daylight_saving = EUROPE
    return inside


def passed_ends(start: int, end: int, sets: list[tuple[int, int]], off: list[tuple[int, int]]) -> list[int]:
    """Every second at which the clock passes a quarter of an hour, by looking at all of them."""
    found: list[int] = []
    for number, (since, offset) in enumerate(sets):
        until = sets[number + 1][0] if number + 1 < len(sets) else end
        shown = (np.arange(since, until + 1) + offset) // 900
        found += (since + 1 + np.flatnonzero(np.diff(shown) > 0)).tolist()
    return [one for one in found if start < one <= end and not any(a < one < b for a, b in off)]


@pytest.mark.ci
@settings(max_examples=examples(60))
@given(STEPS, st.sampled_from(HouseKind), st.integers(0, 2**64 - 1), st.sampled_from(STARTS))
def test_sum_of_intervals_is_the_difference_of_registers(
    steps: list[tuple[int, tuple[str, object]]], kind: HouseKind, seed: int, start: datetime
) -> None:
    behind = house(seed, kind)
    inside, account = meter(start, behind), Account(behind, int(start.timestamp()))
    first = account.at
    account.note()
    at_start = [inside.found(name).quantity.fine(inside.device.metering, first) for name in (IMPORT, EXPORT, *TARIFFS)]
    base, resets, sets, off = at_start[0], [], [(first - 10**6, 0)], []
    reads: list[tuple[int, int]] = []
    for gap, (event, parameter) in steps:
        inside.later(seconds=gap)
        account.at += gap
        device, now = inside.device, inside.device.clock.at

        def record(kind: RecordKind, number: int = 0) -> None:
            inside.device.history.happened(Record(inside.device.clock.at, kind, number=number))

        match event, parameter:
            case "power", bool(up) if up is not account.powered:
                record(RecordKind.POWER_UP if up else RecordKind.POWER_DOWN)
                account.powered = up
                if up:
                    off[-1] = (off[-1][0], account.at)
                else:
                    off.append((account.at, 1 << 40))
            case "switch", int(state):
                record(RecordKind.SWITCH, state)
                account.closed = state == 1
            case "clock", int(seconds):
                wanted = device.clock.time + timedelta(seconds=seconds)
                value = data.octet_string(CosemDateTime.from_datetime(wanted).encode())
                assert inside.write(CLOCK, 2, value) is DataAccessResult.SUCCESS
                sets.append((account.at, int((wanted - now).total_seconds())))
            case "tariff", int(number):
                record(RecordKind.TARIFF, number)
                account.tariff = number
            case "load", int(watts):
                record(RecordKind.LOAD, watts)
                account.watts = watts
            case "billing", _:
                record(RecordKind.BILLING)
            case "reset", _:
                assert inside.act(IMPORT, 1, data.integer(0)) is ActionResult.SUCCESS
                base = at_start[0] + account.until(account.at)[0]
                resets.append((account.at, base))
            case _:
                reads.append((account.at, inside.read(EXPORT)))
        account.note()
        assert (
            inside.read(IMPORT)
            == (at_start[0] + account.until(account.at)[0] - (base if resets else 0)) // 3600 % ROLL_OVER
        )
        for n, name in enumerate(TARIFFS):
            expected = at_start[2 + n] + account.until(account.at, n + 1)[0]
            assert inside.read(name) == expected // 3600 * 1000 + expected % 3600 * 1000 // 3600
    inside.later(hours=3)
    end = int(inside.device.clock.at.timestamp())
    seconds = instants(inside.device, every(900), 900, first, 2_000).tolist()
    assert seconds == passed_ends(first, end, sets, off)
    rows = to_python(inside.found(PROFILE).read(2))[-len(seconds) :] if seconds else []
    for second, row in zip(seconds, rows, strict=True):
        imported, exported = account.until(second)
        since = max((taken for at, taken in resets if at < second), default=0)
        assert row[1] == (at_start[0] + imported - since) // 3600 % ROLL_OVER
        assert row[2] == (at_start[1] + exported) * 1000 // 3600
        assert row[3] == (at_start[2] + account.until(second, 1)[0]) * 1000 // 3600
    intervals = sum(b[2] - a[2] for a, b in itertools.pairwise(rows))
    assert intervals == (rows[-1][2] - rows[0][2] if rows else 0)
    for second, shown in reads:
        assert inside.found(EXPORT).measured(second) == shown, "the past does not change"


def test_two_processes_give_the_same_bytes() -> None:
    """A meter with a history, read as octets in two processes of their own."""
    places = [str(place) for place in Path(__file__).parents[:2]]
    program = f"import sys; sys.path[:0] = {places!r}; import test_sums; test_sums.print_digest()"
    outputs = {
        subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=120).stdout
        for _ in range(2)
    }
    assert len(outputs) == 1 and len(outputs.pop().strip()) == 64


def print_digest() -> None:
    """For the test above."""
    digest = hashlib.sha256()
    for kind in HouseKind:
        inside = meter(STARTS[0], house(4711, kind))
        for number, one in enumerate((RecordKind.POWER_DOWN, RecordKind.POWER_UP, RecordKind.TARIFF, RecordKind.LOAD)):
            inside.later(hours=7)
            inside.device.history.happened(Record(inside.device.clock.at, one, number=number))
        inside.later(days=9)
        digest.update(data.encode(inside.found(PROFILE).read(2)))
    print(digest.hexdigest())
