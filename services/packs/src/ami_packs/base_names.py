"""Base names of a model whose meters are used with short names (IEC 62056-6-2, clause 4.1.2).

Strategy: objects that a client has to find without a list have the names that the standard reserves for them; the others lie one behind
the other in the order of the model, each with room for its attributes and methods. All associations of a meter use the same names.
"""

from collections.abc import Iterable

from ami_dlms.cosem.classes import class_versions
from ami_dlms.cosem.short_names import STEP, NamedObject, ShortNames, reserved_base_name
from ami_dlms.errors import LocalError
from ami_dlms.obis import Obis
from ami_packs.model import Model, ObjectDescription

FIRST = 0x0100
CURRENT_ASSOCIATION = (12, Obis.parse("0-0:40.0.0"))
RESERVED = {
    CURRENT_ASSOCIATION: "association_sn",
    (17, Obis.parse("0-0:41.0.0")): "sap_assignment",
    (1, Obis.parse("0-0:42.0.0")): "logical_device_name",
}


def base_names(objects: Iterable[ObjectDescription]) -> tuple[NamedObject, ...]:
    """Each object with its base name; LocalError where they do not fit below the reserved names."""
    named: list[NamedObject] = []
    free = FIRST
    for one in objects:
        kind = RESERVED.get((one.class_id, one.obis))
        base = free if kind is None else reserved_base_name(kind)
        free += _size(one) if kind is None else 0
        if free > reserved_base_name("association_sn"):
            raise LocalError(f"the base names of more than {len(named)} objects do not fit into 16 bits")
        named.append(NamedObject(base, one.class_id, one.version, one.obis))
    return tuple(named)


def names_of(model: Model) -> dict[str, ShortNames]:
    """The names that each association of a model sees."""
    named = base_names(model.objects.values())
    visible = {(one.class_id, one.obis): one.access for one in model.objects.values()}
    return {
        offered.name: ShortNames(one for one in named if offered.name in visible[one.class_id, one.logical_name])
        for offered in model.associations
    }


def _size(described: ObjectDescription) -> int:
    """How far the next object lies behind it."""
    standard = class_versions().get((described.class_id, described.version))
    if standard is None:
        return STEP * max(described.listed.attributes if described.listed else (1,), default=1)
    attributes = STEP * len(standard.attributes)
    first = NamedObject(0, described.class_id, described.version, described.obis).first_method
    return attributes if first is None else max(attributes, first + STEP * len(standard.methods))
