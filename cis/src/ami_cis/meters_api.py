"""`/api/v1/meters` and `/api/v1/hes-usage-points`: the meters and usage points that the HES has, as it says; `/api/v1/meter-exchanges`: one is put in the place of another one."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_cim.identity import Identified, is_uuid
from ami_cim.payloads.device_assets import DeviceAsset
from ami_cim.payloads.usage_point_config import UsagePointAsset
from ami_cim.reading_type_names import reading_type_of
from ami_cis.readings_api import MAX_TYPES, ReadingError, ReadingValue, Text
from ami_cis.under_way import Asking, UnderWay
from ami_cis.workflows import ExchangeOrder, ExchangeOutcome, MasterData, MeterExchanges, OrderOutcome, Target
from ami_process.api import answer_of, read_body
from ami_process.query_parameters import check_known, whole_number

METERS = "/api/v1/meters"
METER = f"{METERS}/{{name:path}}"
METER_EXCHANGES = "/api/v1/meter-exchanges"
HES_USAGE_POINTS = "/api/v1/hes-usage-points"
HES_USAGE_POINT = f"{HES_USAGE_POINTS}/{{name:path}}"
MAX_LISTED = 1_000
DEFAULT_LISTED = 100
GROUP = "EndDeviceGroup"
"""NameTypeAuthority of the Names that are groups."""


class _Ended(BaseModel):
    """How a request to the HES ended; without a final reply `result` is None, and `reason` says why."""

    message_id: str
    result: str | None
    errors: tuple[ReadingError, ...]
    reason: str | None
    unknown: bool
    not_sent: bool = False
    ms: float

    @classmethod
    def of(cls, outcome: OrderOutcome, **more: Any) -> Self:
        return cls.model_validate(asdict(outcome) | more)


class MeterLine(BaseModel):
    """A meter as the HES has it."""

    name: str
    mrid: str | None
    serial_number: str | None
    address: str | None
    model: str | None
    groups: dict[str, str]

    @classmethod
    def of_asset(cls, asset: DeviceAsset) -> Self:
        groups = {name.name_type or "": name.name for name in asset.names if name.authority == GROUP}
        names = [name.name for name in asset.names if name.name_type is None]
        return cls(
            name=names[0] if names else asset.mrid or "",
            mrid=asset.mrid,
            serial_number=asset.serial_number,
            address=asset.lan,
            model=asset.model,
            groups=groups,
        )


class MeterList(_Ended):
    """Meters by name; `next` is the offset of those behind them, where there are more."""

    meters: tuple[MeterLine, ...]
    next: int | None


class MeterDetails(_Ended):
    """A meter, if the HES has it, and the names of the usage point that it is at."""

    meter: MeterLine | None
    usage_points: tuple[str, ...]


class HesUsagePointLine(BaseModel):
    """A usage point as the HES has it."""

    name: str
    mrid: str | None
    names: tuple[str, ...]
    service: str | None
    phases: str | None
    read_route: str | None
    read_cycle: str | None
    remark: str | None

    @classmethod
    def of_asset(cls, asset: UsagePointAsset) -> Self:
        names = tuple(one.name for one in asset.names)
        return cls(
            name=names[0] if names else asset.mrid or "",
            mrid=asset.mrid,
            names=names,
            service=asset.service,
            phases=asset.phase_code,
            read_route=asset.read_route,
            read_cycle=asset.read_cycle,
            remark=asset.remark,
        )


class HesUsagePointList(_Ended):
    """Usage points; `next` is the offset of those behind them, where there are more."""

    usage_points: tuple[HesUsagePointLine, ...]
    next: int | None


class HesUsagePointDetails(_Ended):
    """A usage point, if the HES has it, and the name of the meter that is there."""

    usage_point: HesUsagePointLine | None
    meter: str | None


class ExchangeWanted(BaseModel):
    """Which meter comes in the place of which; meters by name or mRID."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    usage_point: Text
    new: Text
    old: Text | None = None
    """None: whichever is there."""
    reading_types: tuple[Annotated[Text, AfterValidator(reading_type_of)], ...] = Field(
        default=(), max_length=MAX_TYPES
    )
    """None: all that each meter has."""
    without_final: bool = False
    """Whether it goes on where the old meter can't be read any more."""

    def order(self) -> ExchangeOrder:
        """The same for the workflow."""
        return ExchangeOrder(**self.model_dump())


class StepOfExchange(_Ended):
    """A request of the exchange and how it ended."""

    step: str


