"""docs/metrics.md says every metric of the HES as it is declared, and no name or label is there that could take any number of values."""

from __future__ import annotations

from pathlib import Path

from ami_cli import metrics_page
from ami_hes.api.metric_families import ALL, HISTOGRAM

PAGE = Path(__file__).parents[2] / "docs/metrics.md"
BOUNDED = {
    "role", "noun", "outcome", "operation", "reply_code", "transport", "how", "direction", "kind", "lane", "importance", "of", "group",
}  # fmt: skip
"""Labels that have few values, whatever is asked of the HES."""


def test_the_page_is_what_the_command_writes() -> None:
    assert PAGE.read_text("utf-8") == metrics_page.page(), "write it again: ami metrics --write docs/metrics.md"


def test_each_metric_has_a_name_of_its_own_a_meaning_and_bounded_labels() -> None:
    assert len({one.name for one in ALL}) == len(ALL) > 30
    for one in ALL:
        assert one.name.startswith("hes_") and not one.name.endswith("_total") and len(one.about) > 5, one
        assert BOUNDED.issuperset(one.labels), one
        assert one.kind != HISTOGRAM or one.name.endswith("_seconds"), one
