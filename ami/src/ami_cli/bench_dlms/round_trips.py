"""Round trips a second over loopback TCP: an echo, our two ends, and foreign clients against our server, taking turns."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from ami_cli.bench_dlms import samples
from ami_cli.bench_dlms.cores import ASKING, SERVING, pin
from ami_cli.bench_dlms.ends import DlmsBenchError
from ami_cli.bench_dlms.peers import Peer
from ami_cli.bench_dlms.socket_drivers import Counted, Load

CONNECTIONS = 100
WARM_UP_S = 0.5
SERVER_S = 60
MICRO = 1e6
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Contender:
    """Who asks whom, and how octets travel; a foreign client has no end of its own here."""

    name: str
    driver: str
    served_by: str
    connections: int
    peer: Peer | None = None


@dataclass(frozen=True, slots=True)
class RoundTrips:
    """One contender's runs, as the asking process counted them."""

    contender: Contender
    counted: tuple[Counted, ...]

    @property
    def per_second(self) -> float:
        return median(run.per_second for run in self.counted)

    @property
    def asking_us(self) -> float:
        """CPU microseconds of the asking process for one round trip."""
        return MICRO * median(run.cpu_s / run.round_trips for run in self.counted)


def contenders(peers: dict[str, Peer]) -> list[Contender]:
    """All contenders that can run here."""
    found = []
    for driver in ("asyncio", "selectors"):
        found += [Contender("echo", driver, "echo", CONNECTIONS), Contender("dlms", driver, "meter", CONNECTIONS)]
        if "dlms-cosem" in peers:
            found.append(Contender("dlms-cosem", driver, "meter", CONNECTIONS, peers["dlms-cosem"]))
    if "gurux" in peers:
        found.append(Contender("gurux", "selectors", "meter", 1, peers["gurux"]))
    return found


def measure(peers: dict[str, Peer], runs: int, seconds: float, report: Report) -> list[RoundTrips]:
    """A number of runs of each contender, alternating."""
    all_of_them = contenders(peers)
    counted: dict[Contender, list[Counted]] = {contender: [] for contender in all_of_them}
    for run in range(runs):
        for contender in all_of_them:
            report(f"round trips, run {run + 1} of {runs}: {contender.name} over {contender.driver}")
            counted[contender].append(_run(contender, seconds))
    return [RoundTrips(contender, tuple(runs_of_it)) for contender, runs_of_it in counted.items()]


def _run(contender: Contender, seconds: float) -> Counted:
    with _server(contender) as port:
        load = Load(port, contender.connections, min(WARM_UP_S, seconds), seconds)
        given = asdict(load) | {"driver": contender.driver}
        if contender.peer is not None:
            said = contender.peer.run(given | _association() | {"measure": "round_trips"})
        else:
            said = _ask(given | {"ask": contender.served_by})
    if not said["round_trips"]:
        raise DlmsBenchError(f"{contender.name} over {contender.driver}: no round trip in {seconds} s")
    return Counted(**said)


def _association() -> dict[str, Any]:
    return {
        "expected": samples.ENERGY_VALUE.value,
        "client_wport": samples.CLIENT_WPORT,
        "server_wport": samples.SERVER_WPORT,
        "encryption_key": samples.ENCRYPTION_KEY.hex(),
        "authentication_key": samples.AUTHENTICATION_KEY.hex(),
    }


def _command(given: dict[str, Any]) -> list[str]:
    return [sys.executable, "-m", "ami_cli.bench_dlms.process", json.dumps(given)]


@contextmanager
def _server(contender: Contender) -> Iterator[int]:
    """A server in a process of its own, for as many connections as the contender opens; gives its port."""
    given = {"serve": contender.served_by, "driver": contender.driver, "connections": contender.connections}
    command = _command(given)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:  # noqa: S603 - ours
        try:
            assert process.stdout is not None
            pin(process.pid, SERVING)
            line = process.stdout.readline()
            if not line:
                raise DlmsBenchError(
                    f"the server of {contender.name} did not start: {process.communicate()[1].decode()}"
                )
            yield json.loads(line)["port"]
            process.wait(SERVER_S)
        finally:
            process.kill()


def _ask(given: dict[str, Any]) -> dict[str, Any]:
    command = _command(given)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:  # noqa: S603 - ours
        try:
            pin(process.pid, ASKING)
            output, trouble = process.communicate(timeout=SERVER_S)
        finally:
            process.kill()
    if process.returncode:
        raise DlmsBenchError(f"the asking process failed: {trouble.decode()}")
    said: dict[str, Any] = json.loads(output)
    return said
