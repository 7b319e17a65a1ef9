"""All meters of a process by name, looked at through their rows: none is made live for being listed."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from ami_meter_sim.fleet import Fleet
from ami_meter_sim.objects.switch import ControlState
from ami_meter_sim.populating import Prepared
from ami_meter_sim.population.columns import WITHOUT_POWER, Columns
from ami_meter_sim.population.topology import TopologyError


@dataclass(frozen=True, slots=True)
class ListedMeter:
    """One meter and where its row is."""

    name: str
    columns: Columns
    index: int

    @property
    def connected(self) -> bool:
        """Whether its supply is connected."""
        return bool(self.columns["control_state"].item(self.index) == ControlState.CONNECTED)

    @property
    def powered(self) -> bool:
        """Whether it has power."""
        return not self.columns["flags"].item(self.index) & WITHOUT_POWER


def all_listed(fleet: Fleet) -> Iterator[ListedMeter]:
    """Those of `[[meters]]`, then those of the populations, each in its order."""
    for meter in list(fleet.meters.values()):
        yield ListedMeter(meter.name, meter.row.columns, meter.row.index)
    if fleet.store is None:
        return
    for population, first in fleet.placed:
        for number in range(population.identities.count):
            yield ListedMeter(population.identities.name(number), fleet.store.columns, first + number)


def listed(fleet: Fleet, name: str) -> ListedMeter | None:
    """The one of this name; None for a stranger."""
    if (meter := fleet.meters.get(name)) is not None:
        return ListedMeter(name, meter.row.columns, meter.row.index)
    for population, first in fleet.placed:
        index = population.identities.index_of_name(name)
        if index is not None and fleet.store is not None:
            return ListedMeter(name, fleet.store.columns, first + index)
    return None


def listed_in(fleet: Fleet, ranges: Iterable[range]) -> Iterator[ListedMeter]:
    """Those at these indexes of the store."""
    if fleet.store is None:
        return
    names = {meter.row.index: meter.name for meter in fleet.meters.values()}
    for index in chain.from_iterable(ranges):
        name = names.get(index) or _name_in_a_population(fleet, index)
        if name is not None:
            yield ListedMeter(name, fleet.store.columns, index)


def _name_in_a_population(fleet: Fleet, index: int) -> str | None:
    for population, first in fleet.placed:
        if first <= index < first + population.identities.count:
            return population.identities.name(index - first)
    return None


def groups_of(prepared: Sequence[Prepared], models: Mapping[str, str]) -> Callable[[str], frozenset[str]]:
    """In which groups the meter of a name is: its model, and of a population its name, substation, feeder and transformer."""

    def groups(name: str) -> frozenset[str]:
        if name in models:
            return frozenset({models[name]})
        for one in prepared:
            index = one.population.identities.index_of_name(name)
            if index is not None:
                place = one.topology.place(index)
                named = one.settings.name, one.settings.model
                return frozenset((*named, place.substation, place.feeder, place.transformer))
        return frozenset()

    return groups


def members_of(placed: Sequence[tuple[Prepared, int]], models: Sequence[str]) -> Callable[[str], Sequence[range]]:
    """Which indexes of the store a group has: `placed` are populations with the index of their first meter, `models` those of `[[meters]]`."""

    def members(group: str) -> Sequence[range]:
        single = [range(index, index + 1) for index, model in enumerate(models) if model == group]
        return single + [found for one, first in placed if (found := _members(one, first, group))]

    return members


def _members(one: Prepared, first: int, group: str) -> range:
    count = one.settings.count
    if group in (one.settings.name, one.settings.model):
        return range(first, first + count)
    try:
        fed = one.topology.fed_by(group, count)
    except TopologyError:
        return range(0)
    return range(first + fed.start, first + fed.stop)


def number_of(fleet: Fleet) -> int:
    """How many there are."""
    return len(fleet.meters) + sum(population.identities.count for population in fleet.populations)
