"""Which meters a query profile means, as entries without secrets, a page of them at a time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ami_cim.codes import Level
from ami_cim.identity import EndDevice, Identified, UsagePoint, mrid_key
from ami_cim.message import ReplyError
from ami_cim.paging import Page
from ami_hes.meters.meter_index import Table
from ami_hes.nouns.devices import (
    meter_of_device,
    meter_of_usage_point,
    tag_of_group,
    tag_of_usage_point_group,
)
from ami_hes.registry import KeptRegistry

MOST_SHOWN = 1_000
"""Of one answer; more are behind the Option offset."""
Pointed = Identified | UsagePoint


@dataclass(frozen=True, slots=True)
class Found:
    """Entries by name; an error for whatever was not found, and one (PARTIAL) where more follow than were asked for."""

    tables: Sequence[Table]
    errors: Sequence[ReplyError]


async def found_meters(
    kept: KeptRegistry,
    *,
    devices: Iterable[Pointed] = (),
    points: Iterable[Pointed] = (),
    groups: Iterable[Identified] = (),
    point_groups: Iterable[Identified] = (),
    page: Page,
) -> Found:
    """Those that are named, each once; all of them where nothing is named."""
    registry = kept.registry
    wanted = [
        *(meter_of_device(EndDevice(one.mrid, one.names), registry) for one in devices),
        *(meter_of_usage_point(UsagePoint(one.mrid, one.names), registry) for one in points),
    ]
    tags = [(tag_of_group(one, registry), False) for one in groups]
    tags += [(tag_of_usage_point_group(one, registry), True) for one in point_groups]
    errors = [one for one in (*wanted, *(tag for tag, _ in tags)) if isinstance(one, ReplyError)]
    first, limit = page.offset, min(page.limit or MOST_SHOWN, MOST_SHOWN)
    if not wanted and not tags:
        listing = await kept.listing(None, "", first + limit)
        tables, more = [table for _, table in listing.meters], listing.more
    else:
        ids = dict.fromkeys(mrid_key(one.mrid) for one in wanted if not isinstance(one, ReplyError))
        for tag, at_points in tags:
            members = () if isinstance(tag, ReplyError) else registry.member_ids(*tag)
            ids |= dict.fromkeys(one for one in members if not at_points or _is_at_a_point(kept, one))
        shown = sorted((one for mrid in ids if (one := kept.show(mrid)) is not None), key=lambda one: one[0].name)
        tables, more = [table for _, table in shown[: first + limit]], len(shown) > first + limit
    if more and page.limit is None:
        reason = f"More follow behind these {limit}: ask again with the Option offset {first + limit}."
        errors.append(ReplyError(code="0.2", level=Level.WARNING, reason=reason))
    return Found(tables[first:], errors)


def _is_at_a_point(kept: KeptRegistry, mrid: str) -> bool:
    found = kept.show(mrid)
    return found is not None and bool(found[1].get("usage_points"))
