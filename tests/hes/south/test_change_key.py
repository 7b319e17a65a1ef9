"""A key is changed at a meter, with the head-end or the connection killed at every step: no meter is lost, no counter is used twice."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from keyed_meter import KeyedMeter, Killed, Life, Steps
from patience import PATIENCE_S

from ami_dlms.enums import ActionResult
from ami_hes.meters.faults import MeterFault
from ami_hes.store import CounterRange
from ami_process.environment import real_time
from ami_process.store.errors import StoreUnavailable

Ranges = list[tuple[str, CounterRange]]


@asynccontextmanager
async def a_meter(**settings: Any) -> AsyncIterator[KeyedMeter]:
    meter = KeyedMeter(**settings)
    await meter.listen()
    try:
        yield meter
    finally:
        await meter.close()


def check_ranges(ranges: Ranges) -> None:
    """No value of an invocation counter was handed out twice under one key."""
    by_key: dict[str, list[CounterRange]] = {}
    for key_id, given in ranges:
        by_key.setdefault(key_id, []).append(given)
    for given in by_key.values():
        ordered = sorted(given)
        assert all(one.limit <= other.first for one, other in pairwise(ordered)), ordered


def settled(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return sorted(purpose for (purpose,) in connection.execute("SELECT purpose FROM changed_keys"))


@pytest.mark.parametrize("field", ["encryption_key", "authentication_key"])
async def test_a_key_is_changed_and_seen_in_force(tmp_path: Path, field: str) -> None:
    async with a_meter() as meter:
        entry, former = meter.entry(), getattr(meter, field)
        life = Life(tmp_path / "hes.sqlite", meter, [], entry=entry)
        outcome = await life.change(field)
        assert outcome is not None and outcome.ok and outcome.attempted, outcome
        assert getattr(meter, field) != former and meter.transfers == 1
        assert outcome.reason == f"M1001: the new {field} is in force: an association was opened under it"
        again = Life(tmp_path / "hes.sqlite", meter, [], entry=entry)
        assert getattr(await again.opens(), field) == getattr(meter, field), "the entry is the former one"
        written = b"".join(one.read_bytes() for one in tmp_path.iterdir())
        assert getattr(meter, field) not in written and former not in written


async def test_the_same_command_again_changes_nothing_and_another_one_does(tmp_path: Path) -> None:
    async with a_meter() as meter:
        entry = meter.entry()
        for request_id, transfers in (("one", 1), ("one", 1), ("two", 2)):
            outcome = await Life(tmp_path / "hes.sqlite", meter, [], entry=entry).change(request_id=request_id)
            assert outcome is not None and outcome.ok and meter.transfers == transfers


async def test_an_entry_with_another_key_has_the_say_again(tmp_path: Path) -> None:
    async with a_meter() as meter:
        entry = meter.entry()
        await Life(tmp_path / "hes.sqlite", meter, [], entry=entry).change()
        meter.encryption_key = bytes(16)  # changed by others, who have written it down
        now = await Life(tmp_path / "hes.sqlite", meter, []).opens()
        assert now.encryption_key == bytes(16)


async def names_of_all_steps(path: Path, **settings: Any) -> list[str]:
    async with a_meter(**settings) as meter:
        steps = Steps()
        meter.step = steps
        outcome = await Life(path, meter, [], steps, entry=meter.entry()).change()
        assert outcome is not None and outcome.ok
        return steps.names


async def test_the_steps_are_known(tmp_path: Path) -> None:
    names = await names_of_all_steps(tmp_path / "hes.sqlite")
    kept = [f"{when} {what}" for what in ("keys are kept", "the attempt is kept") for when in ("before", "after")]
    meter = ["the meter has got the key", "the meter has taken the key and has not answered"]
    counters = [f"{when} counters are reserved" for when in ("before", "after")]
    assert (
        [name for name in names if "tried" not in name]
        == [
            *("before keys are kept", "after keys are kept"),  # the entry is imported
            *counters,
            *kept,
            *meter,
            *counters,
            *kept[:2],
        ]
    )


KILLS: dict[str, Callable[[Life, KeyedMeter], None]] = {
    "the head-end is killed": lambda life, _: life.kill(),
    "the connection is lost": lambda _, meter: meter.hang_up(),
    "both": lambda life, meter: (life.kill(), meter.hang_up())[0],
}


SMALL = "the head-end is killed", False
"""What `make test` runs of the matrix: some 50 lives of a head-end."""
EACH = [
    pytest.param(kill, anew, marks=() if (kill, anew) == SMALL else pytest.mark.ci)
    for kill in KILLS
    for anew in (False, True)
]


@pytest.mark.parametrize(("kill", "new_counters"), EACH)
async def test_no_meter_is_lost_whatever_is_killed_at_whatever_step(
    tmp_path: Path, kill: str, new_counters: bool
) -> None:
    names = await names_of_all_steps(tmp_path / "uninterrupted.sqlite", new_counters=new_counters)
    for at in range(1, len(names) + 1):
        path, ranges = tmp_path / f"{at}.sqlite", []
        async with a_meter(new_counters=new_counters) as meter:
            entry, former = meter.entry(), meter.encryption_key
            life = Life(path, meter, ranges, entry=entry)
            steps = Steps(at, lambda life=life, meter=meter: KILLS[kill](life, meter))
            life.step = meter.step = steps
            with suppress(Killed):
                await life.change()
            assert life.dead == ("head-end" in kill or kill == "both")
            meter.step = lambda _: None
            next_life = Life(path, meter, ranges, entry=entry)
            assert (await next_life.opens()).encryption_key == meter.encryption_key, f"lost after {names[at - 1]}"
            last = Life(path, meter, ranges, entry=entry)
            outcome = await last.change()
            assert outcome is not None and outcome.ok, f"{names[at - 1]}: {outcome}"
            assert last.known is not None and last.known.encryption_key == meter.encryption_key != former
            assert settled(path) == ["in force encryption_key", "of entry encryption_key"]
        check_ranges(ranges)


async def test_a_meter_that_only_says_so_keeps_its_key_and_is_not_lost(tmp_path: Path) -> None:
    async with a_meter(takes=False) as meter:
        entry, former, ranges = meter.entry(), meter.encryption_key, []
        path = tmp_path / "hes.sqlite"
        outcome = await Life(path, meter, ranges, entry=entry).change()
        assert outcome is not None and (outcome.ok, outcome.code) == (False, "5.3")
        assert "said that it took the new key" in outcome.reason and "both are kept" in outcome.reason
        assert (await Life(path, meter, ranges, entry=entry).opens()).encryption_key == former
        meter.takes = True
        outcome = await Life(path, meter, ranges, entry=entry).change(request_id="another")
        assert outcome is not None and outcome.ok and meter.transfers == 2
        check_ranges(ranges)


async def test_a_store_that_is_away_when_the_key_is_proved_is_told_and_loses_nothing(tmp_path: Path) -> None:
    """Both keys are kept, so the next session proves it."""
    kept = 0

    def away(name: str) -> None:
        nonlocal kept
        kept += name == "before keys are kept"
        if kept >= 3 and name == "before keys are kept":  # those of the entry, the new one, and that it is in force
            raise StoreUnavailable("the store can't be written now")

    async with a_meter() as meter:
        entry, path = meter.entry(), tmp_path / "hes.sqlite"
        outcome = await Life(path, meter, [], entry=entry, step=away).change()
        assert outcome is not None and not outcome.ok and outcome.attempted, outcome
        assert "the store can't be written now" in outcome.reason and "both are kept" in outcome.reason
        assert (await Life(path, meter, [], entry=entry).opens()).encryption_key == meter.encryption_key
        assert meter.transfers == 1


async def test_a_meter_that_refuses_keeps_its_key(tmp_path: Path) -> None:
    async with a_meter(result=ActionResult.READ_WRITE_DENIED) as meter:
        entry, former = meter.entry(), meter.encryption_key
        outcome = await Life(tmp_path / "hes.sqlite", meter, [], entry=entry).change()
        assert outcome is not None and (outcome.ok, outcome.code, outcome.again) == (False, "5.3", False)
        assert "read-write-denied" in outcome.reason
        assert (await Life(tmp_path / "hes.sqlite", meter, [], entry=entry).opens()).encryption_key == former


async def test_nothing_is_begun_without_what_wraps_the_key(tmp_path: Path) -> None:
    async with a_meter() as meter:
        entry = meter.entry()
        del entry["master_key"]
        outcome = await Life(tmp_path / "hes.sqlite", meter, [], entry=entry).change()
        assert outcome is not None and (outcome.ok, outcome.code, outcome.attempted) == (False, "5.2", False)
        assert "master_key" in outcome.reason and "no new one has left" in outcome.reason
        assert settled(tmp_path / "hes.sqlite") == [] and meter.connections == 0


@pytest.mark.parametrize("authentication", ["lls", "hls-sha256"])
async def test_a_secret_is_changed(tmp_path: Path, authentication: str) -> None:
    """In the simulated meter's place a small one: it shows what came, and takes only the new one from then on."""
    async with a_meter(authentication=authentication, password=b"a password") as meter:
        entry = meter.entry()
        outcome = await Life(tmp_path / "hes.sqlite", meter, [], entry=entry).change("secret")
        assert outcome is not None and outcome.ok, outcome
        assert meter.password != b"a password" and meter.password.isascii() and len(meter.password) == 10
        now = await Life(tmp_path / "hes.sqlite", meter, [], entry=entry).opens()
        assert now.secret == meter.password


