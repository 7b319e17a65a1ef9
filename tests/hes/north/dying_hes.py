"""A head-end system that kills itself behind a named step: python dying_hes.py DIRECTORY ENGINE STEP STORE METERS. It prints where it listens.

With more than the usual three meters it is one that is read.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from engines import MAKE, dying_behind
from north_bench import StandIn, settings
from reading_bench import BOUND, reads
from reported import ignore

from ami_hes.app import running
from ami_process.environment import Environment


async def main(directory: Path, engine: str, step: str, store: str, meters: str) -> None:
    make = dying_behind(step, MAKE[engine])
    count = int(meters)
    stand_in = StandIn() if count == 3 else reads(count, 10)
    values = settings(directory, count, store=store, max_answer_octets=BOUND)
    async with running(values, Environment(emit=ignore), stand_in, make) as listening:
        print(f"http://{listening[0]}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:]))
