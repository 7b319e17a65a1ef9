"""Faults of single results: what a meter says of one object is not what is inside, or it does not do what it was asked."""

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, PlainSerializer

from ami_dlms import data
from ami_dlms.association import Action, ActionOutcome, Get, ItemResult
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult, DataAccessResult, DataTag
from ami_dlms.obis import Obis
from ami_meter_sim.faults.fault import Direction, Fault, Item, Occasion

DISCONNECT_CONTROL = 70
VALUE = 2
SCALER_UNIT = {3: 3, 4: 3, 5: 4}
"""class -> the attribute that is its scaler_unit."""
WHO_IT_IS = frozenset({Obis.parse("0-0:42.0.0"), *(Obis.parse(f"0-0:96.1.{number}") for number in range(10))})


def action_result(value: Any) -> Any:
    """An action-result by name, however it is written, or by number. ValueError with what there is."""
    try:
        if isinstance(value, str):
            return ActionResult[value.strip().upper().replace("-", "_")]
        return ActionResult(value)
    except (KeyError, ValueError):
        known = ", ".join(one.name.lower().replace("_", "-") for one in ActionResult)
        raise ValueError(f"{str(value)[:40]!r} is none of {known}") from None


AnyActionResult = Annotated[
    ActionResult,
    BeforeValidator(action_result, json_schema_input_type=str | int),
    PlainSerializer(lambda result: result.name.lower().replace("_", "-"), return_type=str),
]


def _action_on_the_switch() -> dict[str, Any]:
    return {"service": "action", "class": DISCONNECT_CONTROL}


class Refuses(Fault):
    """Refuse an ACTION, or whatever `when` names, and do nothing."""

    directions: ClassVar[tuple[Direction, ...]] = ("request",)
    about: ClassVar[dict[str, Any]] = _action_on_the_switch()

    result: AnyActionResult = ActionResult.OTHER_REASON
    """The action-result; of the data-access-results, a GET or SET answers the one of the same name."""

    def on_request(self, item: Item) -> ItemResult | None:
        """The refusal."""
        return refusal(item, self.result)


class Busy(Refuses):
    """Refuse everything for a while."""

    about: ClassVar[dict[str, Any]] = {"service": ["get", "set", "action"]}

    result: AnyActionResult = ActionResult.TEMPORARY_FAILURE
    """The result of each item."""


class AcceptsButDoesNotSwitch(Fault):
    """Answer an ACTION, or a SET that `when` names, with success, and do nothing."""

    directions: ClassVar[tuple[Direction, ...]] = ("request",)
    about: ClassVar[dict[str, Any]] = _action_on_the_switch()

    def on_request(self, item: Item) -> ItemResult | None:
        """The false success; of a GET there is none."""
        if isinstance(item, Get):
            return None
        return success(item)


class WrongDeviceId(Fault):
    """Name another meter: the logical device name (0-0:42.0.0) and the device ids (0-0:96.1.x)."""

    device_id: str | None = Field(default=None, min_length=1, max_length=48, pattern=r"^[\x20-\x7e]+$")
    """What it says; by default its own with another last character."""

    def concerns(self, occasion: Occasion) -> bool:
        """A reading of one of them."""
        return any(map(_asks_who_it_is, occasion.items))

    def on_result(self, item: Item, result: ItemResult) -> ItemResult:
        """The other name."""
        if not (_asks_who_it_is(item) and isinstance(result, Data) and isinstance(result.value, bytes)):
            return result
        if self.device_id is not None:
            return data.octet_string(self.device_id.encode("ascii"))
        return data.octet_string(result.value[:-1] + (b"1" if result.value[-1:] != b"1" else b"2"))


class WrongScaler(Fault):
    """Scale registers (classes 3, 4 and 5) by another power of ten than their values have."""

    by: int = Field(default=3, ge=-60, le=60)
    """Added to the scaler."""

    def concerns(self, occasion: Occasion) -> bool:
        """A reading of a scaler_unit."""
        return any(map(_asks_for_a_scaler, occasion.items))

    def on_result(self, item: Item, result: ItemResult) -> ItemResult:
        """The other scaler, with the same unit."""
        if not (_asks_for_a_scaler(item) and isinstance(result, Data) and isinstance(result.value, tuple)):
            return result
        scaler, unit = result.value
        return data.structure(data.integer(max(-128, min(scaler.value + self.by, 127))), unit)


def refusal(item: Item, result: ActionResult) -> ItemResult:
    """This result as the service of the item has it; a data-access-result goes by the same name."""
    if isinstance(item, Action):
        return ActionOutcome(result, None)
    by_name = DataAccessResult.__members__.get(result.name, DataAccessResult.OTHER_REASON)
    return DataAccessResult.OTHER_REASON if by_name is DataAccessResult.SUCCESS else by_name


def success(item: Item) -> ItemResult:
    """That of a SET or an ACTION without a value."""
    return ActionOutcome(ActionResult.SUCCESS, None) if isinstance(item, Action) else DataAccessResult.SUCCESS


def _asks_who_it_is(item: Item) -> bool:
    return isinstance(item, Get) and item.descriptor.instance_id in WHO_IT_IS and item.descriptor.attribute_id == VALUE


def _asks_for_a_scaler(item: Item) -> bool:
    return isinstance(item, Get) and SCALER_UNIT.get(item.descriptor.class_id) == item.descriptor.attribute_id


def is_voltage(item: Item) -> bool:
    """Whether it reads the instantaneous voltage of a phase (1-b:32.7.0, 52.7.0, 72.7.0)."""
    if not isinstance(item, Get) or item.descriptor.class_id != 3 or item.descriptor.attribute_id != VALUE:
        return False
    medium, _, quantity, kind, *_ = item.descriptor.instance_id
    return (medium, kind) == (1, 7) and quantity in (32, 52, 72)


def scaled(value: Data, factor: float) -> Data:
    """A whole number of the same type, times a factor below 1."""
    if value.tag in (DataTag.BOOLEAN, DataTag.ENUM) or not isinstance(value.value, int):
        return value
    return Data(value.tag, round(value.value * factor))
