"""Write a small store of simulated meters: write_meter_sim.py DIRECTORY SCHEMA, by `make.py` with the code that first had the schema."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from uuid import UUID

import ami_meter_sim.population.store
from ami_meter_sim.population.journal import Happened
from ami_meter_sim.population.store import FILE, Store, WantedMeters

AT = 1_795_000_000
LOG, SWITCH = bytes((0, 0, 99, 98, 0, 255)), (70, bytes((0, 0, 96, 3, 10, 255)), 4)


def write(directory: Path) -> None:
    ami_meter_sim.population.store.uuid4 = lambda: UUID(int=1)
    store = Store.open(directory, [WantedMeters("M1001"), WantedMeters("population/seed/1", 3, population=True)])
    single, third = store.row(0), store.row(3)
    single.send_reserved = single.send_next = 300
    single.receive_reserved = single.receive_lowest = 40
    single.control_state = 0
    third.clock_offset_s = -7
    store.keep(3, SWITCH, b"\x16\x02")
    store.happened(0, Happened(0, 1, 0, AT * 1_000_000, LOG, 23, b"opened"))
    store.alive_at = AT
    store.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        write(Path(name))
        shutil.copyfile(Path(name, FILE), Path(sys.argv[1], f"meter-sim-{sys.argv[2]}.sqlite"))
