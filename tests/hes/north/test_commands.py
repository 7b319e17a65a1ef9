"""The sub-commands of `hes` that ask a running HES: what they print, and what their exit codes say."""

from __future__ import annotations

import asyncio
import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from north_bench import DISCONNECT, North, StandIn, control, entries, mrid, north, request

from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.cosem.quantity import ScalerUnit
from ami_dlms.obis import Obis
from ami_hes.__main__ import main
from ami_hes.commands import Outcome
from ami_hes.meters.known_scalers import KnownScalers
from ami_hes.meters.registry import Registry
from ami_hes.store import Database, SqlScalerUnits
from ami_process.environment import Environment
from ami_process.shipment_files import read_placed_rows

SECRET = "5A3C" * 8


async def hes(running: North, *arguments: str) -> int:
    """The exit code of the command."""
    return await asyncio.to_thread(main, [*arguments, "--url", running.url])


def a_row(number: int, **changes: Any) -> dict[str, Any]:
    keys = {"authentication": "hls-gmac", "encryption_key": SECRET, "authentication_key": SECRET}
    row = entries(number)[-1] | keys | {"system_title": f"414D4900000000{number:02X}", "feeder": f"F{number % 2}"}
    return row | changes


def as_csv(path: Path, *rows: dict[str, Any]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, dict.fromkeys(name for row in rows for name in row))
        writer.writeheader()
        for row in rows:
            writer.writerow({name: ";".join(one) if isinstance(one, list) else one for name, one in row.items()})
    return path


async def test_a_csv_is_imported_with_a_line_for_each_refused_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = as_csv(tmp_path / "a.csv", a_row(7), a_row(8, suite=9), a_row(9, name="M7"), a_row(10))
    async with north(tmp_path) as running:
        assert await hes(running, "meters", "import", str(file), "--check") == 1
        assert capsys.readouterr().out.splitlines()[-1] == (
            "nothing is kept; it would be: 2 accepted, 0 changed, 0 unchanged, 2 refused"
        )
        assert await hes(running, "meters", "import", str(file)) == 1
        assert capsys.readouterr().out.splitlines() == [
            f"{file}, line 3: refused: (M8), suite: a whole number from 0 to 2 was expected",
            f"{file}, line 4: refused: (M7), name: M7 already belongs to a meter with another mRID",
            "2 accepted, 0 changed, 0 unchanged, 2 refused",
        ]
        good = as_csv(tmp_path / "b.csv", a_row(7, device_id="new"), a_row(10))
        assert await hes(running, "meters", "import", str(good), "--verbose") == 0
        assert capsys.readouterr().out.splitlines() == [
            f"{good}, line 2: changed: M7",
            f"{good}, line 3: unchanged: M10",
            "0 accepted, 1 changed, 1 unchanged, 0 refused",
        ]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.toml", "meters = [{name = 'M7'}, 1]", "[[meters]] was expected"),
        ("a.toml", f"[[meters]]\nsuite = {'9' * 5000}", "not TOML"),
        ("a.toml", f"meters = {'[' * 5000}", "not TOML"),
        ("a.json", '{"format": 1, "meters": [{"name": "M\\ud800"}]}', "meter 1 has half of a character"),
        ("a.json", f'{{"format": 1, "meters": {"[" * 500_000}', "not JSON"),
    ],
)
async def test_a_file_that_is_none_ends_with_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str, words: str
) -> None:
    (tmp_path / name).write_text(text)
    async with north(tmp_path) as running:
        assert await hes(running, "meters", "import", str(tmp_path / name)) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert words in said and said.endswith("nothing was imported")


async def test_json_and_toml_are_imported_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shipment, configuration = tmp_path / "a.json", tmp_path / "ami.toml"
    shipment.write_text(json.dumps({"format": 1, "meters": [a_row(7)]}))
    entry = {name: value for name, value in a_row(8).items() if name != "feeder"}
    configuration.write_text(tomli_w.dumps({"hes": {}, "meters": [entry | {"simulated": {"model": "residential"}}]}))
    async with north(tmp_path) as running:
        for file, place in ((shipment, "meter 1"), (configuration, "[[meters]] entry 1")):
            assert await hes(running, "meters", "import", str(file), "--json") == 0
            (row,) = json.loads(capsys.readouterr().out)["rows"]
            assert (row["place"], row["outcome"]) == (place, "accepted")


