"""What is done to a meter for a control, and what it has to show before the control is OK (docs/adr/0025).

A recipe is a generator without I/O: it yields what is to be read, written or invoked next, gets what the meter answered, and returns its
verdict. Who carries the steps out (`ami_hes.operations.control`) knows none of them. `RECIPES` has one for each word in the column
`recipe` of data/end_device_controls.csv, but that of the switch, which is `ami_mapping.controls` and `ami_hes.operations.contactor`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ami_mapping.controls import Control
from ami_mapping.recipes.alarms import alarm_reset
from ami_mapping.recipes.clock import clock_set
from ami_mapping.recipes.demand import demand_reset
from ami_mapping.recipes.logs import event_log_reset
from ami_mapping.recipes.steps import Invoke, Now, Pause, Read, Recipe, Refusal, Step, Stopped, Write


@dataclass(frozen=True, slots=True)
class RecipeRow:
    """How a recipe is made; `repeatable`: whether carrying it out twice is the same as once."""

    make: Callable[[Now], Recipe]
    repeatable: bool


RECIPES: Mapping[str, RecipeRow] = {
    "alarm_reset": RecipeRow(lambda _: alarm_reset(), repeatable=False),
    "clock_set": RecipeRow(clock_set, repeatable=True),
    "demand_reset": RecipeRow(lambda _: demand_reset(), repeatable=False),
    "event_log_reset": RecipeRow(lambda _: event_log_reset(), repeatable=False),
}


def recipe_row(control: Control) -> RecipeRow:
    """That of a row of the table of controls. KeyError for the switch."""
    return RECIPES[control.recipe]


__all__ = [
    "RECIPES",
    "Invoke",
    "Now",
    "Pause",
    "Read",
    "Recipe",
    "RecipeRow",
    "Refusal",
    "Step",
    "Stopped",
    "Write",
    "recipe_row",
]
