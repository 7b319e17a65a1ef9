"""The dashboard that we ship: what it asks for exists at `/metrics`, with the labels that it asks by. That its questions are PromQL, tests/compose tries with a real Prometheus."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from promql import names_and_labels

from ami_hes.api.metric_families import ALL

SCALE = Path(__file__).resolve().parents[2] / "docker/scale"
DASHBOARD = json.loads((SCALE / "dashboards/head-end.json").read_text("utf-8"))
QUESTIONS = [(panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel["targets"]]
ENDINGS = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
EXPOSED = {one.name + ending: set(one.labels) for one in ALL for ending in ENDINGS[one.kind]}
ADDED = {"instance", "job", "le"}
"""By Prometheus itself, and of histograms."""


@pytest.mark.parametrize(("title", "question"), QUESTIONS, ids=[title for title, _ in QUESTIONS])
def test_what_a_panel_asks_for_is_exposed(title: str, question: str) -> None:
    names, labels = names_and_labels(question)
    ours = {name for name in names if not name.startswith("process_")}
    assert ours <= set(EXPOSED), title
    known = ADDED.union(*(EXPOSED[name] for name in ours))
    assert labels <= known, title


def test_the_dashboard_has_no_place_twice_and_asks_the_source_that_is_provisioned() -> None:
    (source,) = yaml.safe_load((SCALE / "grafana/datasources/prometheus.yml").read_text("utf-8"))["datasources"]
    (provider,) = yaml.safe_load((SCALE / "grafana/dashboards/ami.yml").read_text("utf-8"))["providers"]
    composed = yaml.safe_load((SCALE.parents[1] / "docker-compose.scale.yml").read_text("utf-8"))["services"]
    assert provider["options"]["path"] in str(composed["grafana"]["volumes"])
    assert re.match(r"http://(\w+):", source["url"])[1] in composed  # type: ignore[index]
    panels = DASHBOARD["panels"]
    assert len({one["id"] for one in panels}) == len({tuple(one["gridPos"].values()) for one in panels}) == len(panels)
    asked = {target["datasource"]["uid"] for panel in panels for target in panel["targets"]}
    assert asked == {source["uid"]}
    legends = {
        label for panel in panels for one in panel["targets"] for label in re.findall(r"{{(\w+)}}", one["legendFormat"])
    }
    assert legends <= ADDED.union(*EXPOSED.values())