async def test_more_rows_than_one_request_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = dict.fromkeys(("device_id", "tag_a", "tag_b", "tag_c"), "7" * 225)
    file = as_csv(tmp_path / "a.csv", *(a_row(number, **long) for number in range(7, 207)))
    async with north(tmp_path) as running:
        assert await hes(running, "meters", "import", str(file)) == 0
        assert capsys.readouterr().out == "200 accepted, 0 changed, 0 unchanged, 0 refused\n"


async def test_meters_are_listed_shown_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = as_csv(tmp_path / "a.csv", a_row(7), a_row(8))
    async with north(tmp_path) as running:
        await hes(running, "meters", "import", str(file))
        capsys.readouterr()
        assert await hes(running, "meters", "list", "--group", "feeder=F1") == 0
        listed = capsys.readouterr().out.splitlines()
        assert listed[0].split() == ["name", "mRID", "address", "state", "from", "groups"]
        assert listed[1].split() == ["M7", mrid(7), "127.0.0.1:7", "new", "import", "feeder=F1"]
        assert listed[2] == "1 of 1"
        assert await hes(running, "meters", "list", "--limit", "1") == 0
        assert capsys.readouterr().out.splitlines()[-1] == "1 of 5; more with --after M1"
        assert await hes(running, "meters", "show", "M7") == 0
        shown = capsys.readouterr().out
        lines = [line.split() for line in shown.splitlines()]
        assert lines[0] == ["field", "value", "from"] and ["encryption_key", "(sealed)", "import"] in lines
        for line in (["name", "M7", "import"], ["client_wport", "1", "default"], ["public_client", "true", "default"]):
            assert line in lines
        assert ["disconnect_object", "0-0:96.3.10*255", "default"] in lines
        assert SECRET.lower() not in shown.lower()
        assert await hes(running, "meters", "groups") == 0
        assert [line.split() for line in capsys.readouterr().out.splitlines()[1:]] == [
            ["feeder=F0", "1"],
            ["feeder=F1", "1"],
        ]


async def test_an_imported_meter_is_taken_out_and_a_configured_one_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = as_csv(tmp_path / "a.csv", a_row(7))
    async with north(tmp_path) as running:
        await hes(running, "meters", "import", str(file))
        capsys.readouterr()
        assert await hes(running, "meters", "remove", mrid(7)) == 0
        assert capsys.readouterr().out == f"M7 ({mrid(7)}) is not in the registry any more\n"
        reply = (await running.ask(request(control(DISCONNECT, "M7")))).reply
        assert reply is not None and [error.code for error in reply.errors] == ["2.4"]
        assert await hes(running, "meters", "remove", "M7") == 2
        assert await hes(running, "meters", "remove", "M1") == 2
        assert "M1 is a meter of [[meters]]: take it out there" in capsys.readouterr().err
        assert await hes(running, "meters", "import", str(file)) == 0
    async with north(tmp_path) as running:
        assert await hes(running, "meters", "show", "M7") == 0
        assert await hes(running, "meters", "remove", "M7") == 0
    async with north(tmp_path) as running:
        assert await hes(running, "meters", "show", "M7") == 2


async def test_a_sub_meter_is_imported_listed_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "gas.csv"
    rows = [f"G1,{mrid(9)},M1,1,00345678,ELS,F12", f"G2,{mrid(10)},M1,1,00345679,ELS,F12"]
    file.write_text("\n".join(["name,mrid,behind,channel,identification,manufacturer,feeder", *rows, ""]))
    async with north(tmp_path) as running:
        assert await hes(running, "meters", "import", str(file)) == 1
        assert "channel 1 of M1 already belongs to G1" in "".join(capsys.readouterr()).replace("\n", " ")
        assert await hes(running, "meters", "list", "--group", "feeder=F12", "--json") == 0
        (listed,) = json.loads(capsys.readouterr().out)["meters"]
        assert (listed["name"], listed["address"]) == ("G1", "channel 1 of M1")
        assert await hes(running, "meters", "show", "G1", "--json") == 0
        shown = json.loads(capsys.readouterr().out)
        assert shown["entry"]["identification"] == "00345678" and "client_wport" not in shown["defaults"]
        assert await hes(running, "meters", "forget-scalers", "G1") == 2
        assert "have those of M1 forgotten" in capsys.readouterr().err
        reply = (await running.ask(request(control(DISCONNECT, "G1")))).reply
        assert reply is not None and [error.code for error in reply.errors] == ["5.2"]
    async with north(tmp_path) as running:
        assert await hes(running, "meters", "show", mrid(9)) == 0, "it is kept"


