"""`ami conformance run` called as a person calls it, inside the test's process, and its report read back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from free_ports import free_port
from meter_bench import PASSWORD, Fleet, meter
from typer.testing import CliRunner

from ami_cli.__main__ import app
from ami_packs.pack_folders import packs_with

COUNTERS = {"is15959": "0-0:43.1.3", "uni-ts-11291": "0-0:43.1.1"}
"""Where the counter of the management client is, if it is not 0-0:43.1.0."""


def pack_models() -> list[str]:
    """Every model of every pack."""
    packs = packs_with(None)
    return [f"{name}/{model}" for name in packs.names for model in packs.pack(name).models]


def name_of(model: str) -> str:
    return model.replace("/", "-")


def entries() -> list[dict[str, Any]]:
    """A meter of each model over the wrapper and one over HDLC, and a residential one for each way of authentication."""
    found, number = [], 3000
    secret = PASSWORD.encode().hex()
    lls = {"authentication": "lls", "secret": secret, "ciphering": "none"}
    special: dict[str, dict[str, Any]] = {
        "residential": {},
        "LLS": lls,
        "CLEAR": {"authentication": "none"},
        "SPECIFIC": {"ciphering": "service-specific"},
        "UDP": {"transport": "udp"},
    }
    for name, change in special.items():
        number += 1
        found.append(meter(name, number, free_port(), **change))
    for model in (*pack_models(), "residential"):
        counter = {"invocation_counter": COUNTERS.get(model.partition("/")[0], "0-0:43.1.0")} if "/" in model else {}
        for suffix, way in (("", {}), ("-hdlc", {"transport": "hdlc", "physical_address": 17})):
            if model == "residential" and not suffix:
                continue
            number += 1
            found.append(
                meter(f"{name_of(model)}{suffix}", number, free_port(), simulated={"model": model}, **counter, **way)
            )
    return found


@dataclass(frozen=True)
class Report:
    """What a run ended with; `json` is its report."""

    code: int
    out: str
    json: Any

    @property
    def verdicts(self) -> dict[str, str]:
        return {one["id"]: one["verdict"] for one in self.json["tests"]}

    @property
    def failed(self) -> dict[str, list[str]]:
        """The findings by test."""
        return {
            one["id"]: [found["text"] for found in one["findings"]]
            for one in self.json["tests"]
            if one["verdict"] == "fail"
        }

    def of(self, test: str) -> Any:
        return next(one for one in self.json["tests"] if one["id"] == test)


@dataclass
class Conformance:
    """`on` takes a meter of the fleet from the registry, `run` takes everything as it is given."""

    fleet: Fleet
    directory: Path

    def on(self, name: str, *words: str) -> Report:
        kept = str(self.directory / f"{name}.jsonl")
        return self.run("--registry", str(self.fleet.config), "--meter", name, "--journal", kept, *words)

    def run(self, *words: str) -> Report:
        file = self.directory / "report.json"
        file.unlink(missing_ok=True)
        given = ["conformance", "run", "--json", str(file), "--journal", str(self.directory / "journal.jsonl"), *words]
        result = CliRunner().invoke(app, given)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Report(result.exit_code, result.output, json.loads(file.read_text()) if file.exists() else None)
