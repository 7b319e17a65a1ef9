"""Meters that are dark, grouped by the place in the network that explains most of them: tags of the registry, as feeder and transformer.

The smallest places are out where enough of their meters are dark; a larger one is out where enough of the places in it are, and more than one. What no place
explains are single meters. Whoever has lost power without a last gasp is among the meters of a place and not among the dark ones.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ami_hes.meters.registry import Registry

SINGLE = "meter"
"""The level of a meter that no place explains."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where power is gone."""

    level: str
    """The tag, or `meter`."""
    name: str
    meters: int
    """That the registry has there."""
    dark: tuple[str, ...]
    """mRIDs of those that have said so."""
    since: datetime
    """Of the first of them."""


def places_of(dark: Mapping[str, datetime], registry: Registry, levels: Sequence[str], share: float) -> list[Place]:
    """The places, the largest number of dark meters first; `levels` are tags from the largest place to the smallest one."""
    found = _smallest(dark, registry, levels[-1], share) if levels else []
    for level, below in zip(reversed(levels[:-1]), reversed(levels[1:]), strict=False):
        found = _joined(found, registry, level, below, share)
    explained = {mrid for place in found for mrid in place.dark}
    found += [Place(SINGLE, registry.name_of(one) or one, 1, (one,), dark[one]) for one in dark if one not in explained]
    return sorted(found, key=lambda place: (-len(place.dark), place.since, place.name))


def _smallest(dark: Mapping[str, datetime], registry: Registry, level: str, share: float) -> list[Place]:
    there: dict[str, list[str]] = defaultdict(list)
    for mrid in dark:
        meter = registry.find_by_mrid(mrid)
        name = None if meter is None else meter.tags.get(level)
        if name is not None:
            there[name].append(mrid)
    places = []
    for name, mrids in there.items():
        number = registry.number_of(level, name)
        if number > 1 and len(mrids) >= share * number:
            places.append(Place(level, name, number, tuple(mrids), min(dark[one] for one in mrids)))
    return places


def _joined(found: Sequence[Place], registry: Registry, level: str, below: str, share: float) -> list[Place]:
    """Places of the level below as one of this level, where they are most of it; the others as they are."""
    inside: dict[str, list[Place]] = defaultdict(list)
    for place in found:
        meter = registry.find_by_mrid(place.dark[0])
        name = None if meter is None or place.level != below else meter.tags.get(level)
        if name is not None:
            inside[name].append(place)
    joined: list[Place] = []
    gone: set[int] = set()
    for name, places in inside.items():
        # this runs beside the event loop: a member may leave the registry meanwhile
        members = filter(None, map(registry.find_by_mrid, registry.member_ids(level, name)))
        all_below = {meter.tags[below] for meter in members if below in meter.tags}
        if len(places) > 1 and len(places) >= share * len(all_below):
            dark = tuple(mrid for place in places for mrid in place.dark)
            joined.append(Place(level, name, registry.number_of(level, name), dark, min(one.since for one in places)))
            gone.update(id(one) for one in places)
    return [*joined, *(one for one in found if id(one) not in gone)]
