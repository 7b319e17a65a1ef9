"""Plays all rows and writes the page: `PYTHONPATH=tests python tests/interop/run.py [--write docs/interop.md] [--only WORDS]`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

from matrix import Row, rows
from page import excuse, page, versions
from play import PASSES, Outcome, play
from simulated_meters import simulated_meters

AT_ONCE = 2


async def play_all(chosen: list[Row], ports: Mapping[Row, int]) -> dict[Row, Outcome]:
    """Some rows at a time, told as they end."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(row: Row) -> Outcome:
        async with room:
            outcome = await play(row, ports)
        print(f"{row.name}: {told(row, outcome)}", flush=True)
        return outcome

    return dict(zip(chosen, await asyncio.gather(*map(one, chosen)), strict=True))


def told(row: Row, outcome: Outcome) -> str:
    wrong = {service: how for service, how in outcome.items() if how != PASSES}
    return "; ".join(f"{service}: {how}" for service, how in wrong.items()) or "all right"


def failed(row: Row, outcome: Outcome) -> bool:
    return any(how != PASSES and excuse(row, service, how) is None for service, how in outcome.items())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="the page to write")
    parser.add_argument("--only", default="", help="only rows whose name holds these words")
    given = parser.parse_args()
    if given.write and given.only:
        parser.error("a page of some rows is none")
    chosen = [row for row in rows() if given.only in row.name]
    with simulated_meters(chosen) as ports:
        outcomes = asyncio.run(play_all(chosen, ports))
    bad = [row.name for row, outcome in outcomes.items() if failed(row, outcome)]
    print(f"{len(outcomes)} sessions, {len(bad)} wrong", *bad, sep="\n  ")
    if given.write:
        given.write.write_text(page(outcomes, versions()), "utf-8")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
