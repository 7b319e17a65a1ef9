"""What can be asked of the meters of a process and done to them, beside what their clients do by DLMS: for the API and for scenarios.

Strategy: everything is checked before anything is done, so a refusal leaves all as it was; what was done is on disk when a call returns.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from ami_dlms import data
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_dlms.errors import DlmsError
from ami_dlms.obis import Obis
from ami_meter_sim import events
from ami_meter_sim.faults.dice import fraction
from ami_meter_sim.fleet import Fleet
from ami_meter_sim.load.houses import HouseKind
from ami_meter_sim.meter.session import describe_switch
from ami_meter_sim.meter.simulated_meter import Meter
from ami_meter_sim.objects.conditions import (
    KEPT_AT,
    Condition,
    add_load,
    conditions,
    end_all,
    press_billing_button,
)
from ami_meter_sim.objects.conditions import read as conditions_of
from ami_meter_sim.objects.cosem_object import ReadContext
from ami_meter_sim.objects.household import change_household
from ami_meter_sim.objects.push_setup import PushSetupV0
from ami_meter_sim.objects.quantities import QUANTITIES
from ami_meter_sim.objects.switch import Trigger
from ami_meter_sim.objects.timeline import second_of
from ami_meter_sim.objects.token_gateway import TokenGateway
from ami_meter_sim.outages import Outages
from ami_meter_sim.population.journal import StateUnusable
from ami_meter_sim.refusals import NotPossible, NotThere
from ami_meter_sim.roster import ListedMeter, all_listed, listed, listed_in
from ami_packs.event_list import Occurrence

MOST_LISTED = 1000
AT_A_TIME = 500
"""Meters that are looked at before others have a turn."""
WILDCARDS = "*?["
PUSH = 1
"""Method of class 40."""
BILLING = "billing"
BUTTONS = {"connect": Trigger.MANUAL_RECONNECT, "disconnect": Trigger.MANUAL_DISCONNECT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which meters: all that is given has to hold. `name` may have * and ? for any letters."""

    name: str | None = None
    groups: Sequence[str] = ()
    connected: bool | None = None
    powered: bool | None = None
    fault: str | None = None
    share: float = 1.0
    seed: int = 0


