"""One run of a scenario, with the time handed in: which meter is at which step, what it waits for, and what has happened to it.

Strategy: no clock and no task in here. What is due lies in a heap by time; `advance` does it, `saw` takes what the process reports, and
both say nothing but through `Hands`, which act on the meters.
"""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from math import ceil
from typing import Any, Literal, NamedTuple, Protocol

from ami_meter_sim.faults.dice import Dice, fraction
from ami_meter_sim.scenarios.model import Expectation, Scenario, ScenarioStep, Track

MOST_HISTORY = 100_000
"""Entries; the oldest ones go."""
Happening = tuple[str, str | None]
"""An event, and of one about a fault its name, None for any."""
State = Literal["before", "under way", "done", "failed"]


class StepFailed(Exception):
    """Something that should be done to a meter can't be: the meter goes no further. The text says why."""


class Hands(Protocol):
    """What a run does."""

    def act(self, meter: str, step: ScenarioStep) -> str | None:
        """Do this to the meter; why it was not possible, None when it was. Raises StepFailed."""

    def set_rule(self, rule: Mapping[str, Any]) -> int:
        """Let a rule count; its number."""

    def remove_rule(self, number: int) -> None:
        """Let it count no longer."""

    def catch_up(self) -> None:
        """What was reported and not seen yet comes through `saw`, before it is looked at what was expected."""

    def count(self, expectation: Expectation, meters: Sequence[str]) -> int:
        """How many of these meters are in the state."""


class HistoryEntry(NamedTuple):
    """One line of the history; `step` from 1, 0 for the track as a whole."""

    at: datetime
    track: str
    meter: str
    step: int
    what: str


@dataclass(slots=True, eq=False)
class TrackPosition:
    """Where a meter is on a track. `until`: when it goes on, or when what it waits for is too late."""

    meter: str
    track: Track
    dice: Dice
    step: int = 0
    state: State = "before"
    awaits: str | None = None
    until: datetime | None = None
    turn: int = 0

    def described(self) -> dict[str, Any]:
        """For people and programs."""
        return {
            "meter": self.meter,
            "track": self.track.name,
            "step": self.step + 1 if self.state == "under way" else self.step,
            "of": len(self.track.steps),
            "state": self.state,
            "waits_for": self.awaits,
            "until": None if self.until is None else self.until.isoformat(),
        }


@dataclass(slots=True, eq=False)
class _Queue:
    """A track: how many of its meters may be under way, how many are, and who waits for that."""

    most: int
    under_way: int = 0
    waiting: deque[TrackPosition] = field(default_factory=deque)


