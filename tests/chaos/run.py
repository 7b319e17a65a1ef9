"""One run: the system under load, step after step of its plan, and after each step what has to hold."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from free_ports import free_port

from chaos import invariants
from chaos.customers import DIRECT, Customers, Town
from chaos.faults import Done, Step, carry_out
from chaos.invariants import AUDIT, BLIND, COUNTERS, FAULTS, LOST, ONE_REPLY, SECRETS, STORES, TRUTH, Broken
from chaos.ledger import Entry, Ledger
from chaos.receiver import Receiver
from chaos.site import Site

PATIENCE_S = 150.0
"""Within which an accepted request has to have its end, with whatever is done meanwhile."""
SETTLE_S = 0.1


@dataclass
class Tally:
    """What was done so far."""

    began: float = field(default_factory=time.monotonic)
    steps: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    """By the process that was killed."""
    points: Counter[str] = field(default_factory=Counter)
    """Of kills at a point, those at which the process came to it."""
    missed: int = 0
    ready_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    checks: int = 0
    """Invariants that were checked and held."""

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    @property
    def done(self) -> int:
        """Steps that are kills."""
        return sum(number for kind, number in self.steps.items() if kind.startswith("kill"))

    def add(self, step: Step, done: Done) -> None:
        self.steps[step.kind] += 1
        if step.is_kill:
            self.kills.update(step.victims)
        if step.point is not None:
            self.points[f"{step.victims[0]}: {step.point.name}"] += done.reached
            self.missed += not done.reached
        if done.ready_s is not None:
            self.ready_s[step.kind].append(done.ready_s)


@dataclass
class Run:
    """`told` is called after each step, for who shows how far it is."""

    site: Site
    plan: list[Step]
    seed: int
    told: Callable[[Run], None] = lambda _: None
    tally: Tally = field(default_factory=Tally)
    ledger: Ledger = field(default_factory=Ledger)
    step: Step | None = None
    settling: bool = False

    def __post_init__(self) -> None:
        self._counters = invariants.Counters()
        self._logs = invariants.Logs(self.site.secrets)

    async def work(self) -> None:
        """All steps, and the end. Raises Broken, Died, and what else is wrong."""
        receiver = Receiver(self.ledger)
        address = await receiver.open(free_port())
        await self.site.open()
        self._logs.secrets |= self.site.master_key
        self.tally.began = time.monotonic()
        customers = Customers(self._town(address), random.Random(self.seed))
        customers.begin()
        try:
            for step in self.plan:
                self.step = step
                self.tally.add(step, await carry_out(step, self.site))
                await self._check(customers)
                self.told(self)
            self.settling = True
            await self._end(customers)
        finally:
            customers.cancel()
            receiver.close()

    def _town(self, reply_address: str) -> Town:
        site = self.site
        return Town(
            hes=site.url("hes"),
            cis=site.url("cis"),
            meter_sim=site.url("meter_sim"),
            reply_address=reply_address,
            meters={one["name"]: one["mrid"] for one in site.config["meters"]},
            ledger=self.ledger,
            client=site.client,
            step=lambda: self.step.number if self.step else 0,
        )

    async def _check(self, customers: Customers) -> None:
        """What has to hold at any moment."""
        self.site.check()
        customers.check()
        self._hold(LOST, invariants.overdue(self.ledger, PATIENCE_S))
        self._hold(ONE_REPLY, invariants.second_replies(self.ledger))
        broken = list(invariants.of_wires(self.site.seen))
        for name in (BLIND, COUNTERS):
            self._hold(name, (text for found, text in broken if found == name))
        await asyncio.to_thread(self._check_stores)

    def _check_stores(self) -> None:
        for file in self.site.files:
            self._hold(STORES, invariants.not_whole(file))
        hes = self.site.stores["hes"]
        self._hold(COUNTERS, self._counters.fallen(hes))
        self._hold(AUDIT, invariants.audit_breaks(hes))
        told = list(self._logs.told(sorted((self.site.directory / "logs").glob("*.log"))))
        for name in (SECRETS, FAULTS):
            self._hold(name, (text for found, text in told if found == name))

    def _hold(self, name: str, problems: Iterable[str]) -> None:
        found = list(problems)
        if found:
            raise Broken(f"{name}: " + "; ".join(found[:5]))
        self.tally.checks += 1

    async def _end(self, customers: Customers) -> None:
        """Nothing is done to anybody any more, and all that is under way comes to its end."""
        for one in self.site.services.values():
            one.order(clock_s=0.0)
        try:
            await asyncio.wait_for(customers.end(), PATIENCE_S)
        except TimeoutError:
            self._hold(LOST, invariants.overdue(self.ledger, 0.0))
        hes, cis = self.site.stores["hes"], self.site.stores["cis"]
        await self._comes_true(LOST, lambda: invariants.left_open(hes))
        await self._comes_true(LOST, lambda: invariants.events_untold(hes, cis))
        await self._connect_all(customers)
        await self._comes_true(LOST, lambda: invariants.left_open(hes))
        self._hold(LOST, invariants.denied(self.ledger, hes))
        book = list(invariants.book_of_cis(self.ledger, cis))
        for name in (LOST, ONE_REPLY):
            self._hold(name, (text for found, text in book if found == name))
        shown = {
            name: (await self.site.simulator("GET", f"meters/{name}"))["connected"] for name in customers.town.meters
        }
        self._hold(TRUTH, invariants.differing(self.ledger, shown))
        await self._check(customers)

    async def _comes_true(self, name: str, problems: Callable[[], Iterable[str]]) -> None:
        end = time.monotonic() + PATIENCE_S
        while await asyncio.to_thread(lambda: list(problems())) and time.monotonic() < end:
            await asyncio.sleep(SETTLE_S)
        self._hold(name, problems())

    async def _connect_all(self, customers: Customers) -> None:
        """Each meter can still be spoken to, under whatever keys it has by now."""

        async def connect(number: int, meter: str) -> Entry:
            entry = Entry(f"last-{self.seed}-{number}", "control", DIRECT, meter, 0, connects=True)
            await customers.ask(self.ledger.open(entry), customers.control(entry))
            return entry

        asked = await asyncio.gather(*(connect(*one) for one in enumerate(customers.town.meters)))
        self._hold(TRUTH, (f"{one.meter} can't be connected: {one.finals}" for one in asked if one.result != "OK"))

    def report(self) -> dict[str, Any]:
        """All figures, for a machine."""
        tally, seen = self.tally, self.site.seen
        ways: Counter[str] = Counter()
        for one in self.ledger.entries.values():
            ways[f"{one.what}, {one.way}, {one.result or 'refused'}"] += 1
        return {
            "seed": self.seed,
            "kills": tally.done,
            "killed": dict(tally.kills),
            "seconds": round(tally.seconds, 1),
            "kills_per_minute": round(60 * tally.done / tally.seconds, 1),
            "invariants_held": tally.checks,
            "kinds": {kind: {"count": number, **ready(tally.ready_s[kind])} for kind, number in tally.steps.items()},
            "points_reached": dict(sorted(tally.points.items())),
            "points_missed": tally.missed,
            "requests": dict(sorted(ways.items())),
            "frames": seen.frames,
            "ciphered_frames": seen.ciphered,
            "switchings": seen.switchings,
        }


def ready(seconds: list[float]) -> dict[str, float]:
    """Seconds from the start of a process to its being ready."""
    if not seconds:
        return {}
    return {"ready_median_s": round(median(seconds), 2), "ready_max_s": round(max(seconds), 2)}
