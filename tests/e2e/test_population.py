"""A population from its shipment file to its switches: the simulator writes the file, the HES reads it and works its meters."""

from __future__ import annotations

import json
import stat
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from free_ports import free_port
from harness import System, configuration, system
from stranger import CONNECT, DISCONNECT, Stranger
from typer.testing import CliRunner

from ami_meter_sim.__main__ import app, main

COUNT = 300
KEY = "000102030405060708090A0B0C0D0E0F"

ASKS_TO_BE_CONFIRMED = """
[model]
title = "A single phase whose first push asks to be confirmed"
base = "single-phase"

[[objects]]
obis = "0-7:25.9.0"
class_id = 40
version = 2
name = "Push setup: installation"
source = "Blue Book"
attributes.push_object_list.array = [
  { structure = [
    { long_unsigned = 1 }, { obis = "0-0:96.1.0" }, { integer = 2 }, { long_unsigned = 0 },
    { structure = [{ enum = 0 }, { null_data = true }] }, { array = [] },
  ] },
]
attributes.push_operation_method.enum = 2
management = { read = "all" }
"""


def shipment(path: str, *options: str) -> Result:
    return CliRunner().invoke(app, ["shipment", "--config", path, *options])


def town(port: int, **more: object) -> dict[str, Any]:
    return {"name": "town", "count": COUNT, "seed": "a town", "port": port, "model": "residential"} | more


@pytest.mark.needs("loopback-block")
@pytest.mark.parametrize(
    ("form", "addressing"),
    [
        ("json", "logical-devices"),
        ("csv", "address-each"),
        pytest.param("json", "address-each", marks=pytest.mark.ci),
        pytest.param("csv", "logical-devices", marks=pytest.mark.ci),
    ],
)
def test_meters_of_a_shipment_are_switched(tmp_path: Path, form: str, addressing: str) -> None:
    with system(tmp_path) as ami:
        file = ship_and_start(ami, form, town(free_port(), addressing=addressing))
        rows = json.loads(shipment(ami.path, "--for", "cis").stdout)["meters"]
        asked = [{"mRID": rows[index]["mrid"]} for index in (0, 17, COUNT - 1)]
        hes = Stranger(ami.hes_url)
        for code in (DISCONNECT, CONNECT):
            answer = hes.switch(code, asked)
            assert (answer.result, answer.failures) == ("OK", []), answer.reasons
        assert hes.switch(DISCONNECT, usage_points=rows[5]["usage_points"]).result == "OK"
        meters = next(one for one in ami.processes if one.name.startswith("ami_meter_sim"))
        switched = {event["meter"] for event in meters.wait_for_some("switched", 7)}
        assert switched == {rows[index]["name"] for index in (0, 5, 17, COUNT - 1)}
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.needs("loopback-block")
def test_the_head_end_takes_what_new_meters_push(tmp_path: Path) -> None:
    """Ciphered as the push association wants, for its client; the shipment file says whose key it is."""
    model = tmp_path / "confirmed.toml"
    model.write_text(ASKS_TO_BE_CONFIRMED)
    with system(tmp_path) as ami:

        def pushing_over(transport: str, first_serial: int, **more: str) -> dict[str, Any]:
            push = {"to": f"{transport}://127.0.0.1:{ami.config['hes']['dlms_port']}", "on": ["installation"]}
            meters = {"name": transport, "count": 12, "model": "single-phase", "first_serial": first_serial}
            return town(free_port(), **(meters | more), push=push)

        asking = [
            pushing_over(one, first, name=f"{one}-asks", model=str(model))
            for one, first in (("tcp", 5_000_001), ("udp", 6_000_001))
        ]
        ship(ami, "json", pushing_over("tcp", 3_000_001), pushing_over("udp", 4_000_001), *asking)
        hes = ami.start_hes()
        meters = ami.start_meters()
        rows = json.loads(shipment(ami.path, "--for", "cis").stdout)["meters"]
        for row in rows:
            hes.wait_for("notification", meter=row["name"])
        came = hes.seen("notification")
        assert {event["meter"] for event in came} == {row["name"] for row in rows}
        ways = Counter({event["meter"]: (event["transport"], event["secured"]) for event in came}.values())
        assert ways == {("tcp", True): 24, ("udp", True): 24}
        confirmed = meters.wait_for_some("push_confirmed", 24)
        assert {event["meter"] for event in confirmed} == {row["name"] for row in rows[24:]}
        said = hes.wait_for_some("notification_confirmed", 24)  # after the answer has left: a meter may be ahead of it
        assert {event["meter"] for event in said} == {row["name"] for row in rows[24:]}


@pytest.mark.needs("loopback-block")
def test_a_population_that_dials_in_is_switched_over_its_own_calls(tmp_path: Path) -> None:
    with system(tmp_path) as ami:
        called = f"127.0.0.1:{ami.config['hes']['dlms_port']}"
        ship_and_start(ami, "json", town(free_port(), count=12, model="single-phase", dial_to=called))
        assert ami.hes is not None
        assert len(ami.hes.wait_for_some("dialled_in", 12)) == 12
        rows = json.loads(shipment(ami.path, "--for", "cis").stdout)["meters"]
        hes = Stranger(ami.hes_url)
        for code in (DISCONNECT, CONNECT):
            answer = hes.switch(code, [{"mRID": row["mrid"]} for row in rows])
            assert (answer.result, answer.failures) == ("OK", []), answer.reasons


def ship_and_start(ami: System, form: str, population: dict[str, Any]) -> Path:
    file = ship(ami, form, population)
    ami.start_together()
    return file


def ship(ami: System, form: str, *populations: dict[str, Any]) -> Path:
    """The shipment with wrapped keys is all that the HES knows of the populations."""
    file = ami.directory / f"shipment.{form}"
    ami.config["populations"] = list(populations)
    ami.write()
    written = shipment(ami.path, "--format", form, "--transport-key", KEY, "--write", str(file))
    count = sum(population["count"] for population in populations)
    assert (written.exit_code, written.stderr) == (0, f"{file}: {count:,} meters\n")
    ami.config["hes"] |= {"shipments": [str(file)], "transport_key": KEY}
    return file


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--population", "village"], "there is none of this name; there are town"),
        (["--transport-key", "00"], "--transport-key: has 1 octets"),
        (["--transport-key", "env:NOT_THERE"], "--transport-key: the environment has no variable NOT_THERE"),
        (["--write", "/no/such/place"], "/no/such/place can't be written: No such file"),
    ],
)
def test_what_cannot_be_shipped_is_said_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], why: str
) -> None:
    config = configuration(tmp_path) | {"populations": [town(4061)]}
    assert main(["shipment", "--config", System(tmp_path, config).write(), *options]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert why in said.err


def test_without_a_population_there_is_nothing_to_ship(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["shipment", "--config", System(tmp_path, configuration(tmp_path)).write()]) == 2
    assert capsys.readouterr().err == "meter-sim: there is no [[populations]] to ship\n"
