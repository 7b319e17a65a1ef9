"""Values of COSEM attributes as JSON: `{"type": "long-unsigned", "value": 230}`, by the standard's names of types.

Octets are hexadecimal digits, an array or a structure has a list of such objects, and what is shown of a date or time is its text.
"""

from typing import Any

from ami_dlms import data
from ami_dlms.data import CompactArray, Data
from ami_dlms.datetimes import CosemDate, CosemDateTime, CosemTime
from ami_dlms.enums import DataTag
from ami_dlms.errors import DlmsError

MOST_OCTETS = 1_000_000
"""How long a value is when it is encoded; a longer one is read by DLMS."""
MOST_ELEMENTS = 10_000
MOST_DEPTH = 8
TAGS = {tag.name.lower().replace("_", "-"): tag for tag in DataTag}
NAMES = {tag: name for name, tag in TAGS.items()}
LISTS = (DataTag.ARRAY, DataTag.STRUCTURE)
OCTETS = (DataTag.OCTET_STRING,)
TEXTS = (DataTag.VISIBLE_STRING, DataTag.UTF8_STRING)


def to_json(value: Data) -> dict[str, Any]:
    """The JSON object of a value. ValueError when it is too long for that."""
    octets = data.encode(value)
    if len(octets) > MOST_OCTETS:
        raise ValueError(f"the value has more than {MOST_OCTETS} octets: read it by DLMS, in parts")
    return _shown(data.decode(octets))  # what was kept encoded has its elements now


def _shown(value: Data) -> dict[str, Any]:
    return {"type": NAMES[value.tag], "value": _content(value.value)}


def _content(content: object) -> Any:
    match content:
        case bytes():
            return content.hex()
        case CosemDateTime() | CosemDate() | CosemTime():
            return str(content)
        case CompactArray():
            return [_shown(one) for one in data.expand(content)]
        case tuple():
            return [_shown(one) if isinstance(one, Data) else one for one in content]
    return content


def from_json(given: Any) -> Data:
    """The value of such an object, dates and times as octet-strings alone. ValueError with the reason when it is none."""
    value = _parsed(given, [MOST_ELEMENTS], MOST_DEPTH)
    try:
        data.encode(value)
    except (DlmsError, ValueError, TypeError, OverflowError) as problem:
        raise ValueError(f"no value of its type: {problem}") from None
    return value


def _parsed(given: Any, left: list[int], depth: int) -> Data:
    left[0] -= 1
    if left[0] < 0 or depth < 0:
        raise ValueError(f"at most {MOST_ELEMENTS} elements, {MOST_DEPTH} deep")
    if not isinstance(given, dict) or given.keys() != {"type", "value"}:
        raise ValueError('a value is an object {"type": ..., "value": ...}')
    tag = TAGS.get(given["type"]) if isinstance(given["type"], str) else None
    if tag is None:
        raise ValueError(f"there is no type {str(given['type'])[:40]!r}; there are {', '.join(TAGS)}")
    return Data(tag, _parsed_content(tag, given["value"], left, depth))


def _parsed_content(tag: DataTag, content: Any, left: list[int], depth: int) -> Any:
    if tag in LISTS:
        if not isinstance(content, list):
            raise ValueError(f"the value of {NAMES[tag]} is a list")
        return tuple([_parsed(one, left, depth - 1) for one in content])
    if tag in OCTETS:
        return _octets(content)
    if tag is DataTag.BIT_STRING:
        if not isinstance(content, list) or not all(isinstance(one, bool) for one in content):
            raise ValueError("the value of bit-string is a list of true and false")
        return tuple(content)
    expected = _expected(tag)
    if not isinstance(content, expected) or (isinstance(content, bool) and bool not in expected):
        raise ValueError(f"{type(content).__name__} is no value of {NAMES[tag]}")
    return content


def _expected(tag: DataTag) -> tuple[type, ...]:
    if tag in TEXTS:
        return (str,)
    if tag is DataTag.BOOLEAN:
        return (bool,)
    if tag in (DataTag.NULL_DATA, DataTag.DONT_CARE):
        return (type(None),)
    if tag in (DataTag.FLOAT32, DataTag.FLOAT64):
        return (int, float)
    if tag in (DataTag.DATE_TIME, DataTag.DATE, DataTag.TIME, DataTag.COMPACT_ARRAY):
        raise ValueError(f"{NAMES[tag]} can't be written here: octet-string can")
    return (int,)


def _octets(content: Any) -> bytes:
    if not isinstance(content, str):
        raise ValueError("the value of octet-string is hexadecimal digits")
    try:
        return bytes.fromhex(content)
    except ValueError:
        raise ValueError("the value of octet-string is hexadecimal digits") from None
