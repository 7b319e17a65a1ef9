"""All meters of a process by name, looked at through their rows: none is made live for being listed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ami_meter_sim.fleet import Fleet
from ami_meter_sim.objects.switch import ControlState
from ami_meter_sim.populating import Prepared
from ami_meter_sim.population.columns import WITHOUT_POWER, Columns


@dataclass(frozen=True, slots=True)
class Listed:
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


def all_listed(fleet: Fleet) -> Iterator[Listed]:
    """Those of `[[meters]]`, then those of the populations, each in its order."""
    for meter in list(fleet.meters.values()):
        yield Listed(meter.name, meter.row.columns, meter.row.index)
    if fleet.store is None:
        return
    for population, first in fleet.placed:
        for number in range(population.identities.count):
            yield Listed(population.identities.name(number), fleet.store.columns, first + number)


def listed(fleet: Fleet, name: str) -> Listed | None:
    """The one of this name; None for a stranger."""
    if (meter := fleet.meters.get(name)) is not None:
        return Listed(name, meter.row.columns, meter.row.index)
    for population, first in fleet.placed:
        index = population.identities.index_of_name(name)
        if index is not None and fleet.store is not None:
            return Listed(name, fleet.store.columns, first + index)
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


def number_of(fleet: Fleet) -> int:
    """How many there are."""
    return len(fleet.meters) + sum(population.identities.count for population in fleet.populations)
