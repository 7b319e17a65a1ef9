"""Which code is behind which interface class; a new class is one name here. All others are served as plain attributes."""

from typing import Protocol

from ami_meter_sim.objects.activity_calendar import ActivityCalendar
from ami_meter_sim.objects.arbitrator import Arbitrator
from ami_meter_sim.objects.clock import Clock
from ami_meter_sim.objects.communication_classes import COMMUNICATION
from ami_meter_sim.objects.cosem_object import CosemObject, Options, PlainObject
from ami_meter_sim.objects.data_and_register import DataObject, DemandRegister, ExtendedRegister, Register
from ami_meter_sim.objects.device import Device
from ami_meter_sim.objects.disconnect_control import DisconnectControl, DisconnectControl1
from ami_meter_sim.objects.functions import FunctionControl, StatusMapping
from ami_meter_sim.objects.limiter import Limiter
from ami_meter_sim.objects.monitoring import ParameterMonitor, RegisterMonitor
from ami_meter_sim.objects.port_protection import PortProtection
from ami_meter_sim.objects.profile_generic import ProfileGeneric
from ami_meter_sim.objects.register_activation import RegisterActivation
from ami_meter_sim.objects.schedules import Schedule, SingleActionSchedule
from ami_meter_sim.objects.script_table import ScriptTable
from ami_meter_sim.objects.special_days_table import SpecialDaysTable
from ami_packs.model import ObjectDescription


class Family(Protocol):
    """A class of objects that are made of their description and the inside of their meter."""

    class_id: int
    version: int
    options: Options

    def __call__(self, described: ObjectDescription, device: Device) -> CosemObject:
        """One object."""


_CLASSES: tuple[Family, ...] = (
    DataObject,
    Register,
    ExtendedRegister,
    DemandRegister,
    RegisterActivation,
    ProfileGeneric,
    Clock,
    DisconnectControl,
    DisconnectControl1,
    ScriptTable,
    Schedule,
    SpecialDaysTable,
    ActivityCalendar,
    RegisterMonitor,
    SingleActionSchedule,
    StatusMapping,
    ParameterMonitor,
    Arbitrator,
    Limiter,
    FunctionControl,
    PortProtection,
    *COMMUNICATION,
)
FAMILIES = {(one.class_id, one.version): one for one in _CLASSES}
BY_CLASS = {class_id: one for (class_id, _), one in sorted(FAMILIES.items())}
"""The newest code of each class, for objects of other versions whose attributes a model lists."""


def family_of(described: ObjectDescription) -> Family | None:
    """The code of a description's class and version, or else of its class; None where it is served without any."""
    if described.static:
        return None
    family = FAMILIES.get((described.class_id, described.version))
    return BY_CLASS.get(described.class_id) if family is None and described.listed is not None else family


def build(described: ObjectDescription, device: Device) -> CosemObject:
    """The object of a description."""
    family = family_of(described)
    return PlainObject(described, device.kept) if family is None else family(described, device)
