"""Of which kind each operation is, for limits: a table with a row for every operation there is, and one for every recipe of a control.

A test compares both with what is served (`ami_hes.served.OPERATIONS`, `ami_mapping.controls.CONTROLS`), so an operation that is added later
has to say what it is. One that is not in the table is the most dangerous kind. Connects are limited by nothing: who wrongly has no power gets it back at once.
"""

from collections.abc import Callable, Mapping

from ami_hes.commands import Command
from ami_hes.end_device_events import log_reading
from ami_hes.enums import Guarded
from ami_hes.operations import (
    change_key,
    change_master_key,
    commission,
    contactor,
    control,
    long_controls,
    read_meter,
    transfer_firmware,
)
from ami_mapping.controls import CONTROLS, SWITCH, Control, StateWord

Kind = Callable[[Command], Guarded | None]

RECIPES: Mapping[str, Guarded | None] = {
    "limit_set": Guarded.LOAD_LIMITS,
    "emergency_set": Guarded.LOAD_LIMITS,
    "key_change": Guarded.KEYS,
    "firmware_activate": Guarded.FIRMWARE,
    "demand_reset": None,
    "clock_set": None,
    "event_log_reset": None,
    "alarm_reset": None,
    "limit_clear": None,
    "emergency_clear": None,
    "tariff_change": None,
    "display_text": None,
}
"""Of controls beside the switch; None: it takes nothing from a customer, as a cleared limit lets more through."""


def kind_of_control(row: Control | None) -> Guarded | None:
    """Of a row of the table of controls; None for one that has no limit."""
    if row is None:
        return Guarded.DISCONNECTS
    if row.recipe == SWITCH:
        return Guarded.DISCONNECTS if row.wanted is StateWord.DISCONNECTED else None
    return RECIPES.get(row.recipe, Guarded.DISCONNECTS)


def _by_body(command: Command) -> Guarded | None:
    return kind_of_control(control.parse_body(command.body)[0])


def _free(_: Command) -> None:
    return None


OPERATIONS: Mapping[str, Kind] = {
    contactor.NAME: lambda command: kind_of_control(CONTROLS.get(command.body)),
    control.NAME: _by_body,
    long_controls.NAME: _by_body,
    change_key.NAME: lambda _: Guarded.KEYS,
    change_master_key.NAME: lambda _: Guarded.KEYS,
    commission.NAME: lambda _: Guarded.KEYS,
    transfer_firmware.NAME: lambda _: Guarded.FIRMWARE,
    read_meter.NAME: _free,
    log_reading.NAME: _free,
}


def guarded_by(command: Command) -> Guarded | None:
    """Which limit a command counts for; None: none."""
    kind = OPERATIONS.get(command.operation)
    return Guarded.DISCONNECTS if kind is None else kind(command)
