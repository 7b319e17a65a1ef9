"""What stands below a field is read when somebody asks, and is in the JSON schema of a model."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from ami_meter_sim.faults import FAULTS
from ami_process.meanings import Documented, meanings
from ami_process.settings import ClockSettings


class Lamp(Documented):
    colour: str = "red"
    """Of its light."""
    place: int = Field(default=1, alias="where", description="a number")
    """Not shown, since the field has a description."""
    power_w: float = Field(default=3.0, alias="power")
    """What it takes,
    in watts."""
    broken: bool = False


class Lantern(Lamp):
    colour: str = "white"
    """Of its glass."""
    handle: bool = True
    """Whether one can carry it."""


@dataclass(frozen=True, slots=True)
class Candle:
    height: int
    """In millimetres."""
    made_of: str = "wax"


def test_what_is_below_a_field_is_its_meaning() -> None:
    assert meanings(Candle) == {"height": "In millimetres."}
    assert meanings(Lantern) == {
        "colour": "Of its glass.",
        "place": "Not shown, since the field has a description.",
        "power_w": "What it takes,\nin watts.",
        "handle": "Whether one can carry it.",
    }


def test_the_schema_of_a_model_says_it_under_the_name_of_the_property() -> None:
    properties = Lantern.model_json_schema()["properties"]
    said = {name: about.get("description") for name, about in properties.items()}
    assert said == {
        "colour": "Of its glass.",
        "where": "a number",
        "power": "What it takes,\nin watts.",
        "broken": None,
        "handle": "Whether one can carry it.",
    }


def test_models_of_settings_and_faults_have_it_too() -> None:
    rate = ClockSettings.model_json_schema()["properties"]["rate"]
    assert rate["description"] == "How many times as fast a scaled clock is."
    slow = FAULTS["slow"].kind.model_json_schema()["properties"]
    assert slow and all(one["description"] for one in slow.values())


def test_a_class_without_source_has_none() -> None:
    assert meanings(type("Made", (), {"__annotations__": {"one": int}})) == {}
