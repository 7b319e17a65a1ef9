"""Head-ends to measure: one process on SQLite, or a front end with workers on PostgreSQL and NATS; simulated meters of its own for each, all of them processes."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx

from ami_cli import configuration
from ami_cli.bench import REQUEST_S, BenchError, until_ready, write_configuration
from ami_cli.bench_readings.asking import Asking
from ami_cli.bench_scale.found import Setting
from ami_cli.bench_scale.schemas import empty_schema
from ami_cli.cpu_time import used_s
from ami_cli.processes import Emitted, Processes, Program, environment, module
from ami_hes.commands import Lane
from ami_hes.engine.partitions import PARTITIONS, fair_share

SHARED_S, LOOK_S = 60.0, 0.05
UNLIMITED = {"per_principal": 10_000_000, "in_all": 10_000_000}


@dataclass(frozen=True, slots=True)
class Kind:
    """Of meters and processes."""

    meters: int
    answer_delay_s: float
    workers: int
    """0: one process that does everything."""


@dataclass(slots=True)
class System:
    """At work."""

    asking: Asking
    meters: Sequence[str]
    front: int
    workers: list[int]
    simulator: int

    def used(self) -> tuple[float, float, float]:
        """Seconds of CPU so far: of the process that is asked, of the workers, of the meters."""
        return used_s(self.front), sum(map(used_s, self.workers)), used_s(self.simulator)

    def kill(self) -> None:
        """A worker, at once."""
        os.kill(self.workers.pop(), signal.SIGKILL)


@asynccontextmanager
async def system(base: Path, kind: Kind, setting: Setting, directory: Path) -> AsyncIterator[System]:
    """Started, and its meters shared out. Raises BenchError."""
    async with AsyncExitStack() as stack:
        place = {} if kind.workers == 0 else await stack.enter_async_context(_shared(setting))
        path, meters = _written(base, kind, directory, place)
        processes = await stack.enter_async_context(
            Processes(directory / "logs", environment(("AMI_METERS", "AMI_CONFIG")))
        )
        simulated = _program("meters", "meter", path, module("ami_meter_sim", "serve"), rank=1)
        head_end = _program("front end", "hes", path, module("ami_hes", "serve"))
        await processes.start(simulated)
        await until_ready(processes, simulated)
        await processes.start(head_end)
        ready = await until_ready(processes, head_end)
        workers = [
            _program(f"worker {number}", "worker", path, module("ami_hes", "work")) for number in range(kind.workers)
        ]
        for one in workers:
            await processes.start(one)
        if workers:
            await _shared_out(processes, workers)
        client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=REQUEST_S))
        yield System(
            Asking(client, f"http://{ready['listen'][0]}"),
            meters,
            processes.process_id(head_end),
            [processes.process_id(one) for one in workers],
            processes.process_id(simulated),
        )


def _program(name: str, role: str, path: Path, command: tuple[str, ...], rank: int = 0) -> Program:
    return Program(name, role, (*command, "--config", str(path)), rank)


def _written(base: Path, kind: Kind, directory: Path, place: Mapping[str, object]) -> tuple[Path, Sequence[str]]:
    """The configuration, and the mRIDs of its meters; none of their associations is kept open, so that each command is a session."""
    hes = {
        "keep_open_s": 0,
        "max_meters_per_request": kind.meters,
        "lanes": {"read": {"deadline_s": REQUEST_S}},
        "guard": {"disconnects": UNLIMITED},
    } | dict(place)
    path, document = write_configuration(base, kind.meters, directory, hes)
    for one in document["meters"]:
        one["simulated"]["answer_delay_s"] = kind.answer_delay_s
    configuration.write(document, path)
    return path, [one["mrid"] for one in document["meters"]]


@asynccontextmanager
async def _shared(setting: Setting) -> AsyncIterator[Mapping[str, object]]:
    """An empty schema and an empty system in NATS, which are gone at the end."""
    assert setting.store is not None and setting.engine is not None
    name = f"bench{uuid4().hex[:8]}"
    with empty_schema(setting.store) as server:
        try:
            yield {"store": server.url.render_as_string(), "engine": f"{setting.engine}/{name}"}
        finally:
            await _forget_streams(setting.engine, name)


async def _forget_streams(engine: str, name: str) -> None:
    from nats import connect
    from nats.js.errors import NotFoundError

    client = await connect(engine)
    for lane in Lane:
        try:
            await client.jetstream().delete_stream(f"{name}-{lane}")
        except NotFoundError:  # it never came so far
            continue
    await client.close()


async def _shared_out(processes: Processes, workers: Sequence[Program]) -> None:
    """Returns when all partitions have an owner, and each worker its share."""
    owned = dict.fromkeys((one.name for one in workers), 0)
    try:
        async with asyncio.timeout(SHARED_S):
            while sum(owned.values()) != PARTITIONS or max(owned.values()) > fair_share(len(workers)):
                for one in processes.heard():
                    if (
                        isinstance(one, Emitted)
                        and one.origin in workers
                        and one.event["event"] in ("partitions_taken", "partitions_given")
                    ):
                        owned[one.origin.name] = int(one.event["owned"])
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        raise BenchError(f"the meters were not shared out among the workers: {owned}") from None
