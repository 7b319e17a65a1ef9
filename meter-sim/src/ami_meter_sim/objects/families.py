"""Which code is behind which interface class; a new class is one name here."""

from typing import Protocol

from ami_meter_sim.objects.associations import AssociationLN, SapAssignment, SecuritySetup
from ami_meter_sim.objects.clock import Clock
from ami_meter_sim.objects.cosem_object import CosemObject
from ami_meter_sim.objects.data_and_register import DataObject, Register
from ami_meter_sim.objects.device import Device
from ami_meter_sim.objects.disconnect_control import DisconnectControl
from ami_meter_sim.objects.model import ObjectDescription
from ami_meter_sim.objects.profile_generic import ProfileGeneric


class Family(Protocol):
    """A class of objects that are made of their description and the inside of their meter."""

    class_id: int
    version: int

    def __call__(self, described: ObjectDescription, device: Device) -> CosemObject:
        """One object."""


_CLASSES: tuple[Family, ...] = (
    DataObject,
    Register,
    ProfileGeneric,
    Clock,
    AssociationLN,
    SapAssignment,
    SecuritySetup,
    DisconnectControl,
)
FAMILIES = {(one.class_id, one.version): one for one in _CLASSES}
BY_CLASS = {class_id: one for (class_id, _), one in sorted(FAMILIES.items())}
"""The newest code of each class, for objects of other versions whose attributes a model lists."""


def build(described: ObjectDescription, device: Device) -> CosemObject:
    """The object of a description, with the code of its class and version or else of its class."""
    key = (described.class_id, described.version)
    return FAMILIES[key](described, device) if key in FAMILIES else BY_CLASS[described.class_id](described, device)
