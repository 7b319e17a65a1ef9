"""Alarm reset: the alarm registers and their descriptors are written to 0 and read back (IDIS: class 1, 0-0:97.98.e; M-144)."""

from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.data import Data
from ami_mapping.recipes.steps import (
    Recipe,
    Values,
    attribute,
    done,
    failed,
    number_in,
    read,
    settled,
    unsuitable,
    write,
)

OBJECTS = tuple(attribute(1, f"0-0:97.98.{e}", 2) for e in (0, 1, 20, 21))
"""Alarm registers 1 and 2, alarm descriptors 1 and 2: what is set in a descriptor was pushed, and is pushed again only once it is reset."""


def alarm_reset() -> Recipe:
    """A bit that is set again at once is an alarm that is still there, and said so."""
    found = dict(zip(OBJECTS, (yield from read(*OBJECTS)), strict=True))
    present = {
        where: value for where, value in found.items() if isinstance(value, Data) and number_in(value) is not None
    }
    if not present:
        raise unsuitable("it has no alarm register: 0-0:97.98.0 and 0-0:97.98.1")
    for where, value in present.items():
        yield from write(where, Data(value.tag, 0))
    after, reset = yield from settled(tuple(present), lambda values: not any(map(number_in, values)))
    if reset:
        return done(f"{len(present)} alarm objects read back 0")
    return failed("not-as-asked", f"still set, or set again: {_set(tuple(present), after)}")


def _set(objects: tuple[AttributeDescriptor, ...], values: Values) -> str:
    bits = ((where, number_in(value)) for where, value in zip(objects, values, strict=True))
    return ", ".join(f"{where.instance_id} 0x{left:08X}" for where, left in bits if left)