class FleetControl:
    """The hands on a fleet."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self._outages = Outages(fleet)

    # --- finding

    def meter(self, name: str) -> Meter:
        """The meter of this name, live as long as it is kept; NotThere."""
        found = self.fleet.find(name)
        if found is None:
            raise NotThere(f"there is no meter {name[:64]!r} in this process")
        return found

    async def select(self, wanted: Selection, *, most: int = MOST_LISTED, skip: int = 0) -> list[ListedMeter]:
        """The meters that are wanted, in their order."""
        found: list[ListedMeter] = []
        for number, one in enumerate(self._candidates(wanted)):
            if number % AT_A_TIME == AT_A_TIME - 1:
                await asyncio.sleep(0)
            if not self._is_wanted(one, wanted):
                continue
            if skip:
                skip -= 1
                continue
            found.append(one)
            if len(found) == most:
                break
        return found

    def _candidates(self, wanted: Selection) -> Iterable[ListedMeter]:
        """A name without wildcards is looked up, a part of the network is a range: no other meter is looked at."""
        if wanted.name is not None and not any(letter in wanted.name for letter in WILDCARDS):
            found = listed(self.fleet, wanted.name)
            return () if found is None else (found,)
        ranges = self.fleet.members_of(wanted.groups[0]) if wanted.groups else None
        return all_listed(self.fleet) if ranges is None else listed_in(self.fleet, ranges)

    def _is_wanted(self, one: ListedMeter, wanted: Selection) -> bool:
        faults = self.fleet.faults
        conditions: Sequence[tuple[object, Callable[[], bool]]] = (
            (wanted.name, lambda: fnmatchcase(one.name, wanted.name or "")),
            (wanted.connected, lambda: one.connected is wanted.connected),
            (wanted.powered, lambda: one.powered is wanted.powered),
            (wanted.groups or None, lambda: set(wanted.groups) <= set(faults.groups_of(one.name))),
            (wanted.share, lambda: wanted.share >= 1 or fraction(wanted.seed, "share", one.name) < wanted.share),
            (wanted.fault, lambda: any(rule.fault == wanted.fault for _, rule in faults.rules_of(one.name))),
        )
        return all(holds() for given, holds in conditions if given is not None)

    # --- looking

    def summary(self, one: ListedMeter) -> dict[str, Any]:
        """A line of a list."""
        faults = [rule.fault for _, rule in self.fleet.faults.rules_of(one.name)]
        return {"name": one.name, "connected": one.connected, "powered": one.powered, "faults": faults}

    def state(self, name: str) -> dict[str, Any]:
        """All that is to be seen of one meter at a glance. Never a key."""
        meter = self.meter(name)
        meter.advance(self.fleet.environment.now())
        device, switch = meter.device, describe_switch(meter.switch)
        metering, second = device.metering, second_of(device.clock.at)

        def metered(name: str) -> int:
            value: int = QUANTITIES[name].at(metering, second)
            return value

        return {
            **self.summary(ListedMeter(meter.name, meter.row.columns, meter.row.index)),
            "logical_device_name": device.identity.logical_device_name.decode("ascii", "replace"),
            "device_id": device.identity.device_id.decode("ascii", "replace"),
            "system_title": None if device.identity.system_title is None else device.identity.system_title.hex(),
            "switch": {
                "output_state": switch.output_state,
                "control_state": switch.control_state,
                "control_mode": switch.control_mode,
            },
            "conditions": sorted(conditions(device)),
            "household": device.house.kind.name.lower(),
            "clock": device.clock.time.isoformat(),
            "import_wh": metered("import_energy_wh"),
            "export_wh": metered("export_energy_wh"),
            "import_power_w": metered("import_power_w"),
            "export_power_w": metered("export_power_w"),
            "next_sent_counter": meter.counters.send.next_value,
            "lowest_accepted_counter": meter.counters.receive.lowest_acceptable,
        }

    def objects(self, name: str) -> Iterator[dict[str, Any]]:
        """What a meter has, as its model says."""
        for described in self.meter(name).setup.model.objects.values():
            yield {
                "class": described.class_id,
                "version": described.version,
                "instance": str(described.obis),
                "name": described.name,
            }

    def read(self, name: str, class_id: int, instance: str, attribute: int) -> Data:
        """An attribute as the meter itself sees it. NotThere, NotPossible."""
        meter, descriptor = self.meter(name), _descriptor(class_id, instance, attribute)
        value = meter.get(descriptor, ReadContext(), self.fleet.environment.now())
        if isinstance(value, DataAccessResult):
            raise _refusal(descriptor, value)
        return value

    def conditions(self, one: ListedMeter) -> frozenset[Condition]:
        """What is wrong at a meter, which is not made live for that."""
        if (meter := self.fleet.meters.get(one.name)) is not None:
            return conditions(meter.device)
        kept = {} if self.fleet.store is None else self.fleet.store.kept.get(one.index, {})
        content = kept.get(KEPT_AT)
        return frozenset() if content is None else conditions_of(data.decode(content))

    # --- doing: everything raises StateUnusable, and does nothing, while what it does could not be kept

    def write(self, name: str, class_id: int, instance: str, attribute: int, value: Data) -> None:
        """Set an attribute, with the right of the meter itself. NotThere, NotPossible."""
        meter, descriptor = self.meter(name), _descriptor(class_id, instance, attribute)
        self.fleet.make_room()
        result = meter.set(descriptor, value, self.fleet.environment.now())
        if result is not DataAccessResult.SUCCESS:
            raise _refusal(descriptor, result)
        self._keep()

    def power(self, names: Iterable[str], on: bool, *, spread_s: float = 0.0, seed: int = 0) -> None:
        """Let them lose power, each with its last gasp, or get it back; each within this number of seconds from now by the process's clock."""
        self._outages.want(((name, spread_s * fraction(seed, "power", name)) for name in names), on)

    def push(self, name: str) -> None:
        """Let a meter push now, by each push setup that has a destination. NotThere, NotPossible."""
        meter = self.meter(name)
        self.fleet.make_room()
        if not self._push_by_setups(meter):
            raise NotPossible(f"{name} is not set up to push")

    def _push_by_setups(self, meter: Meter) -> bool:
        """Let each push setup that has a destination push; whether there is one."""
        pushed = False
        for class_id, obis in meter.setup.model.objects:
            setup = meter.device.find(class_id, obis) if class_id == PushSetupV0.class_id else None
            if isinstance(setup, PushSetupV0) and setup.addressed:
                outcome = meter.act(
                    MethodDescriptor(class_id, obis, PUSH), data.integer(0), self.fleet.environment.now()
                )
                pushed = pushed or outcome.result is ActionResult.SUCCESS
        self._keep()
        return pushed

    async def end(self) -> None:
        """Nothing that is still to come happens."""
        await self._outages.end()

    def press(self, name: str, button: str) -> None:
        """A hand at the meter presses the button that connects, disconnects, or ends the billing period. NotThere, NotPossible."""
        meter = self.meter(name)
        self.fleet.make_room()
        if button == BILLING:
            if not meter.happen(press_billing_button, self.fleet.environment.now()):
                raise NotPossible(f"{name} has no billing period that a button could end, or no power")
        elif not meter.pull(BUTTONS[button], self.fleet.environment.now()):
            mode = meter.switch.control_mode
            raise NotPossible(f"{name}: control mode {mode} lets no one {button} by hand as the switch is now")
        self._keep()
        self.fleet.report_moves(meter)

    def set_condition(self, name: str, condition: Condition, there: bool) -> None:
        """A cover, a magnet, a phase: open or closed, there or not. NotThere, NotPossible."""
        meter = self.meter(name)
        self.fleet.make_room()
        if not meter.set_condition(condition, there, self.fleet.environment.now()):
            reason = "is so already" if meter.powered else "is not noticed: the meter has no power"
            raise NotPossible(f"{name}: {condition} = {str(there).lower()} {reason}")
        self._keep()
        self.fleet.report(events.ConditionChanged(meter=name, condition=str(condition), there=there))

    def add_load(self, name: str, watts: int) -> None:
        """So much flows through a meter from now on beside what its household takes. NotThere."""
        meter = self.meter(name)
        self.fleet.make_room()
        meter.happen(lambda device: add_load(device, watts), self.fleet.environment.now())
        self._keep()

    def sell_token(self, name: str, amount: int) -> str:
        """The token that puts an amount into the credit of a meter, once. NotThere, NotPossible."""
        meter = self.meter(name)
        keys = [key for key in meter.setup.model.objects if key[0] == TokenGateway.class_id]
        found = [one for one in (meter.device.find(*key) for key in keys) if isinstance(one, TokenGateway)]
        if not found:
            raise NotPossible(f"{name} takes no tokens: its model has no token gateway")
        try:
            return found[0].sell(amount)
        except ValueError as problem:
            raise NotPossible(f"{name}: {problem}") from None

    def change_household(self, name: str, kind: HouseKind) -> None:
        """From now on this is behind a meter; registers go on where they are. NotThere, NotPossible."""
        meter = self.meter(name)
        self.fleet.make_room()
        if not meter.powered:
            raise NotPossible(f"{name} has no power, so nothing behind it can begin to flow")
        meter.happen(lambda device: change_household(device, kind), self.fleet.environment.now())
        self._keep()

    def occur(self, name: str, occurrence: Occurrence) -> None:
        """Something happens to the meter, as a cover that is opened. NotThere, NotPossible."""
        meter = self.meter(name)
        self.fleet.make_room()
        if not list(meter.setup.model.events.of(occurrence)):
            raise NotPossible(f"{name}: its model notes no {occurrence}")
        meter.occur(occurrence, self.fleet.environment.now())
        self._keep()

    async def reset(self) -> tuple[int, int]:
        """Back to health: no rule counts any longer, and nothing is wrong at any meter; how many rules and conditions have ended.

        Power stays where it is, and a meter without power notices the end of a condition as little as its beginning.
        """
        self.fleet.make_room()
        rules, ended = self.fleet.faults.reset(), 0
        for number, name in enumerate(self._names_with_conditions()):
            ended += self._end_conditions(name)
            if number % AT_A_TIME == AT_A_TIME - 1:
                await asyncio.sleep(0)
        return rules, ended

    def _names_with_conditions(self) -> list[str]:
        fleet = self.fleet
        if fleet.store is None:
            return []
        single = [name for name, meter in fleet.meters.items() if conditions(meter.device)]
        found = (range(index, index + 1) for index, kept in fleet.store.kept.items() if KEPT_AT in kept)
        return single + [one.name for one in listed_in(fleet, found) if one.name not in fleet.meters]

    def _end_conditions(self, name: str) -> int:
        meter = self.meter(name)
        ended = meter.happen(end_all, self.fleet.environment.now())
        self._keep()
        for one in sorted(ended):
            self.fleet.report(events.ConditionChanged(meter=name, condition=str(one), there=False))
        return len(ended)

    def _keep(self) -> None:
        """What was done is on disk. It is done: a disk that fails only now can't undo it."""
        try:
            self.fleet.write()
        except StateUnusable as problem:
            raise StateUnusable(f"done, but lost if the process ends before the disk takes it: {problem}") from None


def _descriptor(class_id: int, instance: str, attribute: int) -> AttributeDescriptor:
    try:
        return AttributeDescriptor(class_id, Obis.parse(instance), attribute)
    except (DlmsError, ValueError):
        raise NotThere(f"{instance[:40]!r} is no logical name such as 0-0:96.3.10*255") from None


def _refusal(descriptor: AttributeDescriptor, result: DataAccessResult) -> NotThere | NotPossible:
    what = f"attribute {descriptor.attribute_id} of class {descriptor.class_id} {descriptor.instance_id}"
    if result in (DataAccessResult.OBJECT_UNDEFINED, DataAccessResult.OBJECT_UNAVAILABLE):
        return NotThere(f"the meter has no {what}")
    return NotPossible(f"{what}: {result.name.lower().replace('_', '-')}")
