"""Which meters a query profile means, as entries without secrets, a page of them at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

from ami_cim.codes import Level
from ami_cim.identity import EndDevice, Identified, UsagePoint, mrid_key
from ami_cim.message import ReplyError
from ami_cim.paging import Page
from ami_hes.meters.meter_index import Table
from ami_hes.nouns import Refused, error
from ami_hes.nouns.devices import (
    meter_of_device,
    meter_of_usage_point,
    tag_of_group,
    tag_of_usage_point_group,
)
from ami_hes.registry import KeptRegistry

MOST_NAMED = 1_000
"""Devices, usage points and groups of one question."""
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
    devices: Sequence[Pointed] = (),
    points: Sequence[Pointed] = (),
    groups: Sequence[Identified] = (),
    point_groups: Sequence[Identified] = (),
    page: Page,
) -> Found:
    """Those that are named, each once; all of them where nothing is named. Raises Refused for too many names."""
    pointers = [*devices, *points, *groups, *point_groups]
    if len(pointers) > MOST_NAMED:
        raise Refused(error("3.1", f"A question names at most {MOST_NAMED} things here, and {len(pointers)} came."))
    registry = kept.registry
    wanted = [
        *(meter_of_device(EndDevice(one.mrid, one.names), registry) for one in devices),
        *(meter_of_usage_point(UsagePoint(one.mrid, one.names), registry) for one in points),
    ]
    tags = [(tag_of_group(one, registry), False) for one in groups]
    tags += [(tag_of_usage_point_group(one, registry), True) for one in point_groups]
    errors = [one for one in (*wanted, *(tag for tag, _ in tags)) if isinstance(one, ReplyError)]
    ids = dict.fromkeys(mrid_key(one.mrid) for one in wanted if not isinstance(one, ReplyError))
    for tag, at_points in tags:
        if not isinstance(tag, ReplyError):
            ids |= dict.fromkeys(registry.member_ids(*tag, at_usage_points=at_points))
    limit = min(page.limit or MOST_SHOWN, MOST_SHOWN)
    listing = await kept.page(ids if pointers else kept.all_mrids(), page.offset, limit)
    if listing.more and (page.limit or MOST_SHOWN + 1) > limit:
        errors.append(more_follow(Page(offset=page.offset, limit=limit)))
    return Found([table for _, table in listing.meters], errors)


def more_follow(page: Page) -> ReplyError:
    """Said where a page is shorter than what was asked for."""
    limit = page.limit or 0
    reason = f"More follow behind these {limit}: ask again with the Option offset {page.offset + limit}."
    return ReplyError(code="0.2", level=Level.WARNING, reason=reason)
