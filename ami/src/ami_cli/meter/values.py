"""Values for people and for programs: text by what the class says an attribute is, JSON that loses nothing but the types' names.

Octet-strings are the riddle of DLMS: the same type holds names, times, OBIS codes and keys. The class decides where it is
known; otherwise printable ASCII is shown as text and everything else as hex digits.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from ami_dlms import data
from ami_dlms.cosem.classes import attribute_name, class_name
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.cosem.profile import DIFFERENCES
from ami_dlms.cosem.quantity import ScalerUnit, unit_of
from ami_dlms.cosem.selection import CaptureObject
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import ApplicationContext, DataTag, Mechanism
from ami_dlms.errors import DlmsError
from ami_dlms.obis import Obis

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

NESTED = (DataTag.ARRAY, DataTag.STRUCTURE)
LOGICAL_NAME = 1
DATE_TIMES = {(8, 2), (8, 5), (8, 6), (4, 5), (5, 6), (5, 7), (20, 10)}
"""(class, attribute) of octet-strings of 12 that are a date and time."""
OBJECT_NAMES = {(15, 4), (15, 6)}
SCALER_UNITS = {(3, 3), (4, 3), (5, 4)}
COSEM_NAMES = bytes.fromhex("6085740508")
"""2.16.756.5.8, under which contexts (1) and mechanisms (2) have their numbers."""
OBIS_OCTETS, WHOLE_OBIS, DATE_TIME_OCTETS = 6, 0xFF, 12
UNIX_TIMES = frozenset({DataTag.DOUBLE_LONG_UNSIGNED, DataTag.LONG64_UNSIGNED, DataTag.DOUBLE_LONG})
END_OF_TIME = 253402300800
"""The first second of the year 10000, which the calendar of this language does not have."""
DIFFERENCE = " (a difference, no reading)"
PLAUSIBLE_YEARS = range(1990, 2100)
"""No text of printable ASCII begins like one of these."""
CONTROL_STATES = {0: "disconnected", 1: "connected", 2: "ready_for_reconnection"}
ENUMERATIONS = {
    (70, 3): CONTROL_STATES,
    (7, 5): {1: "fifo", 2: "lifo", 3: "largest", 4: "smallest", 5: "nearest_to_zero", 6: "farest_from_zero"},
    (15, 8): {0: "non_associated", 1: "association_pending", 2: "associated"},
}


def unix_time(descriptor: AttributeDescriptor, value: Data) -> str:
    """The moment in UTC, where the attribute is a UNIX clock and the value can be one; else empty."""
    column = CaptureObject(descriptor.class_id, Obis(descriptor.instance_id), descriptor.attribute_id)
    if not column.is_unix_clock or value.tag not in UNIX_TIMES or not 0 <= value.value < END_OF_TIME:
        return ""
    return datetime.fromtimestamp(value.value, UTC).isoformat()


def type_name(value: Data) -> str:
    """The type as the standard writes it."""
    return value.tag.name.lower().replace("_", "-")


def text_of(descriptor: AttributeDescriptor, value: Data) -> str:
    """A value of this attribute, for a person."""
    place = descriptor.class_id, descriptor.attribute_id
    if descriptor.attribute_id == LOGICAL_NAME:
        return _obis(value)
    if place in DATE_TIMES:
        return _date_time(value)
    if place in ENUMERATIONS and isinstance(value.value, int):
        name = ENUMERATIONS[place].get(value.value)
        return f"{int(value.value)} ({name})" if name else str(int(value.value))
    if place == (15, 2) and value.tag is DataTag.ARRAY:
        return f"{len(value.value)} objects"
    if place == (7, 3) and value.tag is DataTag.ARRAY:
        return ", ".join(_capture_object(one) for one in value.value)
    if place == (7, 6):
        return _capture_object(value)
    if place in OBJECT_NAMES:
        return _oid(value)
    if place in SCALER_UNITS:
        return _scaler_unit(value)
    return unix_time(descriptor, value) or plain_text(value)


def items_of(value: Data) -> Sequence[Data]:
    """The elements of an array, compact array or structure; none of anything else."""
    if value.tag is DataTag.COMPACT_ARRAY:
        return data.expand(value.value)
    items: Sequence[Data] = value.value if value.tag in NESTED else ()
    return items


def plain_text(value: Data) -> str:
    """A value of which nothing is known but its type."""
    content = value.value
    if value.tag is DataTag.COMPACT_ARRAY:
        return f"[{', '.join(plain_text(one) for one in data.expand(content))}]"
    if value.tag in NESTED:
        inner = ", ".join(plain_text(one) for one in content)
        return f"[{inner}]" if value.tag is DataTag.ARRAY else f"({inner})"
    if value.tag is DataTag.BIT_STRING:
        return "".join("1" if bit else "0" for bit in content)
    if isinstance(content, bytes):
        return text_of_octets(value)
    if isinstance(content, bool):
        return str(content).lower()
    if value.tag in DIFFERENCES:
        return f"{content:+d}{DIFFERENCE}"
    return "null" if content is None else str(content)


def text_of_octets(value: Data) -> str:
    """What octets most likely are: an OBIS code, a date and time, printable ASCII; otherwise hex digits."""
    content = value.value
    if not isinstance(content, bytes):
        return plain_text(value)
    if len(content) == OBIS_OCTETS and content[-1] == WHOLE_OBIS:
        return str(Obis(content))
    if len(content) == DATE_TIME_OCTETS and int.from_bytes(content[:2], "big") in PLAUSIBLE_YEARS:
        return iso(CosemDateTime.decode(content))
    text = content.rstrip(b"\0 ")
    legible = text.isascii() and text.decode("ascii").isprintable() and text != b""
    return text.decode("ascii") if legible else content.hex().upper()


def json_of(value: Data) -> Json:
    """A value as JSON: octets as hex digits, bits as 0 and 1, times as text."""
    content = value.value
    if value.tag is DataTag.COMPACT_ARRAY:
        return [json_of(one) for one in data.expand(content)]
    if value.tag in NESTED:
        return [json_of(one) for one in content]
    if value.tag is DataTag.BIT_STRING:
        return plain_text(value)
    if isinstance(content, bytes):
        return content.hex().upper()
    if content is None or isinstance(content, bool | int | float | str):
        return int(content) if isinstance(content, int) and not isinstance(content, bool) else content
    return str(content)


def date_time_of(value: Data) -> CosemDateTime | None:
    """The date and time that a value holds, in either of its two forms."""
    if isinstance(value.value, CosemDateTime):
        return value.value
    if isinstance(value.value, bytes) and len(value.value) == 12:
        return CosemDateTime.decode(value.value)
    return None


def iso(moment: CosemDateTime) -> str:
    """ISO 8601 with the offset where the meter says one; wildcards as question marks."""
    text = f"{_part(moment.year, 4)}-{_part(moment.month)}-{_part(moment.day)}"
    text += f"T{_part(moment.hour)}:{_part(moment.minute)}:{_part(moment.second)}"
    if moment.deviation_minutes is None:
        return text
    sign = "-" if moment.deviation_minutes > 0 else "+"
    hours, minutes = divmod(abs(moment.deviation_minutes), 60)
    return f"{text}{sign}{hours:02d}:{minutes:02d}"


def object_title(class_id: int, obis: Obis) -> str:
    """`disconnect_control 0-0:96.3.10*255`."""
    return f"{class_name(class_id)} {obis}"


def attribute_title(descriptor: AttributeDescriptor) -> str:
    """`disconnect_control 0-0:96.3.10*255 output_state`."""
    return f"{object_title(descriptor.class_id, descriptor.instance_id)} {attribute_name(descriptor)}"


def _part(value: int | None, width: int = 2) -> str:
    return "?" * width if value is None else f"{value:0{width}d}"


def _obis(value: Data) -> str:
    content = value.value
    return str(Obis(content)) if isinstance(content, bytes) and len(content) == 6 else plain_text(value)


def _date_time(value: Data) -> str:
    found = date_time_of(value)
    return plain_text(value) if found is None else iso(found)


def _oid(value: Data) -> str:
    """An object identifier under 2.16.756.5.8, with its name."""
    content = value.value
    if not isinstance(content, bytes) or content[:5] != COSEM_NAMES or len(content) != 7:
        return plain_text(value)
    kind, number = content[5:]
    names: type[ApplicationContext] | type[Mechanism] = ApplicationContext if kind == 1 else Mechanism
    name = f" ({names(number).name.lower().replace('_', '-')})" if number in set(names) else ""
    return f"2.16.756.5.8.{kind}.{number}{name}"


def _scaler_unit(value: Data) -> str:
    try:
        found = ScalerUnit.decode(value)
    except DlmsError:
        return plain_text(value)
    return f"10^{found.scaler} {unit_of(found.unit).symbol}".rstrip()


def _capture_object(value: Data) -> str:
    try:
        column = CaptureObject.decode(value)
    except DlmsError:
        return plain_text(value)
    if column.class_id == 0:
        return "none"
    return column_title(column)


def column_title(column: CaptureObject) -> str:
    """`1-0:1.8.0*255 value`; an element of the attribute with its number."""
    name = attribute_name(AttributeDescriptor(column.class_id, column.logical_name, column.attribute_index))
    element = f"[{column.data_index}]" if column.data_index else ""
    return f"{column.logical_name} {name}{element}"
