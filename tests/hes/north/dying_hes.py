"""A head-end system that kills itself behind a named step: python dying_hes.py DIRECTORY ENGINE STEP STORE. It prints where it listens."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from engines import MAKE, dying_behind
from north_bench import StandIn, settings
from reported import ignore

from ami_hes.app import running
from ami_process.environment import Environment


async def main(directory: Path, engine: str, step: str, store: str) -> None:
    make = dying_behind(step, MAKE[engine])
    async with running(settings(directory, store=store), Environment(emit=ignore), StandIn(), make) as listening:
        print(f"http://{listening[0]}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:]))
