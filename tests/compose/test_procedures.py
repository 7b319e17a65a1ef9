"""Procedures between a utility's systems in containers of their own: reads around a switching, tamper, an outage, a meter exchange.

What such procedures vary is the table docs/procedures.md. Here each is carried out once, by the commands that a person would use.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from compose_project import Compose, Project
from patience import PATIENCE_S

pytestmark = [pytest.mark.compose, pytest.mark.needs("docker"), pytest.mark.timeout(600)]
HERE = Path(__file__).parent
COUNT, BEHIND_A_TRANSFORMER, SPARE = 7, 3, 6
"""The last meter is in store: at no usage point, and behind a transformer of its own."""
DISCONNECT, CONNECT = "3.31.0.23", "3.31.0.18"
FRAUD, POWER_LOST, COMMUNICATION_AGAIN, VERIFIED = "0.12.0.257", "0.26.38.85", "0.1.0.49", "0.26.0.216"
METERS: dict[str, Any] = {
    "name": "utility",
    "count": COUNT,
    "seed": "procedures in containers",
    "model": "single-phase",
    "addressing": "port-each",
    "address": "0.0.0.0",
    "port": 4100,
    "push": {"to": "udp://hes-south:4059"},
    "topology": {"meters_per_transformer": BEHIND_A_TRANSFORMER},
}
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "meters": {"meter_sim": {"state": "/var/lib/ami/meters", "port": 8082}, "populations": [METERS]},
    "hes": {
        "cis": {"host": "0.0.0.0", "reply_address": "http://cis:8080/cim"},
        "hes": {
            "host": "hes-north",
            "port": 8081,
            "dlms_host": "0.0.0.0",
            "store": "/var/lib/ami/hes.sqlite",
            "token_file": "/var/lib/ami/tokens",
            "anonymous": ["controller", "operator"],
            "subscribers": [
                {"name": "cis", "url": "http://cis:8080/cim", "event": "typed", "nouns": ["EndDeviceEvents"]}
            ],
        },
    },
    "cis": {
        "cis": {
            "host": "0.0.0.0",
            "hes_url": "http://hes-north:8081",
            "store": "/var/lib/ami/cis.sqlite",
            "reply_address": "http://cis:8080/cim",
            "anonymous": ["operator"],
            "token_file": "/var/lib/ami/tokens",
            "shipments": ["/etc/ami/shipment-cis.json"],
        },
    },
}


class Utility:
    """The three, and their commands."""

    def __init__(self, project: Project, meters: list[dict[str, Any]]) -> None:
        self._project = project
        self.meters = [str(one["name"]) for one in meters]
        self.usage_point = str(meters[0]["usage_points"][0])
        """Where the first of them is."""

    def cis(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        return self._asked("cis", ("cis", *arguments), code)

    def hes(self, *arguments: str) -> dict[str, Any]:
        return self._asked("hes", ("hes", *arguments), 0)

    def simulate(self, *arguments: str) -> None:
        self._project.run("exec", "-T", "meters", "meter-sim", *arguments)

    def take_in_the_shipment(self) -> None:
        """Into the store of the head-end, where meters can be exchanged; those of a configuration are changed there."""
        self._project.run("exec", "-T", "hes", "hes", "meters", "import", "/etc/ami/shipment-hes.json")

    def told(self, meter: str, code: str, count: int = 1) -> list[dict[str, Any]]:
        """The events of this code that the CIS knows of a meter, once there are so many."""
        return self._project.until(
            lambda: [one for one in self.cis("events", "--meter", meter)["events"] if one["code"] == code],
            lambda found: len(found) >= count,
        )

    def register(self, meter: str) -> Decimal:
        (reading,) = self.cis("read", meter, "--type", "import")["readings"]
        return Decimal(reading["value"])

    def switch(self, code: str, meter: str) -> None:
        answer = self.cis("send", "--code", code, "--meter", meter)
        assert (answer["result"], answer["confirmed"]) == ("OK", True), answer

    def _asked(self, service: str, command: tuple[str, ...], code: int) -> dict[str, Any]:
        done = self._project.run("exec", "-T", service, *command, "--json", check=False)
        assert done.returncode == code, f"{command}: {done.stdout}{done.stderr}"
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def shipment(directory: Path, receiver: str) -> list[dict[str, Any]]:
    """Of the configured meters, as one of the two gets it, but for the usage point of the one in store."""
    options = ("--for", receiver, "--address", "meters", "--config", str(directory / "meters.toml"))
    command = [sys.executable, "-m", "ami_meter_sim", "shipment", *options]
    text = subprocess.run(command, capture_output=True, check=True, text=True, timeout=PATIENCE_S).stdout
    document = json.loads(text)
    meters: list[dict[str, Any]] = document["meters"]
    for name in ("usage_points", "usage_point_mrid"):
        meters[SPARE].pop(name)
    for name in ("latitude", "longitude", "main_address"):  # of the place, which the head-end is not told
        meters[SPARE].pop(name, None)
    (directory / f"shipment-{receiver}.json").write_text(json.dumps(document))
    return meters


@pytest.fixture(scope="module")
def utility(compose: Compose, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Utility]:
    """Beside the project of the other tests, whose images it takes."""
    directory = tmp_path_factory.mktemp("utility")
    for name, document in CONFIGURATIONS.items():
        (directory / f"{name}.toml").write_text(tomli_w.dumps(document))
    shipment(directory, "cis")
    meters = shipment(directory, "hes")
    directory.chmod(0o755)
    for path in directory.iterdir():
        path.chmod(0o644)  # who reads them in a container is another user
    project = Project(f"{compose.project}-utility", HERE / "utility.yml", os.environ | {"UTILITY": str(directory)})
    with project.up("meters", "hes", "cis"):
        known = Utility(project, meters)
        known.take_in_the_shipment()
        yield known


def test_reads_before_and_after_a_disconnect_and_a_connect(utility: Utility) -> None:
    meter = utility.meters[0]
    before = utility.register(meter)
    utility.switch(DISCONNECT, meter)
    between = utility.register(meter)
    utility.switch(CONNECT, meter)
    assert before <= between <= utility.register(meter)


def test_a_cover_that_is_opened_is_told(utility: Utility) -> None:
    meter = utility.meters[1]
    utility.simulate("meters", "wrong", meter, "terminal_cover", "on")
    assert utility.told(meter, FRAUD)[0]["reason"] == "fraud attempt"


def test_an_outage_is_a_place_and_its_end_is_verified(utility: Utility) -> None:
    dark = utility.meters[BEHIND_A_TRANSFORMER:SPARE]
    for state, code in (("off", POWER_LOST), ("on", COMMUNICATION_AGAIN)):
        for meter in dark:
            utility.simulate("meters", "power", state, "--name", meter)
        for meter in dark:
            utility.told(meter, code)
        if state == "off":
            (place,) = utility.hes("outages", "list")["outages"]
            assert (place["level"], sorted(place["names"])) == ("transformer", sorted(dark))
    assert sorted(utility.hes("outages", "ping")["restored"]) == sorted(dark)
    for meter in dark:
        utility.told(meter, VERIFIED)
    assert utility.hes("outages", "list")["dark"] == 0


def test_a_meter_is_exchanged_for_the_one_in_store(utility: Utility) -> None:
    old, new, point = utility.meters[0], utility.meters[SPARE], utility.usage_point
    done = utility.cis("meters", "exchange", "--usage-point", point, "--old", old, "--new", new, "--type", "import")
    assert done["exchanged"], done
    (last,), (first,) = done["final"], done["first"]
    assert (last["meter"], first["meter"]) == (old, new) and last["at"] < first["at"]
    assert point in utility.cis("meters", "show", new)["usage_points"]
    assert utility.cis("meters", "show", old)["usage_points"] == []
