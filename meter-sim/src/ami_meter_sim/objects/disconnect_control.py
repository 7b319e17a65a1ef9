"""Disconnect control (class 70): the supply switch as clients, hands and the meter's own supervision move it.

Strategy: what can happen is the table of `objects.switch`. A command whose state is already reached is a success without an event; a
command for which the mode has no transition is refused. Version 1 is version 0 with control mode 7.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from ami_dlms.cosem.classes import class_versions
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult, DataAccessResult, DataTag
from ami_meter_sim.objects.cosem_object import AccessRefused, ActionRefused, CosemObject, integer_in
from ami_meter_sim.objects.memory import Record, RecordKind
from ami_meter_sim.objects.recording import record, record_number
from ami_meter_sim.objects.switch import ControlState, Move, Switch, Trigger, move
from ami_packs.event_list import Occurrence
from ami_packs.model import ObjectDescription

if TYPE_CHECKING:
    from ami_meter_sim.objects.device import Device

LOCALLY = {
    "remote_disconnect": Trigger.LOCAL_DISCONNECT,
    "remote_reconnect": Trigger.LOCAL_RECONNECT,
}
"""What a method does when the meter's own supervision calls for it."""


class DisconnectControl(CosemObject):
    """The parameter of both methods is integer (0) in the Blue Book; the field sends others too, and it means nothing."""

    __slots__ = ("_device",)

    class_id, version = 70, 0
    modes: ClassVar = range(7)
    reads: ClassVar = {
        "output_state": lambda self, _: self._device.switch.output_state,
        "control_state": lambda self, _: self._device.switch.control_state,
        "control_mode": lambda self, _: self._device.switch.control_mode,
    }
    writes: ClassVar = {"control_mode": lambda self, value: self._set_control_mode(value)}
    methods: ClassVar = {
        "remote_disconnect": lambda self, _: self._pulled(Trigger.REMOTE_DISCONNECT),
        "remote_reconnect": lambda self, _: self._pulled(Trigger.REMOTE_RECONNECT),
    }

    def __init__(self, described: ObjectDescription, device: "Device") -> None:
        super().__init__(described)
        self._device = device

    def invoke_locally(self, method_id: int, parameters: Data | None) -> Data | None:
        """A limiter or monitor disconnects and reconnects locally: what it opened, a hand or it itself closes again."""
        standard = class_versions()[self.class_id, self.version]
        names = {standard.method(name).number: trigger for name, trigger in LOCALLY.items()}
        if method_id not in names:
            return self.invoke(method_id, parameters)
        self._pulled(names[method_id])
        return None

    def pull(self, trigger: Trigger) -> bool:
        """Let something happen to the switch; False when the control mode has no such transition."""
        device = self._device
        before = device.switch
        after = move(before, trigger)
        if after is None:
            return False
        if after != before:
            device.switch = after
            device.moves.append(Move(trigger, before, after))
            device.history.happened(
                Record(device.clock.at, RecordKind.SWITCH, self.described.obis, int(after.control_state))
            )
            self._log(trigger, after)
        return True

    def _log(self, trigger: Trigger, after: Switch) -> None:
        ready = trigger is Trigger.REMOTE_RECONNECT and after.control_state is ControlState.READY_FOR_RECONNECTION
        occurrence = Occurrence.READY_FOR_RECONNECTION if ready else Occurrence(trigger)
        number = self.described.events.get(occurrence)
        if self.described.log is not None and number is not None:
            record_number(self._device, self.described.log, number, occurrence)
        else:
            record(self._device, occurrence)

    def _set_control_mode(self, value: Data) -> None:
        """Mode 0 only while connected, because writing a mode must not close the switch."""
        mode = integer_in(value, DataTag.ENUM, self.modes)
        if mode == 0 and self._device.switch.control_state is not ControlState.CONNECTED:
            raise AccessRefused(DataAccessResult.OTHER_REASON)
        self._device.switch = replace(self._device.switch, control_mode=mode)

    def _pulled(self, trigger: Trigger) -> None:
        if not self.pull(trigger):
            raise ActionRefused(ActionResult.OTHER_REASON)


class DisconnectControl1(DisconnectControl):
    """Version 1."""

    __slots__ = ()

    version = 1
    modes: ClassVar = range(8)
