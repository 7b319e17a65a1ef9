"""A whole system that is attacked, and what is seen of it meanwhile: what came back, memory, how long legitimate work took."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from statistics import median
from threading import Barrier
from typing import Literal

import httpx

sys.path.append(str(Path(__file__).resolve().parents[1] / "e2e"))

from free_ports import free_port
from harness import Process, System, system
from hostile import Site
from signers import prepared, signing
from stranger import CONNECT, DISCONNECT, Stranger, by_mrid

LARGEST_KB = 400_000
"""Of the process that is attacked, and of each of its children."""
BEFORE = 3
"""How often legitimate work is measured before an attack."""
MOST_DURING = 40
PATIENCE_S = 60.0
HEAD_S = 1.5
"""How long the head of a request may take at the HES and the CIS here: 10 s by default."""
Target = Literal["hes", "cis", "simulator", "dlms", "meter"]
"""HTTP of the three processes; the HES's port for meters; a simulated meter's port for head-ends."""


@dataclass
class Battlefield(Site):
    """Where all of them listen."""

    simulator: tuple[str, int] = ("", 0)
    meter: tuple[str, int] = ("", 0)

    def address(self, target: Target) -> tuple[str, int]:
        """Where an attack goes to."""
        return {"hes": self.hes, "cis": self.cis, "simulator": self.simulator, "dlms": self.dlms, "meter": self.meter}[
            target
        ]


@dataclass(frozen=True)
class Attack:
    """One row of the suite (`attack_table.py`)."""

    name: str
    target: Target
    expected: str
    """What has to come of it, in words."""
    test: str = ""
    """Where it is shown; empty: `test_attacks.py`."""
    launch: Callable[[Battlefield, float], Counter[str]] | None = None
    """Attacks, with so much force (1.0: as in CI), and says what came back, each kind with how often."""
    allowed: frozenset[str] = frozenset()
    """What may come back."""
    signed: bool = False
    """Of a system whose head-end takes signed messages and UsernameTokens alone."""
    needed: frozenset[str] = frozenset()
    """What has to be among it."""
    size: Literal["test", "ci", "acceptance"] = "ci"
    """Of the runs in which it is tried (`tests/sizes.py`)."""


@dataclass
class Seen:
    """What was seen of one attack; sizes in KB, of the largest process that was attacked or is its child; times in seconds."""

    came: Counter[str]
    alive: bool
    before_kb: int
    peak_kb: int
    before_s: list[float] = field(default_factory=list)
    during_s: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    """Legitimate work that was not done."""


@dataclass
class Besieged:
    """The system, and a well-behaved client."""

    system: System
    site: Battlefield
    processes: dict[str, Process]
    client: Stranger
    codes: Iterator[str] = field(default_factory=lambda: cycle((DISCONNECT, CONNECT)))

    def victim(self, target: Target) -> Process:
        """The process that an attack is aimed at."""
        return self.processes[{"dlms": "hes", "meter": "simulator"}.get(target, target)]

    def work(self) -> tuple[float, str]:
        """A control that really switches one meter that is called and one that dials in, and a look at CIS and simulator."""
        began = time.monotonic()
        both = [by_mrid(self.system.meter(name)) for name in ("M1001", "M1002")]
        answer = self.client.switch(next(self.codes), both)
        wrong = "" if answer.result == "OK" else answer.reasons
        for (host, port), path in ((self.site.cis, "healthz"), (self.site.simulator, "metrics")):
            status = httpx.get(f"http://{host}:{port}/{path}", timeout=PATIENCE_S, trust_env=False).status_code
            wrong = wrong or ("" if status == 200 else f"/{path} at port {port}: {status}")
        return time.monotonic() - began, wrong

    def under(self, attack: Attack, force: float = 1.0, before: int = 1) -> Seen:
        """Attack, and work meanwhile."""
        assert attack.launch is not None
        victim = self.victim(attack.target)
        family = [victim.pid, *children(victim.pid)]
        before_s = [self.work()[0] for _ in range(before)]
        rss_kb = max(map(_rss_kb, family))
        for pid in family:
            forget_peak(pid)
        together, during = Barrier(2), list[tuple[float, str]]()

        def launched() -> Counter[str]:
            together.wait(PATIENCE_S)
            assert attack.launch is not None
            return attack.launch(self.site, force)

        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(launched)
            together.wait(PATIENCE_S)
            try:
                while not during or (not running.done() and len(during) < MOST_DURING):
                    during.append(self.work())
                came = running.result(PATIENCE_S)
            finally:
                self.site.release()
        peaks = {pid: peak_kb(pid) for pid in {*family, *children(victim.pid)}}
        after = self.work()
        return Seen(
            came=came,
            alive=victim.alive,
            before_kb=rss_kb,
            peak_kb=max(peaks.values()),
            before_s=before_s,
            during_s=[one for one, _ in during],
            failed=[wrong for _, wrong in (*during, after) if wrong],
        )


@contextmanager
def besieged(directory: Path, *, signed: bool = False) -> Iterator[Besieged]:
    """CIS, HES and one simulator in processes of their own; M1001 is called, M1002 dials in, M1003 is nowhere but has keys.

    `signed`: the HES takes signed messages and UsernameTokens alone, and the well-behaved client signs.
    """
    local = "127.0.0.1"
    with system(directory, meters=3) as one:
        hes, cis, meters = one.config["hes"], one.config["cis"], one.config["meters"]
        hes["http_head_s"] = cis["http_head_s"] = HEAD_S
        if signed:
            hes |= prepared(directory)
        one.config["meter_sim"]["port"] = free_port()
        meters[1]["address"] = "dials-in"
        meters[1]["simulated"]["dial_to"] = f"{local}:{hes['dlms_port']}"
        served = one.config | {"meters": meters[:2]}
        one.start_together(served)
        assert one.hes is not None
        one.hes.wait_for("dialled_in", meter="M1002")
        cis_process = one.start_cis("--no-loop")
        cis_process.wait_for("ready")
        simulator = next(process for process in one.processes if process.name.startswith("ami_meter_sim"))
        site = Battlefield(
            hes=(local, hes["port"]),
            dlms=(local, hes["dlms_port"]),
            cis=(local, cis["port"]),
            directory=one.directory,
            meters=meters,
            simulator=(local, one.config["meter_sim"]["port"]),
            meter=(local, int(meters[0]["address"].rpartition(":")[2])),
        )
        processes = {"hes": one.hes, "cis": cis_process, "simulator": simulator}
        yield Besieged(one, site, processes, Stranger(one.hes_url, signing(directory) if signed else None))


def figures(attack: Attack, seen: Seen) -> tuple[str, ...]:
    """A line of the table that `make attacks` prints."""
    came = ", ".join(f"{what} x{number}" if number > 1 else what for what, number in seen.came.most_common(4))
    memory = f"{seen.before_kb // 1000} -> {seen.peak_kb // 1000}"
    return attack.name, attack.target, came, memory, _times(seen.before_s), _times(seen.during_s)


def _times(seconds: list[float]) -> str:
    return f"{1000 * median(seconds):.0f} / {1000 * max(seconds):.0f}" if seconds else "-"


def children(pid: int) -> list[int]:
    """The children of a process and theirs."""
    found: list[int] = []
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, listing.read_text().split()):
            found += [child, *children(child)]
    return found


def _status(pid: int, name: str) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith(name)), 0)


def _rss_kb(pid: int) -> int:
    return _status(pid, "VmRSS:")


def peak_kb(pid: int) -> int:
    """The largest resident size of a process since `forget_peak`; 0 if it has ended."""
    return _status(pid, "VmHWM:")


def forget_peak(pid: int) -> None:
    """Let the largest resident size begin anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
