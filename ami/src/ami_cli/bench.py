"""How fast the whole is, and where its time goes: one EndDeviceControls for many meters, over real sockets.

The meters run in a process of their own, the HES in this one, where the sampler (sampling.py) can see its layers. The
request is one SOAP message with one EndDevices element a meter; the figure is the time from its first octet to the last
octet of its one reply. A run counts only if the reply is OK and every meter was read back. The first runs warm up.
"""

import asyncio
import os
import platform
import statistics
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import httpx

from ami_cim import wire
from ami_cim.envelope import typed_wrapper
from ami_cim.identity import EndDevice
from ami_cim.message import Header, Reply, RequestMessage
from ami_cim.payloads.end_device_controls import EndDeviceControl, EndDeviceControls
from ami_cim.schema import Schemas
from ami_cli import configuration, generated_meters
from ami_cli.chosen_ports import chosen_row
from ami_cli.processes import Emitted, Processes, Program, environment, module
from ami_cli.sampling import Sampler
from ami_hes.app import running
from ami_hes.settings import Settings
from ami_process.environment import Environment

DISCONNECT, CONNECT = "3.31.0.23", "3.31.0.18"
READY_S = 120.0
REQUEST_S = 300.0
PATH = "/cim/ExecuteEndDeviceControls"
CREATE = typed_wrapper("create", "EndDeviceControls")


class BenchError(Exception):
    """The figure would not be honest; the text says why."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One size of request: seconds of each counted run, and the HES's time by layer and by step (fractions of 1)."""

    meters: int
    seconds: tuple[float, ...]
    shares: tuple[tuple[str, float], ...]
    steps: tuple[tuple[str, float], ...]

    @property
    def median_s(self) -> float:
        return statistics.median(self.seconds)

    @property
    def meters_per_second(self) -> float:
        return self.meters / self.median_s


def machine() -> str:
    """Where this was measured, in a line."""
    cores = os.cpu_count()
    return (
        f"{platform.system()} {platform.machine()}, {cores} cores, Python {platform.python_version()}, {_processor()}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown processor"


async def measure(base: Path, meters: int, runs: int, warm_up: int, report: Callable[[str], None]) -> Figures:
    """Time `runs` requests for `meters` meters after `warm_up` uncounted ones. BenchError if a meter does not confirm."""
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ami-bench-")))
        url, document = await stack.enter_async_context(_system(base, meters, directory))
        client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=REQUEST_S))
        for run in range(warm_up):
            await request(client, url, document, run)
            report(f"warm-up {run + 1} of {warm_up}")
        seconds = []
        with Sampler() as sampler:
            for run in range(runs):
                seconds.append(await request(client, url, document, warm_up + run))
                report(f"run {run + 1} of {runs}: {seconds[-1]:.3f} s")
    return Figures(meters, tuple(seconds), tuple(sampler.shares), tuple(sampler.steps))


@asynccontextmanager
async def _system(base: Path, meters: int, directory: Path) -> AsyncIterator[tuple[str, generated_meters.Document]]:
    """The meters in a process, the HES here; gives the HES's address and the configuration."""
    path, document = write_configuration(base, meters, directory)
    async with Processes(directory / "logs", environment(("AMI_METERS", "AMI_CONFIG"))) as processes:
        meter_sim = Program("meters", "meter", module("ami_meter_sim", "serve", "--config", str(path)))
        await processes.start(meter_sim)
        await until_ready(processes, meter_sim)
        async with running(Settings.load(path), Environment(emit=lambda event: None)) as listening:
            yield f"http://{listening[0]}{PATH}", document


def write_configuration(
    base: Path, meters: int, directory: Path, hes: Mapping[str, object] | None = None
) -> tuple[Path, generated_meters.Document]:
    """The file for HES and meters, which have a port each, and what is in it; `hes` on top of its section [hes].

    Raises BenchError where so many ports are not free.
    """
    try:
        address = f"127.0.0.1:{chosen_row(meters)}"
    except OSError as problem:
        raise BenchError(str(problem)) from None
    document = generated_meters.fleet(
        configuration.load(base), meters, seed="bench", layout=generated_meters.Layout.PORTS, address=address
    )
    # places are for a CIS; and head-ends that bench is compared with may know none
    document["meters"] = [generated_meters.without(one, *generated_meters.PLACE) for one in document["meters"]]
    document["hes"] |= {"port": 0, "dlms_port": 0, "deadline_s": REQUEST_S} | dict(hes or {})
    document = configuration.anchored(document, directory)
    directory.mkdir(exist_ok=True)
    path = directory / "bench.toml"
    configuration.write(document, path)
    return path, document


async def start_head_end(
    processes: Processes, name: str, command: tuple[str, ...], path: Path, document: generated_meters.Document
) -> tuple[Program, Mapping[str, Any]]:
    """The HES of whatever version, and its event `ready`: one that has no limits on switching refuses a file that names some, and gets one without."""
    program = Program(name, "hes", (*command, "--config", str(path)))
    await processes.start(program)
    try:
        return program, await until_ready(processes, program)
    except BenchError as problem:
        if "hes.guard" not in str(problem):
            raise
    older = path.with_name("without-guard.toml")
    hes = {key: value for key, value in document["hes"].items() if key != "guard"}
    configuration.write(document | {"hes": hes}, older)
    program = Program(name, "hes", (*command, "--config", str(older)))
    await processes.start(program)
    return program, await until_ready(processes, program)


async def until_ready(processes: Processes, program: Program, within_s: float = READY_S) -> Mapping[str, Any]:
    """The event `ready` of a program that was just started; BenchError when it does not come."""
    try:
        async with asyncio.timeout(within_s):
            async for message in processes.messages():
                if message.origin is not program:
                    continue
                if isinstance(message, Emitted) and message.event["event"] == "port_taken":
                    raise BenchError(f"{message.event['address']} is taken")
                if isinstance(message, Emitted) and message.event["event"] == "ready":
                    return message.event
                if not isinstance(message, Emitted):
                    break
    except TimeoutError:
        pass
    raise BenchError(f"{program.name} did not start: {processes.last_words(program)}")


async def request(client: httpx.AsyncClient, url: str, document: generated_meters.Document, run: int) -> float:
    """One request and its reply; the seconds between. Disconnect and connect take turns, so every run switches."""
    message_id = str(uuid.uuid4())
    control = EndDeviceControl(
        control_type=CONNECT if run % 2 else DISCONNECT,
        end_devices=tuple(EndDevice(mrid=meter["mrid"]) for meter in document["meters"]),
    )
    header = Header(
        verb="create",
        noun="EndDeviceControls",
        timestamp=datetime.now(UTC),
        source="bench",
        message_id=message_id,
        correlation_id=message_id,
    )
    message = RequestMessage(header=header, payload=EndDeviceControls(controls=(control,)))
    body = wire.write_request(message, CREATE, Schemas())
    started = perf_counter()
    answer = await client.post(url, content=body, headers={"Content-Type": "text/xml; charset=utf-8"})
    took_s = perf_counter() - started
    _check(wire.read_response(answer.content, Schemas()).reply)
    return took_s


def _check(reply: Reply) -> None:
    if reply.result != "OK":
        reasons = "; ".join(f"{error.code} {error.reason}" for error in reply.errors[:3])
        raise BenchError(f"the reply is {reply.result}: {reasons}")
