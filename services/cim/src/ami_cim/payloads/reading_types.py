"""Reading types and qualities as objects that MeterReadings may list beside its readings, which refer to them by mRID.

No reader needs them: the mRID is the code, and says all that is in the fields."""

from dataclasses import dataclass
from typing import Final

from ami_cim.identity import NAME, Name
from ami_cim.xml_fields import Shape, many, text


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingTypeObject:
    """ReadingType; the fields are as they were written, numbers or literals of the enumerations. The schema demands a Name."""

    mrid: str | None = None
    names: tuple[Name, ...] = ()
    accumulation: str | None = None
    aggregate: str | None = None
    commodity: str | None = None
    consumption_tier: str | None = None
    cpp: str | None = None
    currency: str | None = None
    flow_direction: str | None = None
    macro_period: str | None = None
    measurement_kind: str | None = None
    measuring_period: str | None = None
    multiplier: str | None = None
    phases: str | None = None
    tou: str | None = None
    unit: str | None = None
    argument_denominator: str | None = None
    argument_numerator: str | None = None
    interharmonic_denominator: str | None = None
    interharmonic_numerator: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingQualityTypeObject:
    """ReadingQualityType; the schema demands a Name."""

    mrid: str | None = None
    names: tuple[Name, ...] = ()
    category: str | None = None
    sub_category: str | None = None
    system_id: str | None = None


_MRID, _NAMES = text("mRID", "mrid"), many("Names", "names", NAME)
READING_TYPE: Final = Shape(
    ReadingTypeObject,
    (
        _MRID,
        text("accumulation", "accumulation"),
        text("aggregate", "aggregate"),
        text("commodity", "commodity"),
        text("consumptionTier", "consumption_tier"),
        text("cpp", "cpp"),
        text("currency", "currency"),
        text("flowDirection", "flow_direction"),
        text("macroPeriod", "macro_period"),
        text("measurementKind", "measurement_kind"),
        text("measuringPeriod", "measuring_period"),
        text("multiplier", "multiplier"),
        text("phases", "phases"),
        text("tou", "tou"),
        text("unit", "unit"),
        text("argument/denominator", "argument_denominator"),
        text("argument/numerator", "argument_numerator"),
        text("interharmonic/denominator", "interharmonic_denominator"),
        text("interharmonic/numerator", "interharmonic_numerator"),
        _NAMES,
    ),
)
READING_QUALITY_TYPE: Final = Shape(
    ReadingQualityTypeObject,
    (
        _MRID,
        text("category", "category"),
        text("subCategory", "sub_category"),
        text("systemId", "system_id"),
        _NAMES,
    ),
)
