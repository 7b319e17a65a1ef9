"""Which code stands behind which interface class; a new family is one line here and one in the model's sizes."""

from collections.abc import Callable

from ami_meter_sim.objects.associations import AssociationLN, SapAssignment, SecuritySetup
from ami_meter_sim.objects.clock import Clock
from ami_meter_sim.objects.data_and_register import DataObject, Register
from ami_meter_sim.objects.device import Device
from ami_meter_sim.objects.disconnect_control import DisconnectControl
from ami_meter_sim.objects.interface_class import InterfaceClass
from ami_meter_sim.objects.model import ObjectDescription
from ami_meter_sim.objects.profile_generic import ProfileGeneric

FAMILIES: dict[int, Callable[[ObjectDescription, Device], InterfaceClass]] = {
    1: DataObject,
    3: Register,
    7: ProfileGeneric,
    8: Clock,
    15: AssociationLN,
    17: SapAssignment,
    64: SecuritySetup,
    70: DisconnectControl,
}
