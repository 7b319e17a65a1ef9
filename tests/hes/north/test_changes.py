"""Frames of what has changed, while the store can't say all of it: what was not told in one is told in a later one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from stored_values import a_request, some_commands

from ami_hes import events
from ami_hes.api.contacts import Contacts
from ami_hes.api.live import Changes, Touched
from ami_hes.end_device_events import EventTaker
from ami_hes.meters.registry import Registry
from ami_hes.store import Database, GuardMarks, SqlDeviceEvents, SqlGuard, SqlResults, StoreUnavailable
from ami_hes.store.history import RequestLine, SqlHistory
from ami_process.environment import Environment
from ami_process.events import Event, utc_now

AWAY: set[str] = set()
"""What the store does not answer now."""


def _check(what: str) -> None:
    if what in AWAY:
        raise StoreUnavailable(f"{what} are away")


class History(SqlHistory):
    async def some(self, message_ids: Sequence[str]) -> list[RequestLine]:
        _check("requests")
        return await super().some(message_ids)


class DeviceEvents(SqlDeviceEvents):
    async def changes_after(self, number: int, most: int) -> Any:
        _check("events")
        return await super().changes_after(number, most)


class Guards(SqlGuard):
    async def marks(self) -> GuardMarks:
        _check("marks")
        return await super().marks()


@pytest.mark.parametrize("away", ["requests", "events", "marks"])
async def test_what_could_not_be_told_is_told_later(away: str, tmp_path: Path) -> None:
    def ignore(_: Event) -> None: ...

    touched = Touched()
    note = touched.noting(ignore)
    environment = Environment(emit=ignore)
    AWAY.clear()
    async with Database(tmp_path / "hes.sqlite", ignore) as database:
        await SqlResults(database).accept(a_request("r1"), some_commands("r1", "M1"))
        guard: Any = SimpleNamespace(store=Guards(database))
        taker = EventTaker(DeviceEvents(database), environment)
        changes = Changes(
            touched, Contacts(utc_now), History(database), taker, Registry(()), guard, ZoneInfo("Etc/UTC")
        )
        changes.forget()
        await changes.take()
        changes.forget()  # the guard is looked at again with the next frame
        AWAY.add(away)
        note(events.RequestAccepted(message_id="r1", verb="create", noun="x", summary="", meters=["M1"]))
        note(events.RequestRefused(message_id="r2", errors=["why"]))
        found: list[dict[str, Any]] = [one for one in (await changes.take(), await changes.take()) if one]
        AWAY.clear()
        found += [one for one in (await changes.take(),) if one]
    assert [one["message_id"] for frame in found for one in frame["requests"]] == ["r1"]
    assert [one["message_id"] for frame in found for one in frame["refused"]] == ["r2"]
