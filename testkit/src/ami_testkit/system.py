"""A system to test against: what `ami()` gives, from its start to its end, and the way back to the start between tests.

A reset brings meters back to how they began, by a snapshot of the simulator. What never goes back is an invocation counter, since one that
is used twice under one key breaks the cipher; nor does the clock. The head-end keeps its store, so it goes on with its own counters too.
"""

import contextlib
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import tomli_w

from ami_testkit.border import Border
from ami_testkit.border.certificates import Certificates
from ami_testkit.clock import Clock
from ami_testkit.errors import KitError
from ami_testkit.expectations import Expectations
from ami_testkit.hes import HeadEnd
from ami_testkit.inbox import Inbox
from ami_testkit.journal import Journal
from ami_testkit.loop import run
from ami_testkit.meters import Meters
from ami_testkit.options import Options, Ports, document
from ami_testkit.processes import LOOK_S, PortTaken, Process
from ami_testkit.rest import Rest

BEGINNING = "ami-testkit-beginning"
TRIES = 5
RESET_S = 60.0
STEP_S = 30.0
PAGE, MOST_EVENTS = 1_000, 200
UNDER_WAY = ("running", "paused", "waiting for approval")
"""States of a campaign that has no end yet."""


@dataclass(slots=True)
class _Running:
    """What was started for a system, and where."""

    directory: Path
    processes: list[Process] = field(default_factory=list)
    document: dict[str, Any] = field(default_factory=dict)
    ports: Ports | None = None

    def stop(self) -> None:
        """End the processes, the head-end first."""
        for one in self.processes:
            one.stop()
        self.processes.clear()


