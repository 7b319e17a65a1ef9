"""Values of attributes as a person writes them: a table of one key, which is the type, as in { long_unsigned = 5 }.

Octet-strings have forms of their own for what they hold in the interface classes (IEC 62056-6-2): { text = "..." }, { obis = "0-0:1.0.0" },
{ time = "06:00" }, { date = "*-12-25" }, { date_time = "*-03-last Sun 02:00" }, where * means any. Structures that many classes share have
one too: { attribute = "3/1-0:1.7.0/2" }, { script = "0-0:10.0.106/1" }, { execute = "70/0-0:96.3.10/1" } (an action of a script),
{ columns = ["8/0-0:1.0.0/2"] } (capture objects). A text in place of the table is A-XDR in hexadecimal digits, as a scan writes it.
"""

import re
from collections.abc import Callable
from typing import Any

from ami_dlms import data
from ami_dlms.cosem.classes import Attribute
from ami_dlms.cosem.selection import CaptureObject
from ami_dlms.data import Data
from ami_dlms.datetimes import LAST_DAY_OF_MONTH, CosemDate, CosemDateTime, CosemTime
from ami_dlms.enums import DataTag
from ami_dlms.errors import DlmsError
from ami_packs.document import Node, Wrong, list_of, obis, octets, suggestion, true_or_false, whole_number

_DATE = re.compile(r"(\*|\d{4})-(\*|\d\d)-(\*|last|\d\d)(?: (Mon|Tue|Wed|Thu|Fri|Sat|Sun))?", re.ASCII)
_TIME = re.compile(r"(\*|\d\d):(\*|\d\d)(?::(\*|\d\d))?", re.ASCII)
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
DATE_FORM = "YYYY-MM-DD, with * for any, `last` for the last day, and a day of the week behind it if need be"
TIME_FORM = "HH:MM or HH:MM:SS, with * for any"
EXECUTE = 2
BITS = {
    DataTag.INTEGER: 8,
    DataTag.LONG: 16,
    DataTag.DOUBLE_LONG: 32,
    DataTag.LONG64: 64,
    DataTag.UNSIGNED: 8,
    DataTag.LONG_UNSIGNED: 16,
    DataTag.DOUBLE_LONG_UNSIGNED: 32,
    DataTag.LONG64_UNSIGNED: 64,
    DataTag.ENUM: 8,
}
SIGNED = {DataTag.INTEGER, DataTag.LONG, DataTag.DOUBLE_LONG, DataTag.LONG64}
TYPE_TAGS = {tag.name.lower().replace("_", "-"): tag for tag in DataTag}
"""The standard's words for types of attributes; a CHOICE is none of them."""


def attribute_value(node: Node, attribute: Attribute | None) -> Data:
    """The value of an attribute. Of what a person wrote the type has to be the attribute's; a scan shows what a meter really has."""
    if isinstance(node.value, str):
        return _encoded(node)
    value = typed_value(node)
    try:
        data.encode(value)
    except (DlmsError, OverflowError) as error:
        raise Wrong(node, f"can't be encoded: {error}") from None
    expected = TYPE_TAGS.get(attribute.type) if attribute is not None else None
    if attribute is not None and expected is not None and value.tag not in (expected, DataTag.NULL_DATA):
        given = value.tag.name.lower().replace("_", "-")
        raise Wrong(node, f"{attribute.name} is of type {attribute.type}, not {given}")
    return value


def typed_value(node: Node) -> Data:
    """{ type = value }."""
    entries = node.table()
    if len(entries) != 1:
        raise Wrong(node, 'one type with its value was expected, as in { long_unsigned = 5 } or { text = "..." }')
    ((name, inner),) = entries.items()
    if name not in _FORMS:
        raise Wrong(inner, f"there is no type `{name}`; {suggestion(name, _FORMS)}")
    return _FORMS[name](inner)


def _encoded(node: Node) -> Data:
    """A-XDR in hexadecimal digits."""
    try:
        return data.decode(octets(node))
    except DlmsError as error:
        raise Wrong(node, f"is no A-XDR of one value: {error}") from None


def _whole(tag: DataTag) -> Callable[[Node], Data]:
    low = -(1 << BITS[tag] - 1) if tag in SIGNED else 0
    read = whole_number(low, low + (1 << BITS[tag]) - 1)
    return lambda node: Data(tag, read(node))


def _number(node: Node) -> float:
    if isinstance(node.value, bool) or not isinstance(node.value, int | float):
        raise Wrong(node, "a number was expected")
    return float(node.value)


def _characters(node: Node) -> str:
    if not isinstance(node.value, str):
        raise Wrong(node, "a text was expected")
    return node.value


def _ascii(node: Node) -> bytes:
    try:
        return _characters(node).encode("ascii")
    except UnicodeEncodeError:
        raise Wrong(node, "letters of ASCII were expected; `octet_string` takes hexadecimal digits") from None


def _bits(node: Node) -> tuple[bool, ...]:
    digits = _characters(node)
    if not set(digits) <= {"0", "1"}:
        raise Wrong(node, 'the digits 0 and 1 were expected, the first bit first, as in { bit_string = "1000" }')
    return tuple([digit == "1" for digit in digits])