async def test_a_secret_does_not_leave_in_clear(tmp_path: Path) -> None:
    async with a_meter(authentication="lls") as meter:
        entry = meter.entry(ciphering="none")
        outcome = await Life(tmp_path / "hes.sqlite", meter, [], entry=entry).change("secret")
        assert outcome is not None and (outcome.ok, outcome.code, outcome.attempted) == (False, "5.2", False)
        assert meter.connections == 0


@pytest.mark.parametrize("field", ["encryption_key", "authentication_key"])
async def test_a_meter_that_dials_in_and_has_not_taken_its_new_key_is_worked_over_the_call_in_which_it_proves_that(
    tmp_path: Path, field: str
) -> None:
    """Else each call would be spent on the new key, and what waits for the meter would wait for another one."""
    async with a_meter() as meter:
        life = Life(tmp_path / "hes.sqlite", meter, [], entry=meter.entry(address="dials-in"))
        async with life.lived() as (kept, meters, _):
            (known,) = kept.registry
            await kept.keys.keep(known, field, bytes(16), "roll")
            assert getattr(kept.keys.candidates(known)[0], field) == bytes(16), "the new one comes first"
            assert meters.listening is not None
            await meter.dial(meters.listening)
            for _ in range(2):
                async with meters.hold(known, until=real_time() + PATIENCE_S) as session:
                    assert getattr(session.meter, field) == getattr(meter, field)
            assert meter.connections == 1
            assert kept.keys.sent(known, field) == bytes(16), "it may come yet"


async def test_a_meter_with_a_key_in_doubt_that_does_not_dial_in_is_a_session_that_failed(tmp_path: Path) -> None:
    async with a_meter() as meter:
        life = Life(tmp_path / "hes.sqlite", meter, [], entry=meter.entry(address="dials-in"))
        async with life.lived() as (kept, meters, _):
            (known,) = kept.registry
            await kept.keys.keep(known, "encryption_key", bytes(16), "roll")
            with pytest.raises(MeterFault, match="dial"):
                async with meters.hold(known, until=real_time() + 0.1):
                    pass
            assert meters.sessions["failed"] == 1
