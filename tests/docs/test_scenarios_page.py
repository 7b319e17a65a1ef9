"""docs/howto/write-a-scenario.md: its example can be used, and it names every scenario that comes with the simulator."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from ami_meter_sim.scenarios.model import Action, Scenario, shipped

PAGE = (Path(__file__).parents[2] / "docs/howto/write-a-scenario.md").read_text("utf-8")


def test_the_example_can_be_used() -> None:
    [example] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert len(Scenario.parse(tomllib.loads(example)).tracks[0].steps) == 4


def test_every_scenario_and_every_action_is_on_the_page() -> None:
    named = re.findall(r"^\| `([a-z_-]+)`", PAGE.replace("| `do` |", ""), re.MULTILINE)
    assert sorted(named) == sorted([*shipped(), *Action.__args__])  # type: ignore[attr-defined]
