"""What a pack expects, as the tests want it: the model of the pack that has most in common with what the meter lists.

What a model has from the models of the fleet and not from a row of the pack, or what a row says of versions and rights by its own choice, is no
measure for a meter of somebody else's.
"""

from __future__ import annotations

import re
from pathlib import Path

from ami_cli.meter.errors import ExitCode, MeterError
from ami_conformance.expected import NOTHING, Expected, ExpectedObject
from ami_conformance.object_list import ObjectList
from ami_dlms.obis import Obis
from ami_meter_sim.objects.model_files import VOCABULARY
from ami_packs.document import ModelError
from ami_packs.model import MANAGEMENT, PUBLIC, Model, ObjectAccess, ObjectDescription
from ami_packs.pack import Pack
from ami_packs.pack_folders import packs_with

OWN = re.compile(r"\bown\b")


def expected_of(pack: str, folder: Path | None, listed: ObjectList, client: int) -> Expected:
    """Of this pack, nothing where it is empty; MeterError says what is wrong with it."""
    if not pack:
        return NOTHING
    try:
        packs = packs_with(folder)
        known = packs.pack(pack)
        models = {name: packs.model(f"{pack}/{name}", VOCABULARY) for name in known.models}
    except ModelError as error:
        raise MeterError(ExitCode.USAGE, str(error), where="--pack") from None
    events = {key: one.meaning for key, one in known.events.items()}
    if not models:
        return Expected(pack, events=events)
    keys = {one.key for one in listed.objects}
    name = max(models, key=lambda name: _in_common(models[name], keys))
    return Expected(pack, _objects(known, models[name], client), name, events)


def _in_common(model: Model, keys: set[tuple[int, Obis]]) -> float:
    own = set(model.objects)
    return len(own & keys) / max(len(own | keys), 1)


def _objects(pack: Pack, model: Model, client: int) -> dict[tuple[int, Obis], ExpectedObject]:
    association = next((one.name for one in model.associations if one.client_wport == client), MANAGEMENT)
    return {
        key: _object(pack, one, association)
        for key, one in model.objects.items()
        if association in one.access or PUBLIC in one.access
    }


def _object(pack: Pack, one: ObjectDescription, association: str) -> ExpectedObject:
    row = pack.objects.get((one.class_id, one.obis))
    access = one.access.get(association, ObjectAccess())
    public = one.access.get(PUBLIC)
    measured = row is not None and bool(row.source) and not OWN.search(row.source)
    return ExpectedObject(
        one.class_id,
        one.version,
        one.obis,
        one.name,
        access.read,
        access.write,
        None if public is None else public.read,
        frozenset() if public is None else public.write,
        "" if row is None else row.source,
        own_choice=not measured,
        listed=association in one.access,
        unit=one.unit if one.class_id in (3, 4) else None,
        scaler=one.scaler if one.class_id in (3, 4) else None,
    )
