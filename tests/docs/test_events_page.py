"""docs/events.md says every event and every field, with a meaning, as the classes have it."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from ami_cli import events_page
from ami_cli.decoding import declared

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/events.md"
EVENTS = [
    pytest.param(kind, id=f"{title} {kind.event}")
    for title, _, module in events_page.SECTIONS
    for kind in declared(module)
]


def test_the_page_is_what_the_command_writes() -> None:
    assert PAGE.read_text("utf-8") == events_page.page(), "write it again: ami events --write docs/events.md"


@pytest.mark.parametrize("kind", EVENTS)
def test_each_event_and_each_field_has_a_meaning(kind: type) -> None:
    assert kind.__doc__ and not kind.__doc__.startswith(f"{kind.__name__}("), "say when it is reported"
    assert all(events_page.meaning(kind, one.name) for one in fields(kind)), "say below each field what it is"