class Exchanged(BaseModel):
    """How far it came. `exchanged`: whether the HES says that the new meter is there, None where that is not known; `reason` is empty when it came to its end."""

    usage_point: str
    old: str | None
    new: str
    exchanged: bool | None
    reason: str
    steps: tuple[StepOfExchange, ...]
    final: tuple[ReadingValue, ...]
    first: tuple[ReadingValue, ...]

    @classmethod
    def of(cls, wanted: ExchangeWanted, outcome: ExchangeOutcome, zone: ZoneInfo) -> Self:
        return cls(
            usage_point=wanted.usage_point,
            old=outcome.old,
            new=wanted.new,
            exchanged=outcome.exchanged,
            reason=outcome.reason,
            steps=tuple(StepOfExchange.of(one.outcome, step=one.step) for one in outcome.steps),
            final=tuple(ReadingValue.of(one, zone) for one in outcome.final),
            first=tuple(ReadingValue.of(one, zone) for one in outcome.first),
        )


def meter_routes(master_data: MasterData, exchanges: MeterExchanges, asking: Asking) -> list[Route]:
    """GET asks the HES, POST exchanges."""
    under_way = UnderWay("exchange", asking.stopping)
    questions = UnderWay("question", asking.stopping)

    async def list_meters(request: Request) -> Response:
        check_known(request, ("limit", "offset", "group"))
        limit, offset = (
            whole_number(request, "limit", DEFAULT_LISTED, 1, MAX_LISTED),
            whole_number(request, "offset", 0, 0, 10**9),
        )
        group = request.query_params.get("group")
        targets = () if group is None else (Target.group_of(group),)
        found = await questions.end_of(None, partial(master_data.meters, targets, limit=limit, offset=offset))
        lines = tuple(map(MeterLine.of_asset, found.meters))
        following = offset + len(lines) if found.more and lines else None
        return answer_of(MeterList.of(found.outcome, meters=lines, next=following))

    async def show(request: Request) -> Response:
        check_known(request, ())
        name = request.path_params["name"]
        target = Target.mrid(name) if is_uuid(name) else Target.meter(name)
        found = await questions.end_of(None, partial(master_data.meters, (target,)))
        if not found.meters:
            return answer_of(MeterDetails.of(found.outcome, meter=None, usage_points=()))
        line = MeterLine.of_asset(found.meters[0])
        linked = await questions.end_of(None, partial(master_data.link_of, meter=line.mrid or line.name))
        points = () if linked.link is None else _names(linked.link.point)
        return answer_of(MeterDetails.of(found.outcome, meter=line, usage_points=points))

    async def list_points(request: Request) -> Response:
        check_known(request, ("limit", "offset"))
        limit, offset = (
            whole_number(request, "limit", DEFAULT_LISTED, 1, MAX_LISTED),
            whole_number(request, "offset", 0, 0, 10**9),
        )
        found = await questions.end_of(None, partial(master_data.usage_points, limit=limit, offset=offset))
        lines = tuple(map(HesUsagePointLine.of_asset, found.usage_points))
        following = offset + len(lines) if found.more and lines else None
        return answer_of(HesUsagePointList.of(found.outcome, usage_points=lines, next=following))

    async def show_point(request: Request) -> Response:
        check_known(request, ())
        name = request.path_params["name"]
        found = await questions.end_of(None, partial(master_data.usage_points, (name,)))
        if not found.usage_points:
            return answer_of(HesUsagePointDetails.of(found.outcome, usage_point=None, meter=None))
        line = HesUsagePointLine.of_asset(found.usage_points[0])
        linked = await questions.end_of(None, partial(master_data.link_of, point=line.mrid or line.name))
        meter = None if linked.link is None else next(iter(_names(linked.link.meter)[::-1]), None)
        return answer_of(HesUsagePointDetails.of(found.outcome, usage_point=line, meter=meter))

    async def exchange(request: Request) -> Response:
        wanted = await read_body(request, ExchangeWanted)
        work = partial(exchanges.run, wanted.order())
        outcome = await under_way.end_of(f"exchange at {wanted.usage_point}", work)
        return answer_of(Exchanged.of(wanted, outcome, asking.zone))

    return [
        Route(METERS, list_meters, methods=["GET"]),
        Route(METER, show, methods=["GET"]),
        Route(HES_USAGE_POINTS, list_points, methods=["GET"]),
        Route(HES_USAGE_POINT, show_point, methods=["GET"]),
        Route(METER_EXCHANGES, exchange, methods=["POST"]),
    ]


def _names(point: Identified) -> Sequence[str]:
    return tuple(filter(None, (point.mrid, *(name.name for name in point.names))))
