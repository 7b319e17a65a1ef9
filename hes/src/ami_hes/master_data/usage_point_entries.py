"""A UsagePoint of CIM as it is kept, and back; pure. Its mRID and its Names are what it is found by."""

import json
from dataclasses import asdict, fields, replace

from ami_cim.identity import Identified, Name, is_uuid, mrid_key
from ami_cim.payloads.usage_point_config import UsagePointAsset
from ami_hes.master_data.problems import Problem
from ami_hes.meters.meter_index import Table
from ami_hes.store import StoredUsagePoint

MOST_NAMES = 10
"""Of a usage point, its mRID among them."""
_WORDS = {
    "mrid": "mRID",
    "is_sdp": "isSdp",
    "is_virtual": "isVirtual",
    "outage_region": "outageRegion",
    "phase_code": "phaseCode",
    "read_cycle": "readCycle",
    "read_route": "readRoute",
    "remark": "serviceDeliveryRemark",
    "service": "ServiceCategory/kind",
}
"""What is said of it beside its Names, by what CIM calls it."""


def spelled(point: Identified | UsagePointAsset) -> list[str]:
    """Its mRID and its names; raises Problem for none or too many."""
    found = [*([] if point.mrid is None else [point.mrid]), *(one.name for one in point.names)]
    if not found or len(found) > MOST_NAMES:
        raise Problem("2.12", f"A usage point has an mRID or Names, {MOST_NAMES} at most in all.")
    return list(dict.fromkeys(found))


def keys_of(spellings: list[str]) -> list[str]:
    """As they are compared."""
    return list(dict.fromkeys(map(mrid_key, spellings)))


def pointer_of(point: UsagePointAsset) -> Identified:
    """Which one is meant: the mRID where there is one, since the names may be new ones."""
    return Identified(mrid=point.mrid, names=() if point.mrid is not None else point.names)


def completed(kept: UsagePointAsset, said: UsagePointAsset) -> UsagePointAsset:
    """With what is not said of it yet; raises Problem for what is said otherwise."""
    for field, word in _WORDS.items():
        has, new = getattr(kept, field), getattr(said, field)
        if None not in (has, new) and not _same(field, has, new):
            raise Problem("2.12", f"{word} is {has} here, and the message says {new}: the verb change is for that.")
    names = (*kept.names, *(one for one in said.names if mrid_key(one.name) not in _keys(kept.names)))
    return replace(_changed(kept, said), names=names)


def changed(kept: UsagePointAsset, said: UsagePointAsset) -> UsagePointAsset:
    """With what is said in the place of what was; raises Problem for another mRID."""
    if None not in (kept.mrid, said.mrid) and not _same("mrid", kept.mrid, said.mrid):
        raise Problem(
            "2.12", f"mRID is {kept.mrid} here, and the message says {said.mrid}: that is another usage point."
        )
    return _changed(kept, said)


def _changed(kept: UsagePointAsset, said: UsagePointAsset) -> UsagePointAsset:
    new = {field: getattr(said, field) for field in _WORDS if getattr(said, field) is not None}
    return replace(kept, **new, names=said.names or kept.names)


def stored(point: UsagePointAsset, point_id: str) -> StoredUsagePoint:
    """As it is kept."""
    name = point.names[0].name if point.names else point.mrid or ""
    return StoredUsagePoint(point_id, name, format_point(point))


def format_point(point: UsagePointAsset) -> str:
    """As text; what is not said is left out."""
    return json.dumps({field: value for field, value in asdict(point).items() if value not in (None, ())})


def parse_point(text: str) -> UsagePointAsset:
    """Inverse of format_point."""
    values = json.loads(text)
    names = tuple(Name(**one) for one in values.pop("names", ()))
    known = {field.name for field in fields(UsagePointAsset)}
    return UsagePointAsset(names=names, **{field: value for field, value in values.items() if field in known})


def point_of_meter(table: Table) -> UsagePointAsset:
    """That of an entry, of which nothing else is known: a UUID among its names is its mRID."""
    found = list(table["usage_points"])
    mrid = next(filter(is_uuid, found), None)
    return UsagePointAsset(mrid=mrid, names=tuple(Name(name=one) for one in found if one != mrid))


def _same(field: str, one: object, other: object) -> bool:
    return mrid_key(str(one)) == mrid_key(str(other)) if field == "mrid" else one == other


def _keys(names: tuple[Name, ...]) -> set[str]:
    return {mrid_key(one.name) for one in names}
