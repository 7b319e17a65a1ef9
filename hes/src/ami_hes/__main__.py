"""The command line: `python -m ami_hes --config FILE`."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from ami_hes.app import Chance, serve
from ami_hes.meters.registry import RegistryError
from ami_hes.settings import Settings
from ami_hes.store import StoreUnavailable, StoreUnusable
from ami_process.events import events_on_standard_output
from ami_process.ownership import keep_private
from ami_process.settings import SettingsError

USAGE = 2


def main(arguments: list[str] | None = None) -> int:
    """Be the HES until told to stop; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m ami_hes", description="The head-end system.")
    parser.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="the TOML file that all processes share"
    )
    options = parser.parse_args(arguments)
    keep_private()
    chance = Chance()
    try:
        with events_on_standard_output(chance.now):
            return asyncio.run(_serve(Settings.load(options.config), chance))
    except (SettingsError, RegistryError, StoreUnusable, StoreUnavailable) as problem:
        sys.stderr.write(f"hes: {problem}\n")
        return USAGE


async def _serve(settings: Settings, chance: Chance) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return await serve(settings, stop, chance)


if __name__ == "__main__":
    raise SystemExit(main())
