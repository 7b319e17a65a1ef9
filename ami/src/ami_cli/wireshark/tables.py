"""What the plug-in knows of DLMS, from the tables of `ami_dlms`: how each APDU is written, and the names of everything.

An APDU's declaration is a tree of codecs that describe what they read (ADR 14); the plug-in walks over the same tree. So it
reads whatever `ami_dlms.apdu` reads, and cannot drift from it. Nodes are lists: {"seq", {name, node}...}, {"choice",
{number: (name, node)}}, {"list", node}, {"optional", node, tolerated}, {"enum", its list}, or the name of a leaf.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from ami_cli.wireshark.lua_literals import LuaValue, table
from ami_dlms.apdu import CODECS
from ami_dlms.apdu.acse_fields import Elements
from ami_dlms.apdu.ciphered import SERVICE_CIPHERING_TAGS
from ami_dlms.apdu.codec import Choice, Codec, Enumerated, Optional, Packed, Sequence, SequenceOf
from ami_dlms.cosem.classes import interface_classes
from ami_dlms.cosem.tables import table as known_table
from ami_dlms.enums import (
    AcseServiceProviderDiagnostic,
    AcseServiceUserDiagnostic,
    ActionResult,
    ApduTag,
    AssociationResult,
    ConfirmedService,
    Conformance,
    DataAccessResult,
    DataTag,
    ErrorClass,
    KekId,
    KeyId,
    ReleaseReason,
    ServiceError,
    StateError,
)
from ami_dlms.explain.reassembly import CARRIED
from ami_dlms.explain.texts import CONTEXTS, MECHANISMS
from ami_dlms.explain.value_types import snake

LEAVES = {
    "OctetString": "octets",
    "Boolean": "boolean",
    "Octet": "u8",
    "ConformanceBits": "conformance",
    "DataChoice": "data",
    "WriteResultChoice": "write_result",
    "DateTimeOrEmpty": "date_time",
    "TaggedDateTime": "date_time",
    "DateTime": "date_time",
    "GeneralizedTime": "octets",
    "LogicalName": "obis",
    "ExpectedCounter": "expected_counter",
    "BlockControlOctet": "block_control",
}
PACKED = {">b": "i8", ">H": "u16", ">I": "u32"}
LISTS: tuple[type[IntEnum], ...] = (
    AcseServiceProviderDiagnostic, AcseServiceUserDiagnostic, ActionResult, AssociationResult, ConfirmedService,
    DataAccessResult, DataTag, ErrorClass, KekId, KeyId, ReleaseReason, ServiceError, StateError,
)  # fmt: skip


def tables() -> str:
    """All of them as Lua, for the part of the plug-in that has their place."""
    parts = (
        table("known.apdus", {tag: [kebab(snake(name)), node_of(codec)] for tag, (name, codec) in CODECS.items()}),
        table("known.carried", {int(ApduTag[name.upper()]): [*map(node_of, forms)] for name, forms in CARRIED.items()}),
        table("known.tags", {int(tag): kebab(tag.name) for tag in ApduTag}),
        table("known.ciphered_services", {int(tag): True for tag in sorted(SERVICE_CIPHERING_TAGS)}),
        table("known.lists", {one.__name__: _members(one) for one in LISTS}),
        table("known.conformance", {int(bit): kebab(str(bit.name)) for bit in Conformance}),
        table("known.contexts", {int(number): text for number, text in CONTEXTS.items()}),
        table("known.mechanisms", {int(number): text for number, text in MECHANISMS.items()}),
        table("known.classes", {number: _class_of(one) for number, one in interface_classes().items()}),
        _obis_tables(),
    )
    return "\n".join(parts)


def node_of(codec: Codec[Any]) -> LuaValue:
    """What the plug-in walks over for a codec; KeyError for a leaf that it does not know."""
    match codec:
        case Elements(elements=elements):
            return ["elements", {tag: name for tag, (name, _) in elements.items()}]
        case Sequence(fields=fields):
            return ["seq", *([name, node_of(part)] for name, part in fields)]
        case Choice(alternatives=alternatives):
            return ["choice", {number: [_kind(kind), node_of(part)] for number, (kind, part) in alternatives.items()}]
        case SequenceOf(part=part):
            return ["list", node_of(part)]
        case Optional(part=part, tolerated=tolerated):
            return ["optional", node_of(part), tolerated]
        case Enumerated(kind=kind):
            return ["enum", kind.__name__]
        case Packed(layout=layout):
            return PACKED[layout]
    return LEAVES[type(codec).__name__]


def _kind(kind: type) -> str:
    """The name of an alternative; two are plain types, for a block and the number of one."""
    return {bytes: "raw_data", int: "block_number"}.get(kind) or kebab(snake(kind.__name__))


def kebab(name: str) -> str:
    """The standard's spelling."""
    return name.lower().replace("_", "-")


def _members(one: type[IntEnum]) -> dict[int, LuaValue]:
    return {int(member): kebab(member.name) for member in one}


def _class_of(one: Any) -> LuaValue:
    return [
        one.name,
        {attribute.number: attribute.name for attribute in one.attributes},
        {method.number: method.name for method in one.methods},
    ]


def _obis_tables() -> str:
    names = known_table("obis_names")
    electricity = names["electricity"]
    return "\n".join(
        (
            table("known.objects", names["objects"]),
            table("known.media", {int(number): name for number, name in names["media"].items()}),
            table("known.quantities", {int(number): name for number, name in electricity["quantities"].items()}),
            table("known.processing", {int(number): name for number, name in electricity["processing"].items()}),
            table("known.energies", electricity["energies"]),
        )
    )
