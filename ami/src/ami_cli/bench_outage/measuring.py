"""An outage: simulator and HES in a process each, the subscriber here. The meters lose power at moments of their own within a time.

Once with the receive buffer that the head-end asks for and once with that of the system. A burst is over when everything that was sent has come,
or when nothing more has come for a while: what is missing then is lost, and where it was lost the figures say.
"""

import asyncio
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from ami_cli import configuration, populations
from ami_cli.bench import BenchError, until_ready
from ami_cli.bench_outage.figures import Burst
from ami_cli.bench_outage.subscriber import Arrivals, subscriber
from ami_cli.chosen_ports import chosen_ports
from ami_cli.cpu_time import used_s
from ami_cli.processes import Processes, Program, environment, module

Report = Callable[[str], None]
BUFFERS = {"as the head-end asks for": None, "as the system has it": 0}
"""`hes.datagram_buffer_octets`; None is its default."""
QUIET_S = 30.0
"""How long nothing has to come until the rest counts as lost."""
LOOK_S = 0.2
ASK_S = 60.0
GASPS = re.compile(r'^meter_sim_pushes_total\{[^}]*result="sent"[^}]*transport="udp"[^}]*\} (\S+)$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Running:
    """Where the processes are asked."""

    client: httpx.AsyncClient
    simulator: str
    hes: str
    hes_process: int

    async def sent(self) -> int:
        """Datagrams that have left the simulator."""
        found = GASPS.findall(await self._text(f"{self.simulator}/metrics"))
        return int(sum(map(float, found)))

    async def datagrams(self) -> dict[str, int]:
        """What the head-end says of those that came."""
        text = await self._text(f"{self.hes}/metrics")
        found = re.findall(r'^hes_datagrams_total\{outcome="(\w+)"\} (\S+)$', text, re.MULTILINE)
        buffer = re.search(r"^hes_datagram_buffer_octets (\S+)$", text, re.MULTILINE)
        return {name: int(float(number)) for name, number in found} | {
            "granted": int(float(buffer[1])) if buffer else 0
        }

    async def _text(self, url: str) -> str:
        answer = await self.client.get(url)
        answer.raise_for_status()
        return answer.text


async def measure(meters: int, over_s: float, report: Report) -> list[Burst]:
    """A burst for each buffer. Raises BenchError."""
    bursts = []
    for name, octets in BUFFERS.items():
        with tempfile.TemporaryDirectory(prefix="ami-bench-") as directory:
            report(f"the buffer {name}: starting")
            try:
                bursts.append(await _burst(Path(directory), name, octets, meters, over_s, report))
            except (httpx.HTTPError, OSError) as trouble:
                raise BenchError(f"the buffer {name}: {trouble or type(trouble).__name__}") from None
    return bursts


async def _burst(directory: Path, name: str, octets: int | None, meters: int, over_s: float, report: Report) -> Burst:
    async with (
        subscriber() as arrivals,
        Processes(directory / "logs", environment(("AMI_METERS", "AMI_CONFIG"))) as processes,
        httpx.AsyncClient(trust_env=False, timeout=ASK_S) as client,
    ):
        path, ports = _configuration(directory, octets, meters, arrivals.url)
        simulator = Program("meters", "meter", module("ami_meter_sim", "serve", "--config", str(path)), rank=1)
        hes = Program("hes", "hes", module("ami_hes", "serve", "--config", str(path)))
        for one in (simulator, hes):
            await processes.start(one)
            await until_ready(processes, one)
        at = "http://127.0.0.1"
        running = _Running(client, f"{at}:{ports['simulator']}", f"{at}:{ports['hes']}", processes.process_id(hes))
        began, used = datetime.now(UTC), used_s(running.hes_process)
        order = {"on": False, "group": ["outage"], "spread_s": over_s}
        (await client.post(f"{running.simulator}/api/v1/power", json=order)).raise_for_status()
        sent = await _until_over(running, processes, arrivals, meters, over_s, report)
        arrivals.count()
        came = await running.datagrams()
        return Burst(
            buffer=name,
            granted_octets=came["granted"],
            meters=meters,
            over_s=over_s,
            sent=sent,
            taken=came.get("taken", 0),
            lost_in_kernel=came.get("lost_in_kernel", 0),
            worked=came.get("worked", 0),
            delays_s=tuple(sorted(arrivals.delays_s.values())),
            doubled=arrivals.doubled,
            took_s=((arrivals.last_at or began) - began).total_seconds(),
            hes_cpu_s=used_s(running.hes_process) - used,
        )


async def _until_over(
    running: _Running, processes: Processes, arrivals: Arrivals, meters: int, over_s: float, report: Report
) -> int:
    """How many have been sent, once all of them have come or nothing more does."""
    loop = asyncio.get_running_loop()
    seen, since = -1, loop.time()
    while True:
        processes.heard()  # what they say has to be taken
        arrivals.count()
        number, sent = len(arrivals.delays_s), await running.sent()
        report(f"{sent:,} sent, {number:,} delivered")
        if number != seen:
            seen, since = number, loop.time()
        if (sent >= meters and number >= sent) or loop.time() - since > QUIET_S + over_s:
            return sent
        await asyncio.sleep(LOOK_S)


def _configuration(directory: Path, octets: int | None, meters: int, url: str) -> tuple[Path, dict[str, int]]:
    """The file of both processes, and their ports."""
    names = ("population", "simulator", "hes", "dlms")
    ports = dict(zip(names, chosen_ports(len(names)), strict=True))
    table: dict[str, Any] = {"name": "outage", "count": meters, "seed": "outage", "port": ports["population"]}
    table |= {"model": "single-phase", "push": {"to": f"udp://127.0.0.1:{ports['dlms']}", "on": ["power-down"]}}
    document = configuration.load(configuration.default()) | {"meters": [], "populations": [table]}
    document["hes"] |= {
        "port": ports["hes"],
        "dlms_port": ports["dlms"],
        "subscribers": [{"name": "oms", "url": url, "nouns": ["EndDeviceEvents"]}],
    }
    if octets is not None:
        document["hes"]["datagram_buffer_octets"] = octets
    document["meter_sim"] |= {"port": ports["simulator"]}
    document = configuration.anchored(document, directory)
    populations.ship(document, directory)
    path = directory / "bench.toml"
    configuration.write(document, path)
    return path, ports