async def test_the_scalers_of_a_meter_are_forgotten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = {AttributeDescriptor(3, Obis.parse("1-0:1.8.0*255"), 3): ScalerUnit(3, 30).encode()}
    other = dict.fromkeys(given, ScalerUnit(0, 30).encode())
    async with Database(tmp_path / "hes.sqlite") as database:
        known = KnownScalers(SqlScalerUnits(database), Environment(emit=lambda _: None))
        for one in Registry(entries(2)).meters:
            await known.differing(one, given)
    async with north(tmp_path) as running:
        assert await hes(running, "meters", "forget-scalers", mrid(1).upper()) == 0
        assert capsys.readouterr().out == "M1: 1 scalers are forgotten\n"
        assert await hes(running, "meters", "forget-scalers", "M1", "--json") == 0
        assert json.loads(capsys.readouterr().out) == {"name": "M1", "scaler_units": 0}
        assert await hes(running, "meters", "forget-scalers", "M9") == 2
        assert capsys.readouterr().err == "hes: there is no meter with the name or mRID M9\n"
    async with Database(tmp_path / "hes.sqlite") as database:
        known = KnownScalers(SqlScalerUnits(database), Environment(emit=lambda _: None))
        await known.load()
        differing = {one.name: await known.differing(one, other) for one in Registry(entries(2)).meters}
        assert differing == {"M1": set(), "M2": set(given)}


async def test_requests_and_jobs_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stand_in = StandIn(outcomes={"M2": Outcome(False, "5.4", "FATAL", "it does [not] answer")})
    async with north(tmp_path, stand_in) as running:
        await running.ask(request(control(DISCONNECT, "M1", "M2"), message_id="a/b"))
        assert await hes(running, "requests", "list") == 0
        assert capsys.readouterr().out.splitlines()[1].split()[1:] == (
            ["a/b", "create", "EndDeviceControls", "CIS", "2", "2", "1", "PARTIAL"]
        )
        assert await hes(running, "requests", "show", "a/b") == 0
        shown = capsys.readouterr().out.splitlines()
        assert shown[0] == "create EndDeviceControls from CIS, MessageID a/b"
        assert shown[-1].split()[:5] == ["M2", "disconnect_control", "control", "failed", "5.4"]
        assert shown[-1].endswith("it does [not] answer")
        assert await hes(running, "requests", "show", "a/b", "--json") == 0
        assert json.loads(capsys.readouterr().out)["request"]["result"] == "PARTIAL"
        assert await hes(running, "jobs") == 0
        assert "dead letters" in capsys.readouterr().out


async def test_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tokens = tmp_path / "tokens"
    file = as_csv(tmp_path / "a.csv", a_row(7))
    async with north(tmp_path, token_file=tokens) as running:
        assert await hes(running, "jobs") == 2
        assert "a bearer token" in capsys.readouterr().err
        assert await hes(running, "jobs", "--token-file", str(tokens)) == 0
        assert await hes(running, "meters", "show", "M99", "--token-file", str(tokens)) == 2
        assert "no meter with the name or mRID M99" in capsys.readouterr().err
        assert await hes(running, "meters", "import", str(tmp_path / "none.csv")) == 2
        assert "nothing was imported" in capsys.readouterr().err
        assert await hes(running, "meters", "import", str(file)) == 1
        assert "nothing was imported" in capsys.readouterr().err
    assert await hes(running, "meters", "import", str(file)) == 3
    assert "cannot be reached" in capsys.readouterr().err


def test_the_place_of_a_row_is_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('name,note\nM1,"two\nlines"\nM2,one\n')
    assert [place for place, _ in read_placed_rows(tmp_path / "a.csv")] == ["line 3", "line 4"]


@pytest.mark.parametrize("variable", [False, True])
def test_the_master_key_is_changed_while_the_process_does_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, variable: bool
) -> None:
    one, other = "11" * 32, "22" * 32
    config = tmp_path / "ami.toml"
    hes: dict[str, Any] = {"port": 0, "dlms_port": 0, "store": str(tmp_path / "hes.sqlite")}
    hes |= {"master_key": "env:THE_KEY"} if variable else {}
    config.write_text(tomli_w.dumps({"hes": hes}))
    monkeypatch.setenv("THE_KEY", one)
    file = as_csv(tmp_path / "a.csv", a_row(7))

    async def live(directory: Path) -> list[str]:
        async with north(directory, **hes) as running:
            await asyncio.to_thread(main, ["meters", "import", str(file), "--url", running.url])
            return [str(running.url)]

    asyncio.run(live(tmp_path))
    monkeypatch.setenv("THE_KEY", f"{other} {one}")
    capsys.readouterr()
    assert main(["store", "rotate-keys", "--config", str(config)]) == 0
    assert capsys.readouterr().out.startswith("2 keys of meters are sealed by the master key ")
    monkeypatch.setenv("THE_KEY", other)
    asyncio.run(live(tmp_path))
    assert capsys.readouterr().out == "0 accepted, 0 changed, 1 unchanged, 0 refused\n"
    if variable:
        monkeypatch.setenv("THE_KEY", one)
        assert main(["store", "rotate-keys", "--config", str(config)]) == 2
        refused = capsys.readouterr().err
        assert refused.startswith("hes: hes.master_key: ") and one not in refused and other not in refused


