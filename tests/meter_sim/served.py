"""Populations as a file describes them, served on real sockets: for tests of what their meters do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tomli_w
from bench import START
from reported import Reported

from ami_meter_sim.app import Running, start
from ami_meter_sim.settings import Settings
from ami_process.environment import Environment

COUNT, FIRST = 50_000, 2_001


def load(directory: Path, *tables: dict[str, Any]) -> Settings:
    path = directory / "ami.toml"
    path.write_text(tomli_w.dumps({"meter_sim": {"state": str(directory / "state")}, "populations": list(tables)}))
    return Settings.load(path)


def table(**more: Any) -> dict[str, Any]:
    return {"name": "north", "count": COUNT, "seed": "a seed", "first_serial": FIRST, "port": 1} | more


class Served:
    """A population with these settings on real sockets, which pushes."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.reported = Reported()
        self.running: Running

    async def __aenter__(self) -> Served:
        environment = Environment(emit=self.reported, now=lambda: START)
        self.running = await start(self.settings, (), environment)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.running.stop()
