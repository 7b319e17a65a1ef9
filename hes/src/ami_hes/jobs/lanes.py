"""The limits of the lanes in which commands are worked, and of the groups of meters that they go to: plain values."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from ami_hes.commands import CommandJob, Lane
from ami_hes.jobs.backoff import Backoff
from ami_hes.meters.registry import Registry

Lanes = Mapping[Lane, "LaneLimits"]


@dataclass(frozen=True, slots=True)
class LaneLimits:
    """What one lane may have."""

    deadline: timedelta
    """How long the work on all meters of a request may take, in real time."""
    pending: int
    """Commands that wait or are worked."""
    sessions: int
    """Commands that are worked at once in this lane and those below it."""
    retries: Backoff
    """How often a command is worked whose fault may be gone the next time, and the pauses between."""


@dataclass(frozen=True, slots=True)
class Group:
    """Meters that share what is narrow, as a feeder's data concentrator: those with a tag, or each value of it by itself."""

    tag: str
    value: str | None = None
    """None: each value of the tag is a group."""
    sessions: int | None = None
    """At once."""
    per_s: float | None = None
    """Sessions that are begun in a second."""


ALL = ""
"""The name of the group of all meters that are in no other."""


class Groups:
    """Which group a meter is in, and what its group may have."""

    def __init__(self, registry: Registry, groups: Iterable[Group] = (), per_s: float | None = None) -> None:
        """`per_s` is for the meters of no group."""
        self._registry = registry
        self._groups = tuple(groups)
        self._all = Group("", per_s=per_s)
        self._limits: dict[str, Group] = {ALL: self._all}

    @property
    def limited(self) -> bool:
        """Whether any group has a limit."""
        return bool(self._groups) or self._all.per_s is not None

    def of(self, job: CommandJob) -> str:
        """The name of the first group that the command's meter is in."""
        if not self._groups:
            return ALL
        meter = self._registry.find_by_mrid(job.command.meter.mrid)
        tags = {} if meter is None else meter.tags
        for group in self._groups:
            value = tags.get(group.tag)
            if value is not None and group.value in (None, value):
                name = f"{group.tag}={value}"
                self._limits[name] = group
                return name
        return ALL

    def limits(self, name: str) -> Group:
        """Those of a group that `of` has named."""
        return self._limits[name]