def _part(text: str | None) -> int | None:
    return None if text in (None, "*") else LAST_DAY_OF_MONTH if text == "last" else int(str(text))


def _date(node: Node, text: str) -> CosemDate:
    match = _DATE.fullmatch(text)
    if match is None:
        raise Wrong(node, f"a date was expected: {DATE_FORM}")
    year, month, day, weekday = match.groups()
    found = CosemDate(_part(year), _part(month), _part(day), _WEEKDAYS.index(weekday) + 1 if weekday else None)
    if found.month not in (None, *range(1, 13)) or found.day not in (None, LAST_DAY_OF_MONTH, *range(1, 32)):
        raise Wrong(node, f"there is no such date: {text}")
    return found


def _time(node: Node, text: str) -> CosemTime:
    match = _TIME.fullmatch(text)
    if match is None:
        raise Wrong(node, f"a time was expected: {TIME_FORM}")
    hour, minute, second = match.groups()
    found = CosemTime(_part(hour), _part(minute), _part(second or "00"), None if second == "*" else 0)
    if found.hour not in (None, *range(24)) or any(
        one not in (None, *range(60)) for one in (found.minute, found.second)
    ):
        raise Wrong(node, f"there is no such time: {text}")
    return found


def _date_time(node: Node) -> bytes:
    date, _, time = _characters(node).rpartition(" ")
    day, clock = _date(node, date), _time(node, time)
    return CosemDateTime(
        day.year, day.month, day.day, day.day_of_week, clock.hour, clock.minute, clock.second, clock.hundredths
    ).encode()


def column(node: Node) -> CaptureObject:
    """ "class/obis/attribute", with /data_index behind it if need be, or a table."""
    if isinstance(node.value, str):
        parts = node.value.split("/")
        if len(parts) not in (3, 4):
            raise Wrong(node, 'a column is "class/obis/attribute" or "class/obis/attribute/data_index"')
        class_id, logical_name, *numbers = [_part_of(part, node) for part in parts]
    else:
        entries = node.table()
        if not {"class_id", "obis", "attribute"} <= set(entries) <= {"class_id", "obis", "attribute", "data_index"}:
            raise Wrong(node, "a column has `class_id`, `obis`, `attribute` and, if need be, `data_index`")
        class_id, logical_name = entries["class_id"], entries["obis"]
        numbers = [entries[name] for name in ("attribute", "data_index") if name in entries]
    attribute, *index = numbers
    return CaptureObject(
        whole_number(0, 0xFFFF)(class_id),
        obis(logical_name),
        whole_number(-128, 127)(attribute),
        whole_number(0, 0xFFFF)(index[0]) if index else 0,
    )


def _part_of(part: str, node: Node) -> Node:
    value: Any = int(part) if part.isdecimal() and part.isascii() and len(part) <= 5 else part
    return Node(value, node.file, node.path, node.lines)


def _three_parts(node: Node, what: str) -> tuple[Data, Data, Data]:
    """ "class/obis/number"."""
    parts = _characters(node).split("/")
    if len(parts) != 3:
        raise Wrong(node, f'{what} is "class/obis/number"')
    class_id, logical_name, number = [_part_of(part, node) for part in parts]
    return (
        data.long_unsigned(whole_number(0, 0xFFFF)(class_id)),
        data.octet_string(obis(logical_name)),
        data.integer(whole_number(-128, 127)(number)),
    )


def _script(node: Node) -> Data:
    """ "obis/selector"."""
    name, separator, selector = _characters(node).partition("/")
    if not separator:
        raise Wrong(node, 'a script is "obis/selector"')
    number = whole_number(0, 0xFFFF)(_part_of(selector, node))
    return data.structure(data.octet_string(obis(_part_of(name, node))), data.long_unsigned(number))


def _execute(node: Node) -> Data:
    """service_id 2 of a script: a method with integer (0)."""
    return data.structure(data.enum(EXECUTE), *_three_parts(node, "an action"), data.integer(0))


_FORMS: dict[str, Callable[[Node], Data]] = {
    **{tag.name.lower(): _whole(tag) for tag in BITS},
    "null_data": lambda _: data.null(),
    "boolean": lambda node: data.boolean(true_or_false(node)),
    "float32": lambda node: data.float32(_number(node)),
    "float64": lambda node: data.float64(_number(node)),
    "octet_string": lambda node: data.octet_string(octets(node)),
    "visible_string": lambda node: data.visible_string(_ascii(node).decode("ascii")),
    "utf8_string": lambda node: data.utf8_string(_characters(node)),
    "bit_string": lambda node: data.bit_string(_bits(node)),
    "text": lambda node: data.octet_string(_ascii(node)),
    "obis": lambda node: data.octet_string(obis(node)),
    "date": lambda node: data.octet_string(_date(node, _characters(node)).encode()),
    "time": lambda node: data.octet_string(_time(node, _characters(node)).encode()),
    "date_time": lambda node: data.octet_string(_date_time(node)),
    "attribute": lambda node: data.structure(*_three_parts(node, "an attribute")),
    "script": _script,
    "execute": _execute,
    "columns": lambda node: data.array(*(one.encode() for one in list_of(column)(node))),
    "array": lambda node: data.array(*list_of(typed_value)(node)),
    "structure": lambda node: data.structure(*list_of(typed_value)(node)),
}