class System:
    """`hes`, `meters`, `clock`, `inbox`, `border`, `journal`, `expect`; `reset()` between tests, `close()` at the end."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._own_directory = options.directory is None
        self.directory = options.directory or Path(tempfile.mkdtemp(prefix="ami-testkit-"))
        self.directory.mkdir(parents=True, exist_ok=True)
        self._running = _Running(self.directory)
        self._clock: Clock | None = None
        certificates = Certificates(self.directory / "pki") if options.tls else None
        self.border = Border(lambda: self.clock.now, certificates)
        self.inbox = Inbox()
        try:
            self._start()
        except BaseException:
            self._end(keep=bool(self._running.processes))  # their logs say why, and are named in what is raised
            raise

    # --- beginning

    def _start(self) -> None:
        own_inbox = run(self.inbox.start())
        self.border.start()
        self.inbox.url = self.border.late_url
        self.border.deliver_to(self.options.replies_to or own_inbox)
        for _ in range(TRIES):
            try:
                self._start_processes()
                break
            except PortTaken:
                self._running.stop()
        else:
            raise KitError(f"ports that were free were taken before they could be bound, {TRIES} times")
        self._connect()
        self._known = self._registered()
        self._simulator_do(lambda rest: rest.post("/api/v1/snapshots", name=BEGINNING))

    def _start_processes(self) -> None:
        ports = self._running.ports = Ports.choose()
        authorities = Path(self.border.authority) if self.options.tls else None
        made = document(self.options, ports, self.directory, self.border.late_url, authorities)
        self._running.document = made
        started = []
        if self.options.meter_sim is None:
            started.append(self._process("meter_sim", "ami_meter_sim", made))
        if self.options.hes is None and self.options.meter_sim is None:
            started.append(self._process("hes", "ami_hes", made | {"meters": self.entries}))
        self._running.processes = list(reversed(started))
        for one in started:
            one.wait_ready()

    def _process(self, role: str, module: str, made: dict[str, Any]) -> Process:
        config, log = self.directory / f"{role}.toml", self.directory / f"{role}.log"
        config.touch(mode=0o600)
        config.write_text(tomli_w.dumps(made), "utf-8")
        log.unlink(missing_ok=True)
        return Process(role, module, ("serve", "--config", str(config)), log)

    def _connect(self) -> None:
        options, ports = self.options, self._running.ports
        assert ports is not None
        own_hes = options.hes is None and options.meter_sim is None
        hes_url = options.hes or (f"http://127.0.0.1:{ports.hes}" if own_hes else "")
        self._simulator = Rest(
            options.meter_sim or f"http://127.0.0.1:{ports.simulator}",
            options.meter_sim_token if options.meter_sim else self._token("meter_sim"),
        )
        token = self._token("hes") if own_hes else options.hes_token
        split = urlsplit(hes_url)
        api_url = f"{split.scheme}://{split.netloc}"
        self._rest = Rest(api_url, token) if own_hes or token is not None else None
        if hes_url:
            self.border.ask_at(hes_url)
        stepped = [self._simulator] + ([self._rest] if self._rest is not None else [])
        own = options.meter_sim is None
        self._clock = Clock(stepped, options.start if own and options.clock == "virtual" else None)
        self.hes = HeadEnd(self.border, self._clock, self._rest, api_url)
        self.meters = Meters(self._simulator, self._running.document["meters"] if own else None)
        self.journal = Journal(self.border, self._rest)
        self.expect = Expectations(self.inbox, self.meters, self.journal)

    def _token(self, role: str) -> str:
        return (self.directory / f"{role}.tokens").read_text("ascii").split()[-1]

    @property
    def clock(self) -> Clock:
        """That of head-end and meters. Raises KitError while the system starts."""
        if self._clock is None:
            raise KitError("the system has not started yet")
        return self._clock

    @property
    def simulator(self) -> Rest:
        """The REST API of the simulator (docs/howto/control-simulator.md)."""
        return self._simulator

    @property
    def ports(self) -> Ports:
        """Where its processes listen, for whoever captures packets."""
        assert self._running.ports is not None
        return self._running.ports

    # --- between tests

    def reset(self) -> None:
        """As it began, but for the clock and for invocation counters: meters, faults, what was ordered and not done, inbox and journal."""
        self.border.reset()
        with self.border.draining():
            if self._rest is not None:
                self._end_orders(self._rest)
            self._simulator.delete("/api/v1/scenario")
            self._simulator.post("/api/v1/restore", name=BEGINNING)
            if self._rest is not None:
                self._settle(self._rest)
        self.border.reset()
        self.inbox.clear()

    def _end_orders(self, rest: Rest) -> None:
        """Nothing that was ordered is begun any more: schedules, campaigns, requests."""
        for one in rest.get("/api/v1/schedules")["schedules"]:
            rest.delete(f"/api/v1/schedules/{quote(one['name'], safe='')}")
        for one in rest.get("/api/v1/campaigns")["campaigns"]:
            if one["state"] in UNDER_WAY:
                rest.post(f"/api/v1/campaigns/{one['id']}/cancel")
        if rest.get("/api/v1/jobs")["requests"]:
            for one in rest.get("/api/v1/requests", limit=PAGE)["requests"]:
                if one["answered_at"] is None:
                    rest.delete(f"/api/v1/jobs/{quote(one['message_id'], safe='')}")

    def _settle(self, rest: Rest) -> None:
        """Until nothing is under way; what waits for time gets it from a virtual clock."""
        end = time.monotonic() + RESET_S
        while (jobs := rest.get("/api/v1/jobs"))["requests"] or jobs["replies_owed"]:
            if time.monotonic() > end:
                raise KitError(f"reset: the head-end still works after {RESET_S:.0f} s: {jobs}")
            if self.clock.virtual:
                self.clock.advance(STEP_S, step=timedelta(seconds=STEP_S))
            else:
                time.sleep(LOOK_S)
        rest.post("/api/v1/guard/resume")
        for name in self._registered() - self._known:
            rest.delete(f"/api/v1/meters/{quote(name, safe='')}")
        rest.delete("/api/v1/dead-letters", all=True)
        self.border.forget(one["event_id"] for one in rest.get("/api/v1/events", limit=MOST_EVENTS)["events"])

    def _registered(self) -> frozenset[str]:
        """Names in the registry of the head-end."""
        if self._rest is None:
            return frozenset()
        names: list[str] = []
        while page := self._rest.get("/api/v1/meters", limit=PAGE, after=names[-1] if names else None)["meters"]:
            names += [one["name"] for one in page]
            if len(page) < PAGE:
                break
        return frozenset(names)

    def _simulator_do(self, what: Any) -> None:
        """At a simulator that is there already the snapshot of an earlier run may be in the way."""
        with contextlib.suppress(KitError):
            self._simulator.delete(f"/api/v1/snapshots/{BEGINNING}")
        what(self._simulator)

    # --- the end

    def logs(self, lines: int = 30) -> str:
        """The ends of what head-end and simulator have said, for people."""
        return "\n".join(f"--- {one.role} ({one.log})\n{one.last_words(lines)}" for one in self._running.processes)

    @property
    def entries(self) -> list[dict[str, Any]]:
        """What a head-end has to know of each meter: address, wrapper ports, security, keys; of meters that the kit has started."""
        made = self._running.document.get("meters", [])
        return [{key: value for key, value in one.items() if key != "simulated"} for one in made]

    def close(self, keep: bool = False) -> None:
        """Stop everything; `keep` leaves state and logs where they are."""
        self._end(keep)

    def _end(self, keep: bool) -> None:
        self._running.stop()
        self.border.close()
        run(self.inbox.close())
        for rest in (getattr(self, "_simulator", None), getattr(self, "_rest", None)):
            if rest is not None:
                rest.close()
        if self._own_directory and not keep:
            shutil.rmtree(self.directory, ignore_errors=True)
