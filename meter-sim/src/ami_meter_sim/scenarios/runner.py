"""Runs a scenario at the meters of the process, by the clock of the process, one at a time."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, Literal

from ami_meter_sim.control import FleetControl, Selection
from ami_meter_sim.faults import Rule
from ami_meter_sim.faults.dice import fraction
from ami_meter_sim.population.journal import StateUnusable
from ami_meter_sim.refusals import NotPossible, NotThere
from ami_meter_sim.roster import listed
from ami_meter_sim.scenarios.model import Expectation, Scenario, ScenarioStep, Track
from ami_meter_sim.scenarios.run import Run, StepFailed
from ami_meter_sim.tap import Tap, TapReader
from ami_process.environment import Environment

MOST_METERS = 1_000_000
LOOK_S = 1.0
"""Of the process's clock: how often it is looked whether something is due that was not before."""
Status = Literal["none", "running", "passed", "failed", "stopped"]


class ScenarioRunning(Exception):
    """Another scenario runs."""


class MeterHands:
    """The hands of a run on the meters of a fleet."""

    def __init__(self, control: FleetControl, catch_up: Callable[[], None]) -> None:
        self._control = control
        self.catch_up = catch_up

    def act(self, meter: str, step: ScenarioStep) -> str | None:
        """As `Hands`."""
        control = self._control
        try:
            match step.do:
                case "lose_power" | "get_power_back":
                    control.power([meter], step.do == "get_power_back")
                case "push":
                    control.push(meter)
                case "occur" if step.occurrence is not None:
                    control.occur(meter, step.occurrence)
                case "press" if step.button is not None:
                    control.press(meter, step.button)
                case "set_condition" if step.condition is not None:
                    control.set_condition(meter, step.condition, step.there)
        except NotPossible as problem:
            return str(problem)
        except (NotThere, StateUnusable) as problem:
            raise StepFailed(str(problem)) from None
        return None

    def set_rule(self, rule: Mapping[str, Any]) -> int:
        """As `Hands`."""
        return self._control.fleet.faults.set(Rule.parse(rule))

    def remove_rule(self, number: int) -> None:
        """As `Hands`."""
        self._control.fleet.faults.remove(number)

    def count(self, expectation: Expectation, meters: Sequence[str]) -> int:
        """As `Hands`."""
        found = (listed(self._control.fleet, name) for name in meters)
        return sum(
            (expectation.powered is None or one.powered is expectation.powered)
            and (expectation.connected is None or one.connected is expectation.connected)
            and (expectation.condition is None or expectation.condition in self._control.conditions(one))
            for one in found
            if one is not None
        )


class Alarm:
    """One sleep until a moment, which is kept while other things happen: a clock that is stepped may have gone on before a new one begins."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._due_at: datetime | None = None
        self._sleep: asyncio.Future[None] | None = None

    def at(self, due_at: datetime | None) -> asyncio.Future[None]:
        """Done when it is time; without a moment after a while, so that somebody looks."""
        if self._sleep is None or self._sleep.done() or self._due_at != due_at:
            self.end()
            left_s = LOOK_S if due_at is None else max((due_at - self._environment.now()).total_seconds(), 0.0)
            self._due_at, self._sleep = due_at, asyncio.ensure_future(self._environment.sleep(left_s))
        return self._sleep

    def end(self) -> None:
        """No caller waits any more."""
        if self._sleep is not None:
            self._sleep.cancel()


class Runner:
    """The scenario of a process: the one that runs, or the last one."""

    def __init__(self, control: FleetControl, tap: Tap) -> None:
        self.run: Run | None = None
        self.status: Status = "none"
        self._control = control
        self._tap = tap
        self._reader: TapReader | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self, scenario: Scenario) -> Run:
        """Begin. ScenarioRunning when one runs."""
        if self.status == "running":
            raise ScenarioRunning("a scenario runs; stop it first")
        self.status = "running"
        try:
            names = [await self._names(track, scenario.seed) for track in scenario.tracks]
        except BaseException:
            self.status = "none"
            raise
        now = self._control.fleet.environment.now()
        self.run = Run(scenario, names, MeterHands(self._control, self._catch_up), now)
        self._task = asyncio.create_task(self._follow(self.run))
        self._task.add_done_callback(self._ended)
        return self.run

    async def _names(self, track: Track, seed: int) -> list[str]:
        """The meters of a track: its share, and one at least of those that there are."""
        wanted = Selection(name=track.meters, groups=track.group, share=track.share, seed=seed)
        found = await self._control.select(wanted, most=MOST_METERS)
        if not found and track.share > 0:
            everyone = await self._control.select(replace(wanted, share=1.0), most=MOST_METERS)
            found = sorted(everyone, key=lambda one: fraction(seed, "share", one.name))[:1]
        return [one.name for one in found]

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A run that an error has ended has failed, and leaves nothing behind; the error is for who watches the event loop."""
        if task.cancelled() or task.exception() is None:
            return
        if self.run is not None:
            self.run.stop(self._control.fleet.environment.now())
        self.status = "failed"
        task.result()

    def described(self, meter: str | None = None, limit: int = 0, skip: int = 0) -> dict[str, Any]:
        """How it goes, with some of its meters, and the newest of what has happened to them."""
        run = self.run
        if run is None:
            return {"status": self.status}
        places = [one for one in run.places if meter is None or fnmatchcase(one.meter, meter)]
        history = [one for one in run.history if meter is None or fnmatchcase(one.meter, meter)]
        return {
            "status": self.status,
            "name": run.scenario.name,
            "began_at": run.began_at.isoformat(),
            "meters": dict(Counter(one.state for one in run.places)),
            "expected": [{"what": what, "held": held} for what, held in run.results],
            "places": [one.described() for one in places[skip : skip + limit]],
            "history": [one._asdict() | {"at": one.at.isoformat()} for one in history[-limit:] if limit],
        }

    async def stop(self) -> None:
        """End the one that runs, if one does; faults that it has set are reset."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        if self.run is not None and self.status == "running":
            self.run.stop(self._control.fleet.environment.now())
            self.status = "stopped"

    async def wait(self) -> None:
        """Until it is at its end."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def _follow(self, run: Run) -> None:
        environment = self._control.fleet.environment
        alarm = Alarm(environment)
        try:
            with self._tap.follow() as self._reader:
                while not run.advance(environment.now()):
                    await self._until_something(run, self._reader, alarm)
                    self._catch_up()
        finally:
            alarm.end()
        self.status = "passed" if run.passed else "failed"

    def _catch_up(self) -> None:
        """The run sees what has been reported."""
        while self.run is not None and self._reader is not None and not self._reader.waiting.empty():
            event = self._reader.waiting.get_nowait()
            meter, fault = (getattr(event, name, None) for name in ("meter", "fault"))
            self.run.saw(type(event).event, str(meter or ""), self._control.fleet.environment.now(), fault)

    async def _until_something(self, run: Run, reader: TapReader, alarm: Alarm) -> None:
        """Until the next moment of the run, or until something is reported."""
        more = asyncio.ensure_future(reader.more.wait())
        either: set[asyncio.Future[Any]] = {alarm.at(run.next_due_at), more}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            more.cancel()
        reader.more.clear()
