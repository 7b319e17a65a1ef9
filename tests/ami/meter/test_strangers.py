"""Meters of strangers: what each does that ours never do, and what `ami meter` makes of it: exit code and decisive words.

The meters are `fake_meter.FakeMeter`, which shares no code with the project.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import fake_meter as fake
import pytest
from fake_meter import FakeMeter, Quirks, Value, obis
from meter_bench import Ami, Fleet, Result

PROFILE, ENERGY, CLOCK = obis("1-0:99.1.0"), obis("1-0:1.8.0"), obis("0-0:1.0.0")
OBJECT_LIST = (15, obis("0-0:40.0.0"), 2)
TIME_COLUMN = fake.structure(fake.long_unsigned(8), fake.octets(CLOCK), fake.integer(2), fake.long_unsigned(0))
ENERGY_COLUMN = fake.structure(fake.long_unsigned(3), fake.octets(ENERGY), fake.integer(2), fake.long_unsigned(0))
DAY = [
    fake.structure(
        fake.octets(fake.date_time(2026, 11, 27, 5, number // 4, number % 4 * 15)),
        fake.double_long_unsigned(1000 + number),
    )
    for number in range(96)
]
LIST = [
    fake.entry(8, 0, "0-0:1.0.0", [(2, 1)]),
    fake.entry(3, 0, "1-0:1.8.0", [(2, 1), (3, 1)]),
    fake.entry(7, 1, "1-0:99.1.0", [(number, 1) for number in range(1, 9)]),
]
READ = ("read", "1-0:1.8.0", 2, "--class", 3)
BETWEEN = ("profile", "1-0:99.1.0", "--from", "2026-11-27T10:00", "--to", "2026-11-27T10:30")


def objects(over: dict[fake.Place, Value] | None = None) -> dict[fake.Place, Value]:
    """A clock, a register, a profile of one day, and the list of the three."""
    return {
        OBJECT_LIST: fake.array(*LIST),
        (8, CLOCK, 2): fake.octets(fake.date_time(2026, 11, 28, 6, 12, 0)),
        (3, ENERGY, 2): fake.double_long_unsigned(1234),
        (3, ENERGY, 3): fake.structure(fake.integer(0), fake.enum(30)),
        (7, PROFILE, 2): fake.array(*DAY),
        (7, PROFILE, 3): fake.array(TIME_COLUMN, ENERGY_COLUMN),
        (7, PROFILE, 4): fake.double_long_unsigned(900),
        (7, PROFILE, 7): fake.double_long_unsigned(96),
        **(over or {}),
    }


class Run(Protocol):
    """`ami meter` at a fake meter."""

    def __call__(self, meter: FakeMeter, *arguments: object, timeout: float = 0.5) -> Result: ...


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.setenv("AMI_METER_COUNTERS", str(tmp_path / "counters.json"))
    ami = Ami(Fleet(tmp_path, []))
    with ExitStack() as stack:

        def call(meter: FakeMeter, *arguments: object, timeout: float = 0.5) -> Result:
            port = stack.enter_context(meter.running()).port
            where = ("--host", "127.0.0.1", "--port", port, "--timeout", timeout)
            how = ("--transport", "hdlc") if meter.transport == "hdlc" else ()
            return ami.run(*arguments, *where, *how)

        yield call


def test_the_meter_itself_is_read(run: Run) -> None:
    for transport in ("wrapper", "hdlc"):
        assert "1234 Wh" in run(FakeMeter(objects(), transport), *READ[:2], "--client", 16).ok().out


# --- M1: an answer came, and was dropped


def other_invoke_id(meter: FakeMeter, apdu: bytes) -> bytes | None:
    """Every answer to a GET under invoke id 0."""
    if apdu[0] != 0xC0:
        return None
    usual = meter.usual(apdu)
    return usual[:2] + b"\xc0" + usual[3:]


def test_an_answer_under_a_foreign_invoke_id(run: Run) -> None:
    dropped = run(FakeMeter(objects(), quirks=Quirks(script=other_invoke_id)), *READ)
    assert dropped.code == 7 and "no answer in time" not in dropped.err
    assert "an answer came under invoke id 0, 1 was asked" in dropped.err and "--any-invoke-id" in dropped.err
    taken = run(FakeMeter(objects(), quirks=Quirks(script=other_invoke_id)), *READ, "--any-invoke-id")
    assert "1234" in taken.ok().out


def test_an_error_under_a_foreign_invoke_id(run: Run) -> None:
    """As a server of gurux answers errors: with invoke id 1, whatever was asked."""

    def script(meter: FakeMeter, apdu: bytes) -> bytes | None:
        return bytes.fromhex("C401C10104") if apdu[:3] == b"\xc0\x01\xc2" else None

    dropped = run(FakeMeter(objects(), quirks=Quirks(script=script)), *READ[:3])
    assert dropped.code == 7 and "under invoke id 1, 2 was asked" in dropped.err
    taken = run(FakeMeter(objects(), quirks=Quirks(script=script)), *READ[:3], "--any-invoke-id")
    assert taken.code == 1 and "the meter answers object-undefined" in taken.err


def test_wrapper_ports_that_are_not_swapped(run: Run) -> None:
    dropped = run(FakeMeter(objects(), quirks=Quirks(swapped=False)), *READ, "--client", 32)
    assert dropped.code == 7 and "an answer came from 32 to 1, and not from 1 to 32" in dropped.err
    assert "--any-address" in dropped.err
    taken = run(FakeMeter(objects(), quirks=Quirks(swapped=False)), *READ, "--client", 32, "--any-address")
    assert "1234" in taken.ok().out


def test_an_answer_from_another_hdlc_address(run: Run) -> None:
    odd = Quirks(answers_as=bytes.fromhex("0223"))
    dropped = run(FakeMeter(objects(), "hdlc", odd), *READ)
    assert dropped.code == 7 and "a frame came from 1/17, and not from 1" in dropped.err
    assert "--physical 17" in dropped.err and "--any-address" in dropped.err
    assert "1234" in run(FakeMeter(objects(), "hdlc", odd), *READ, "--any-address").ok().out


def test_a_frame_with_a_bad_check(run: Run) -> None:
    def flip(frame: bytes) -> bytes:
        return frame[:-3] + bytes((frame[-3] ^ 1,)) + frame[-2:]

    dropped = run(FakeMeter(objects(), "hdlc", Quirks(spoil=flip)), *READ)
    assert dropped.code == 7 and "its check (FCS) is" in dropped.err and "by its octets it would be" in dropped.err


def test_answers_that_are_cut_short(run: Run) -> None:
    cut = run(FakeMeter(objects(), "hdlc", Quirks(spoil=lambda frame: frame[:-4])), *READ)
    assert cut.code == 7 and "cut short" in cut.err
    half = run(FakeMeter(objects(), quirks=Quirks(spoil=lambda pdu: pdu[:-4])), *READ)
    assert half.code == 7 and "its header says 43 octets, 39 came" in half.err


def test_a_late_answer_before_the_right_one(run: Run) -> None:
    def script(meter: FakeMeter, apdu: bytes) -> bytes | None:
        if apdu[0] != 0xC0:
            return None
        usual = meter.usual(apdu)
        meter.quirks.before = usual[:2] + b"\xcf" + usual[3:]
        return usual

    told = run(FakeMeter(objects(), quirks=Quirks(script=script)), *READ).ok()
    assert "1234" in told.out and "an answer came under invoke id 15, 1 was asked" in told.err


def test_octets_that_are_no_frame(run: Run) -> None:
    dropped = run(FakeMeter(objects(), "hdlc", Quirks(spoil=lambda frame: b"/AMI5\r\n")), *READ)
    assert dropped.code == 7 and "no HDLC frame" in dropped.err and "2F 41 4D 49 35 0D 0A" in dropped.err
