"""The master key of a meter is changed, with the head-end or the connection killed at every step: it is known, and proved, which one the meter has."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from keyed_meter import Killed, Life, Steps
from test_change_key import KILLS, a_meter, check_ranges, settled

from ami_dlms import data
from ami_dlms.enums import ActionResult
from ami_dlms.obis import Obis

FIELD = "master_key"
SETTLED = sorted(f"{what} {field}" for what in ("in force", "of entry") for field in ("authentication_key", FIELD))


async def test_a_master_key_is_changed_and_proved_by_a_key_that_came_under_it(tmp_path: Path) -> None:
    async with a_meter() as meter:
        entry, former, proof = meter.entry(), meter.master_key, meter.authentication_key
        path = tmp_path / "hes.sqlite"
        life = Life(path, meter, [], entry=entry)
        outcome = await life.change(FIELD)
        assert outcome is not None and outcome.ok and outcome.attempted, outcome
        assert "came wrapped under it" in outcome.reason
        assert meter.master_key != former and meter.authentication_key != proof and meter.transfers == 2
        assert settled(path) == SETTLED
        later = Life(path, meter, [], entry=entry)
        assert (await later.opens()).master_key == meter.master_key
        rolled = await Life(path, meter, [], entry=entry).change("encryption_key", request_id="another")
        assert rolled is not None and rolled.ok, "the next key is wrapped under the new one"
        again = await Life(path, meter, [], entry=entry).change(FIELD)
        assert again is not None and again.ok and meter.transfers == 3, "the same command changes nothing more"
        written = b"".join(one.read_bytes() for one in tmp_path.iterdir())
        assert meter.master_key not in written and former not in written


@pytest.mark.parametrize(
    "kill",
    [
        "the head-end is killed",
        *(pytest.param(one, marks=pytest.mark.ci) for one in ("the connection is lost", "both")),
    ],
)
async def test_the_master_key_is_known_whatever_is_killed_at_whatever_step(tmp_path: Path, kill: str) -> None:
    async with a_meter() as meter:
        steps = Steps()
        meter.step = steps
        await Life(tmp_path / "uninterrupted.sqlite", meter, [], steps, entry=meter.entry()).change(FIELD)
        names = steps.names
    assert names.count("the meter has taken the key and has not answered") == 2
    for at in range(1, len(names) + 1):
        path, ranges = tmp_path / f"{at}.sqlite", []
        async with a_meter() as meter:
            entry, former = meter.entry(), meter.master_key
            life = Life(path, meter, ranges, entry=entry)
            steps = Steps(at, lambda life=life, meter=meter: KILLS[kill](life, meter))
            life.step = meter.step = steps
            with suppress(Killed):
                await life.change(FIELD)
            meter.step = lambda _: None
            outcome = await Life(path, meter, ranges, entry=entry).change(FIELD)
            assert outcome is not None and outcome.ok, f"{names[at - 1]}: {outcome}"
            known = await Life(path, meter, ranges, entry=entry).opens()
            assert known.master_key == meter.master_key != former, names[at - 1]
            assert known.authentication_key == meter.authentication_key
            assert settled(path) == SETTLED, names[at - 1]
        check_ranges(ranges)


async def test_a_meter_that_only_says_so_is_found_out_and_its_other_keys_can_still_be_changed(tmp_path: Path) -> None:
    async with a_meter(keeps=frozenset({3})) as meter:
        entry, former, path = meter.entry(), meter.master_key, tmp_path / "hes.sqlite"
        outcome = await Life(path, meter, [], entry=entry).change(FIELD)
        assert outcome is not None and (outcome.ok, outcome.code) == (False, "5.3")
        assert "refuses what comes wrapped under it" in outcome.reason and "both are kept" in outcome.reason
        rolled = await Life(path, meter, [], entry=entry).change("encryption_key", request_id="another")
        assert rolled is not None and rolled.ok and meter.master_key == former
        meter.keeps = frozenset()
        outcome = await Life(path, meter, [], entry=entry).change(FIELD, request_id="once more")
        assert outcome is not None and outcome.ok and meter.master_key != former


async def test_a_key_is_changed_while_it_is_open_which_master_key_the_meter_has(tmp_path: Path) -> None:
    """The meter has taken the new one, and the head-end was killed before it knew."""
    async with a_meter() as meter:
        entry, former, path = meter.entry(), meter.master_key, tmp_path / "hes.sqlite"
        life = Life(path, meter, [], entry=entry)

        def kill(name: str) -> None:
            if name == "the meter has taken the key and has not answered":
                life.kill()

        meter.step = kill
        with suppress(Killed):
            await life.change(FIELD)
        assert meter.master_key != former
        meter.step = lambda _: None
        rolled = await Life(path, meter, [], entry=entry).change("authentication_key", request_id="another")
        assert rolled is not None and rolled.ok, rolled
        outcome = await Life(path, meter, [], entry=entry).change(FIELD, request_id="once more")
        assert outcome is not None and outcome.ok and settled(path) == SETTLED


async def test_a_meter_that_can_not_now_is_not_asked_under_the_other_master_key_and_is_tried_again(
    tmp_path: Path,
) -> None:
    async with a_meter(keeps=frozenset({3})) as meter:
        entry, path = meter.entry(), tmp_path / "hes.sqlite"
        await Life(path, meter, [], entry=entry).change(FIELD)
        results = iter([ActionResult.TEMPORARY_FAILURE])

        def once(name: str) -> None:
            if name == "the meter has got the key":
                meter.result = next(results, ActionResult.SUCCESS)

        meter.step = once
        for request_id, ok, again in (("another", False, True), ("another", True, False)):
            outcome = await Life(path, meter, [], entry=entry).change("encryption_key", request_id=request_id)
            assert outcome is not None and (outcome.ok, outcome.again) == (ok, again), outcome


async def test_an_authentication_key_in_doubt_proves_nothing(tmp_path: Path) -> None:
    async with a_meter(takes=False) as meter:
        entry, path = meter.entry(), tmp_path / "hes.sqlite"
        await Life(path, meter, [], entry=entry).change("authentication_key")
        meter.takes, before = True, meter.transfers
        outcome = await Life(path, meter, [], entry=entry).change(FIELD, request_id="another")
        assert outcome is not None and (outcome.ok, outcome.code) == (False, "5.2")
        assert "Change the authentication key first" in outcome.reason and meter.transfers == before


@pytest.mark.parametrize("version", [0, 1])
async def test_a_security_setup_without_a_master_key_is_told_before_anything_is_sent(
    tmp_path: Path, version: int
) -> None:
    """The object list of the association says which version of class 64 it is."""
    async with a_meter() as meter:
        rights = data.structure(data.array(), data.array())
        name = data.octet_string(Obis.parse("0-0:43.0.0*255"))
        listed = data.structure(data.long_unsigned(64), data.unsigned(version), name, rights)
        meter.values[Obis.parse("0-0:40.0.0*255"), 2] = data.array(listed)
        former = meter.master_key
        outcome = await Life(tmp_path / "hes.sqlite", meter, []).change("master_key")
        assert outcome is not None and outcome.ok == (version == 1), outcome
        if version == 0:
            assert (outcome.code, outcome.attempted, meter.transfers) == ("5.2", False, 0)
            assert "version 0" in outcome.reason and "no new one has left" in outcome.reason
            assert meter.master_key == former
