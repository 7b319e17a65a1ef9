"""`/api/v1/campaigns/commissioning`: meters commissioned, by a campaign like any other."""

from collections.abc import Sequence
from datetime import tzinfo
from heapq import nsmallest

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_hes.api import audited, paths, query
from ami_hes.api.campaigns import chosen_meters, ordered, wrong_order
from ami_hes.api.moments import given
from ami_hes.api.values.campaigns import Campaign
from ami_hes.api.values.commissioning import CommissionOrder
from ami_hes.campaign_size import MOST_METERS
from ami_hes.campaigns import CampaignBook, CampaignOrder
from ami_hes.enums import MeterState
from ami_hes.meters.registry import Meter
from ami_hes.operations import commission
from ami_hes.registry import CommissioningBook, KeptRegistry
from ami_process.api import read_body


def commissioning_routes(
    book: CampaignBook, kept: KeptRegistry, commissioning: CommissioningBook, wanted: commission.Order, zone: tzinfo
) -> list[Route]:
    """POST orders. `wanted`: what every meter is to have."""
    orders = _Orders(book, kept, commissioning, wanted, zone)
    return [Route(paths.COMMISSIONINGS, orders.take, methods=["POST"])]


class _Orders:
    """What the route answers."""

    def __init__(
        self,
        book: CampaignBook,
        kept: KeptRegistry,
        commissioning: CommissioningBook,
        wanted: commission.Order,
        zone: tzinfo,
    ) -> None:
        self._book = book
        self._kept = kept
        self._commissioning = commissioning
        self._body = wanted.format()
        self._zone = zone

    async def take(self, request: Request) -> Response:
        order = await read_body(request, CommissionOrder)
        meters, which = self._new() if order.all_new else (chosen_meters(order, self._kept.registry), order.group)
        if order.all_new and (order.meters or order.group is not None):
            raise wrong_order("name meters, a group of them, or all_new")
        summary = f"commission {which or f'{len(meters)} named'}"
        wanted = CampaignOrder(
            operation=commission.NAME,
            body=self._body,
            summary=summary,
            meters=meters,
            within=order.within,
            at_once=order.at_once,
            asker=audited.asker_of(request),
        )
        campaign_id = await ordered(self._book, request, wanted)
        with query.looking():
            line = await self._book.store.find(campaign_id)
        if line is None:
            raise RuntimeError("a campaign that was kept is there")
        return given(Campaign.of(line), self._zone)

    def _new(self) -> tuple[Sequence[Meter], str]:
        """The first ones by name that have an association of their own, and what to call them. Raises ApiRefused."""
        registry = self._kept.registry
        of_name = self._kept.names_of(self._commissioning.in_state(MeterState.NEW, self._kept.all_mrids()))
        first = nsmallest(MOST_METERS, of_name)
        found = [meter for _, mrid in first if (meter := registry.find_by_mrid(mrid)) is not None and not meter.behind]
        if not found:
            raise wrong_order("no meter is new")
        return found, "all new" if len(of_name) == len(first) else f"{len(found)} of {len(of_name)} new"
