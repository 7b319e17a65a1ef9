"""A rule: which fault, with which parameters, when, how probably, and at which meters. Files, API and commands have the same form.

{fault = "slow", seconds = 3.0, probability = 0.2, seed = 7, share = 0.1, when = {service = "get", class = 7}}
"""

from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, ConfigDict, Field, PrivateAttr, ValidationError

from ami_meter_sim.faults.defects import DEFECTS
from ami_meter_sim.faults.dice import fraction
from ami_meter_sim.faults.fault import Direction, Fault
from ami_meter_sim.faults.registry import FAULTS
from ami_meter_sim.faults.when import When, listed
from ami_process.meanings import Documented

WILDCARDS = "*?["
GroupName = Annotated[str, Field(min_length=1, max_length=100)]
Groups = Annotated[list[GroupName], Field(max_length=10), BeforeValidator(listed)]
"""Populations, substations, feeders, transformers, models: a meter has to be in all of them; one may stand without a list."""


class FaultError(ValueError):
    """A rule can't be used; the text says which part, and what there is."""


def kind_of(name: str) -> type[Fault] | None:
    """The code of a fault or defect; None when there is none of this name."""
    row = FAULTS.get(name)
    return DEFECTS.get(name) if row is None else row.kind


class Rule(Documented):
    """What is said of every fault; the parameters of the fault stand beside it, by their own names."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    fault: str
    """Its name in the table."""
    when: When = When()
    """A table `[faults.when]`; by default it happens whenever it can."""
    probability: float = Field(default=1.0, ge=0, le=1)
    """Of each time."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """The same seed, the same decisions."""
    meters: list[str] = Field(default=[], max_length=10_000)
    """Names, with * and ? for any letters; none: all."""
    group: Groups = Field(default=[])
    """Only those of this population, substation, feeder, transformer or model; of several, those that are in all of them."""
    share: float = Field(default=1.0, ge=0, le=1)
    """Of these meters, the same ones for the same seed."""
    _parameters: Fault = PrivateAttr(default_factory=Fault)

    @property
    def parameters(self) -> Fault:
        """The fault itself, with its parameters."""
        return self._parameters

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Self:
        """From a table of a file or an object of the API. Raises FaultError."""
        name = given.get("fault")
        kind = kind_of(name) if isinstance(name, str) else None
        if not isinstance(name, str) or kind is None:
            raise FaultError(f"fault: {_unknown(str(name), FAULTS, DEFECTS)}")
        own = {key: value for key, value in given.items() if key not in cls.model_fields}
        rest = {key: value for key, value in given.items() if key in cls.model_fields}
        try:
            fault = kind.model_validate(own)
            rule = cls.model_validate({"probability": fault.usual_probability, **rest})
        except ValidationError as problem:
            raise FaultError(_problem(name, kind, problem)) from None
        rule._parameters = fault
        return rule._completed()

    def _completed(self) -> Self:
        """With what the fault is usually about, and checked for what it can't be."""
        fault, when = self.parameters, self.when
        if when.direction is not None and when.direction not in fault.directions:
            raise FaultError(
                f"{self.fault}: when.direction {when.direction} is not possible; possible: {', '.join(fault.directions)}"
            )
        if when.service is None and not when.names_an_object:
            given = when.model_dump(exclude_none=True)
            when = When.model_validate(given | dict(fault.about))
        return self.model_copy(update={"when": when})

    @property
    def direction(self) -> Direction:
        """Where it happens."""
        if self.when.direction is not None:
            return self.when.direction
        possible = self.parameters.directions
        return "push" if self.when.service == ["push"] and "push" in possible else possible[0]

    @property
    def names(self) -> list[str] | None:
        """The meters that it is about, if they are named without wildcards and by nothing else."""
        if not self.meters or self.group or any(letter in name for name in self.meters for letter in WILDCARDS):
            return None
        return self.meters

    def applies_to(self, name: str, groups: Collection[str]) -> bool:
        """Whether a meter of this name and these groups has the fault."""
        if self.meters and not any(fnmatchcase(name, pattern) for pattern in self.meters):
            return False
        if not all(group in groups for group in self.group):
            return False
        return self.share >= 1 or fraction(self.seed, "share", self.fault, name) < self.share

    def described(self) -> dict[str, Any]:
        """The form that it is parsed from, with what it was completed with."""
        left_out = {"when"} if self.group else {"when", "group"}
        about = self.model_dump(mode="json", exclude_none=True, exclude=left_out)
        when = self.when.model_dump(mode="json", exclude_none=True)
        return about | self.parameters.model_dump(mode="json", exclude_none=True) | ({"when": when} if when else {})


def _problem(name: str, kind: type[Fault], problem: ValidationError) -> str:
    first = problem.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        of_when = where.startswith("when.")
        known = When.model_json_schema()["properties"] if of_when else [*kind.model_fields, *Rule.model_fields]
        return f"{name}: {_unknown(where, known)}"
    return f"{name}: {where}: {first['msg'].removeprefix('Value error, ')}"


def _unknown(given: str, known: Iterable[str], beside: Iterable[str] = ()) -> str:
    """What there is instead, and at the end what is like it, also of what would be too long a list."""
    names = list(known)
    similar = get_close_matches(given.rpartition(".")[2][:60], [*names, *beside], 1)
    meant = f"; did you mean {similar[0]!r}?" if similar else ""
    more = " and those of meter-sim defects" if beside else ""
    return f"there is no {given[:60]!r}; there are {', '.join(names)}{more}{meant}"
