"""Reading attributes of one object: the value, its unit from scaler_unit applied exactly, the right to it, or the meter's no."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ami_cli.meter.attribute_reads import Ask
from ami_cli.meter.objects import ListedObject
from ami_cli.meter.values import DIFFERENCE, Json, json_of, text_of, type_name
from ami_dlms import data
from ami_dlms.cosem.classes import attribute_name, class_name, class_of
from ami_dlms.cosem.confidential import is_secret
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.cosem.obis_names import describe
from ami_dlms.cosem.profile import DIFFERENCES
from ami_dlms.cosem.quantity import Quantity, ScalerUnit
from ami_dlms.data import Data
from ami_dlms.errors import DecodeError

SCALED: Mapping[int, Mapping[int, int]] = {3: {2: 3}, 4: {2: 3}, 5: {2: 4, 3: 4}}
"""By class and attribute: which attribute of the same object is its scaler_unit."""
PROFILE_GENERIC, BUFFER = 7, 2
HIDDEN = "a secret, not shown"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeReading:
    """One attribute as it was found. `error` is the meter's own word, `note` is ours."""

    version: int
    descriptor: AttributeDescriptor
    access: str
    value: Data | None = None
    quantity: Quantity | None = None
    error: str = ""
    note: str = ""

    @property
    def text(self) -> str:
        """The value in its unit, the meter's no, or nothing."""
        if self.error:
            return self.error
        if self.quantity is not None and self.value is not None:
            return str(self.quantity) + (DIFFERENCE if self.value.tag in DIFFERENCES else "")
        return self.note if self.value is None else text_of(self.descriptor, self.value)

    def document(self) -> dict[str, Json]:
        """For JSON and CSV; quantities as text, because they are exact."""
        descriptor, value, quantity = self.descriptor, self.value, self.quantity
        return {
            "obis": str(descriptor.instance_id),
            "class_id": descriptor.class_id,
            "version": self.version,
            "class": class_name(descriptor.class_id),
            "name": describe(descriptor.instance_id),
            "attribute_id": descriptor.attribute_id,
            "attribute": attribute_name(descriptor),
            "access": self.access,
            "type": None if value is None else type_name(value),
            "value": None if value is None else json_of(value),
            "text": self.text,
            "quantity": None if quantity is None else f"{quantity.value:f}",
            "unit": None if quantity is None else quantity.unit.symbol,
            "error": self.error or None,
            "note": self.note or None,
            "a_xdr": None if value is None else data.encode(value).hex().upper(),
        }


def attribute_numbers(one: ListedObject) -> Sequence[int]:
    """The attributes that the object list names; those of the class when it names none."""
    if one.attributes or one.numbers:
        return sorted(one.attributes) or one.numbers
    known = class_of(one.class_id, one.version)
    return [attribute.number for attribute in known.attributes] if known else [1, 2]


def is_asked(one: ListedObject, number: int, left_out: str = "", *, insist: bool = False) -> bool:
    """Whether the meter is asked for this attribute: what may not be read, and secrets, only when the caller insists."""
    right = one.attributes.get(number)
    if insist:
        return not left_out
    return not left_out and (right is None or right.readable) and not is_secret(one.attribute(number))


def read_object(
    ask: Ask,
    one: ListedObject,
    numbers: Sequence[int],
    *,
    left_out: Mapping[int, str] | None = None,
    insist: bool = False,
    on_read: Callable[[], None] = lambda: None,
) -> Iterator[AttributeReading]:
    """These attributes, each asked for once. `left_out` says why an attribute is not asked for; `on_read` is called after each.

    What may not be read is asked for only when the caller insists.
    """
    left_out = left_out or {}
    found = {}
    for number in numbers:
        found[number] = _read(ask, one, number, left_out.get(number, ""), insist)
        on_read()
    scalers: dict[int, ScalerUnit | None] = {}
    for number in numbers:
        source = SCALED.get(one.class_id, {}).get(number)
        if source is not None and source not in scalers:
            scaler = found[source] if source in found else _read(ask, one, source, "", insist)
            scalers[source] = scaler_of(scaler.value)
        yield found[number] if source is None else in_unit(found[number], scalers[source])


def in_unit(reading: AttributeReading, scaler: ScalerUnit | None) -> AttributeReading:
    """The reading with its quantity, where value and scaler_unit allow one."""
    quantity = quantity_of(reading.value, scaler)
    if quantity is None:
        return reading
    return AttributeReading(
        version=reading.version,
        descriptor=reading.descriptor,
        access=reading.access,
        value=reading.value,
        quantity=quantity,
    )


def quantity_of(value: Data | None, scaler: ScalerUnit | None) -> Quantity | None:
    """Exactly the value times ten to the scaler; None when there is no number or no unit."""
    if value is None or scaler is None:
        return None
    try:
        return scaler.apply(value)
    except DecodeError:
        return None


def scaler_of(value: Data | None) -> ScalerUnit | None:
    """scaler_unit, if that is what the meter gave."""
    if value is None:
        return None
    try:
        return ScalerUnit.decode(value)
    except DecodeError:
        return None


def _read(ask: Ask, one: ListedObject, number: int, left_out: str, insist: bool) -> AttributeReading:
    descriptor = one.attribute(number)
    right = one.attributes.get(number)
    access = "?" if right is None else str(right)
    value, error = ask(descriptor) if is_asked(one, number, left_out, insist=insist) else (None, "")
    if is_secret(descriptor) and not error:
        value, left_out = None, left_out or (HIDDEN if insist or right is None or right.readable else "")
    return AttributeReading(
        version=one.version, descriptor=descriptor, access=access, value=value, error=error, note=left_out
    )
