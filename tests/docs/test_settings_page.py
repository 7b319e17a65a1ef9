"""docs/settings.md says every setting, with a meaning, as the models have it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from ami_cli import settings_page
from ami_process.meanings import meanings
from ami_registry import FIELDS as ENTRY_FIELDS
from ami_registry import Field, Meter

PAGE = Path(__file__).parents[2] / "docs/settings.md"
FIELDS = [
    pytest.param(field, meanings(model).get(name, ""), id=f"{title} {name}")
    for title, _, model, _ in settings_page.SECTIONS
    if model is not Meter
    for name, field in model.model_fields.items()
]


def test_the_page_is_what_the_command_writes() -> None:
    assert PAGE.read_text("utf-8") == settings_page.page(), "write it again: ami settings --write docs/settings.md"


@pytest.mark.parametrize(("field", "below"), FIELDS)
def test_each_setting_has_a_meaning(field: settings_page.FieldInfo, below: str) -> None:
    assert field.description or below, "say below it what it does"


@pytest.mark.parametrize("field", ENTRY_FIELDS, ids=lambda field: field.name)
def test_each_field_of_an_entry_has_a_meaning(field: Field) -> None:
    assert field.meaning and field.value


def test_the_registry_knows_no_key_of_a_meter_that_is_not_on_the_page() -> None:
    assert [field.name for field in ENTRY_FIELDS] == [field.name for field in dataclasses.fields(Meter)]
