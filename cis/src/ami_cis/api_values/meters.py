"""Meters and usage points as the HES has them and the exchange of a meter, as `/api/v1/meters`, `/api/v1/hes-usage-points` and `/api/v1/meter-exchanges` take and give them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ami_cim.reading_type_names import reading_type_of
from ami_cis.api_values.ended import Ended
from ami_cis.api_values.readings import MAX_TYPES, ReadingValue, Text

if TYPE_CHECKING:
    from ami_cim.payloads.device_assets import DeviceAsset
    from ami_cim.payloads.usage_point_config import UsagePointAsset
    from ami_cis.workflows import ExchangeOutcome


METERS = "/api/v1/meters"
METER = f"{METERS}/{{name:path}}"
METER_EXCHANGES = "/api/v1/meter-exchanges"
HES_USAGE_POINTS = "/api/v1/hes-usage-points"
HES_USAGE_POINT = f"{HES_USAGE_POINTS}/{{name:path}}"
GROUP = "EndDeviceGroup"
"""NameTypeAuthority of the Names that are groups."""


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


class MeterList(Ended):
    """Meters by name; `next` is the offset of those behind them, where there are more."""

    meters: tuple[MeterLine, ...]
    next: int | None


class MeterDetails(Ended):
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


class HesUsagePointList(Ended):
    """Usage points; `next` is the offset of those behind them, where there are more."""

    usage_points: tuple[HesUsagePointLine, ...]
    next: int | None


class HesUsagePointDetails(Ended):
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


class StepOfExchange(Ended):
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
