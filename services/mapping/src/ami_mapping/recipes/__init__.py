"""What is done to a meter for a control, and what it has to show before the control is OK (docs/adr/0025).

A recipe is a generator without I/O: it yields what is to be read, written or invoked next, gets what the meter answered, and returns its
verdict. Who carries the steps out (`ami_hes.operations.control`) knows none of them. `RECIPES` has one for each word in the column
`recipe` of data/end_device_controls.csv, but that of the switch, which is `ami_mapping.controls` and `ami_hes.operations.contactor`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from ami_cim.control_parameters import Limiter, LimiterEmergency, Parameters, TimeOfUse
from ami_mapping.controls import Control
from ami_mapping.recipes.alarms import alarm_reset
from ami_mapping.recipes.clock import clock_set, clock_within
from ami_mapping.recipes.demand import demand_reset
from ami_mapping.recipes.limits import emergency_clear, emergency_set, limit_clear, limit_set
from ami_mapping.recipes.logs import event_log_reset
from ami_mapping.recipes.messages import display_text
from ami_mapping.recipes.push import PushTarget, push_target
from ami_mapping.recipes.steps import Invoke, Now, Pause, Read, Recipe, Refusal, Step, Stopped, Write
from ami_mapping.recipes.tariffs import tariff_change

T = TypeVar("T")
Taken = Parameters | str | None
"""What a control takes beside its type: an element of ControlParameters, the text of PanDisplay, or nothing."""


@dataclass(frozen=True, slots=True)
class RecipeRow:
    """How a recipe is made; `repeatable`: whether carrying it out twice is the same as once."""

    make: Callable[[Taken, Now], Recipe]
    repeatable: bool = True


RECIPES: Mapping[str, RecipeRow] = {
    "alarm_reset": RecipeRow(lambda _, __: alarm_reset(), repeatable=False),
    "clock_set": RecipeRow(lambda _, now: clock_set(now)),
    "demand_reset": RecipeRow(lambda _, __: demand_reset(), repeatable=False),
    "display_text": RecipeRow(lambda taken, _: display_text(_a(str, taken))),
    "emergency_clear": RecipeRow(lambda _, __: emergency_clear()),
    "emergency_set": RecipeRow(lambda taken, now: emergency_set(_a(LimiterEmergency, taken), now)),
    "event_log_reset": RecipeRow(lambda _, __: event_log_reset(), repeatable=False),
    "limit_clear": RecipeRow(lambda _, __: limit_clear()),
    "limit_set": RecipeRow(lambda taken, _: limit_set(_a(Limiter, taken))),
    "tariff_change": RecipeRow(lambda taken, now: tariff_change(_a(TimeOfUse, taken), now)),
}


def _a(kind: type[T], taken: Taken) -> T:
    if not isinstance(taken, kind):
        raise TypeError(f"{kind.__name__} was expected, and {type(taken).__name__} came")
    return taken


def recipe_row(control: Control) -> RecipeRow:
    """That of a row of the table of controls. KeyError for the switch."""
    return RECIPES[control.recipe]


__all__ = [
    "RECIPES",
    "Invoke",
    "Now",
    "Pause",
    "PushTarget",
    "Read",
    "Recipe",
    "RecipeRow",
    "Refusal",
    "Step",
    "Stopped",
    "Write",
    "clock_within",
    "push_target",
    "recipe_row",
]
