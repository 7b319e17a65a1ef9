"""A schedule as it was ordered: what is read of which meters, how often, and how much of it by when."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, time, timedelta
from typing import Any, Self
from zoneinfo import ZoneInfo

from ami_hes.enums import Every
from ami_hes.meters.registry import Meter, Registry
from ami_hes.operations.asked_types import is_over_time
from ami_hes.operations.read_results import STORE_FIRST, WantedReadings, number_of
from ami_hes.schedules.periods import Recurrence
from ami_hes.store import StoredSchedule
from ami_mapping.lookup import readings


class NotASchedule(Exception):
    """It can't be worked; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What was ordered; all of it is text and numbers, as it is kept."""

    reading_types: tuple[str, ...]
    mrids: tuple[str, ...] = ()
    """The meters; none where there is a group."""
    group: tuple[str, str] | None = None
    """A tag of the registry and its value: the meters that have it when the schedule is due."""
    of_usage_points: bool = False
    """Whether it is a group of usage points: of those meters the ones that are at some (M-138)."""
    every: str
    at: str
    """HH:MM of the zone; of an hourly schedule only the minutes count."""
    time_zone: str
    """Of IANA, as Europe/Berlin."""
    deadline_s: float = 3_600.0
    """How long after it was due a run may take."""
    target_percent: float = 99.0
    """Of the meters, that are to have given everything by the deadline."""
    back_fill_days: float = 7.0
    """How far back is asked again for what a meter has not given."""

    @property
    def recurrence(self) -> Recurrence:
        return Recurrence(Every(self.every), time.fromisoformat(self.at), ZoneInfo(self.time_zone))

    def format(self) -> str:
        """As it is kept."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> Self:
        """What `format` wrote."""
        values: dict[str, Any] = json.loads(text)
        lists = {name: tuple(values[name]) for name in ("reading_types", "mrids")}
        group = None if values["group"] is None else tuple(values["group"])
        return cls(**(values | lists | {"group": group}))

    def meters(self, registry: Registry) -> Iterator[Meter]:
        """Those that are registered."""
        if self.group is not None:
            members = registry.members(*self.group)
            yield from (one for one in members if one.usage_points or not self.of_usage_points)
            return
        yield from (meter for mrid in self.mrids if (meter := registry.find_by_mrid(mrid)) is not None)

    def wanted(self, complete_until: datetime | None, start: datetime, end: datetime) -> WantedReadings:
        """What one meter is asked for: the period, and before it what it has not given so far.

        Registers have no past, so a schedule with some asks for values up to the present.
        """
        if complete_until is not None:
            start = min(start, max(complete_until, end - timedelta(days=self.back_fill_days)))
        up_to = number_of(end) if self._has_profiles_alone() else None
        return WantedReadings(self.reading_types, number_of(start), up_to, STORE_FIRST)

    def _has_profiles_alone(self) -> bool:
        table = readings()
        return all(is_over_time(code, table) for code in self.reading_types)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A schedule at work."""

    schedule_id: str
    name: str
    definition: Definition
    enabled: bool
    next_due_at: datetime

    @classmethod
    def of(cls, stored: StoredSchedule) -> Self:
        """As it was kept."""
        return cls(
            schedule_id=stored.schedule_id,
            name=stored.name,
            definition=Definition.parse(stored.definition),
            enabled=stored.enabled,
            next_due_at=stored.next_due_at,
        )

    def stored(self) -> StoredSchedule:
        """As it is kept."""
        return StoredSchedule(
            schedule_id=self.schedule_id,
            name=self.name,
            definition=self.definition.format(),
            enabled=self.enabled,
            next_due_at=self.next_due_at,
        )
