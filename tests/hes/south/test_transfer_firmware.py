"""A meter is brought to another firmware, with the head-end or the connection killed at every step: it ends in the new version, or says why not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from firmware_meter import BLOCKS, CONTENT, IMAGE, SCHEDULE, ZONE, FirmwareLife, FirmwareMeter
from keyed_meter import Killed, Steps
from small_meter import eventually

from ami_dlms import data
from ami_dlms.enums import ActionResult
from ami_dlms.obis import Obis
from ami_hes.commands import Outcome
from ami_hes.operations import transfer_firmware
from ami_process.clocks import SteppedClock


@asynccontextmanager
async def a_meter(**settings: Any) -> AsyncIterator[FirmwareMeter]:
    meter = FirmwareMeter(**settings)
    await meter.listen()
    try:
        yield meter
    finally:
        await meter.close()


async def started(path: Path, meter: FirmwareMeter, **order: Any) -> Outcome:
    outcome = await FirmwareLife(path / "hes.sqlite", meter, []).start(**order)
    assert outcome is not None
    return outcome


async def test_a_meter_is_brought_to_the_new_version_and_a_second_time_nothing_is_sent(tmp_path: Path) -> None:
    async with a_meter() as meter:
        outcome = await started(tmp_path, meter)
        assert outcome.ok and outcome.attempted and outcome.reason == "M1001: version 2.0 was read back", outcome
        assert (meter.version, meter.came, meter.initiated, meter.activations) == (b"2.0", len(BLOCKS), 1, 1)
        sent = [one for one in meter.asked if one in ("ACTION", "SET")]
        again = await FirmwareLife(tmp_path / "hes.sqlite", meter, [], request_id="again").start()
        assert again is not None and again.ok and not again.attempted
        assert again.reason == "M1001: version 2.0 was there already; nothing was transferred"
        assert [one for one in meter.asked if one in ("ACTION", "SET")] == sent


@pytest.mark.parametrize("no_bits", [False, True])
async def test_only_blocks_that_are_not_there_are_sent_again(tmp_path: Path, no_bits: bool) -> None:
    async with a_meter(loses=lambda count: count in (1, 3), no_bits=no_bits, slow=3) as meter:
        outcome = await started(tmp_path, meter)
        assert outcome.ok and meter.version == b"2.0", outcome
        assert meter.taken == len(BLOCKS)
        if not no_bits:
            assert meter.came == len(BLOCKS) + 2


async def names_of_all_steps(path: Path, **order: Any) -> list[str]:
    async with a_meter() as meter:
        steps = Steps()
        meter.step = steps
        outcome = await FirmwareLife(path, meter, [], steps).start(**order)
        assert outcome is not None and outcome.ok
        return steps.names


async def test_the_steps_are_known(tmp_path: Path) -> None:
    names = await names_of_all_steps(tmp_path / "hes.sqlite")
    assert [name for name in names if "method" in name] == [
        f"the meter has {what}"
        for number in (1, *(2 for _ in BLOCKS), 3, 4)
        for what in (f"got method {number}", f"done method {number} and has not answered")
    ]
    kept = [name.removeprefix("after ") for name in names if name.startswith("after") and "kept" in name]
    assert kept == [
        "keys are kept",
        "the attempt is kept",
        "initiating is kept",
        "transferring is kept",
        "transferring is kept",
        "activating is kept",
    ]


KILLS: dict[str, Callable[[FirmwareLife, FirmwareMeter], None]] = {
    "the head-end is killed": lambda life, _: life.kill(),
    "the connection is lost": lambda _, meter: meter.hang_up(),
}


@pytest.mark.ci
@pytest.mark.parametrize("kill", KILLS)
async def test_the_meter_ends_in_the_new_version_whatever_is_killed_at_whatever_step(tmp_path: Path, kill: str) -> None:
    names = await names_of_all_steps(tmp_path / "uninterrupted.sqlite")
    for at, name in enumerate(names, 1):
        async with a_meter() as meter:
            life = FirmwareLife(tmp_path / f"{at}.sqlite", meter, [])
            steps = Steps(at, lambda life=life, meter=meter: KILLS[kill](life, meter))
            life.step = meter.step = steps
            first = None
            with suppress(Killed):
                first = await life.start()
            meter.step = lambda _: None
            if first is None:
                first = await FirmwareLife(life.path, meter, []).start()
            elif not first.ok:
                assert first.again, (name, first)
                first = await FirmwareLife(life.path, meter, []).start()
            assert first is not None and first.ok, (name, first)
            assert meter.version == b"2.0"
            assert meter.initiated <= 2 and meter.activations == 1, name
            assert meter.taken <= len(BLOCKS), (name, "what was there is not sent again")


PERMANENT: tuple[tuple[dict[str, Any], str, str], ...] = (
    (
        {"loses": lambda _: True},
        "5.3",
        "confirms blocks of the image and has none of them afterwards (0 of 3 are there)",
    ),
    ({"verifies": False}, "5.3", "has all blocks of the image and its verification fails"),
    ({"activates": False}, "5.3", "was told several times to activate the image and runs the former one"),
    ({"refusal": {1: ActionResult.OTHER_REASON}}, "5.3", "refused a step of the image transfer (other-reason)"),
    ({"refusal": {2: ActionResult.OTHER_REASON}}, "5.3", "transferring block 0: the meter has refused a step"),
)


@pytest.mark.parametrize(("settings", "code", "why"), PERMANENT)
async def test_a_fault_that_stays_is_a_failure_with_its_reason(
    tmp_path: Path, settings: dict[str, Any], code: str, why: str
) -> None:
    async with a_meter(**settings) as meter:
        outcome = await started(tmp_path, meter)
        assert not outcome.ok and not outcome.again and outcome.code == code and why in outcome.reason, outcome
        assert meter.version == b"1.0"
        told = "may have been ordered" if meter.activations else "nothing was activated"
        assert told in outcome.reason


async def test_what_another_image_has_left_is_not_gone_on_with(tmp_path: Path) -> None:
    async with a_meter(verifies=False) as meter:
        other = replace(IMAGE, identifier="fw-1", sha256=sha256(bytes(len(CONTENT))).hexdigest())
        await started(tmp_path, meter, image=other, content=bytes(len(CONTENT)))
        meter.verifies = True
        life = FirmwareLife(tmp_path / "hes.sqlite", meter, [], request_id="another")
        outcome = await life.start()
        assert outcome is not None and outcome.ok and meter.version == b"2.0"
        assert meter.told == (b"fw-2", len(CONTENT))


@pytest.mark.parametrize("slow", [0, 3])
async def test_a_meter_may_call_the_image_otherwise_than_it_was_told(tmp_path: Path, slow: int) -> None:
    """Found out in the run that verifies, or in a later one."""
    async with a_meter(calls_it=b"V2", slow=slow, restarts=False) as meter:
        outcome = await started(tmp_path, meter)
        assert outcome.ok and (meter.version, meter.initiated, meter.activations) == (b"2.0", 1, 1), outcome


async def test_another_campaign_goes_on_with_the_same_image(tmp_path: Path) -> None:
    async with a_meter(refusal={3: ActionResult.OTHER_REASON}) as meter:
        assert not (await started(tmp_path, meter)).ok
        meter.refusal = {}
        outcome = await FirmwareLife(tmp_path / "hes.sqlite", meter, [], request_id="another").start()
        assert outcome is not None and outcome.ok
        assert (meter.came, meter.initiated) == (len(BLOCKS), 1)


async def test_a_schedule_is_written_in_the_time_of_the_meter_and_nothing_is_asked_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=40)
    async with a_meter() as meter:
        life = FirmwareLife(tmp_path / "hes.sqlite", meter, [])
        waits: list[float] = []

        async def until_it_waits(after_s: float) -> None:
            waits.append(after_s)
            if after_s > 1:
                life.kill()

        monkeypatch.setattr("keyed_meter.pause", until_it_waits)
        with suppress(Killed):
            assert await life.start(activate_at=at) is None
        assert waits[-1] == transfer_firmware.LOOK_AT_CLOCK_S
        (entry,) = meter.values[SCHEDULE].value
        time, date = (one.value for one in entry.value)
        local = at.astimezone(ZONE)
        assert date[:4] == local.year.to_bytes(2, "big") + bytes((local.month, local.day))
        assert time[:3] == bytes((local.hour, local.minute, local.second))
        assert (meter.version, meter.activations, meter.status) == (b"1.0", 0, 3)
        asked = len(meter.asked)
        second = FirmwareLife(life.path, meter, [])
        life = second
        with suppress(Killed):
            assert await second.start(activate_at=at) is None
        assert len(meter.asked) == asked, "it is waited for without the meter"
        cancelled = await FirmwareLife(life.path, meter, []).start(activate_at=at, is_cancelled=lambda: True)
        assert cancelled is not None and (cancelled.ok, cancelled.code) == (False, "6.5"), cancelled
        assert "its schedule is empty again" in cancelled.reason and "nothing was activated" in cancelled.reason
        assert meter.values[SCHEDULE] == data.array()


async def test_a_schedule_of_another_script_is_not_written(tmp_path: Path) -> None:
    """class 22 attribute 2: what it would execute."""
    at = datetime.now(UTC) + timedelta(days=40)
    script = (SCHEDULE[0], 2)
    async with a_meter() as meter:
        meter.values[script] = data.structure(data.octet_string(Obis.parse("0-0:10.0.106*255")), data.long_unsigned(1))
        outcome = await started(tmp_path, meter, activate_at=at)
        assert (outcome.ok, outcome.code) == (False, "5.2") and "executes another script" in outcome.reason, outcome
        assert meter.values[SCHEDULE] == data.array()


async def test_a_cancelled_transfer_says_how_far_it_came(tmp_path: Path) -> None:
    async with a_meter(refusal={3: ActionResult.OTHER_REASON}) as meter:
        await started(tmp_path, meter)
        outcome = await started(tmp_path, meter, is_cancelled=lambda: True)
        assert (outcome.ok, outcome.code) == (False, "6.5")
        assert "3 of 3 blocks were there; nothing was activated" in outcome.reason


T = datetime(2026, 11, 30, 1, tzinfo=UTC)


async def at_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, meter: FirmwareMeter, late: timedelta, *, fires: bool
) -> Outcome:
    """With a clock that is moved on to the time of activation, and so much further, as soon as it is waited for."""
    clock = SteppedClock(T - timedelta(hours=1))

    async def wait(after_s: float) -> None:
        if after_s >= transfer_firmware.LOOK_AT_CLOCK_S and clock.now() < T:
            if fires:
                meter.activate_by_schedule()
            await clock.advance_to(T + late)

    monkeypatch.setattr("keyed_meter.pause", wait)
    outcome = await FirmwareLife(tmp_path / "hes.sqlite", meter, [], clock=clock).start(activate_at=T)
    assert outcome is not None
    return outcome


async def test_what_its_schedule_has_activated_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_meter() as meter:
        outcome = await at_its_time(tmp_path, monkeypatch, meter, timedelta(0), fires=True)
        assert outcome.ok and (meter.version, meter.activations) == (b"2.0", 0), outcome


async def test_a_schedule_that_does_nothing_is_a_failure_once_its_time_is_long_past(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_meter() as meter:
        late = transfer_firmware.SCHEDULE_GRACE + timedelta(seconds=1)
        outcome = await at_its_time(tmp_path, monkeypatch, meter, late, fires=False)
        assert (outcome.ok, outcome.code) == (False, "5.3")
        assert "has not activated it at its time (it was for 2026-11-30T01:00:00+00:00)" in outcome.reason
        assert "may have been ordered" in outcome.reason


async def test_a_time_that_is_past_when_the_image_is_verified_activates_nothing(tmp_path: Path) -> None:
    async with a_meter() as meter:
        outcome = await started(tmp_path, meter, activate_at=T - timedelta(days=9_000))
        assert (outcome.ok, outcome.code, meter.status) == (False, "5.2", 3)
        assert "was past before the image was verified" in outcome.reason and "nothing was activated" in outcome.reason


async def test_a_meter_that_is_slow_gets_a_block_in_each_run_and_is_left_to_others_between_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer_firmware, "SLICE_S", -1.0)
    async with a_meter() as meter:
        outcome = await started(tmp_path, meter)
        assert outcome.ok and meter.came == len(BLOCKS), outcome
        assert meter.asked.count("open 1") >= len(BLOCKS)


async def test_a_meter_that_dials_in_is_waited_for_without_a_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter = FirmwareMeter()
    life = FirmwareLife(tmp_path / "hes.sqlite", meter, [])
    calls = 0

    async def dial(after_s: float) -> None:
        nonlocal calls
        assert life.meters is not None and life.meters.listening is not None
        if after_s == transfer_firmware.DIALS_IN_S:
            calls += 1
            await meter.dial(life.meters.listening)
            await eventually(lambda: life.meters is not None and life.meters.is_there(life.registered))

    monkeypatch.setattr("keyed_meter.pause", dial)
    try:
        outcome = await life.start()
    finally:
        await meter.close()
    assert outcome is not None and outcome.ok and meter.version == b"2.0", outcome
    assert calls == 2, "once before, and once after its restart"


async def test_what_is_cancelled_in_the_middle_of_a_run_is_not_activated(tmp_path: Path) -> None:
    async with a_meter() as meter:
        outcome = await started(tmp_path, meter, is_cancelled=lambda: meter.came == len(BLOCKS))
        assert (outcome.ok, outcome.code, meter.activations) == (False, "6.5", 0), outcome
        assert "3 of 3 blocks were there; nothing was activated" in outcome.reason
