"""Meters that dial in, over two listeners: what a connection costs them in memory, how long a request takes, and how long a killed listener is missed."""

import asyncio
import resource
import statistics
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import uuid4

import httpx

from ami_cli import configuration, populations
from ami_cli.bench import BenchError, until_ready
from ami_cli.bench_readings.asking import REGISTERS, Asking
from ami_cli.bench_scale.found import Found, Report, Setting, Table
from ami_cli.bench_scale.schemas import empty_schema, version
from ami_cli.chosen_ports import chosen_ports
from ami_cli.processes import Emitted, Processes, Program, environment, module
from ami_meter_sim.populating import prepare
from ami_meter_sim.population_settings import PopulationSettings

WORDS = """\
Meters under GMAC dial into two listeners, half of them into each, beside a front end that does not listen; all have proved their keys and wait. **Memory** is what is resident in a
process, first without a meter and then with all of them connected; the registry is the same. **One at a time**: a synchronous request for one register of one meter, from the message to its answer, which opens and
releases an association. **All at once**: one request for one register of every meter. Then one listener is killed, and another one is started at its
address: the time from the kill until its first meter has dialled in again and is there, and until all are; the start of the process is in it, and meters wait a second before they call again, then longer."""
PAGE = resource.getpagesize()
REQUEST_S = 600.0
SILENT_S = 180.0
"""When no further meter has come for so long, none will: a simulated one calls again within a minute."""


@dataclass(slots=True)
class _Site:
    """The processes, and which meters have dialled in where."""

    processes: Processes
    directory: Path
    document: dict[str, Any]
    ports: Mapping[str, int]
    here: dict[str, set[str]] = field(default_factory=dict)

    async def start(self, name: str, module_name: str, role: str, **hes: object) -> Program:
        path = self.directory / f"{name}.toml"
        configuration.write(self.document | {"hes": self.document["hes"] | hes}, path)
        program = Program(name, name, module(module_name, role, "--config", str(path)))
        self.here[name] = set()
        await self.processes.start(program)
        await until_ready(self.processes, program)
        return program

    async def listener(self, name: str, port: str) -> Program:
        return await self.start(name, "ami_hes", "listen", dlms_port=self.ports[port])

    async def until_here(self, name: str, count: int, tell: Report) -> float:
        """Wait until `count` meters have dialled in at this listener; the time of the last one (`perf_counter`, s)."""
        last = perf_counter()
        while len(self.here[name]) < count:
            for message in self.processes.heard():
                if isinstance(message, Emitted) and message.event["event"] == "dialled_in":
                    self.here[message.origin.name].add(message.event["meter"])
                    last = perf_counter()
            if perf_counter() - last > SILENT_S:
                raise BenchError(f"{len(self.here[name])} of {count} meters have dialled in")
            tell(f"{name}: {len(self.here[name])} of {count} meters")
            await asyncio.sleep(0.05)
        return last

    def megabytes(self, program: Program) -> float:
        pages = Path(f"/proc/{self.processes.process_id(program)}/statm").read_text("ascii").split()[1]
        return int(pages) * PAGE / 1e6


