"""A model for simulated meters of what was seen passing: the object list if somebody has read it, and the attributes that were read.

It is the form that `ami meter scan --save-model` writes. What nobody asked for is not in it.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from ami_cli.meter.errors import MeterError
from ami_cli.meter.objects import AttributeRight, ListedObject, parse_object_list
from ami_cli.meter.options import ASSOCIATION_LN, MeterTarget, Reach, WantedAssociation
from ami_cli.meter.reading import HIDDEN, AttributeReading
from ami_cli.meter.saved_model import model_text
from ami_cli.meter.scan import DeviceScan
from ami_cli.proxy.exchanges import Ends, Exchange, Session
from ami_cli.proxy.session_file import SessionFileError
from ami_dlms.association import Get
from ami_dlms.association.client.session import PUBLIC_CLIENT
from ami_dlms.cosem.classes import class_versions
from ami_dlms.cosem.confidential import is_secret
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.data import Data
from ami_dlms.enums import DataAccessResult
from ami_dlms.obis import Obis

OBJECT_LIST = 2
READ = 1


def model_of(session: Session, client: int | None = None) -> tuple[str, DeviceScan]:
    """The TOML text, and what is in it; of this client, or of the one that has read most. SessionFileError when nothing was read."""
    ends = _most_read(session, client)
    mine = [one for one in session.exchanges if one.ends == ends and isinstance(one.item, Get)]
    where, objects = _objects(mine)
    device = DeviceScan(ends[1], objects, readings=_readings(mine, objects))
    others = [one for one in session.exchanges if one.ends == (PUBLIC_CLIENT, ends[1]) and isinstance(one.item, Get)]
    if ends[0] != PUBLIC_CLIENT and others:
        device.public = _objects(others)[1]
    identity = WantedAssociation(client=ends[0], server=ends[1])
    target = MeterTarget(
        reach=Reach(host="a recorded session"),
        identity=identity if where is None else replace(identity, association_object=where),
        counters=Path(os.devnull),
    )
    return model_text(device, target), device


def _most_read(session: Session, client: int | None) -> Ends:
    counts: dict[Ends, int] = {}
    for ends, item, _ in session.exchanges:
        if isinstance(item, Get) and client in (None, ends[0]):
            counts[ends] = counts.get(ends, 0) + 1
    if not counts:
        whom = "" if client is None else f" by client {client}"
        raise SessionFileError(f"nothing was read{whom} in this session, or nothing that the keys could open")
    return max(counts, key=lambda ends: counts[ends])


def _objects(reads: list[Exchange]) -> tuple[Obis | None, tuple[ListedObject, ...]]:
    """Those of the object list that was read, and where it stands; otherwise those that were read, with the rights that this shows."""
    for _, item, result in reads:
        what = item.descriptor
        if not isinstance(what, AttributeDescriptor) or not isinstance(result, Data):
            continue
        if (what.class_id, what.attribute_id) == (ASSOCIATION_LN, OBJECT_LIST):
            try:
                return what.instance_id, parse_object_list(result, what.instance_id).objects
            except MeterError:
                continue
    found: dict[tuple[int, Obis], dict[int, AttributeRight]] = {}
    for _, item, result in reads:
        if isinstance(item.descriptor, AttributeDescriptor):
            rights = found.setdefault((item.descriptor.class_id, item.descriptor.instance_id), {})
            rights[item.descriptor.attribute_id] = AttributeRight(READ if isinstance(result, Data) else 0)
    return None, tuple(
        ListedObject(class_id, _version(class_id), obis, rights) for (class_id, obis), rights in found.items()
    )


def _version(class_id: int) -> int:
    """The newest that is known: no octet that passed says which it is."""
    return max((version for known, version in class_versions() if known == class_id), default=0)


def _readings(reads: list[Exchange], objects: tuple[ListedObject, ...]) -> list[AttributeReading]:
    """The last answer to each attribute; a part of a profile only where nobody has read all of it."""
    listed = {(one.class_id, one.obis): one for one in objects}
    found: dict[AttributeDescriptor, AttributeReading] = {}
    for _, item, result in sorted(reads, key=lambda one: isinstance(one.item, Get) and one.item.selection is None):
        what = item.descriptor
        if not isinstance(what, AttributeDescriptor):
            continue
        one = listed.get((what.class_id, what.instance_id))
        value = result if isinstance(result, Data) else None
        error = result.name.lower().replace("_", "-") if isinstance(result, DataAccessResult) else ""
        hidden = is_secret(what)
        found[what] = AttributeReading(
            version=0 if one is None else one.version,
            descriptor=what,
            access="r",
            value=None if hidden else value,
            error=error,
            note=HIDDEN if hidden else "",
        )
    return list(found.values())