class Run:
    """`meters[n]` are the names of those on the nth track."""

    def __init__(self, scenario: Scenario, meters: Sequence[Sequence[str]], hands: Hands, at: datetime) -> None:
        self.scenario = scenario
        self.history: deque[HistoryEntry] = deque(maxlen=MOST_HISTORY)
        self.counts: Counter[Happening] = Counter()
        self.counts_by_meter: dict[Happening, Counter[str]] = {
            (one.event, one.fault): Counter()
            for one in scenario.expect
            if one.event is not None and one.times is not None
        }
        self.began_at = at
        self.results: list[tuple[str, bool]] = []
        self._hands = hands
        self._due: list[tuple[datetime, int, TrackPosition | int, int]] = []
        self._numbers = count()
        self._awaiting: dict[tuple[str, str], list[TrackPosition]] = {}
        self._rules: dict[int, int] = {}
        self._ends_at = at + timedelta(seconds=scenario.lasts_s)
        self.places: list[TrackPosition] = []
        self._queues: dict[str, _Queue] = {}
        for number, (track, names) in enumerate(zip(scenario.tracks, meters, strict=True)):
            self._place(f"{number} {track.name}", track, names)
        self._disturb()

    # --- what others ask

    @property
    def next_due_at(self) -> datetime | None:
        """When there is something to do again; None when there is nothing, whatever may be reported."""
        if self._due:
            return self._due[0][0]
        return self._ends_at if self._under_way else None

    @property
    def done(self) -> bool:
        """Whether every meter is at the end of its track."""
        return all(place.state in ("done", "failed") for place in self.places)

    @property
    def passed(self) -> bool:
        """Whether no meter has failed and everything expected holds."""
        return all(held for _, held in self.results) and all(place.state == "done" for place in self.places)

    @property
    def _under_way(self) -> bool:
        return any(place.state in ("before", "under way") for place in self.places)

    # --- time and events

    def advance(self, at: datetime) -> bool:
        """Do everything that is due; whether the scenario is at its end."""
        while self._due and self._due[0][0] <= at:
            due_at, _, what, turn = heappop(self._due)
            if isinstance(what, int):
                self._switch_rule(what)
            elif what.turn == turn and what.state in ("before", "under way"):
                self._come(what, due_at)
        if self.done and at >= self._ends_at:
            self._finish(at)
            return True
        return False

    def saw(self, event: str, meter: str, at: datetime, fault: str | None = None) -> None:
        """The process has reported this; `fault`: of an event about one, its name."""
        for happening in {(event, None), (event, fault)}:
            self.counts[happening] += 1
            if happening in self.counts_by_meter:
                self.counts_by_meter[happening][meter] += 1
        for place in self._awaiting.pop((event, meter), ()):
            if place.awaits == event:
                self._note(place, at, f"{event} came")
                self._next(place, at)

    def stop(self, at: datetime) -> None:
        """The end before the end."""
        for place in self.places:
            if place.state in ("before", "under way"):
                self._end(place, at, "failed", "stopped")
        self._due.clear()
        self._end_rules()

    # --- places

    def _place(self, stream: str, track: Track, names: Sequence[str]) -> None:
        self._queues[track.name] = _Queue(max(1, ceil(track.at_most * len(names))))
        for name in names:
            place = TrackPosition(name, track, Dice(self.scenario.seed, "steps", stream, name))
            self.places.append(place)
            moment = track.begin_s + track.spread_s * fraction(self.scenario.seed, "begin", stream, name)
            self._wake(place, self.began_at + timedelta(seconds=moment))

    def _wake(self, place: TrackPosition, at: datetime) -> None:
        place.until = at
        place.turn += 1
        heappush(self._due, (at, next(self._numbers), place, place.turn))

    def _come(self, place: TrackPosition, at: datetime) -> None:
        """Its moment has come: to begin, to go on, or to give up waiting."""
        if place.state == "before":
            self._begin(place, at)
        elif place.awaits is not None:
            self._end(place, at, "failed", f"{place.awaits} did not come in time")
        else:
            self._next(place, at)

    def _begin(self, place: TrackPosition, at: datetime) -> None:
        queue = self._queues[place.track.name]
        if queue.under_way >= queue.most:
            place.awaits, place.until = "another meter to be done", None
            queue.waiting.append(place)
            return
        queue.under_way += 1
        place.state, place.awaits, place.until = "under way", None, None
        self._take(place, at)

    def _next(self, place: TrackPosition, at: datetime) -> None:
        place.step += 1
        place.awaits = place.until = None
        place.turn += 1
        if place.step == len(place.track.steps):
            self._end(place, at, "done", "done")
        else:
            self._take(place, at)

    def _take(self, place: TrackPosition, at: datetime) -> None:
        """The step at which it is, and those behind it that need no waiting."""
        step = place.track.steps[place.step]
        self._note(place, at, str(step))
        if step.wait_s is not None:
            self._wake(place, at + timedelta(seconds=step.wait_s + step.jitter_s * place.dice.fraction()))
        elif step.wait_for is not None:
            place.awaits = step.wait_for
            self._awaiting.setdefault((step.wait_for, place.meter), []).append(place)
            self._wake(place, at + timedelta(seconds=step.within_s))
        else:
            self._do(place, step, at)

    def _do(self, place: TrackPosition, step: ScenarioStep, at: datetime) -> None:
        """What is not possible is noted, and the meter goes on; what fails is its end."""
        try:
            reason = self._hands.act(place.meter, step)
        except StepFailed as problem:
            self._end(place, at, "failed", str(problem))
            return
        if reason is not None:
            self._note(place, at, reason)
        self._next(place, at)

    def _end(self, place: TrackPosition, at: datetime, state: Literal["done", "failed"], what: str) -> None:
        was_under_way = place.state == "under way"
        place.state, place.awaits, place.until = state, None, None
        self._note(place, at, what)
        queue = self._queues[place.track.name]
        if was_under_way:
            queue.under_way -= 1
        if queue.waiting and queue.under_way < queue.most:
            self._wake(queue.waiting.popleft(), at)

    def _note(self, place: TrackPosition, at: datetime, what: str) -> None:
        number = min(place.step + 1, len(place.track.steps))
        self.history.append(HistoryEntry(at, place.track.name, place.meter, number, what))

    # --- disturbances and the end

    def _disturb(self) -> None:
        for number, one in enumerate(self.scenario.disturbances):
            for moment in (one.begin_s, one.end_s):
                if moment is not None:
                    at = self.began_at + timedelta(seconds=moment)
                    heappush(self._due, (at, next(self._numbers), number, 0))
                    self._ends_at = max(self._ends_at, at)

    def _switch_rule(self, number: int) -> None:
        """On the first time, off the second."""
        if number in self._rules:
            self._hands.remove_rule(self._rules.pop(number))
        else:
            self._rules[number] = self._hands.set_rule(self.scenario.disturbances[number].rule)

    def _end_rules(self) -> None:
        for number in self._rules.values():
            self._hands.remove_rule(number)
        self._rules.clear()

    def _finish(self, at: datetime) -> None:
        self._end_rules()
        self._hands.catch_up()
        names = sorted({place.meter for place in self.places})
        for one in self.scenario.expect:
            found = self._hands.count(one, names) if one.event is None else self._counted(one, frozenset(names))
            self.results.append((f"{one}: found {found}", _holds(one, found, len(names))))

    def _counted(self, one: Expectation, names: frozenset[str]) -> int:
        """How often an event was reported, or from how many meters it came often enough."""
        happening = (one.event or "", one.fault)
        if one.times is None:
            return self.counts[happening]
        by_meter = self.counts_by_meter[happening]
        return sum(times >= one.times and (not names or meter in names) for meter, times in by_meter.items())


def _holds(one: Expectation, found: int, meters: int) -> bool:
    bounds = (
        one.at_least is None or found >= one.at_least,
        one.at_most is None or found <= one.at_most,
        one.share_at_least is None or found >= one.share_at_least * meters,
        one.share_at_most is None or found <= one.share_at_most * meters,
    )
    return all(bounds)
