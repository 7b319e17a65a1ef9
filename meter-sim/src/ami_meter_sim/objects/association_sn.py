"""Association SN (class 12): the current association of a client that uses short names.

Strategy: the base names are those of the association itself, which the server resolves; this object lists them, with the rights of
whoever asks. Attributes that a client knows by logical name alone are read by `read_by_logicalname`, with the same rights.
"""

from typing import ClassVar

from ami_dlms import data
from ami_dlms.association import AttributeAccess
from ami_dlms.cosem.classes import class_versions
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.cosem.short_names import NamedObject, ShortNames
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult, DataAccessResult, Mechanism
from ami_dlms.obis import Obis
from ami_meter_sim.objects.associations import (
    MOST_USERS,
    NO_USER,
    NOTHING,
    SECURITY_SETUP,
    USER,
    WITH_HLS_SECRET,
    AssociationObject,
)
from ami_meter_sim.objects.cosem_object import AccessRefused, ActionRefused, ReadContext
from ami_meter_sim.objects.kept_object import parameter
from ami_meter_sim.objects.shapes import VALUE_DEFINITION, Array

MOST_READ_AT_ONCE = 64
WITH_SECRET = WITH_HLS_SECRET | {Mechanism.LOW}


class AssociationSNv0(AssociationObject):
    """Versions 0 and 1: the list of objects."""

    __slots__ = ()

    class_id, version = 12, 0
    reads: ClassVar = {"object_list": lambda self, context: self._short_names(context).encode()}
    methods: ClassVar = {
        "read_by_logicalname": lambda self, given: self._read_by_name(given),
        "change_secret": lambda self, given: self.change_secret(given, WITH_SECRET),
    }

    def _short_names(self, context: ReadContext) -> ShortNames:
        names = self.profile(context).short_names
        if names is None:
            raise AccessRefused(DataAccessResult.OBJECT_UNAVAILABLE)
        return names

    def _read_by_name(self, given: Data | None) -> Data:
        """The values in the order in which they were asked for; all or none."""
        wanted = parameter(given, Array(VALUE_DEFINITION, MOST_READ_AT_ONCE)).value
        return data.structure(*(self._one(*(part.value for part in one.value)) for one in wanted))

    def _one(self, class_id: int, name: bytes, attribute_id: int) -> Data:
        descriptor = AttributeDescriptor(class_id, Obis(name), attribute_id)
        context = self.device.communication.asked_by
        allowed = None if context.profile is None else context.profile.access.attribute(descriptor)
        found = None if allowed is None else self.device.find(class_id, descriptor.instance_id)
        if found is None:
            raise ActionRefused(ActionResult.OBJECT_UNDEFINED)
        if not allowed or not allowed & AttributeAccess.READ:
            raise ActionRefused(ActionResult.READ_WRITE_DENIED)
        try:
            return found.read(attribute_id, context)
        except AccessRefused:
            raise ActionRefused(ActionResult.OBJECT_UNAVAILABLE) from None


class AssociationSNv1(AssociationSNv0):
    """Version 1."""

    __slots__ = ()

    class_id, version = 12, 1


def _access_rights(self: AssociationSNv0, context: ReadContext) -> Data:
    return data.array(*(_rights_of(one, context) for one in self._short_names(context)))


def _rights_of(named: NamedObject, context: ReadContext) -> Data:
    """access_rights_list_element: base name, then the access mode of each attribute and method of its class."""
    rights = None if context.profile is None else context.profile.access
    known = class_versions().get((named.class_id, named.version))
    attributes, methods = ((), ()) if known is None else (known.attributes, known.methods)
    name = named.logical_name
    of_attributes = (
        (one.number, rights.attribute(AttributeDescriptor(named.class_id, name, one.number)) if rights else None)
        for one in attributes
    )
    of_methods = (
        (one.number, rights.method(MethodDescriptor(named.class_id, name, one.number)) if rights else None)
        for one in methods
    )
    return data.structure(
        named.encode().value[0],
        data.array(
            *(data.structure(data.integer(n), data.enum(int(mode or 0)), data.null()) for n, mode in of_attributes)
        ),
        data.array(*(data.structure(data.integer(n), data.enum(int(mode or 0))) for n, mode in of_methods)),
    )


class AssociationSNv2(AssociationSNv0):
    """Version 2: access rights, and the security setup."""

    __slots__ = ()

    class_id, version = 12, 2
    reads: ClassVar = {
        **AssociationSNv0.reads,
        "access_rights_list": _access_rights,
        "security_setup_reference": lambda self, context: SECURITY_SETUP if self.profile(context).security else NOTHING,
    }


class AssociationSNv3(AssociationSNv2):
    """Version 3: users."""

    __slots__ = ()

    class_id, version = 12, 3
    initial: ClassVar = {"user_list": data.array(), "current_user": NO_USER}
    writable: ClassVar = {"user_list": Array(USER, MOST_USERS)}
    methods: ClassVar = {
        **AssociationSNv2.methods,
        "add_user": lambda self, given: self.add_user(given),
        "remove_user": lambda self, given: self.remove_user(given),
    }


class AssociationSNv4(AssociationSNv3):
    """Version 4."""

    __slots__ = ()

    class_id, version = 12, 4
