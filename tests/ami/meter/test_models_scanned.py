"""Each model of the simulator over a socket: all that its object list shows can be read, and its twin shows the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from meter_bench import Ami, Fleet, free_port, meter

from ami_packs.model_files import model_names, shipped_model

MODELS = [name for name in model_names() if name != "residential"]
MOVING = {"0-0:1.0.0*255", "0-0:43.1.0*255", "0-0:43.1.1*255", "0-0:96.10.1*255", "0-0:96.10.2*255"}
"""Time, counters, and what changes with a capture."""
WITHOUT_BUFFERS = ("--skip-buffers", "--json")


def shown(device: dict[str, Any]) -> dict[tuple[int, str, int], tuple[Any, ...]]:
    """Attributes by class, OBIS code and number, as far as they can be the same twice."""
    return {
        (one["class_id"], one["obis"], one["attribute_id"]): (one["access"], one["a_xdr"], one["error"])
        for each in device["objects"]
        for one in each["attributes"]
        if one["obis"] not in MOVING
    }


@pytest.fixture(scope="module")
def each_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A meter of each model, by the name of the model, in one process."""
    entries = [
        meter(name, 2301 + number, free_port(), authentication="none", simulated={"model": name})
        for number, name in enumerate(MODELS)
    ]
    with Fleet(tmp_path_factory.mktemp("models"), entries) as served:
        yield served


@pytest.mark.parametrize("name", MODELS)
def test_everything_that_a_model_lists_can_be_read(each_model: Fleet, name: str) -> None:
    named = ("--short-names",) if shipped_model(name).short_names else ()
    (device,) = Ami(each_model).on(name, "scan", *named, *WITHOUT_BUFFERS).ok().json["devices"]
    refused = {place: found for place, found in shown(device).items() if found[2] is not None}
    assert (device["error"], device["odd_lines"], refused) == (None, [], {})


def test_the_twin_of_a_three_phase_meter_shows_what_it_showed(tmp_path: Path) -> None:
    saved = tmp_path / "saved.toml"
    entry = meter("M1", 2301, free_port(), authentication="none", simulated={"model": "three-phase"})
    with Fleet(tmp_path, [entry]) as served:
        (first,) = Ami(served).on("M1", "scan", *WITHOUT_BUFFERS, "--save-model", saved).ok().json["devices"]
    (tmp_path / "twin").mkdir()
    entry |= {"address": f"127.0.0.1:{free_port()}", "simulated": {"model": str(saved)}}
    with Fleet(tmp_path / "twin", [entry]) as served:
        (twin,) = Ami(served).on("M1", "scan", *WITHOUT_BUFFERS).ok().json["devices"]
        assert Ami(served).on("M1", "disconnect", "--yes").ok()
    before, after = shown(first), shown(twin)
    assert before.keys() == after.keys()
    assert {place for place in before if before[place] != after[place]} <= {
        place for place in before if place[0] == 7 and place[2] in (2, 7)
    }
