"""Limits in a sliding hour, and what a request uses up of them. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from ami_hes.commands import Command, MeterId
from ami_hes.enums import Guarded
from ami_hes.guard.classes import guarded_by
from ami_hes.meters.registry import Meter, Registry
from ami_hes.store import Use

HOUR = timedelta(hours=1)
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class GroupLimit:
    """Meters in an hour among those of a group; `value` None: each value of the tag is a group by itself."""

    tag: str
    value: str | None
    meters: int


@dataclass(frozen=True, slots=True)
class Limit:
    """Meters in an hour; None: as many as anybody likes."""

    per_principal: int | None = None
    in_all: int | None = None
    groups: tuple[GroupLimit, ...] = ()


@dataclass(frozen=True, slots=True)
class Scope:
    """For whom something counts, as text of the store and as words."""

    ALL = "all"

    @staticmethod
    def of_principal(name: str) -> str:
        return f"principal {name}"

    @staticmethod
    def of_group(tag: str, value: str) -> str:
        return f"group {tag}={value}"

    @staticmethod
    def limit(scope: str, limit: Limit) -> int | None:
        """Which of the limits of a kind is that of a scope."""
        if scope == Scope.ALL:
            return limit.in_all
        if scope.startswith("principal "):
            return limit.per_principal
        tag, _, value = scope.removeprefix("group ").partition("=")
        return next((one.meters for one in limit.groups if one.tag == tag and one.value in (None, value)), None)

    @staticmethod
    def words(scope: str) -> str:
        """For a person."""
        return "in all" if scope == Scope.ALL else f"of the {scope}"


def uses_of(
    kind: Guarded, meters: Sequence[MeterId], principal: str, limit: Limit, registry: Registry
) -> tuple[Use, ...]:
    """What so many meters of a kind use up, by scope; nothing where there is no limit."""
    return tuple(_uses(kind, meters, principal, limit, registry))


def _uses(kind: Guarded, meters: Sequence[MeterId], principal: str, limit: Limit, registry: Registry) -> Iterator[Use]:
    if limit.per_principal is not None:
        yield Use(kind, Scope.of_principal(principal), len(meters), limit.per_principal)
    if limit.in_all is not None:
        yield Use(kind, Scope.ALL, len(meters), limit.in_all)
    if not limit.groups:
        return
    known = [meter for one in meters if (meter := registry.find_by_mrid(one.mrid)) is not None]
    for group in limit.groups:
        counts = Counter(value for meter in known if (value := _value_in(group, meter)) is not None)
        for value, number in sorted(counts.items()):
            yield Use(kind, Scope.of_group(group.tag, value), number, group.meters)


def _value_in(group: GroupLimit, meter: Meter) -> str | None:
    value = meter.tags.get(group.tag)
    return value if group.value in (None, value) else None


def by_kind(commands: Sequence[Command]) -> dict[Guarded, list[MeterId]]:
    """The meters of commands that have limits, by kind, in the order of the kinds."""
    found: dict[Guarded, list[MeterId]] = {kind: [] for kind in Guarded}
    for command in commands:
        if (kind := guarded_by(command)) is not None:
            found[kind].append(command.meter)
    return {kind: meters for kind, meters in found.items() if meters}


def protected_among(
    meters: Sequence[MeterId], groups: Sequence[tuple[str, str]], registry: Registry
) -> tuple[str, ...]:
    """The names of those that are protected; `groups`: tags and values that protect."""
    if not any(registry.number_of(*group) for group in groups):
        return ()
    known = ((one.name, registry.find_by_mrid(one.mrid)) for one in meters)
    return tuple(
        name
        for name, meter in known
        if meter is not None and any(meter.tags.get(tag) == value for tag, value in groups)
    )


def listed(names: Sequence[str]) -> str:
    """The first of them, and how many more."""
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")
