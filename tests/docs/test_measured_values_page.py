"""docs/measured-values.md has every value that a model may name, with its type and meaning, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from ami_meter_sim.objects.data_and_register import NAMED, VALUES
from ami_meter_sim.objects.quantities import QUANTITIES

PAGE = (Path(__file__).parents[2] / "docs/measured-values.md").read_text("utf-8")
ROWS = {row[0]: row[1:] for row in re.findall(r"^\| `(\w+)` \| (.*?) \|(?: (.*?) \| (.*?) \|)?$", PAGE, re.MULTILINE)}


def test_the_page_has_all_values_in_their_order() -> None:
    assert [*ROWS] == [*QUANTITIES, *NAMED] and set(ROWS) == set(VALUES)


def test_types_and_meanings_are_those_of_the_code() -> None:
    for name, one in QUANTITIES.items():
        assert ROWS[name][1:] == (one.tag.name.lower().replace("_", "-"), one.what)
    for name, (what, _) in NAMED.items():
        assert ROWS[name][0] == what
