"""When meters of a population have to do something, noted in their rows before any of them is loaded.

Strategy: what a meter does by itself is a function of time and of what is in it, so a meter that no client has seen need not be
there for it: it catches up when it is addressed. A meter with a destination for its pushes shows itself; so does one in which a client has
changed a schedule, a limit or a destination. Meters that are as their model made them have the same to do at the same time: one of
them, made in memory, says it for all.
"""

from datetime import datetime
from math import ceil

import numpy

from ami_meter_sim.meter.member import Population
from ami_meter_sim.meter.memory import Memory, unplanned
from ami_meter_sim.meter.pushes import INSTALLATION, SETUPS
from ami_meter_sim.meter.simulated_meter import Meter
from ami_meter_sim.objects.memory import HistoryInMemory, KeptInMemory
from ami_meter_sim.objects.push_setup import PushSetupV0
from ami_meter_sim.objects.timed import PUSH_SETUP, TIMED
from ami_meter_sim.population.columns import KNOWN, NO_DUE_TIME, WITHOUT_POWER
from ami_meter_sim.population.row import row_in_memory
from ami_meter_sim.population.store import Store

OF_THE_METER = 0
"""Under this class a meter keeps what is wrong with it, and since when it has no power."""
ACTING = frozenset({*TIMED, PUSH_SETUP, OF_THE_METER})


def plan_ahead(store: Store, population: Population, first: int, at: datetime) -> None:
    """Say it for the meters at `first` and the following indexes; the process begins at this instant."""
    columns, count = store.columns, population.identities.count
    places = slice(first, first + count)
    due, flags, now = columns["next_due_at"][places], columns["flags"][places], ceil(at.timestamp())
    example = _example(population, at)
    pushing = _pushing(example)
    if pushing:
        due[:] = example.row.next_due_at
    if SETUPS[INSTALLATION] in pushing:
        due[flags & KNOWN == 0] = now
    changed = [index - first for index, kept in store.kept.items() if first <= index < first + count and _acts(kept)]
    due[numpy.array(changed, dtype=int)] = now
    due[flags & WITHOUT_POWER != 0] = NO_DUE_TIME


def _acts(kept: dict[tuple[int, bytes, int], bytes]) -> bool:
    return any(class_id in ACTING for class_id, _, _ in kept)


def _example(population: Population, at: datetime) -> Meter:
    """A meter as its model made it, on no disk."""
    memory = Memory(row_in_memory(), KeptInMemory(), HistoryInMemory(), lambda: None, unplanned)
    return Meter(population.setup(0), memory, at)


def _pushing(meter: Meter) -> set[object]:
    """The push setups that have a destination."""
    names = [obis for class_id, obis in meter.setup.model.objects if class_id == PUSH_SETUP]
    found = [meter.device.find(PUSH_SETUP, obis) for obis in names]
    return {one.described.obis for one in found if isinstance(one, PushSetupV0) and one.addressed}
