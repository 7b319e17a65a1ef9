"""`python -m ami_meter_sim --config FILE [--meter NAME ...]`: the simulated meters of a configuration, as one process."""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ami_meter_sim.app import run, surroundings
from ami_meter_sim.fleet import Surroundings
from ami_meter_sim.meter.state import StateError
from ami_meter_sim.objects.model import ModelError
from ami_meter_sim.settings import Settings, choose_meters
from ami_process.events import Events, events_on_standard_output
from ami_process.ownership import keep_private
from ami_process.settings import SettingsError

UNUSABLE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line, run until SIGTERM or SIGINT; the exit code."""
    parser = argparse.ArgumentParser(prog="meter_sim", description="Simulated DLMS/COSEM meters.")
    parser.add_argument("--config", type=Path, required=True, help="the TOML file with [meter_sim] and [[meters]]")
    parser.add_argument("--meter", nargs="+", action="extend", default=[], metavar="NAME", help="only these meters")
    chosen = parser.parse_args(arguments)
    keep_private()

    try:
        with events_on_standard_output() as events:
            return asyncio.run(_run(Settings.load(chosen.config), chosen.meter, _surroundings(events)))
    except (SettingsError, ModelError, StateError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - a person has to mend the configuration
        return UNUSABLE


def _surroundings(events: Events) -> Surroundings:
    def tell(event: str, fields: Mapping[str, object]) -> None:
        events(event, **fields)

    def die() -> None:
        """As a process that is killed, but what was said is out."""
        events.flush()
        os._exit(1)

    return surroundings(tell, die=die)


async def _run(settings: Settings, names: Sequence[str], around: Surroundings) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return await run(settings.meter_sim, choose_meters(settings, names), around, stop)


if __name__ == "__main__":
    sys.exit(main())
