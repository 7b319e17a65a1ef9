"""Script table (class 9): what the meter does when a schedule, a monitor or a client calls for a script.

Strategy: the actions of a script are carried out with the rights of the meter, in their order, and answer nothing; one that is
refused leaves the others alone. A script table does not run while it is running, so scripts that call each other end. A script
that supervision started, a limiter or a monitor, switches locally, and one that a client or a schedule started, remotely.
"""

from typing import TYPE_CHECKING, ClassVar

from ami_dlms import data
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult, DataTag
from ami_dlms.obis import Obis
from ami_meter_sim.objects.cosem_object import AccessRefused, ActionRefused
from ami_meter_sim.objects.kept_object import KeptObject, parameter
from ami_meter_sim.objects.memory import Record, RecordKind
from ami_meter_sim.objects.shapes import INT8, LOGICAL_NAME, UINT16, Array, Number, Structure

if TYPE_CHECKING:
    from ami_meter_sim.objects.device import Device

WRITE, EXECUTE = 1, 2
TARIFFS = Obis.parse("0-0:10.0.100")
"""Tariffication: the selector of one of its scripts is the number of the tariff."""
END_OF_BILLING = Obis.parse("0-0:10.0.1")
"""End of a billing period: what a script of it captures and resets for that follows from the record of the end itself."""
NOTHING = data.structure(data.octet_string(bytes(6)), data.long_unsigned(0))
"""A script that says that there is none."""
MOST_SCRIPTS = 64
CAPTURE, RESET_OF_MAXIMUM = (7, 2), (4, 1)
"""Classes and methods."""


def _any(value: Data) -> bool:
    return value.tag is not DataTag.COMPACT_ARRAY


ACTION = Structure(Number(DataTag.ENUM, range(WRITE, EXECUTE + 1)), UINT16, LOGICAL_NAME, INT8, _any)
SCRIPTS = Array(Structure(UINT16, Array(ACTION, MOST_SCRIPTS)), MOST_SCRIPTS)


class ScriptTable(KeptObject):
    """script_identifier 0 does nothing."""

    __slots__ = ("_running",)

    class_id, version = 9, 0
    initial: ClassVar = {"scripts": data.array()}
    writable: ClassVar = {"scripts": SCRIPTS}
    methods: ClassVar = {"execute": lambda self, value: self._execute(parameter(value, UINT16).value)}

    def _execute(self, selector: int) -> None:
        if not self.run(selector):
            raise ActionRefused(ActionResult.OTHER_REASON)

    def actions(self, selector: int) -> tuple[Data, ...] | None:
        """The actions of a script; None if there is no such script."""
        if selector == 0:
            return ()
        for script in self.elements("scripts"):
            if script.value[0].value == selector:
                found: tuple[Data, ...] = script.value[1].value
                return found
        return None

    def run(self, selector: int, locally: bool = False) -> bool:
        """Carry a script out; False if there is no such script, or the table is running already."""
        actions = self.actions(selector)
        running = getattr(self, "_running", False)
        if actions is None or running:
            return False
        self._running = True
        try:
            for action in actions:
                if not self._is_of_billing(action):
                    self._carry_out(action, locally)
        finally:
            self._running = False
        device = self.device
        if self.described.obis == TARIFFS:
            device.history.happened(Record(device.clock.at, RecordKind.TARIFF, TARIFFS, selector))
        if any(map(self._is_of_billing, actions)):
            device.end_billing_period()
        return True

    def only_ends_billing(self, selector: int) -> bool:
        """Whether a script does that and nothing else."""
        actions = self.actions(selector)
        return bool(actions) and all(map(self._is_of_billing, actions or ()))

    def _is_of_billing(self, action: Data) -> bool:
        """The capture of a billing profile, or the reset of a maximum, in the table of that name."""
        service, class_id, obis, index = (part.value for part in action.value[:4])
        described = self.device.model.objects.get((class_id, Obis(obis)))
        if self.described.obis != END_OF_BILLING or service != EXECUTE or described is None:
            return False
        captures = (class_id, index) == CAPTURE and described.options.get("months") is True
        return captures or (class_id, index) == RESET_OF_MAXIMUM

    def _carry_out(self, action: Data, locally: bool) -> None:
        service, class_id, obis, index = (part.value for part in action.value[:4])
        value: Data = action.value[4]
        found = self.device.find(class_id, Obis(obis))
        if found is None:
            return
        try:
            if service == WRITE:
                self.device.write(class_id, Obis(obis), index, value)
            elif locally:
                found.invoke_locally(index, value)
            else:
                found.invoke(index, value)
        except (AccessRefused, ActionRefused):
            return


def run_script(device: "Device", script: Data, locally: bool = False) -> bool:
    """Run a script that is named by {script_logical_name, script_selector}; False if there is none."""
    name, selector = (part.value for part in script.value)
    table = device.find(ScriptTable.class_id, Obis(name))
    return isinstance(table, ScriptTable) and table.run(selector, locally)
