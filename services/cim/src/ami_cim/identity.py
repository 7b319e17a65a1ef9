"""How CIM points at things: mRID and Names (IdentifiedObject) in payloads, ID (attribute group IDatts) in envelopes.

The shapes serve every noun: each binds them to its own namespace."""

import re
from dataclasses import dataclass
from typing import Final, Literal

from ami_cim.white_space import SPACE
from ami_cim.xml_fields import Shape, many, text

IdKind = Literal["name", "uuid", "transaction", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """Names{name, NameType{name, NameTypeAuthority{name}}}."""

    name: str
    name_type: str | None = None
    authority: str | None = None


@dataclass(frozen=True, slots=True)
class EndDevice:
    """A meter, by mRID or by Names."""

    mrid: str | None = None
    names: tuple[Name, ...] = ()


@dataclass(frozen=True, slots=True)
class UsagePoint:
    """A usage point, by mRID or by Names; the head-end knows its meter."""

    mrid: str | None = None
    names: tuple[Name, ...] = ()


@dataclass(frozen=True, slots=True)
class Identified:
    """What else is pointed at by mRID or by Names: a group of devices or usage points, a reading type (its mRID is the code)."""

    mrid: str | None = None
    names: tuple[Name, ...] = ()


NAME: Final = Shape(
    Name,
    (
        text("name", "name", absent=""),
        text("NameType/name", "name_type", needed=True),
        text("NameType/NameTypeAuthority/name", "authority"),
    ),
)
_MRID_AND_NAMES = (text("mRID", "mrid"), many("Names", "names", NAME))
END_DEVICE: Final = Shape(EndDevice, _MRID_AND_NAMES)
USAGE_POINT: Final = Shape(UsagePoint, _MRID_AND_NAMES)
IDENTIFIED: Final = Shape(Identified, _MRID_AND_NAMES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifier:
    """ID with its attributes kind, idType, idAuthority, objectType."""

    value: str
    kind: IdKind | None = None
    id_type: str | None = None
    id_authority: str | None = None
    object_type: str | None = None


_HEX = r"([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})"
_UUID = re.compile(rf"(?:urn:uuid:)?_?(?:{_HEX}|\{{{_HEX}\}})", re.ASCII | re.IGNORECASE)


def is_uuid(text: str) -> bool:
    """Whether the text is a UUID in one of the spellings of an mRID."""
    return _UUID.fullmatch(text.strip(SPACE)) is not None


def mrid_key(mrid: str) -> str:
    """The same text for all spellings of one mRID, to compare with; never to be shown or sent.

    A UUID is 128 bits (RFC 9562): with or without hyphens, braces, `urn:uuid:`, the underscore that makes it an XML name, in any
    case. Another mRID is compared as text, ignoring case."""
    text = mrid.strip(SPACE)
    found = _UUID.fullmatch(text)
    return "-".join(part for part in found.groups() if part).lower() if found else text.lower()
