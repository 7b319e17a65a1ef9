"""A registry of many meters: how long the head-end takes to import it and to start with it, its memory, and one request for one meter of them."""

import asyncio
import statistics
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from time import perf_counter

import httpx

from ami_cli import configuration
from ami_cli.bench import REQUEST_S
from ami_cli.bench_readings.asking import REGISTERS, Asking
from ami_cli.bench_readings.systems import OURS, resident, serve, shipped
from ami_cli.bench_scale.found import Found, Report, Setting, Table
from ami_cli.bench_scale.schemas import empty_schema, version
from ami_cli.processes import Processes, Program, environment

WORDS = """\
A shipment of meters with keys of their own is imported at the first start (`meter_files`), **import** is the time until the head-end is ready; **start** is that of the second one, and the memory is what the head-end has resident then.
**Latency**: four registers of one meter on demand, over a real session with a simulated meter, each time another meter of all of them; median and slowest. The meters are simulated by one process beside it."""
COLUMNS = ("store", "meters", "import, s", "start, s", "resident, MB", "latency, ms", "slowest, ms")
METERS, FEW = 100_000, 200
REQUESTS = 20
READY_S = 7_200.0


async def measure(setting: Setting, tell: Report) -> Found:
    """With each store, one after the other."""
    assert setting.store is not None
    meters = setting.meters or (FEW if setting.small else METERS)
    with empty_schema(setting.store) as place:
        rows = (
            await _row("SQLite", None, meters, tell),
            await _row("PostgreSQL", place.url.render_as_string(hide_password=False), meters, tell),
        )
        return Found(WORDS, (Table(COLUMNS, rows),), (version(place),))


async def _row(
    name: str, store: str | None, meters: int, tell: Report
) -> tuple[str, int, float, float, int, float, float]:
    async with _scratch() as directory:
        tell(f"{name}: a shipment of {meters:,} meters")
        given = {} if store is None else {"store": store}
        path, mrids = await asyncio.to_thread(shipped, configuration.default(), meters, directory, given)
        head_end = Program(name, "hes", (*OURS.hes, "--config", str(path)))
        tell(f"{name}: importing it")
        async with _processes(directory / "first") as first:
            began = perf_counter()
            await serve(first, head_end, within_s=READY_S)
            import_s = perf_counter() - began
        tell(f"{name}: starting with it")
        async with _processes(directory / "second") as second:
            simulated = Program("meters", "meter", (*OURS.simulator, "--config", str(path)), rank=1)
            await serve(second, simulated, within_s=READY_S)
            began = perf_counter()
            ready = await serve(second, head_end, within_s=READY_S)
            start_s = perf_counter() - began
            octets = resident(second.process_id(head_end))
            tell(f"{name}: asking single meters")
            async with httpx.AsyncClient(trust_env=False, timeout=REQUEST_S) as client:
                asking = Asking(client, f"http://{ready['listen'][0]}")
                step = max(1, len(mrids) // REQUESTS)
                taken = [1000 * await asking.read([one], REGISTERS) for one in mrids[::step][:REQUESTS]]
    return name, meters, import_s, start_s, octets // 10**6, statistics.median(taken), max(taken)


@asynccontextmanager
async def _scratch() -> AsyncIterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ami-bench-") as name:
        yield Path(name) / "system"


@asynccontextmanager
async def _processes(logs: Path) -> AsyncIterator[Processes]:
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(Processes(logs, environment(("AMI_METERS", "AMI_CONFIG"))))