async def measure(setting: Setting, tell: Report) -> Found:
    """One system. Raises BenchError."""
    assert setting.store is not None and setting.engine is not None
    count = 20 if setting.small else 10_000
    with empty_schema(setting.store) as schema:
        async with _site(count, schema.url.render_as_string(hide_password=False), setting.engine) as (site, mrids):
            front = await site.start("front end", "ami_hes", "serve")
            one, other = await site.listener("listener 1", "first"), await site.listener("listener 2", "second")
            empty = {program.name: site.megabytes(program) for program in (front, one, other)}
            meters = await site.start("meters", "ami_meter_sim", "serve")
            began = perf_counter()
            for listener in (one, other):
                await site.until_here(listener.name, count // 2, tell)
            called_s = perf_counter() - began
            full = {program.name: site.megabytes(program) for program in (front, one, other)}
            async with httpx.AsyncClient(trust_env=False, timeout=REQUEST_S) as client:
                asking = Asking(client, f"http://127.0.0.1:{site.ports['hes']}")
                alone = await _alone(asking, mrids, 20 if setting.small else 200, tell)
                tell(f"one register of {count} meters")
                together_s = await asking.read(mrids, REGISTERS[:1])
                killed, first_s, all_s = await _killed(site, other, count // 2, tell)
                again_s = await asking.read(mrids[count // 2 :], REGISTERS[:1])
        memory = tuple(
            (
                name,
                empty[name],
                full[name],
                1e3 * (full[name] - empty[name]) / (count // 2 if name != front.name else count),
            )
            for name in empty
        )
        notes = (version(schema), f"{meters.name} in one process", f"{killed} was killed")
    return Found(
        WORDS,
        (
            Table(("process", "MB without meters", "MB with them", "kB for each"), memory),
            Table(
                ("what", "meters", "seconds"),
                (
                    ("all have dialled in and proved themselves", count, called_s),
                    ("one at a time, median", 1, statistics.median(alone)),
                    ("one at a time, 95 of 100 within", 1, sorted(alone)[int(0.95 * len(alone)) - 1]),
                    ("all at once", count, together_s),
                    ("after the kill of a listener, the first is back", 1, first_s),
                    ("after the kill of a listener, all are back", count // 2, all_s),
                    ("these, read at once then", count // 2, again_s),
                ),
            ),
        ),
        notes,
    )


async def _alone(asking: Asking, mrids: tuple[str, ...], number: int, tell: Report) -> list[float]:
    await asking.read(mrids[:1], REGISTERS[:1])
    found = []
    for run in range(number):
        tell(f"one meter at a time, {run} of {number}")
        found.append(await asking.read([mrids[run * len(mrids) // number]], REGISTERS[:1]))
    return found


async def _killed(site: _Site, listener: Program, count: int, tell: Report) -> tuple[str, float, float]:
    began = perf_counter()
    site.processes.kill(listener)
    heir = await site.listener("listener 3", "second")
    first = await site.until_here(heir.name, 1, tell)
    last = await site.until_here(heir.name, count, tell)
    return listener.name, first - began, last - began


@asynccontextmanager
async def _site(count: int, store: str, engine: str) -> AsyncIterator[tuple[_Site, tuple[str, ...]]]:
    names = ("hes", "first", "second", "simulator")
    ports = dict(zip(names, chosen_ports(len(names)), strict=True))
    tables: list[dict[str, Any]] = [
        {"name": f"dials-{number}", "count": count // 2, "seed": "bench", "first_serial": 1 + number * 1_000_000}
        | {"model": "single-phase", "address": f"127.{number}.0.1", "dial_to": f"127.0.0.1:{ports[port]}"}
        for number, port in enumerate(("first", "second"), 1)
    ]
    with tempfile.TemporaryDirectory(prefix="ami-bench-") as name:
        directory = Path(name)
        document = configuration.load(configuration.default()) | {"meters": [], "populations": tables}
        document["hes"] |= {
            "port": ports["hes"],
            "listen": False,
            "store": store.replace("postgresql+psycopg", "postgresql"),
            "engine": f"{engine}/bench-{uuid4().hex[:8]}",
            "deadline_s": REQUEST_S,
            "max_meters_per_request": count,
            "lanes": {"read": {"deadline_s": REQUEST_S}},
        }
        document = configuration.anchored(document, directory)
        populations.ship(document, directory)
        mrids = tuple(
            str(one.population.identities.mrid(index))
            for one in prepare([PopulationSettings.model_validate(table) for table in tables])
            for index in range(count // 2)
        )
        async with Processes(directory / "logs", environment(("AMI_METERS", "AMI_CONFIG"))) as processes:
            yield _Site(processes, directory, document, ports), mrids
