"""The HES and the CIS under hostile senders (see `hostile.py`): each message sent once, and 50 at once.

While the messages are under way, a control of somebody else ends OK within its deadline and `/healthz` answers; afterwards the
process is the same one and still serves, and neither it nor a child of it was ever larger than 400 MB. One system serves all
rows of a victim, so what a message leaves behind is met by the rows after it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from threading import Barrier

import httpx
import pytest
from harness import Process, System, system
from hostile import SENDERS, Sender, Site
from stranger import CONNECT, DISCONNECT, Answer, Stranger, by_mrid

pytestmark = pytest.mark.needs("proc")
LARGEST_KB = 400_000
HEALTHZ_S = 10.0
ROW_S = 40.0
"""Until when the last of a row's senders has to have its answer, or a refusal."""


@dataclass
class Besieged:
    """A system under attack, and a well-behaved client beside it."""

    system: System
    site: Site
    hes: Process
    cis: Process
    client: Stranger
    codes: Iterator[str] = field(default_factory=lambda: cycle((DISCONNECT, CONNECT)))

    def switch(self) -> tuple[Answer, float]:
        """A control that really switches one meter that is called and one that dials in, and how long it took."""
        began = time.monotonic()
        called, dialling = self.system.meter("M1001"), self.system.meter("M1002")
        answer = self.client.switch(next(self.codes), [by_mrid(called), by_mrid(dialling)])
        return answer, time.monotonic() - began

    def victim(self, sender: Sender) -> tuple[Process, str]:
        process, (host, port) = (self.hes, self.site.hes) if sender.victim == "hes" else (self.cis, self.site.cis)
        return process, f"http://{host}:{port}/healthz"


@pytest.fixture(scope="module")
def besieged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    with system(tmp_path_factory.mktemp("besieged"), meters=3) as one:
        one.config["meters"][1]["address"] = "dials-in"
        one.config["meters"][1]["simulated"]["dial_to"] = f"127.0.0.1:{one.config['hes']['dlms_port']}"
        one.config["hes"]["core_dumps"] = True  # its memory is looked at
        one.start("M1001", "M1002")
        assert one.hes is not None
        one.hes.wait_for("dialled_in", meter="M1002")
        cis = one.start_cis("--no-loop")
        cis.wait_for("ready")
        hes, local = one.config["hes"], "127.0.0.1"
        site = Site(
            hes=(local, hes["port"]),
            dlms=(local, hes["dlms_port"]),
            cis=(local, one.config["cis"]["port"]),
            directory=one.directory,
            meters=one.config["meters"],
        )
        yield Besieged(one, site, one.hes, cis, Stranger(one.hes_url))


@contextmanager
def siege(site: Site, sender: Sender, times: int) -> Iterator[None]:
    """All senders at work; at the end each of them has had an answer or was hung up on."""
    together = Barrier(times + 1)

    def send() -> None:
        together.wait(ROW_S)
        sender.send(site)

    with ThreadPoolExecutor(times) as pool:
        sent = [pool.submit(send) for _ in range(times)]
        together.wait(ROW_S)
        try:
            yield
        finally:
            done, still = wait(sent, ROW_S)
            site.release()
        assert not still, f"{len(still)} of {times} senders are still busy after {ROW_S:g} s"
        for one in done:
            one.result()


@pytest.mark.parametrize(
    "times", [1, pytest.param(10, marks=pytest.mark.ci), pytest.param(50, marks=pytest.mark.acceptance)]
)
@pytest.mark.parametrize(
    "sender",
    [pytest.param(one, id=one.key, marks=[pytest.mark.ci] if "arrays-in-a-row" in one.key else []) for one in SENDERS],
)
def test_nobody_elses_request_suffers(besieged: Besieged, sender: Sender, times: int) -> None:
    process, healthz = besieged.victim(sender)
    family = [process.pid, *children(process.pid)]
    for pid in family:
        forget_peak(pid)
    with siege(besieged.site, sender, times), httpx.Client(timeout=HEALTHZ_S, trust_env=False) as client:
        assert client.get(healthz).status_code == 200
        answer, took_s = besieged.switch()
        assert client.get(healthz).status_code == 200
    assert answer.result == "OK", answer.reasons
    assert took_s < besieged.system.config["hes"]["deadline_s"]
    assert httpx.get(healthz, timeout=HEALTHZ_S, trust_env=False).status_code == 200
    assert process.alive
    peaks = {pid: peak_kb(pid) for pid in {*family, *children(process.pid)}}
    assert max(peaks.values()) < LARGEST_KB, peaks


def children(pid: int) -> list[int]:
    """The children of a process and theirs."""
    found: list[int] = []
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, listing.read_text().split()):
            found += [child, *children(child)]
    return found


def peak_kb(pid: int) -> int:
    """The largest resident size of a process since it began or `forget_peak`; 0 if it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)


def forget_peak(pid: int) -> None:
    """Let the largest resident size begin anew, so that each row answers for itself."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
