"""`/api/v1/campaigns`: one operation on many meters; ordered, looked at, paused, resumed, cancelled. No answer holds a key."""

from collections.abc import Awaitable, Callable
from datetime import timedelta, tzinfo
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_hes.api import paths, query
from ami_hes.api.moments import Moment, given
from ami_hes.campaigns import MOST_METERS, CampaignBook, NotPossible
from ami_hes.meters.registry import Meter, Registry
from ami_hes.operations import change_key
from ami_hes.store import CampaignLine
from ami_hes.store.history import SqlHistory
from ami_process.api import ApiRefused, read_body
from ami_process.query_parameters import check_known

MOST_LISTED = 100
MOST_FAILURES = 1_000
MOST_NAMED = 1_000


def checked_group(value: str) -> str:
    """TAG=VALUE; ValueError for anything else."""
    tag, _, wanted = value.partition("=")
    if not (tag and wanted):
        raise ValueError("TAG=VALUE was expected, as feeder=F12")
    return value


class WhichKey(StrEnum):
    """A key of a meter, as an operator calls it."""

    ENCRYPTION = "encryption"
    AUTHENTICATION = "authentication"
    SECRET = "secret"  # noqa: S105  # what it is called

    @property
    def field(self) -> str:
        """Of the meter's entry."""
        return {"encryption": "encryption_key", "authentication": "authentication_key"}.get(self.value, "secret")


class Chosen(BaseModel):
    """Meters (names or mRIDs) or a group of them; `within_hours`: by when each has to have an end."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    meters: Annotated[tuple[str, ...], Field(max_length=MOST_NAMED)] = ()
    group: Annotated[str | None, AfterValidator(lambda one: one and checked_group(one))] = None
    within_hours: Annotated[float, Field(gt=0, le=60 * 24)] = 7 * 24.0

    @property
    def within(self) -> timedelta:
        return timedelta(hours=self.within_hours)


class KeyRoll(Chosen):
    """Keys to be changed."""

    key: WhichKey = WhichKey.ENCRYPTION


class Failure(BaseModel):
    """A meter at which it was not done, and why."""

    model_config = ConfigDict(frozen=True)

    meter: str
    reply_code: str | None
    reason: str | None


class Campaign(BaseModel):
    """A campaign; `done` counts meters with whatever end. `failures` are the first of them, where one campaign is asked for."""

    model_config = ConfigDict(frozen=True)

    id: str
    kind: str
    summary: str
    state: str
    created_at: Moment
    meters: int
    done: int
    ok: int
    failed: int
    percent: float
    failures: tuple[Failure, ...] = ()

    @classmethod
    def of(cls, line: CampaignLine, failures: tuple[Failure, ...] = ()) -> Self:
        one = line.campaign
        ended = line.done == line.meters and one.state != "cancelled"
        return cls(
            id=one.campaign_id,
            kind=one.kind,
            summary=one.summary,
            state="ended" if ended else str(one.state),
            created_at=one.created_at,
            meters=line.meters,
            done=line.done,
            ok=line.ok,
            failed=line.done - line.ok,
            percent=int(1000 * line.done / line.meters) / 10,
            failures=failures,
        )


class CampaignList(BaseModel):
    """Campaigns, the latest first."""

    model_config = ConfigDict(frozen=True)

    campaigns: tuple[Campaign, ...]


def campaign_routes(book: CampaignBook, registry: Registry, history: SqlHistory, zone: tzinfo) -> list[Route]:
    """GET lists and shows, POST orders and changes. `zone`: in which times are given."""
    campaigns = _Campaigns(book, registry, history, zone)
    return [
        Route(paths.CAMPAIGNS, campaigns.list, methods=["GET"]),
        Route(paths.KEY_ROLLS, campaigns.roll_keys, methods=["POST"]),
        Route(paths.CAMPAIGN, campaigns.show, methods=["GET"]),
        Route(paths.CAMPAIGN_PAUSE, campaigns.moved(book.pause), methods=["POST"]),
        Route(paths.CAMPAIGN_RESUME, campaigns.moved(book.resume), methods=["POST"]),
        Route(paths.CAMPAIGN_CANCEL, campaigns.moved(book.cancel), methods=["POST"]),
    ]


class _Campaigns:
    """What each route answers."""

    def __init__(self, book: CampaignBook, registry: Registry, history: SqlHistory, zone: tzinfo) -> None:
        self._book = book
        self._registry = registry
        self._history = history
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

    async def roll_keys(self, request: Request) -> Response:
        order = await read_body(request, KeyRoll)
        meters = chosen_meters(order, self._registry)
        summary = f"roll {order.key} of {order.group or f'{len(meters)} named'}"
        with query.looking():
            campaign_id = await self._book.order(change_key.NAME, order.key.field, summary, meters, order.within)
        return await self._shown(campaign_id)

    def moved(self, move: Callable[[str], Awaitable[None]]) -> Callable[[Request], Awaitable[Response]]:
        """A route that pauses, resumes or cancels."""

        async def moved(request: Request) -> Response:
            check_known(request, ())
            campaign_id = request.path_params["name"]
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
            commands = await self._history.commands(campaign_id) if line.done > line.ok else ()
        failed = [one for one in commands if one.ok is False][:MOST_FAILURES]
        failures = tuple(Failure(meter=one.meter, reply_code=one.reply_code, reason=one.reason) for one in failed)
        return given(Campaign.of(line, failures), self._zone)


def _unknown(campaign_id: str) -> ApiRefused:
    return ApiRefused(HTTPStatus.NOT_FOUND, f"there is no campaign {campaign_id[:100]}")


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
