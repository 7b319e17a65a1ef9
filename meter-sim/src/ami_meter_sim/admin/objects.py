"""One COSEM object of a meter with everything that there is to see of it: for the API.

Names are those of the interface classes (Blue Book part 2), rights those of each association of the meter's model. A value is what the
meter itself reads, without an association; a secret is none of them, and a buffer is read by itself, in an answer of its own.
"""

from collections.abc import Iterator
from typing import Any

from ami_dlms.cosem.classes import InterfaceClass, class_versions
from ami_dlms.cosem.confidential import is_secret
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.errors import DlmsError
from ami_dlms.obis import Obis
from ami_meter_sim.admin import values
from ami_meter_sim.control import FleetControl
from ami_meter_sim.refusals import NotPossible, NotThere
from ami_packs.model import PROFILE_GENERIC, ObjectDescription

BUFFER = (PROFILE_GENERIC, "buffer")


def describe_object(control: FleetControl, name: str, class_id: int, instance: str) -> dict[str, Any]:
    """Class, name, attributes with values and rights, methods with rights. NotThere."""
    described = _described(control, name, class_id, instance)
    known = class_versions().get((class_id, described.version))
    return {
        "class": class_id,
        "class_name": None if known is None else known.name,
        "version": described.version,
        "instance": str(described.obis),
        "name": described.name,
        "associations": sorted(described.access),
        "attributes": list(_attributes(control, name, described, known)),
        "methods": list(_methods(described, known)),
    }


def _described(control: FleetControl, name: str, class_id: int, instance: str) -> ObjectDescription:
    objects = control.meter(name).setup.model.objects
    try:
        found = objects.get((class_id, Obis.parse(instance)))
    except (DlmsError, ValueError):
        found = None
    if found is None:
        raise NotThere(f"the meter has no object of class {class_id} at {instance[:40]!r}")
    return found


def _attributes(
    control: FleetControl, name: str, described: ObjectDescription, known: InterfaceClass | None
) -> Iterator[dict[str, Any]]:
    names = {} if known is None else {one.number: one.name for one in known.attributes}
    rights = described.access
    numbers = sorted(set(names) | {number for one in rights.values() for number in one.read | one.write})
    for number in numbers:
        word = names.get(number, "")
        access = {
            association: ("r" if number in one.read else "") + ("w" if number in one.write else "")
            for association, one in sorted(rights.items())
        }
        value, why = _value(control, name, described, number, word)
        yield {"number": number, "name": word, "access": access, "value": value, "why": why}


def _value(
    control: FleetControl, name: str, described: ObjectDescription, number: int, word: str
) -> tuple[dict[str, Any] | None, str]:
    """A value, or why there is none."""
    if is_secret(AttributeDescriptor(described.class_id, described.obis, number)):
        return None, "a secret"
    if (described.class_id, word) == BUFFER:
        return None, "read by itself"
    try:
        return values.to_json(control.read(name, described.class_id, str(described.obis), number)), ""
    except (NotThere, NotPossible, ValueError) as problem:
        return None, str(problem).rpartition(": ")[2]


def _methods(described: ObjectDescription, known: InterfaceClass | None) -> Iterator[dict[str, Any]]:
    names = {} if known is None else {one.number: one.name for one in known.methods}
    rights = described.access
    for number in sorted(set(names) | {number for one in rights.values() for number in one.methods}):
        allowed = [association for association, one in sorted(rights.items()) if number in one.methods]
        yield {"number": number, "name": names.get(number, ""), "associations": allowed}
