"""docs/models.md says every model as its file has it, and the how-to's models and messages are what the schema makes of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ami_cli import models_page
from ami_meter_sim.objects.model_files import VOCABULARY, load_model
from ami_packs import model_files
from ami_packs.document import Key, ModelError
from ami_packs.model_files import model_names, parse_model

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/models.md"
HOW_TO = (ROOT / "docs/howto/build-a-model.md").read_text("utf-8")
MODELS = re.findall(r"```toml\n(\[model\].*?)```", HOW_TO, re.DOTALL)
KEYS = [pytest.param(key, id=f"{title} {name}") for title, table in models_page.TABLES for name, key in table.items()]


def test_the_page_is_what_the_command_writes() -> None:
    assert PAGE.read_text("utf-8") == models_page.page(), "write it again: ami models --write docs/models.md"


def test_the_page_has_every_object_and_event_of_every_model() -> None:
    page = PAGE.read_text("utf-8")
    for name in model_names():
        model = load_model(name)
        assert f"## {name}\n\n{model.title}." in page
        for _, obis in model.objects:
            assert f"| {str(obis).removesuffix('*255')} |" in page
        for occurrence in model.events.events:
            assert f"| `{occurrence}` |" in page


@pytest.mark.parametrize("key", KEYS)
def test_each_key_has_a_meaning(key: Key) -> None:
    assert key.value and key.meaning


@pytest.mark.parametrize("text", MODELS, ids=["on a base", "from nothing"])
def test_the_models_of_the_how_to_are_models(text: str) -> None:
    assert parse_model(text, "how-to.toml", VOCABULARY).objects


def test_there_are_two_models_in_the_how_to() -> None:
    assert len(MODELS) == 2 and model_files.SECTIONS.keys() >= {"model", "objects"}


def test_the_messages_of_the_how_to_are_those_that_one_sees() -> None:
    text = (ROOT / "docs/samples/broken-model.toml").read_text("utf-8")
    with pytest.raises(ModelError) as caught:
        parse_model(text, "var/my-model.toml", VOCABULARY)
    (shown,) = re.findall(r"```text\n(var/my-model.*?)```", HOW_TO, re.DOTALL)
    assert shown == f"{caught.value}\n"
