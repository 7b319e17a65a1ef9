"""How CIM points at things: Names (IdentifiedObject) in payloads, ID (attribute group IDatts) in envelopes."""

from dataclasses import dataclass
from typing import Literal

IdKind = Literal["name", "uuid", "transaction", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """Names{name, NameType{name, NameTypeAuthority{name}}}."""

    name: str
    name_type: str | None = None
    authority: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifier:
    """ID with its attributes kind, idType, idAuthority, objectType."""

    value: str
    kind: IdKind | None = None
    id_type: str | None = None
    id_authority: str | None = None
    object_type: str | None = None
