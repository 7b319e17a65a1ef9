"""docs/settings.md says every setting, with a meaning, as the models have it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ami_cli import settings_page
from ami_hes.meters.registry import _PARSERS
from ami_meter_sim.settings import MeterSettings

PAGE = Path(__file__).parents[2] / "docs/settings.md"
FIELDS = [
    pytest.param(field, id=f"{title} {name}")
    for title, _, model, _ in settings_page.SECTIONS
    for name, field in model.model_fields.items()
    if name != "simulated"
]


def test_the_page_is_what_the_command_writes() -> None:
    assert PAGE.read_text("utf-8") == settings_page.page(), "write it again: ami settings --write docs/settings.md"


@pytest.mark.parametrize("field", FIELDS)
def test_each_setting_has_a_meaning(field: settings_page.FieldInfo) -> None:
    assert field.description, "say below it what it does"


def test_the_hes_knows_no_key_of_a_meter_that_is_not_on_the_page() -> None:
    assert _PARSERS.keys() == MeterSettings.model_fields.keys() - {"simulated"}
