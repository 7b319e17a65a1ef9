"""One meter in time: what was due since the last time, then the request; what it changes is in the journal before the answer leaves.

Strategy: nothing runs by itself. The caller says which instant it is (`at`, aware, UTC); the meter first catches up on
what was due, each at its own instant. Registers and profiles are functions of time and of what happened. While its process does not run
the meter counts as powered down: nothing flows and nothing is captured.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from math import ceil
from typing import TypeVar

from ami_dlms.association import ActionOutcome, AssociationProfile
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_meter_sim.clock import MeterClock
from ami_meter_sim.load.houses import House
from ami_meter_sim.load.network import GridConnection
from ami_meter_sim.load.site import Site, seed_of_name, site_of
from ami_meter_sim.meter.associations import Associations, OfferedAssociation, Securities
from ami_meter_sim.meter.counters import Counters
from ami_meter_sim.meter.lock_out import LockOut
from ami_meter_sim.meter.memory import Memory
from ami_meter_sim.meter.pushes import INSTALLATION, push_what_follows, want
from ami_meter_sim.meter.setup import MeterSetup
from ami_meter_sim.objects import conditions, timed
from ami_meter_sim.objects.base import ClockRules
from ami_meter_sim.objects.clock import note_rules, start_clock
from ami_meter_sim.objects.communication import SECURITY_SETUPS, Communication
from ami_meter_sim.objects.conditions import Condition
from ami_meter_sim.objects.cosem_object import ITSELF, AccessRefused, ActionRefused, CosemObject, ReadContext
from ami_meter_sim.objects.device import Device
from ami_meter_sim.objects.disconnect_control import DisconnectControl
from ami_meter_sim.objects.families import build
from ami_meter_sim.objects.folding import LOOK_EVERY, fold
from ami_meter_sim.objects.household import household_of
from ami_meter_sim.objects.memory import Kept, Record, RecordKind
from ami_meter_sim.objects.recording import has_occurred, record
from ami_meter_sim.objects.switch import ControlState, Move, Switch, Trigger
from ami_meter_sim.objects.timeline import instant_of
from ami_meter_sim.population.columns import KNOWN, NO_DUE_TIME, WITHOUT_POWER
from ami_meter_sim.population.journal import StateUnusable
from ami_packs.event_list import Occurrence
from ami_packs.model import ObjectDescription

INVOKE_ID_BITS = 0xFFFFFF


T = TypeVar("T")


class Meter:
    """One simulated meter, alive; `setup` says which, `memory` is what it was before. `began_at`: since when its process runs."""

    def __init__(self, setup: MeterSetup, memory: Memory, at: datetime, began_at: datetime | None = None) -> None:
        self.setup = setup
        self.name = setup.identity.name
        self.row = memory.row
        self._memory = memory
        self._counters = {number: Counters.of(self.row, number) for number in SECURITY_SETUPS}
        self._associations = Associations(setup, self._counters)
        self.lock_out = LockOut(setup.lock_out.allowed, setup.lock_out.first_s, self.row)
        self.power_cycles = 0
        """How often power has gone since it is alive: connections of before are gone."""
        self._invoke_id = 0
        self._changes = 0
        self._records_looked_at = self.row.last_record // LOOK_EVERY
        self._device = self._make_device(at)
        if not self.row.alive_since:
            self._come_alive(began_at or at)
        self._captured_until = EPOCH + timedelta(seconds=self.row.captured_until)
        self.reserve_counters()

    def __del__(self) -> None:
        """Objects know their device and it knows them: without this a meter that goes waits for the garbage collector."""
        device = getattr(self, "_device", None)  # which a meter has not that could not be made
        if device is not None:
            device.built.clear()

    def begin_anew(self, memory: Memory, at: datetime) -> None:
        """Its row and what it keeps are others now: all that was made of them is made again, and connections of before are gone.

        Counters go on where they are.
        """
        self.power_cycles += 1
        self._memory = memory
        self._device.built.clear()
        self._device, self._changes = self._make_device(at), 0
        self._associations.renew()
        if not self.row.alive_since:
            self._come_alive(at)
        self._captured_until = EPOCH + timedelta(seconds=self.row.captured_until)
        self.row.next_due_at = NO_DUE_TIME
        self.plan(self._captured_until)
        self.reserve_counters()

    def _come_alive(self, at: datetime) -> None:
        """The first time in this process, which began at this instant: until then the meter was powered down."""
        row, second = self.row, int(at.timestamp())
        if not row.flags & KNOWN:
            want(self._device, INSTALLATION)
        elif self.powered:
            conditions.was_off(self._device, instant_of(row.captured_until), instant_of(second))
        self._configure(new=not row.flags & KNOWN)
        row.flags |= KNOWN
        row.captured_until = row.alive_since = second
        self.plan(at)

    def _configure(self, new: bool) -> None:
        """What the setup says of a new meter counts, and what has changed in it since the last run."""
        setup, row = self.setup, self.row
        if new or row.configured_control_mode != setup.control_mode:
            state = ControlState.CONNECTED if setup.control_mode == 0 else self._device.switch.control_state
            if state is not self._device.switch.control_state:
                self._memory.history.happened(Record(self._device.clock.at, RecordKind.SWITCH, number=int(state)))
            self._device.switch = Switch(setup.control_mode, state)
        if new or row.configured_time_zone_min != setup.time_zone_minutes:
            before = ClockRules.of(self._device.clock)
            row.time_zone_min = setup.time_zone_minutes
            if not new:
                note_rules(self._device, before)
        row.configured_control_mode, row.configured_time_zone_min = setup.control_mode, setup.time_zone_minutes

    def _follow_changes(self) -> None:
        """Keys, policies or secrets have changed: the next association counts them in."""
        communication = self._device.communication
        if communication.security_changes == self._changes:
            return
        self._changes = communication.security_changes
        for number, obis in SECURITY_SETUPS.items():
            if obis in communication.new_counters:
                self._counters[number] = Counters.anew(number)
        self._device.receive_counter = self.counters.receive
        self._device.second_receive_counter = self.second_counters.receive
        communication.new_counters.clear()
        self._associations.renew()
        self.reserve_counters()

    @property
    def counters(self) -> Counters:
        """Of the keys of the first security setup."""
        return self._counters[1]

    @property
    def second_counters(self) -> Counters:
        """Of the keys of the second security setup."""
        return self._counters[2]

    @property
    def communication(self) -> Communication:
        """What sessions have to know of what has happened to it."""
        return self._device.communication

    @property
    def profiles(self) -> tuple[AssociationProfile, ...]:
        """What the server needs to know of each association."""
        offered = map(self._associations.client_wport, self.setup.model.associations)
        return tuple([one.profile for wport in offered if (one := self.association(wport)) is not None])

    def association(self, client_wport: int) -> OfferedAssociation | None:
        """What this meter offers to a client; None for a stranger."""
        known = self._associations.known(client_wport)
        if known is not None:
            return known
        found = self._associations.make(self._device, client_wport)
        if found is not None and found.profile.send_counter is not None:
            self.reserve_counters()
        return found

    @property
    def open_clients(self) -> frozenset[int]:
        """The clients that associate without authentication, so that no key of theirs can be wrong."""
        return frozenset(
            one.client_wport for one in self.setup.model.associations if one.client_wport is not None and not one.keyed
        )

    @property
    def device(self) -> Device:
        """Its inside, for a person beside the meter."""
        return self._device

    @property
    def switch(self) -> Switch:
        return self._device.switch

    def get(self, descriptor: AttributeDescriptor, context: ReadContext, at: datetime) -> Data | DataAccessResult:
        """The value of an attribute, or why not. Access rights have been checked."""
        try:
            self.advance(at)
            found = self._device.find(descriptor.class_id, descriptor.instance_id)
            return DataAccessResult.OBJECT_UNDEFINED if found is None else found.read(descriptor.attribute_id, context)
        except AccessRefused as refused:
            return refused.result
        except StateUnusable:
            return DataAccessResult.HARDWARE_FAULT

    def set(
        self, descriptor: AttributeDescriptor, value: Data, at: datetime, context: ReadContext = ITSELF
    ) -> DataAccessResult:
        """Write an attribute; on disk before the answer."""
        self._device.communication.asked_by = context
        try:
            self._memory.check()
            self.advance(at)
            self._device.write(descriptor.class_id, descriptor.instance_id, descriptor.attribute_id, value)
            self._follow_changes()
            self.save()
            self.plan(at)
        except AccessRefused as refused:
            return refused.result
        except StateUnusable:
            return DataAccessResult.HARDWARE_FAULT
        return DataAccessResult.SUCCESS

    def act(
        self, descriptor: MethodDescriptor, parameters: Data | None, at: datetime, context: ReadContext = ITSELF
    ) -> ActionOutcome:
        """Carry out a method; what it did is on disk before the answer."""
        self._device.communication.asked_by = context
        try:
            self._memory.check()
            self.advance(at)
            found = self._device.find(descriptor.class_id, descriptor.instance_id)
            if found is None:
                return ActionOutcome(ActionResult.OBJECT_UNDEFINED, None)
            value = found.invoke(descriptor.method_id, parameters)
            self._follow_changes()
            self.save()
            self.plan(at)
        except ActionRefused as refused:
            return ActionOutcome(refused.result, None)
        except StateUnusable:
            return ActionOutcome(ActionResult.HARDWARE_FAULT, None)
        return ActionOutcome(ActionResult.SUCCESS, value)

    def pull(self, trigger: Trigger, at: datetime) -> bool:
        """Something happens at the meter itself, a hand or its own supervision; False when its mode forbids it."""
        self.advance(at)
        found = next((self._find(one) for one in self._descriptions(DisconnectControl.class_id)), None)
        moved = isinstance(found, DisconnectControl) and found.pull(trigger)
        self.save()
        self.plan(at)
        return moved

    def take_moves(self) -> list[Move]:
        """What the switch has done since the last call, whatever caused it."""
        moves = self._device.moves[:]
        self._device.moves.clear()
        return moves

    @property
    def powered(self) -> bool:
        """Whether it has power."""
        return not self.row.flags & WITHOUT_POWER

    def lose_power(self, at: datetime) -> None:
        """From here on nothing flows, nothing is captured, and no client is answered."""
        if not self.powered:
            return
        self.advance(at)
        conditions.power_down(self._device)
        self.row.flags |= WITHOUT_POWER
        self.row.next_due_at = NO_DUE_TIME
        self.power_cycles += 1
        self.save()

    def get_power_back(self, at: datetime) -> None:
        """The end of that: what it has missed is caught up on as its objects say."""
        if self.powered:
            return
        device = self._device
        self.row.flags &= ~WITHOUT_POWER
        device.clock.at = self._captured_until = at
        conditions.power_up(device)
        self.save()
        self.plan(at)

    def set_condition(self, condition: Condition, there: bool, at: datetime) -> bool:
        """Something is wrong at the meter from here on, or no longer; False if it was so already, or if the meter has no power."""
        self.advance(at)
        changed = conditions.set_condition(self._device, condition, there)
        self.save()
        self.plan(at)
        return changed

    def occur(self, occurrence: Occurrence, at: datetime) -> None:
        """Something happens to the meter: it is logged and raises alarms as its model says."""
        self.advance(at)
        record(self._device, occurrence)
        self.save()
        self.plan(at)

    def occur_at_most(self, occurrence: Occurrence, at: datetime, once_in: timedelta) -> None:
        """The same, but what a stranger can repeat at will is logged no more often than that."""
        if not has_occurred(self._device, occurrence, at - once_in):
            self.occur(occurrence, at)

    def happen(self, what: Callable[[Device], T], at: datetime) -> T:
        """Let the world do something to the meter: `what` is one of the functions of `objects.conditions`, or made of them."""
        self.advance(at)
        done = what(self._device)
        self.save()
        self.plan(at)
        return done

    def advance(self, at: datetime) -> None:
        """Catch up: everything that was due, each at its own instant; without power nothing is. The meter's time never goes back."""
        if not self.powered:
            return
        since, at = self._captured_until, max(at, self._captured_until)
        self._captured_until = at
        if self.row.next_due_at == NO_DUE_TIME or at.timestamp() < self.row.next_due_at:
            self._device.clock.at = at
            return
        timed.advance(self._device, since, at)
        self.plan(at)

    def plan(self, at: datetime) -> None:
        """Say in the row when there is something to do next by itself, as things are at this instant."""
        if not self.powered:
            return
        due = timed.next_due(self._device, at)
        self.row.next_due_at = NO_DUE_TIME if due is None else ceil(due.timestamp())
        self._memory.planned(self.row.next_due_at)

    def reserve_counters(self) -> None:
        """Write the counters down if what is on disk does not cover the next exchange; in the row they are exact."""
        for one in self._associations.counters_in_use:
            if not one.follow(self.row):
                self._cover_counters()
                return

    def _cover_counters(self) -> None:
        """The same, where more has to be reserved for one of them."""
        moved = [one for one in self._associations.counters_in_use if one.moved]
        unsettled = [one for one in moved if not one.settled]
        if unsettled:
            for one in unsettled:
                one.reserve()
            self.save()
            for one in unsettled:
                one.written()
        for one in moved:
            one.cover(self.row)

    @property
    def last_invoke_id(self) -> int:
        """Of the last notification."""
        return self._invoke_id

    def next_invoke_id(self) -> int:
        """Of the next notification."""
        self._invoke_id = (self._invoke_id + 1) & INVOKE_ID_BITS
        return self._invoke_id

    def save(self) -> None:
        """Put down what is not in the row by itself: how far it has come, and its counters."""
        self.row.captured_until = int(self._captured_until.timestamp())
        self.counters.note(self.row)
        self.second_counters.note(self.row)
        if self.row.last_record // LOOK_EVERY != self._records_looked_at:
            fold(self._device)
            self._records_looked_at = self.row.last_record // LOOK_EVERY

    def finish(self, at: datetime) -> None:
        """A clean end: catch up and keep the exact counters. Nothing may be asked of the meter after this."""
        self.advance(at)
        self.save()
        self.row.give_back_counters()

    def _make_device(self, at: datetime) -> Device:
        setup, memory = self.setup, self._memory
        around = _Surroundings(setup.site or partial(_site_of_name, self.name), memory.kept)
        device = Device(
            identity=setup.identity,
            model=setup.model,
            clock=MeterClock(at, memory.row),
            behind=around.house,
            connected=around.connection,
            row=memory.row,
            kept=memory.kept,
            history=memory.history,
            receive_counter=self.counters.receive,
            second_receive_counter=self.second_counters.receive,
            communication=Communication(
                securities=Securities(setup), offered=self._associations.named, issued=setup.certificates
            ),
            logical_devices=setup.logical_devices,
            build=build,
            notice=push_what_follows,
        )
        start_clock(device)
        return device

    def _descriptions(self, class_id: int) -> Iterator[ObjectDescription]:
        return (one for one in self.setup.model.objects.values() if one.class_id == class_id)

    def _find(self, described: ObjectDescription) -> CosemObject | None:
        return self._device.find(described.class_id, described.obis)


class _Surroundings:
    """The site of a meter, worked out when it is asked for first, with what a hand has put behind the meter."""

    __slots__ = ("_found", "_kept", "_site")

    def __init__(self, found: Callable[[], Site], kept: Kept) -> None:
        self._found = found
        self._kept = kept
        self._site: Site | None = None

    def house(self) -> House:
        """What is behind the meter."""
        return self._chosen.house

    def connection(self) -> GridConnection:
        """Its place in the network."""
        return self._chosen.connection

    @property
    def _chosen(self) -> Site:
        if self._site is None:
            self._site = self._found()
        kind = household_of(self._kept)
        return self._site if kind is None else self._site._replace(kind=kind)


def _site_of_name(name: str) -> Site:
    """Of a meter that belongs to no population."""
    return site_of(seed_of_name(name))


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