def test_a_process_with_another_master_key_does_not_start(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    config, store = tmp_path / "ami.toml", tmp_path / "hes.sqlite"
    hes: dict[str, Any] = {"port": 0, "dlms_port": 0, "store": str(store)}
    meter = {name: value for name, value in a_row(7).items() if name != "feeder"}
    config.write_text(tomli_w.dumps({"hes": hes, "meters": [meter]}))

    async def live() -> None:
        async with north(tmp_path, registry=[meter], **hes):
            pass

    asyncio.run(live())
    file = tmp_path / "hes.master-key"
    assert file.stat().st_mode & 0o777 == 0o600
    for other in ("33" * 32, None):
        file.unlink()
        if other is not None:
            file.write_text(other)
            file.chmod(0o600)
        assert main(["serve", "--config", str(config)]) == 2
        refused = capfd.readouterr().err
        assert refused.startswith("hes: hes.master_key: the keys of meters in the store are sealed by the master key ")
        assert f"the file {file} does not hold it" in refused and SECRET.lower() not in refused.lower()
        assert file.exists() == (other is not None), "no new key is made for keys that are sealed already"


async def test_schedules_are_ordered_listed_shown_and_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quarters = "0.0.2.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"
    order = ("--type", "load-profile-register", "--zone", "Europe/Berlin", "--meter", "M1", "--meter", mrid(2))
    async with north(tmp_path, time_zone="Europe/Berlin") as running:
        assert await hes(running, "schedules", "list") == 0
        assert capsys.readouterr().out == "There are no schedules.\n"
        assert await hes(running, "schedules", "put", "each day", *order, "--at", "01:15") == 0
        assert re.fullmatch(r"each day is due at \S+T01:15:00\+0[12]:00\n", capsys.readouterr().out)
        assert await hes(running, "schedules", "put", "each/hour", *order, "--every", "hour", "--paused") == 0
        assert capsys.readouterr().out == "each/hour is paused\n"
        assert await hes(running, "schedules", "list") == 0
        _, daily, hourly = (line.split() for line in capsys.readouterr().out.splitlines())
        assert daily[:7] == ["each", "day", "day", "01:15", "Europe/Berlin", "2", "named"]
        assert hourly[:7] == ["each/hour", "hour", "00:30", "Europe/Berlin", "2", "named", "paused"]
        assert await hes(running, "schedules", "show", "each/hour") == 0
        assert capsys.readouterr().out.splitlines() == [
            "each/hour: load-profile-register",
            "every hour at 00:30, Europe/Berlin; paused",
            "There are no runs yet.",
        ]
        assert await hes(running, "schedules", "show", "each/hour", "--json") == 0
        shown = json.loads(capsys.readouterr().out)
        assert (shown["mrids"], shown["reading_types"]) == ([mrid(1), mrid(2)], [quarters])
        for name, changes, reason in (
            ("x", ("--zone", "Europe/Atlantis"), "is no IANA time zone"),
            ("x", ("--meter", "M9"), "there is no meter with the name or mRID M9"),
            ("x", ("--at", "25:00"), "--at: a time of day as 00:30 was expected"),
            ("x", ("--type", "quarters"), "--type: 'quarters' is no ReadingType"),
        ):
            assert await hes(running, "schedules", "put", name, *order, *changes) == 2
            (refused,) = capsys.readouterr().err.splitlines()
            assert reason in refused
        of_a_feeder = ("--type", "daily", "--zone", "UTC", "--group", "feeder=F12")
        assert await hes(running, "schedules", "put", "later", *of_a_feeder) == 0
        assert "No meter has feeder=F12 at the moment" in capsys.readouterr().out, "it may have some when it is due"
        assert await hes(running, "schedules", "list") == 0
        assert "feeder=F12 (0)" in capsys.readouterr().out
        assert await hes(running, "schedules", "remove", "each/hour") == 0
        assert await hes(running, "schedules", "remove", "each/hour") == 2
        assert await hes(running, "schedules", "show", "each/hour") == 2
