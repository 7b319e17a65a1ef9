"""What is asked in a session, and what has to come back, as values that JSON has (octets in hex)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from loopback import BASE_NAMES, CLOCK, DISCONNECT, NAME, PROFILE, ROWS, TEXT, TIMES, stored

from ami_dlms import data
from ami_dlms.association import (
    Action,
    ActionOutcome,
    ClientOutput,
    Get,
    GetResult,
    Open,
    Opened,
    Release,
    Released,
    Request,
    Set,
    SetResult,
)
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult, DataAccessResult

Job = dict[str, Any]
NEW_CLOCK = bytes.fromhex("07EA0B1802010203FF800000")
LISTED_CLOCK = bytes.fromhex("07EA0B1903010203FF800000")
LONG_TEXT = bytes(range(256)) * 4
LISTED_TEXT = b"written in a list"
FIRST, LAST = 10, 19


@dataclass(frozen=True, slots=True)
class Work:
    """One thing to do: to which service it counts, what the peer is told, and what it has to find."""

    service: str
    job: Job
    expected: Any


def obis(name: bytes) -> str:
    return ".".join(map(str, name))


def named(descriptor: AttributeDescriptor) -> Job:
    return {
        "class": descriptor.class_id,
        "obis": obis(descriptor.instance_id),
        "base_name": BASE_NAMES.get(descriptor, 0),
        "attribute": descriptor.attribute_id,
    }


def plain(value: object) -> object:
    """As the peers print values."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


def in_python(value: Data) -> object:
    return plain(data.to_python(value))


def written(descriptor: AttributeDescriptor, octets: bytes) -> Job:
    return {**named(descriptor), "value": octets.hex()}


def reading(service: str, descriptor: AttributeDescriptor, expected: object) -> Work:
    return Work(service, {"do": "get", **named(descriptor)}, plain(expected))


def loopback_work() -> tuple[Work, ...]:
    """For everybody who meets the objects of the loopback server."""
    some = ROWS[FIRST : LAST + 1]
    span = {"from": TIMES[FIRST].isoformat(), "to": TIMES[LAST].isoformat()}
    part = {"first": FIRST + 1, "count": LAST - FIRST + 1}
    listed = {"attributes": [named(NAME), named(TEXT)]}
    two = {"attributes": [written(CLOCK, LISTED_CLOCK), written(TEXT, LISTED_TEXT)]}
    action = {"do": "action", "class": 70, "obis": obis(DISCONNECT.instance_id), "method": 1}
    return (
        reading("GET", NAME, b"AMI0000000001001"),
        reading("long GET", PROFILE, ROWS),
        Work("by range", {"do": "by range", **named(PROFILE), **span}, plain(some)),
        Work("by entry", {"do": "by entry", **named(PROFILE), **part}, plain(some)),
        Work("GET list", {"do": "get-list", **listed}, plain([b"AMI0000000001001", b"nothing to say"])),
        Work("SET", {"do": "set", **written(CLOCK, NEW_CLOCK)}, True),
        reading("SET", CLOCK, NEW_CLOCK),
        Work("long SET", {"do": "set", **written(TEXT, LONG_TEXT)}, True),
        reading("long SET", TEXT, LONG_TEXT),
        Work("SET list", {"do": "set-list", **two}, True),
        reading("SET list", CLOCK, LISTED_CLOCK),
        reading("SET list", TEXT, LISTED_TEXT),
        Work("ACTION", action, None),
        Work("ACCESS", {"do": "access", **listed}, plain([b"AMI0000000001001", LISTED_TEXT])),
        Work("release", {"do": "release"}, True),
    )


OurWork = tuple[str, Request, Callable[[ClientOutput], bool]]
SUCCESS = DataAccessResult.SUCCESS


def client_work(keyed: bool) -> Iterator[OurWork]:
    """For our client, before a foreign meter that holds the same objects."""
    yield "open", Open(), lambda event: isinstance(event, Opened) and (event.server_system_title is not None) is keyed
    for service, descriptor in (("GET", NAME), ("long GET", PROFILE)):
        yield service, Get(descriptor), GetResult(stored()[descriptor], SUCCESS).__eq__
    new = data.octet_string(NEW_CLOCK)
    yield "SET", Set(CLOCK, new), SetResult(SUCCESS).__eq__
    yield "SET", Get(CLOCK), GetResult(new, SUCCESS).__eq__
    yield "ACTION", Action(DISCONNECT, data.integer(0)), ActionOutcome(ActionResult.SUCCESS, None).__eq__
    yield "release", Release(), Released().__eq__
