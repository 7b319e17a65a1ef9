"""`cis read` on its whole way: the CIS, the HES and three-phase meters in processes, and what comes is what the simulator says of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from asked_meters import EXPORT, IMPORT, NOT_IN_METER, QUARTERS, VOLTAGE, Simulator, running
from harness import System

from ami_cis.__main__ import main
from ami_hes.__main__ import main as hes


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with running(tmp_path_factory.mktemp("cis_read")) as one:
        one.config["cis"] |= {"time_zone": "Europe/Berlin"}
        one.start_cis("--no-loop").wait_for("ready")
        yield one


@pytest.fixture
def simulator(whole: System) -> Iterator[Simulator]:
    one = Simulator(whole)
    yield one
    one.close()


def read(whole: System, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    capsys.readouterr()
    code = main(["read", "--url", f"http://127.0.0.1:{whole.config['cis']['port']}", *arguments])
    return code, capsys.readouterr().out


def compared(simulator: Simulator, found: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """Each value equals what the simulator says; which they are."""
    for one in found:
        assert Decimal(one["value"]) == simulator.value(one["meter"], one["reading_type"])
        assert one["at"] == "2026-03-30T06:00:00+02:00"
    return {(one["meter"], one["reading_type"]) for one in found}


@pytest.mark.parametrize("late", [(), ("--asynchronous",)], ids=["at once", "late"])
def test_registers_of_two_meters(
    whole: System, simulator: Simulator, capsys: pytest.CaptureFixture[str], late: tuple[str, ...]
) -> None:
    first, second = (meter["name"] for meter in whole.config["meters"][:2])
    order = ("--meter", first, "--meter", second, "--type", "import", "--type", EXPORT, "--type", "1-0:32.7.0")
    code, out = read(whole, capsys, *order, "--json", *late)
    assert code == 0
    wanted = {(meter, one) for meter in (first, second) for one in (IMPORT, EXPORT, VOLTAGE)}
    assert compared(simulator, json.loads(out)["readings"]) == wanted
    kept = json.loads(read(whole, capsys, "--kept", "--json")[1])["readings"]
    assert wanted <= compared(simulator, [one for one in kept if one["reading_type"] != QUARTERS])


def test_three_of_four_values_and_why_not_the_fourth(
    whole: System, simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    meter = whole.config["meters"][2]["name"]
    types = [word for one in (IMPORT, VOLTAGE, NOT_IN_METER, EXPORT) for word in ("--type", one)]
    code, out = read(whole, capsys, "--meter", meter, *types, "--json")
    document = json.loads(out)
    assert (code, document["result"]) == (1, "PARTIAL")
    assert compared(simulator, document["readings"]) == {(meter, one) for one in (IMPORT, VOLTAGE, EXPORT)}
    assert [(one["meter"], one["code"]) for one in document["errors"]] == [(meter, "5.6")]


def test_the_head_end_reads_for_its_operator(
    whole: System, simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """`hes read`, over the same way as a request of the CIS."""
    meter = whole.config["meters"][1]["name"]
    capsys.readouterr()
    order = ["read", meter, "--type", "1-0:2.8.0", "--type", VOLTAGE, "--json"]
    order += ["--url", str(whole.hes_url), "--token-file", str(whole.directory / "hes.tokens")]
    assert hes(order) == 0
    answer = json.loads(capsys.readouterr().out)
    in_kwh = EXPORT.replace(".0.72.", ".3.72.")  # what an OBIS code of the table means at the CIS, too
    assert {one["reading_type"] for one in answer["readings"]} == {in_kwh, VOLTAGE} and answer["errors"] == []
    for one in answer["readings"]:
        assert Decimal(one["value"]) == simulator.value(meter, one["reading_type"])
    assert hes([*order, "--type", NOT_IN_METER]) == 1
    assert [(one["meter"], one["code"]) for one in json.loads(capsys.readouterr().out)["errors"]] == [(meter, "5.6")]


def test_the_day_of_23_hours_has_92_bars(
    whole: System, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "118")
    meter = whole.config["meters"][0]["name"]
    order = ("--meter", meter, "--type", "load-profile-register", "--from", "2026-03-29", "--to", "2026-03-30")
    code, out = read(whole, capsys, *order, "--plot")
    assert code == 0
    assert "from 2026-03-29T00:00:00+01:00 to 2026-03-30T00:00:00+02:00" in out
    head, hours, line = out.splitlines()[-3:]
    assert head.startswith(f"{meter} load-profile-register: 92 values, ") and "missing" not in head
    assert line.startswith("2026-03-29 00:00  ") and len(line) == 18 + 92
    assert hours.split() == [f"{hour:02}" for hour in range(24) if hour != 2]
    kept = json.loads(read(whole, capsys, "--kept", "--json", "--type", QUARTERS)[1])["readings"]
    assert [kept[0]["at"], kept[-1]["at"], len(kept)] == ["2026-03-29T00:15:00+01:00", "2026-03-30T00:00:00+02:00", 92]


@pytest.mark.ci
def test_an_answer_in_parts_is_one_to_who_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All that three meters have is more than one message of this head-end may have; each part is about one meter."""
    with running(tmp_path) as one:
        assert one.hes is not None
        one.hes.stop()
        one.config["hes"]["max_answer_octets"] = 10_000
        one.start_hes()
        one.start_cis("--no-loop").wait_for("ready")
        simulator, names = Simulator(one), [meter["name"] for meter in one.config["meters"]]
        order = [word for name in names for word in ("--meter", name)]
        code, out = read(one, capsys, *order, "--json", "--asynchronous")
        assert code == 0, out
        found = json.loads(out)["readings"]
        assert {reading["meter"] for reading in found} == set(names)
        assert len(found) > 150
        simulator.close()
