"""What the API takes and gives, for its schema and its checks."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ami_meter_sim.control import MOST_LISTED
from ami_meter_sim.faults.rule import Groups
from ami_meter_sim.objects.conditions import Condition
from ami_meter_sim.scenarios.model import ScenarioTarget
from ami_packs.event_list import Occurrence


class Body(BaseModel):
    """An object of a request: a key that it does not have is refused."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Filter(Body):
    """Which meters of a list; all that is given has to hold."""

    name: str | None = Field(default=None, max_length=64)
    """With * and ? for any letters."""
    group: Groups = []
    """Population, substation, feeder, transformer or model; of several, those that are in all of them."""
    connected: bool | None = None
    """Whether its supply is connected."""
    powered: bool | None = None
    """Whether it has power."""
    fault: str | None = Field(default=None, max_length=64)
    """Those that have a fault of this name."""
    limit: int = Field(default=100, ge=1, le=MOST_LISTED)
    """At most this number."""
    skip: int = Field(default=0, ge=0, le=100_000_000)
    """After this number of them."""


class Meters(Body):
    """A part of the list."""

    meters: list[dict[str, Any]]
    more: bool
    """Whether there are more behind them."""


class ConsoleOf(Body):
    """Where the console of a process is, and which meters it plays, in words."""

    meters: str
    url: str


class Consoles(Body):
    """Those of all processes that play meters, as far as this one was told."""

    consoles: list[ConsoleOf]


class Value(Body):
    """A value of an attribute."""

    type: str
    """The standard's name: `long-unsigned`, `octet-string`, `structure` ..."""
    value: Any = None
    """Number, text, true or false; octets as hexadecimal digits; of an array or structure a list of such objects."""


class Press(Body):
    """A hand at the meter."""

    button: Literal["connect", "disconnect", "billing"]
    """Which button; that of `billing` ends the billing period."""


class Happening(Body):
    """Something that happens to a meter by itself or by a hand: a cover, a magnet, a phase that is missing."""

    occurrence: Occurrence
    """What, as in the event lists of models."""


class Load(Body):
    """What flows through a meter beside what is behind it."""

    power_w: int = Field(ge=-100_000, le=100_000)
    """From now on, in place of what was set before; below 0 it is fed in, 0 ends it."""


class Household(Body):
    """What is behind a meter."""

    kind: Literal["household", "solar", "heat_pump", "car", "shop"]
    """From now on, in place of what its seed says; its size follows from the seed."""


class Sale(Body):
    """What a token is sold for."""

    amount: int = Field(ge=1, le=99_999_999)
    """In the smallest unit of the account's currency."""


class Sold(Body):
    """A token."""

    token: str
    """20 digits, which a client or a hand enters at the meter; it counts once."""


class Power(Body):
    """Power that goes or comes back."""

    on: bool
    """Whether it comes back."""
    name: str | None = Field(default=None, max_length=64)
    """At which meters; with * and ? for any letters."""
    group: Groups = []
    """Population, substation, feeder, transformer or model; of several, those that are in all of them."""
    share: float = Field(default=1.0, ge=0, le=1)
    """Of these meters, the same ones for the same seed."""
    spread_s: float = Field(default=0.0, ge=0, le=86_400, allow_inf_nan=False)
    """Each at a moment of its own within this number of seconds, by the clock of the process."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """The same seed, the same meters and moments."""


class Concerned(Body):
    """Whom it concerns."""

    meters: int
    """Number of meters."""


class Wrong(Body):
    """Something that is wrong at a meter, or no longer."""

    condition: Condition
    """A cover that is open, a magnet, a phase that is missing ..."""
    there: bool
    """Whether it begins or ends."""


class Start(Body):
    """Which scenario: one that comes with the simulator, or a whole one."""

    name: str | None = Field(default=None, max_length=60, pattern=r"^[a-z0-9-]+$")
    """Its name."""
    scenario: dict[str, Any] | None = None
    """What its file holds."""
    target: ScenarioTarget = ScenarioTarget()
    """At which meters; all that its tracks and faults name has to hold beside it."""

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.name is None) == (self.scenario is None):
            raise ValueError("say either name or scenario")
        return self


class PageQuery(Body):
    """Which part of the meters and of the history is shown."""

    meter: str | None = Field(default=None, max_length=64)
    """Name of the meter, with * and ? for any letters."""
    limit: int = Field(default=100, ge=0, le=MOST_LISTED)
    """At most this number of each, of the history the newest."""
    skip: int = Field(default=0, ge=0, le=100_000_000)
    """After this number of meters."""


class Named(Body):
    """What is to be kept under a name."""

    name: str = Field(min_length=1, max_length=60, pattern=r"^[a-z0-9][a-z0-9-]*$")
    """Small letters, digits and hyphens."""


class RuleSet(Body):
    """A rule that counts now."""

    number: int
    rule: dict[str, Any]


class Removed(Body):
    """What has ended."""

    rules: int
    """Number of rules that count no longer."""


class Reset(Removed):
    """What a reset has ended."""

    conditions: int
    """Number of open covers, magnets, missing phases and the like at all meters."""
