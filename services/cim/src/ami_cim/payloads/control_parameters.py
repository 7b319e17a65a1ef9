"""ControlParameters: what controls of a request need beside their type, in Request, where its schema lets in other namespaces.

Its namespace is ours (`ns.CONTROL_PARAMETERS`), so that EndDeviceControls stays what it is in the standard. One element of each kind.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ami_cim.control_parameters import (
    Day,
    DayPeriod,
    FirmwareImage,
    KeyChange,
    Limiter,
    LimiterEmergency,
    Parameters,
    Season,
    SpecialDay,
    TimeOfUse,
    Week,
)
from ami_cim.payloads import Payload
from ami_cim.xml_fields import Field, Shape, many, moment, one
from ami_cim.xml_values import DECIMAL, INTEGER, TEXT, Value

NAME = "ControlParameters"


@dataclass(frozen=True, slots=True)
class ControlParameters(Payload):
    """Each is for the controls of the request that take it."""

    limiter: Limiter | None = None
    limiter_emergency: LimiterEmergency | None = None
    time_of_use: TimeOfUse | None = None
    key_change: KeyChange | None = None
    firmware_image: FirmwareImage | None = None

    @property
    def by_element(self) -> Mapping[str, Parameters]:
        """Those that are there, by the names of their elements."""
        found: dict[str, Parameters | None] = {
            "Limiter": self.limiter,
            "LimiterEmergency": self.limiter_emergency,
            "TimeOfUse": self.time_of_use,
            "KeyChange": self.key_change,
            "FirmwareImage": self.firmware_image,
        }
        return {name: value for name, value in found.items() if value is not None}


def _needed(path: str, attribute: str, kind: Value) -> Field:
    return Field(path=path, attribute=attribute, kind=kind, mandatory="1.7", needed=True)


def _number(path: str, attribute: str) -> Field:
    return Field(path=path, attribute=attribute, kind=INTEGER)


_LIMITER = Shape(
    Limiter,
    (
        _needed("threshold", "threshold", DECIMAL),
        _number("minOverThresholdDuration", "over_s"),
        _number("minUnderThresholdDuration", "under_s"),
    ),
)
_EMERGENCY = Shape(
    LimiterEmergency,
    (
        _needed("threshold", "threshold", DECIMAL),
        _needed("duration", "duration_s", INTEGER),
        _number("group", "group"),
        moment("start", "start_at"),
    ),
)
_SEASON = Shape(Season, tuple(_needed(name, name, TEXT) for name in ("name", "start", "week")))
_WEEK = Shape(
    Week,
    (
        _needed("name", "name", TEXT),
        *(
            _needed(day, day, INTEGER)
            for day in ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
        ),
    ),
)
_PERIOD = Shape(DayPeriod, (_needed("start", "start", TEXT), _needed("rate", "rate", INTEGER)))
_DAY = Shape(Day, (_needed("dayID", "day_id", INTEGER), many("Period", "periods", _PERIOD)))
_SPECIAL_DAY = Shape(SpecialDay, (_needed("date", "date", TEXT), _needed("dayID", "day_id", INTEGER)))
_TIME_OF_USE = Shape(
    TimeOfUse,
    (
        _needed("name", "name", TEXT),
        moment("start", "activate_at"),
        many("Season", "seasons", _SEASON),
        many("Week", "weeks", _WEEK),
        many("Day", "days", _DAY),
        many("SpecialDay", "special_days", _SPECIAL_DAY),
    ),
)
_KEY_CHANGE = Shape(KeyChange, (_needed("key", "key", TEXT),))
_FIRMWARE_IMAGE = Shape(FirmwareImage, (_needed("identifier", "identifier", TEXT),))
PARAMETERS: Final[Shape[Payload]] = Shape(
    ControlParameters,
    (
        one("Limiter", "limiter", _LIMITER),
        one("LimiterEmergency", "limiter_emergency", _EMERGENCY),
        one("TimeOfUse", "time_of_use", _TIME_OF_USE),
        one("KeyChange", "key_change", _KEY_CHANGE),
        one("FirmwareImage", "firmware_image", _FIRMWARE_IMAGE),
    ),
)
