"""`/api/v1/campaigns`: one operation on many meters; ordered, looked at, paused, resumed, cancelled. No answer holds a key."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import tzinfo
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_hes.api import audited, paths, query
from ami_hes.api.moments import given
from ami_hes.api.values.campaigns import (
    MOST_FAILURES,
    Campaign,
    CampaignList,
    Chosen,
    EventLogOrder,
    Failure,
    FirmwareStart,
    KeyRoll,
    Transfer,
    WhichKey,
)
from ami_hes.campaign_size import MOST_METERS
from ami_hes.campaigns import CampaignBook, CampaignOrder, NotPossible
from ami_hes.end_device_events import log_reading
from ami_hes.meters.registry import Meter, Registry
from ami_hes.operations import change_key, change_master_key, transfer_firmware
from ami_hes.operations.firmware_order import format_order, order_of
from ami_hes.store import CampaignLine, ControlsStopped, FirmwareStore, StoredImage
from ami_hes.store.history import SqlHistory
from ami_process.api import ApiRefused, read_body
from ami_process.query_parameters import check_known

MOST_LISTED = 100


def campaign_routes(
    book: CampaignBook,
    registry: Registry,
    history: SqlHistory,
    firmware: FirmwareStore,
    ordering: asyncio.Lock,
    zone: tzinfo,
) -> list[Route]:
    """GET lists and shows, POST orders and changes. `ordering`: held while what is free for firmware is looked up and taken. `zone`: in which times are given."""
    campaigns = _Campaigns(book, registry, history, firmware, ordering, zone)
    return [
        Route(paths.CAMPAIGNS, campaigns.list, methods=["GET"]),
        Route(paths.KEY_ROLLS, campaigns.roll_keys, methods=["POST"]),
        Route(paths.FIRMWARE_STARTS, campaigns.start_firmware, methods=["POST"]),
        Route(paths.EVENT_LOG_READINGS, campaigns.read_event_logs, methods=["POST"]),
        Route(paths.CAMPAIGN, campaigns.show, methods=["GET"]),
        Route(paths.CAMPAIGN_PAUSE, campaigns.moved(book.pause), methods=["POST"]),
        Route(paths.CAMPAIGN_RESUME, campaigns.moved(book.resume), methods=["POST"]),
        Route(paths.CAMPAIGN_CANCEL, campaigns.moved(book.cancel), methods=["POST"]),
    ]


class _Campaigns:
    """What each route answers."""

    def __init__(
        self,
        book: CampaignBook,
        registry: Registry,
        history: SqlHistory,
        firmware: FirmwareStore,
        ordering: asyncio.Lock,
        zone: tzinfo,
    ) -> None:
        self._book = book
        self._registry = registry
        self._history = history
        self._firmware = firmware
        self._ordering = ordering
        self._zone = zone

    async def list(self, request: Request) -> Response:
        check_known(request, ("limit",))
        limit = query.number(request, "limit", MOST_LISTED, MOST_LISTED)
        with query.looking():
            lines = await self._book.store.lines(limit)
        return given(CampaignList(campaigns=tuple(map(Campaign.of, lines))), self._zone)

    async def show(self, request: Request) -> Response:
        check_known(request, ())
        return await self._shown(request.path_params["name"])

    async def read_event_logs(self, request: Request) -> Response:
        order = await read_body(request, EventLogOrder)
        meters = chosen_meters(order, self._registry)
        summary = f"read event logs of {order.group or f'{len(meters)} named'}"
        body = log_reading.WHOLE if order.whole else ""
        return await self._ordered(request, order, log_reading.NAME, body, summary, meters)

    async def roll_keys(self, request: Request) -> Response:
        order = await read_body(request, KeyRoll)
        meters = chosen_meters(order, self._registry)
        summary = f"roll {order.key} of {order.group or f'{len(meters)} named'}"
        return await self._ordered(request, order, _operation_of(order.key), order.key.field, summary, meters)

    async def start_firmware(self, request: Request) -> Response:
        order = await read_body(request, FirmwareStart)
        async with self._ordering:
            return await self._start_firmware(request, order)

    async def _start_firmware(self, request: Request, order: FirmwareStart) -> Response:
        image = await self._image(order.image)
        now = self._book.environment.now()
        if order.activate_at is not None and not now < order.activate_at < now + order.within:
            raise wrong_order("activate_at: a time from now on and within within_hours was expected")
        meters = chosen_meters(order, self._registry)
        await self._check_free(meters)
        at = "" if order.activate_at is None else f", active from {order.activate_at.isoformat(timespec='seconds')}"
        summary = f"firmware {image.version} to {order.group or f'{len(meters)} named'}{at}"
        body = format_order(order_of(image, order.activate_at))
        return await self._ordered(request, order, transfer_firmware.NAME, body, summary, meters)

    async def _check_free(self, meters: Sequence[Meter]) -> None:
        """A meter has one image memory: two campaigns would take it from each other. Raises ApiRefused."""
        with query.looking():
            taken = await self._history.open_meters(transfer_firmware.NAME)
        busy = sorted(one.name for one in meters if one.mrid in taken)
        if busy:
            reason = (
                f"{len(busy)} of the meters, first of them {busy[0]}, have no end yet in another campaign of firmware"
            )
            raise ApiRefused(HTTPStatus.CONFLICT, f"{reason}: wait for it, or cancel it")

    async def _image(self, identifier: str) -> StoredImage:
        """One that is complete. Raises ApiRefused."""
        with query.looking():
            found = await self._firmware.image(identifier)
        if found is None:
            raise wrong_order(f"there is no image {identifier[:100]}")
        if not found.image.complete:
            raise wrong_order(f"the image {identifier[:100]} is not complete: import it again")
        return found.image

    async def _ordered(
        self, request: Request, order: Chosen, operation: str, body: str, summary: str, meters: Sequence[Meter]
    ) -> Response:
        wanted = CampaignOrder(
            operation=operation,
            body=body,
            summary=summary,
            meters=meters,
            within=order.within,
            at_once=order.at_once,
            asker=audited.asker_of(request),
        )
        return await self._shown(await ordered(self._book, request, wanted))

    def moved(self, move: Callable[[str], Awaitable[None]]) -> Callable[[Request], Awaitable[Response]]:
        """A route that pauses, resumes or cancels."""

        async def moved(request: Request) -> Response:
            check_known(request, ())
            campaign_id = request.path_params["name"]
            audited.note(request, request_id=campaign_id[:100])
            try:
                with query.looking():
                    await move(campaign_id)
            except LookupError:
                raise _unknown(campaign_id) from None
            except NotPossible as problem:
                raise ApiRefused(HTTPStatus.CONFLICT, str(problem)) from None
            return await self._shown(campaign_id)

        return moved

    async def _shown(self, campaign_id: str) -> Response:
        with query.looking():
            line = await self._book.store.find(campaign_id)
            if line is None:
                raise _unknown(campaign_id)
            failed = await self._history.failures(campaign_id, MOST_FAILURES) if line.done > line.ok else ()
            blocks = await self._blocks(line) if line.campaign.kind == transfer_firmware.NAME else {}
        failures = tuple(Failure(meter=one.meter, reply_code=one.reply_code, reason=one.reason) for one in failed)
        return given(Campaign.of(line, failures=failures, **blocks), self._zone)

    async def _blocks(self, line: CampaignLine) -> dict[str, Any]:
        """How far the image is at meters that have no end, and at all of them."""
        campaign_id = line.campaign.campaign_id
        shares = await self._firmware.shares(campaign_id)
        under_way = await self._firmware.under_way(campaign_id, MOST_FAILURES)
        listed = [
            Transfer(
                meter=meter,
                stage=str(one.stage),
                blocks=one.blocks,
                there=one.there,
                percent=_percent(one.there / one.blocks),
            )
            for meter, one in under_way
        ]
        return {"blocks_percent": _percent(shares / line.meters), "transfers": tuple(listed)}


def _operation_of(key: WhichKey) -> str:
    return change_master_key.NAME if key is WhichKey.MASTER else change_key.NAME


def _percent(share: float) -> float:
    """Rounded down, so that 100 is all."""
    return int(1000 * share + 1e-9) / 10


def _unknown(campaign_id: str) -> ApiRefused:
    return ApiRefused(HTTPStatus.NOT_FOUND, f"there is no campaign {campaign_id[:100]}")


async def ordered(book: CampaignBook, request: Request, order: CampaignOrder) -> str:
    """Begin a campaign that was asked for; its id."""
    try:
        with query.looking():
            campaign_id = await book.order(order)
    except ControlsStopped as problem:
        raise ApiRefused(HTTPStatus.CONFLICT, f"controls are stopped {problem}; nothing was begun") from None
    audited.note(request, order.summary, ((one.name, one.mrid) for one in order.meters), campaign_id)
    return campaign_id


def chosen_meters(order: Chosen, registry: Registry) -> list[Meter]:
    """Those that have an association of their own. Raises ApiRefused."""
    if bool(order.meters) == (order.group is not None):
        raise wrong_order("name meters or a group of them")
    tag, _, value = (order.group or "").partition("=")
    if order.group is not None and registry.number_of(tag, value) > MOST_METERS:
        raise wrong_order(f"{order.group} has more than the {MOST_METERS} meters of one campaign")
    found = {one.mrid: one for one in (registry.members(tag, value) if order.group else ()) if not one.behind}
    for name in order.meters:
        meter = registry.find_by_name(name) or registry.find_by_mrid(name)
        if meter is None:
            raise wrong_order(f"there is no meter with the name or mRID {name[:100]}")
        found[meter.mrid] = meter
    if not found:
        raise wrong_order(f"no meter is in the group {str(order.group)[:100]}")
    return list(found.values())


def wrong_order(reason: str) -> ApiRefused:
    return ApiRefused(HTTPStatus.UNPROCESSABLE_ENTITY, reason)
