"""docs/faults.md is what the table of faults says, and the rules of docs/howto/inject-faults.md can be used."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from ami_meter_sim.faults import FAULTS, Rule
from ami_meter_sim.faults.page import listed, page

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = re.findall(r"```toml\n(.*?)```", (DOCS / "howto/inject-faults.md").read_text("utf-8"), re.DOTALL)


def test_the_page_is_what_the_command_writes() -> None:
    assert (DOCS / "faults.md").read_text("utf-8") == page(), "write it again: meter-sim faults --write docs/faults.md"


def test_the_list_has_two_lines_for_each_fault() -> None:
    lines = list(listed())
    assert len(lines) == 2 * len(FAULTS)
    assert [line.split()[0] for line in lines[::2]] == list(FAULTS)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_can_be_used(example: str) -> None:
    rules = tomllib.loads(example)["faults"]
    assert [Rule.parse(one).fault for one in rules] == [one["fault"] for one in rules]
