"""The API of the process over a real socket, with three meters and a line to them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from bench import RESIDENTIAL, Bench, Wire, setup
from patience import PATIENCE_S

from ami_meter_sim.admin.serving import serving_api
from ami_meter_sim.settings import MeterSimSettings
from ami_meter_sim.tap import Tap
from ami_packs.model import Model


class Served:
    """Three meters, their API, and a line to them."""

    def __init__(self, wire: Wire, client: httpx.AsyncClient, tap: Tap, bench: Bench) -> None:
        self.wire = wire
        self.bench = bench
        self.client = client
        self.tap = tap

    async def get(self, path: str, **parameters: Any) -> Any:
        answer = await self.client.get(path, params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, **body: Any) -> Any:
        answer = await self.client.post(path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()


@asynccontextmanager
async def served(
    directory: Path,
    token_file: Path | None = None,
    model: Model = RESIDENTIAL,
    settings: MeterSimSettings | None = None,
) -> AsyncIterator[Served]:
    benches = [Bench(directory) for _ in range(3)]
    names = ["M1001", "M1002", "N1003"]
    meters = [
        bench.start(setup(name, server_wport=number, model=model))
        for number, (bench, name) in enumerate(zip(benches, names, strict=True), 1)
    ]
    wire = Wire(*meters)
    tap = Tap(wire.fleet.environment.emit)
    wire.fleet.environment = replace(wire.fleet.environment, emit=tap)
    await wire.listen()
    settings = settings or MeterSimSettings(token_file=token_file)
    try:
        async with (
            serving_api(settings, 0, wire.fleet, tap) as address,
            httpx.AsyncClient(base_url=f"http://{address}", trust_env=False, timeout=PATIENCE_S) as client,
        ):
            yield Served(wire, client, tap, benches[0])
    finally:
        await wire.stop()
