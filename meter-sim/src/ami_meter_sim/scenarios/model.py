"""What a scenario is made of, and how it is read from a file: tracks that meters go along, faults for a while, and what is expected.

Strategy: everything is checked when a scenario is read, the rules of its faults too, so that none stops half-way for a misspelt word.
"""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, ValidationError, model_validator

from ami_meter_sim.faults import FAULTS, FaultError, Rule, kind_of
from ami_meter_sim.faults.rule import Groups
from ami_meter_sim.objects.conditions import Condition
from ami_packs.event_list import Occurrence
from ami_process.meanings import Documented
from ami_process.toml_texts import parse_toml

SUFFIX = ".toml"
Seconds = Annotated[float, Field(ge=0, le=400 * 86_400, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
EventName = Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")]
Name = Annotated[str, Field(max_length=64)]
Action = Literal["lose_power", "get_power_back", "push", "occur", "press", "set_condition"]
EVERYBODY = "*"
FAULT_HAPPENED = "fault_happened"


class ScenarioError(ValueError):
    """A scenario can't be used; the text says which part, and what there is."""


class ScenarioTable(Documented):
    """A table of a scenario: a key that it does not have is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)


class ScenarioStep(ScenarioTable):
    """One thing that a meter does or waits for: exactly one of `do`, `wait_s` and `wait_for`."""

    do: Action | None = None
    """What happens to the meter."""
    occurrence: Occurrence | None = None
    """Of `occur`: what, as in the event lists of models. A meter whose model does not note it goes on."""
    button: Literal["connect", "disconnect", "billing"] | None = None
    """Of `press`: which button."""
    condition: Condition | None = None
    """Of `set_condition`: which cover, magnet, phase."""
    there: bool = True
    """Of `set_condition`: whether it begins or ends."""
    wait_s: Seconds | None = None
    """How long it waits, by the clock of the process."""
    jitter_s: Seconds = 0.0
    """Of `wait_s`: up to this much longer, for each meter another time."""
    wait_for: EventName | None = None
    """Until the process reports this event of the meter ..."""
    within_s: Seconds = 600.0
    """... or, after this time, has failed."""

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if sum(one is not None for one in (self.do, self.wait_s, self.wait_for)) != 1:
            raise ValueError("a step has one of do, wait_s and wait_for")
        if (self.do == "occur") is not (self.occurrence is not None):
            raise ValueError('occurrence belongs to do = "occur"')
        if (self.do == "press") is not (self.button is not None):
            raise ValueError('button belongs to do = "press"')
        if (self.do == "set_condition") is not (self.condition is not None):
            raise ValueError('condition belongs to do = "set_condition"')
        return self

    def __str__(self) -> str:
        if self.wait_s is not None:
            return f"wait {self.wait_s:g} s"
        if self.wait_for is not None:
            return f"wait for {self.wait_for}"
        if self.condition is not None:
            return f"{self.do} {self.condition} {'on' if self.there else 'off'}"
        return " ".join(filter(None, (self.do, self.occurrence, self.button)))


class ScenarioTarget(ScenarioTable):
    """Which meters a scenario is about, beside what its tracks and faults say."""

    meters: Name = EVERYBODY
    """Names, with * and ? for any letters."""
    group: Groups = Field(default=[])
    """Only those of this population, substation, feeder, transformer or model; of several, those that are in all of them."""
    share: Share = 1.0
    """Of the meters of each track and of each fault, this share."""


class Track(ScenarioTable):
    """Steps that each of some meters takes by itself."""

    name: Annotated[str, Field(min_length=1, max_length=60)]
    """In the history."""
    meters: Name = EVERYBODY
    """Names, with * and ? for any letters."""
    group: Groups = Field(default=[])
    """Only those of this population, substation, feeder, transformer or model; of several, those that are in all of them."""
    share: Share = 1.0
    """Of these meters, the same ones for the same seed, and one at least."""
    begin_s: Seconds = 0.0
    """When the first one may begin, after the scenario has."""
    spread_s: Seconds = 0.0
    """Each begins at a moment of its own within this time."""
    at_most: Share = 1.0
    """Share of the track's meters, one at least, that are on their way at once; others wait until one is done."""
    steps: Annotated[list[ScenarioStep], Field(min_length=1, max_length=100)]
    """In their order."""


def _usable(rule: dict[str, Any]) -> dict[str, Any]:
    Rule.parse(rule)
    return rule


class Disturbance(ScenarioTable):
    """A fault for a while."""

    rule: Annotated[dict[str, Any], AfterValidator(_usable)]
    """The keys of a table [[faults]]."""
    begin_s: Seconds = 0.0
    """From this moment of the scenario on."""
    end_s: Seconds | None = None
    """Until this one; without it until the scenario ends."""


def _known_fault(name: str) -> str:
    if kind_of(name) is None:
        raise ValueError(
            f"there is no {name[:60]!r}; there are {', '.join(FAULTS)}, and the defects of meter-sim defects"
        )
    return name


class Expectation(ScenarioTable):
    """What has to hold when all tracks are done: how often an event was reported, or how many meters are in a state."""

    event: EventName | None = None
    """Counted over all meters of the process."""
    fault: Annotated[str, AfterValidator(_known_fault)] | None = None
    """Of `fault_happened`: which one."""
    times: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Of an event: counted are the meters on the tracks, without any all of them, from which it came this often at least."""
    powered: bool | None = None
    """Meters with power, or without."""
    connected: bool | None = None
    """Meters with their supply connected, or not."""
    condition: Condition | None = None
    """Meters at which this is wrong."""
    at_least: int | None = Field(default=None, ge=0)
    """Number."""
    at_most: int | None = Field(default=None, ge=0)
    """Number."""
    share_at_least: Share | None = None
    """Of the meters of all tracks."""
    share_at_most: float | None = Field(default=None, ge=0, le=1_000)
    """The same; an event may come more than once from a meter."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        states = (self.powered, self.connected, self.condition)
        if (self.event is None) == all(one is None for one in states):
            raise ValueError("an expectation has either an event or a state (powered, connected, condition)")
        if self.event is None and self.times is not None:
            raise ValueError("times belongs to an event")
        if self.fault is not None and self.event != FAULT_HAPPENED:
            raise ValueError(f'fault belongs to event = "{FAULT_HAPPENED}"')
        if all(one is None for one in (self.at_least, self.at_most, self.share_at_least, self.share_at_most)):
            raise ValueError("an expectation has a bound: at_least, at_most, share_at_least or share_at_most")
        return self

    def __str__(self) -> str:
        return ", ".join(f"{key} {value}" for key, value in self.model_dump(mode="json", exclude_none=True).items())


class Scenario(ScenarioTable):
    """A whole one."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,60}$")]
    """A short one."""
    about: Annotated[str, Field(min_length=1, max_length=2000)]
    """What happens, and what to expect of a head-end."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """The same seed, the same meters and moments."""
    target: ScenarioTarget = ScenarioTarget()
    """At which meters; without it at all of them."""
    tracks: list[Track] = Field(default=[], max_length=50)
    """They run side by side."""
    disturbances: list[Disturbance] = Field(default=[], max_length=50)
    """Faults for a while."""
    expect: list[Expectation] = Field(default=[], max_length=50)
    """When all tracks are done."""
    lasts_s: Seconds = 0.0
    """It does not end before this time."""

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Self:
        """From the content of a file or of a request, aimed at its own target. Raises ScenarioError."""
        try:
            made = cls.model_validate(given)
        except ValidationError as problem:
            first = problem.errors(include_url=False, include_input=False, include_context=False)[0]
            where = ".".join(map(str, first["loc"])) or "scenario"
            what = "unknown key" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
            raise ScenarioError(f"{where}: {what}") from None
        except FaultError as problem:
            raise ScenarioError(str(problem)) from None
        return made.model_copy(update={"target": ScenarioTarget()}).aimed(made.target)

    def aimed(self, target: ScenarioTarget) -> Self:
        """The same at these meters alone. Raises ScenarioError where names meet names: only one of them can choose."""
        return self.model_copy(
            update={
                "tracks": [_aimed_track(one, target) for one in self.tracks],
                "disturbances": [_aimed_disturbance(one, target) for one in self.disturbances],
            }
        )


def _aimed_track(track: Track, target: ScenarioTarget) -> Track:
    if EVERYBODY not in (track.meters, target.meters):
        raise ScenarioError(f"target.meters: the track {track.name} has names of its own: {track.meters}")
    changed = {
        "meters": track.meters if target.meters == EVERYBODY else target.meters,
        "group": [*track.group, *target.group],
        "share": track.share * target.share,
    }
    return track.model_copy(update=changed)


def _aimed_disturbance(one: Disturbance, target: ScenarioTarget) -> Disturbance:
    rule = Rule.parse(one.rule)
    if rule.meters and target.meters != EVERYBODY:
        raise ScenarioError(f"target.meters: the rule for {rule.fault} has names of its own: {', '.join(rule.meters)}")
    changed: dict[str, Any] = {"group": [*rule.group, *target.group], "share": rule.share * target.share}
    if target.meters != EVERYBODY:
        changed["meters"] = [target.meters]
    return one.model_copy(update={"rule": {**one.rule, **changed}})


def shipped() -> list[str]:
    """The names of the scenarios that come with the simulator."""
    folder = files("ami_meter_sim.scenarios")
    return sorted(one.name.removesuffix(SUFFIX) for one in folder.iterdir() if one.name.endswith(SUFFIX))


def load(name: str) -> Scenario:
    """One that comes with the simulator, or a file by its path, which ends with .toml. Raises ScenarioError."""
    if not name.endswith(SUFFIX) and name not in shipped():
        raise ScenarioError(
            f"there is no scenario {name[:60]!r}; there are {', '.join(shipped())}, or a file ending with {SUFFIX}"
        )
    try:
        text = Path(name).read_text("utf-8") if name.endswith(SUFFIX) else _text(name)
        return Scenario.parse(parse_toml(text))
    except OSError as problem:
        raise ScenarioError(f"{name}: {problem.strerror}") from None
    except ScenarioError as problem:
        raise ScenarioError(f"{name}: {problem}") from None
    except ValueError as problem:
        raise ScenarioError(f"{name} is not TOML: {problem}") from None


def _text(name: str) -> str:
    return files("ami_meter_sim.scenarios").joinpath(name + SUFFIX).read_text("utf-8")
