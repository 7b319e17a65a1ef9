"""What a foreign client is asked to do with a simulated meter; our own client looks first at what it has to find."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from loopback import CLOCK, DISCONNECT, NAME, PROFILE
from matrix import Row
from our_client import OurClient, association
from workload import NEW_CLOCK, Work, in_python, named, obis, reading, written

from ami_dlms import data
from ami_dlms.association import Get, GetResult
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.cosem.selection import CaptureObject, EntryDescriptor, RangeDescriptor, SelectiveAccess
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.obis import Obis
from ami_meter_sim.objects.model_files import load_model
from ami_packs.base_names import names_of

OBJECTS = AttributeDescriptor(15, Obis.parse("0-0:40.0.0*255"), 2)
NAMED_OBJECTS = AttributeDescriptor(12, Obis.parse("0-0:40.0.0*255"), 2)
NUMBER = AttributeDescriptor(1, Obis.parse("0-0:96.1.0*255"), 2)
SWITCH = AttributeDescriptor(70, DISCONNECT.instance_id, 2)
TIME = CaptureObject(8, CLOCK.instance_id, 2, 0)
LATELY = timedelta(hours=6)
ROWS = 6
"""At least, in that time: the profile of every model has an hour or less between two rows."""
FIRST, LAST = 2, 3
TO_THE_HOUR = 2 * 6
"""Hex digits of a date-time up to its hour."""


async def meter_work(row: Row, port: int) -> tuple[Work, ...]:
    """Ask for what our own client has just read, write the clock, and switch."""
    listing = OBJECTS if row.names == "LN" else NAMED_OBJECTS
    async with association(row, port) as client:
        name, number, objects = [await value(client, one) for one in (NAME, NUMBER, listing)]
        now = datetime.now(UTC)
        begin, end = now - LATELY, now + LATELY
        recent = await value(client, PROFILE, RangeDescriptor(TIME, *map(moment, (begin, end))).encode())
        assert len(recent) >= ROWS
        part = await value(client, PROFILE, EntryDescriptor(FIRST, LAST + 1).encode())
    span = {"from": begin.isoformat(), "to": end.isoformat()}
    listed = {"attributes": [named(NAME), named(NUMBER)]}
    entries = {"first": FIRST, "count": LAST - FIRST + 1}
    work = (
        reading("GET", NAME, name),
        reading("long GET", listing, objects),
        Work("by range", {"do": "by range", **named(PROFILE), **span}, rows_of(recent)),
        Work("by entry", {"do": "by entry", **named(PROFILE), **entries}, lambda found: found in (part[:-1], part[1:])),
        Work("GET list", {"do": "get-list", **listed}, [name, number]),
        Work("SET", {"do": "set", **written(CLOCK, NEW_CLOCK)}, True),
        Work("SET", {"do": "get", **named(CLOCK)}, shows_new_clock),
        Work("ACTION", {"do": "action", "class": 70, "obis": obis(DISCONNECT.instance_id), "method": 1}, None),
        reading("ACTION", SWITCH, False),
        Work("ACCESS", {"do": "access", **listed}, [name, number]),
        Work("release", {"do": "release"}, True),
    )
    return work if row.names == "LN" else by_short_names(work, row.model)


def by_short_names(work: tuple[Work, ...], model: str) -> tuple[Work, ...]:
    """The same, each object under the base name that the model gives it."""
    bases = {(one.class_id, obis(one.logical_name)): one.base_name for one in names_of(load_model(model))["management"]}

    def renamed(job: dict[str, Any]) -> dict[str, Any]:
        found = {key: [renamed(one) for one in inner] if key == "attributes" else inner for key, inner in job.items()}
        return found | {"base_name": bases[job["class"], job["obis"]]} if "class" in job else found

    return tuple([replace(one, job=renamed(dict(one.job))) for one in work])


def moment(at: datetime) -> data.Data:
    return data.octet_string(CosemDateTime.from_datetime(at).encode())


def rows_of(before: list[Any]) -> Callable[[object], bool]:
    """These rows, and at most the one of a capture period that has ended in between."""

    def hold(found: object) -> bool:
        return isinstance(found, list) and found[: len(before)] == before and len(found) <= len(before) + 1

    return hold


def shows_new_clock(found: object) -> bool:
    return isinstance(found, str) and found[:TO_THE_HOUR] == NEW_CLOCK.hex()[:TO_THE_HOUR]


async def value(client: OurClient, descriptor: AttributeDescriptor, selection: SelectiveAccess | None = None) -> Any:
    result = await client.ask(Get(descriptor, selection))
    assert isinstance(result, GetResult) and result.value is not None, result
    return in_python(result.value)
