"""The schedules as they are ordered, changed, removed and listed; the collector works what is kept here."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ami_hes.meters.registry import Registry
from ami_hes.operations.asked_types import demand_served
from ami_hes.schedules.definition import Definition, NotASchedule, Schedule
from ami_hes.store import NameTaken, Schedules, StoredRun, StoredSchedule
from ami_mapping.lookup import readings
from ami_mapping.reading_types import RefusedReadingType
from ami_process.environment import Environment

NAME = re.compile(r"[^\s/](?:.{0,98}[^\s/])?")
MOST = 1_000
"""Schedules that are kept."""
MOST_CHARACTERS = 10_000_000
"""Of all of them together as they are kept, since they are looked at together; a meter that is named takes 40."""
LONGEST_TAG = 1_000
"""Characters of a tag of the registry, and of its value."""
RUNS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class ListedSchedule:
    """A schedule and its latest runs, the last one first."""

    schedule: Schedule
    runs: Sequence[StoredRun]


@dataclass(frozen=True, slots=True)
class ScheduleBook:
    """All schedules; `changed` is called after each change."""

    store: Schedules
    registry: Registry
    environment: Environment
    changed: Callable[[], None]
    most_characters: int = MOST_CHARACTERS

    async def create(
        self, name: str, definition: Definition, *, enabled: bool = True, start_at: datetime | None = None
    ) -> Schedule:
        """As `put`, under a name of its own; one that is there with the same content stays as it is. Raises NameTaken for another one."""
        kept = next((one for one in await self.schedules() if one.name == name), None)
        if kept is None:
            return await self.put(name, definition, enabled=enabled, start_at=start_at)
        if kept.definition != definition:
            raise NameTaken(name)
        return kept

    async def put(
        self, name: str, definition: Definition, *, enabled: bool = True, start_at: datetime | None = None
    ) -> Schedule:
        """Keep a schedule under this name, in place of the one that has it; raises NotASchedule and StoreUnavailable.

        It is due for the first time after the present, and not before `start_at`; what is under way ends as it was begun.
        """
        if NAME.fullmatch(name) is None or not name.isprintable():
            raise NotASchedule("a name has 1 to 100 printable characters, no slash or blank at its ends")
        _check(definition, self.registry)
        kept = await self.store.everything()
        self._check_room(name, definition, kept)
        known = {one.name: one.schedule_id for one in kept}
        after = self.environment.now()
        if start_at is not None:
            after = max(after, start_at - timedelta.resolution)
        schedule = Schedule(
            schedule_id=known.get(name) or str(self.environment.new_uuid()),
            name=name,
            definition=definition,
            enabled=enabled,
            next_due_at=definition.recurrence.next_due(after),
        )
        try:
            await self.store.put(schedule.stored())
        except NameTaken:
            raise NotASchedule(f"the name {name} was taken just now") from None
        self.changed()
        return schedule

    def _check_room(self, name: str, definition: Definition, kept: Sequence[StoredSchedule]) -> None:
        """Raises NotASchedule."""
        others = [one for one in kept if one.name != name]
        if len(others) >= MOST:
            raise NotASchedule(f"no more than {MOST} schedules are kept")
        if sum(len(one.definition) for one in others) + len(definition.format()) > self.most_characters:
            raise NotASchedule("the schedules name too many meters together; name a group of them")

    async def pause(self, name: str) -> bool:
        """It is due no more until it is ordered again; False if there is none."""
        kept = [one for one in await self.store.everything() if one.name == name]
        for one in kept:
            await self.store.put(replace(one, enabled=False))
        self.changed()
        return bool(kept)

    async def remove(self, name: str) -> bool:
        """With its runs; False if there is none."""
        ids = [one.schedule_id for one in await self.store.everything() if one.name == name]
        return bool(ids) and await self.store.remove(ids[0])

    async def schedules(self) -> list[Schedule]:
        """All of them by name."""
        return list(map(Schedule.of, await self.store.everything()))

    async def listed(self) -> list[ListedSchedule]:
        """All of them by name, with their runs."""
        kept = await self.store.everything()
        return [ListedSchedule(Schedule.of(one), await self.store.runs(one.schedule_id, RUNS_SHOWN)) for one in kept]


def _check(definition: Definition, registry: Registry) -> None:
    """Raises NotASchedule for the first thing that could not be worked."""
    try:
        ZoneInfo(definition.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise NotASchedule(f"{definition.time_zone[:100]} is no IANA time zone") from None
    for code in definition.reading_types:
        try:
            demand_served(code, readings())
        except RefusedReadingType as refused:
            raise NotASchedule(f"{code[:200]}: {refused.reason}") from None
    if not definition.reading_types:
        raise NotASchedule("a schedule names the ReadingTypes that it collects")
    if bool(definition.mrids) == (definition.group is not None):
        raise NotASchedule("a schedule names its meters or a group of them")
    if not all(one.isprintable() and len(one) <= LONGEST_TAG for one in definition.group or ()):
        raise NotASchedule(f"a tag and its value are printable text of at most {LONGEST_TAG} characters")
    for mrid in definition.mrids:
        if registry.find_by_mrid(mrid) is None:
            raise NotASchedule(f"no meter has the mRID {mrid[:100]}")
