"""An older copy of a store, or a copy elsewhere, is recognised by the mark outside of it, and no invocation counter is used twice."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from patience import PATIENCE_S

from ami_hes.store import Database, KeptMark, SqlAudit, SqlCounters, StoreUnavailable, StoreUnusable, recognise
from ami_hes.store.brought_back import AHEAD, BroughtBack
from ami_hes.store.restored import COUNTERS_SKIPPED
from ami_process.store.mark import Mark, MarkFile

KEY, QUIET, LATER = "a key that works on", "a key that rests", "a key that was first used after the copy"


class Head:
    """The part of a head-end that uses counters: a store and its mark, in lives one after the other."""

    def __init__(self, directory: Path, mark: Path | None = None) -> None:
        self.store = directory / "hes.sqlite"
        self.mark = MarkFile(mark or directory / "hes.sqlite.mark")

    async def live(self, *keys: str, count: int = 256) -> tuple[BroughtBack | None, dict[str, range]]:
        """One life of the process: what it recognised, and the values that it has used."""
        used = {}
        async with Database(self.store) as database:
            found = await recognise(database, self.mark, os.urandom)
            counters = SqlCounters(database, KeptMark(self.mark))
            for key in keys:
                reserved = await counters.reserve_counters(key, 0, count)
                used[key] = range(reserved.first, reserved.limit)
        return found, used

    def copy(self, name: str) -> Path:
        """While nothing has it open, so that the file is all of it."""
        return Path(shutil.copy2(self.store, self.store.with_name(name)))


def meet(one: range, other: range) -> bool:
    return one.start < other.stop and other.start < one.stop


async def test_an_older_copy_is_recognised_and_every_key_goes_on_above_what_was_used(tmp_path: Path) -> None:
    head = Head(tmp_path)
    assert (await head.live(KEY, QUIET))[0] is None
    copy = head.copy("copy")
    found, before = await head.live(KEY, LATER, count=3 * COUNTERS_SKIPPED)
    assert found is None
    shutil.copyfile(copy, head.store)
    found, after = await head.live(KEY, QUIET, LATER)
    assert found is not None and "2 reservations" in found.why and "older copy" in found.why
    assert "may have been sent" in found.assumed
    for key, used in before.items():
        assert after[key].start >= used.stop, key
    async with Database(head.store) as database:
        (entry,) = (await SqlAudit(database).page(0, 9)).links
        assert "older copy" in entry.text and '"by":"start"' in entry.text
    again, next_ones = await head.live(KEY)
    assert again is None and next_ones[KEY].start == after[KEY].stop, "it is recognised once"


async def test_the_same_copy_again_is_recognised_again(tmp_path: Path) -> None:
    head = Head(tmp_path)
    await head.live(KEY)
    copy = head.copy("copy")
    used: list[range] = []
    for _ in range(3):
        shutil.copyfile(copy, head.store)
        found, life = await head.live(KEY)
        assert found is not None or not used
        assert not any(meet(life[KEY], earlier) for earlier in used)
        used.append(life[KEY])


@pytest.mark.parametrize("how", ["without its mark", "with its mark", "under an older mark"])
async def test_a_copy_elsewhere_is_told_and_goes_on_far_above(tmp_path: Path, how: str) -> None:
    first, second = (tmp_path / name for name in ("first", "second"))
    first.mkdir()
    head = Head(first)
    if how == "under an older mark":
        second.mkdir()
        await Head(second).live(KEY)
        await head.live(KEY)
        head.copy("copy").replace(second / "hes.sqlite")
    else:
        await head.live(KEY)
        shutil.copytree(first, second)
        if how == "without its mark":
            (second / "hes.sqlite.mark").unlink()
    found, elsewhere = await Head(second).live(KEY)
    assert found is not None
    assert {"without": "missing", "with": "copy itself", "under": "another store"}[how.split()[0]] in found.why
    went_on, here = await head.live(KEY)
    assert went_on is None and not meet(here[KEY], elsewhere[KEY])
    shutil.copyfile(second / "hes.sqlite", head.store)
    back, _ = await head.live(KEY)
    assert back is not None and "another life" in back.why


async def test_a_store_that_was_made_anew_repeats_no_counter_of_the_one_before(tmp_path: Path) -> None:
    head = Head(tmp_path)
    _, before = await head.live(KEY)
    head.store.unlink()
    found, after = await head.live(KEY)
    assert found is not None and "newer store" in found.why
    assert after[KEY].start >= before[KEY].stop


async def test_a_process_that_is_killed_is_no_copy(tmp_path: Path) -> None:
    """Between the commit and the mark, the store is ahead."""
    head = Head(tmp_path)
    await head.live(KEY)
    async with Database(head.store) as database:
        await SqlCounters(database).reserve_counters(KEY, 0, 256)
    assert (await head.live(KEY))[0] is None


async def test_a_mark_that_can_not_be_written_gives_no_counter_and_one_that_others_write_no_start(
    tmp_path: Path,
) -> None:
    head = Head(tmp_path)
    await head.live(KEY)
    async with Database(head.store) as database:
        elsewhere = KeptMark(MarkFile(tmp_path / "gone" / "mark"))
        with pytest.raises(StoreUnavailable, match="can't be written"):
            await SqlCounters(database, elsewhere).reserve_counters(KEY, 0, 1)
    head.mark.path.chmod(0o622)
    with pytest.raises(StoreUnusable, match="chmod 600"):
        await head.live(KEY)


async def test_what_no_mark_can_say_makes_no_key_useless(tmp_path: Path) -> None:
    """One key that is nearly used up does not take the values of all others."""
    head = Head(tmp_path)
    await head.live(QUIET)
    copy = head.copy("copy")
    await head.live(KEY, count=2**32 - 5)
    shutil.copyfile(copy, head.store)
    found, after = await head.live(QUIET)
    assert found is not None and after[QUIET].start == 2**31
    with closing(sqlite3.connect(head.store)) as connection:
        assert connection.execute("SELECT highest FROM counter_mark").fetchone()[0] >= 2**32 - 5


async def test_a_mark_does_not_go_back_when_who_wrote_it_was_cancelled(tmp_path: Path) -> None:
    class Slow(MarkFile):
        """The first one is written late."""

        began, may_write, wrote = threading.Event(), threading.Event(), threading.Event()

        def note(self, mark: Mark) -> None:
            if mark.steps > 1:
                super().note(mark)
                return
            self.began.set()
            assert self.may_write.wait(PATIENCE_S)
            super().note(mark)
            self.wrote.set()

    file = Slow(tmp_path / "mark")
    file.make()
    kept = KeptMark(file)
    first = asyncio.create_task(kept.reach(Mark("s", 1, 100)))
    assert await asyncio.to_thread(file.began.wait, PATIENCE_S)
    first.cancel()
    await asyncio.wait([first])
    second = asyncio.create_task(kept.reach(Mark("s", 2, 200)))
    await asyncio.wait([second], timeout=0.2)
    file.may_write.set()
    await second
    assert await asyncio.to_thread(file.wrote.wait, PATIENCE_S)
    assert file.read() == Mark("s", 2, 200)


async def test_a_process_without_a_mark_changes_the_row_of_all_keys_once_in_many_reservations(tmp_path: Path) -> None:
    head = Head(tmp_path)
    await head.live(KEY)
    copy = head.copy("copy")

    def row() -> tuple[int, int]:
        with closing(sqlite3.connect(head.store)) as store:
            steps, highest = store.execute("SELECT steps, highest FROM counter_mark").fetchone()
            return steps, highest

    steps, _ = row()
    async with Database(head.store) as database:
        worker = SqlCounters(database)
        for count in (300, 10, AHEAD - 400):
            used = await worker.reserve_counters(LATER, 0, count)
            assert row() == (steps, AHEAD), "no step, and raised once"
        used = await worker.reserve_counters(LATER, 0, 400)
        assert row() == (steps, 2 * AHEAD) and used.limit > AHEAD
    await head.live(QUIET)  # the mark hears of it by the next process that has one
    shutil.copyfile(copy, head.store)
    found, after = await head.live(LATER)
    assert found is not None and after[LATER].start >= used.limit
