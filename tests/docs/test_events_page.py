"""docs/events.md says every event and every field, with a meaning, as the classes have it; and the HES reports no other."""

from __future__ import annotations

import ast
from dataclasses import fields
from pathlib import Path

import pytest

from ami_cli import events_page
from ami_cli.decoding import catalogue, declared

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/events.md"
EVENTS = [
    pytest.param(kind, id=f"{title} {kind.event}")
    for title, _, module in events_page.SECTIONS
    for kind in declared(module)
]
LEVELS = {"info", "warning", "error"}


def test_the_page_is_what_the_command_writes() -> None:
    assert PAGE.read_text("utf-8") == events_page.page(), "write it again: ami events --write docs/events.md"


@pytest.mark.parametrize("kind", EVENTS)
def test_each_event_and_each_field_has_a_meaning(kind: type) -> None:
    assert kind.__doc__ and not kind.__doc__.startswith(f"{kind.__name__}("), "say when it is reported"
    assert all(events_page.meaning(kind, one.name) for one in fields(kind)), "say below each field what it is"


def logged() -> list[tuple[str, str, set[str]]]:
    """The calls of loggers in the HES: where, the event, its keys."""
    found = []
    for path in sorted((ROOT / "hes/src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS):
                continue
            if ast.unparse(node.func.value) == "log" and node.args and isinstance(node.args[0], ast.Constant):
                keys = {"exception" if one.arg == "exc_info" else one.arg for one in node.keywords if one.arg}
                found.append((f"{path.relative_to(ROOT)}:{node.lineno}", node.args[0].value, keys))
    return found


def test_what_the_hes_logs_is_declared() -> None:
    for where, event, keys in logged():
        assert event in catalogue("hes"), f"{where}: {event} is not declared in ami_hes.events"
        assert keys <= {one.name for one in fields(catalogue("hes")[event])}, f"{where}: {event} has other fields"
