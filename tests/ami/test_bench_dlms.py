"""`ami bench-dlms` measures what it says, with foreign stacks or without; no figure of it is judged here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ami_cli.bench_dlms import in_memory, round_trips, samples
from ami_cli.bench_dlms.cli import app
from ami_cli.bench_dlms.ends import BenchMeter, DlmsBenchError, Echo, EchoAsking, ReadingClient
from ami_cli.bench_dlms.figures import COMPARED, Figures, Ratio
from ami_cli.bench_dlms.peers import installed
from ami_cli.bench_dlms.round_trips import Contender, RoundTrips
from ami_cli.bench_dlms.socket_drivers import Counted
from ami_dlms.association import GetResult


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_memory, "BATCH_S", 0.0001)
    monkeypatch.setattr(in_memory, "BATCHES", 3)
    monkeypatch.setattr(round_trips, "CONNECTIONS", 3)


@pytest.mark.ci
@pytest.mark.usefixtures("short")
def test_one_run_as_json_and_as_a_page(tmp_path: Path) -> None:
    page = tmp_path / "bench-dlms.md"
    options = ["--runs", "1", "--seconds", "0.3", "--root", str(tmp_path), "--json", "--write", str(page)]
    done = CliRunner().invoke(app, options)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert [(one["contender"], one["driver"]) for one in found["round_trips"]] == [
        ("echo", "asyncio"),
        ("dlms", "asyncio"),
        ("echo", "selectors"),
        ("dlms", "selectors"),
    ]
    assert all(one["runs"] and min(one["runs"]) > 0 for one in found["round_trips"])
    names = [ratio["name"] for ratio in found["ratios"]]
    assert "round trips over asyncio / asyncio echo" in names
    assert "unprotect 13 octets / bare decrypt, tag of 12 octets" in names
    assert not any("gurux" in name or "dlms-cosem" in name for name in names)
    for name in names:
        assert f"| {name} |" in page.read_text("utf-8")


def test_a_ratio_knows_on_which_side_it_should_be() -> None:
    assert Ratio("faster", 4.0, 4.0).reached
    assert not Ratio("faster", 3.99, 4.0).reached
    assert Ratio("slower", 2.5, 2.5, at_least=False).reached
    assert not Ratio("slower", 2.51, 2.5, at_least=False).reached


def test_a_foreign_stack_is_compared_where_it_was_measured() -> None:
    counted = {"echo": 100, "dlms": 60, "dlms-cosem": 20}
    runs = tuple(
        RoundTrips(Contender(name, driver, "meter", 1), (Counted(rate, 1.0, 0.5),))
        for driver in ("asyncio", "selectors")
        for name, rate in counted.items()
    )
    decoding = {"generic": 2.0, "columnar": 1.0, "dlms-cosem": 10.0}
    protecting = {name: {13: 1.0, 3000: 1.0} for pair in COMPARED for name in pair}
    found = Figures(runs, decoding, protecting, in_memory.Sessions(0.001, 0.002), in_memory.Allocations(1.0, 0.0))
    values = {one.name: one.value for one in found.ratios()}
    assert values["round trips over asyncio / asyncio echo"] == 0.6
    assert values["round trips over selectors / dlms-cosem over selectors"] == 3.0
    assert values["CPU of the asking end over asyncio: dlms-cosem / dlms"] == pytest.approx(3.0)
    assert values["dlms-cosem / profile decode, generic"] == 5.0
    assert values["sessions/s of the server on one core"] == 500.0


def test_a_wrong_answer_is_no_round_trip() -> None:
    client, server = ReadingClient(1), BenchMeter(1)
    octets = client.first()
    for _ in range(2):
        octets = client.receive(server.receive(octets))
    assert client.answered == 0
    client.expected = GetResult(None, samples.SUCCESS)
    with pytest.raises(DlmsBenchError, match="a wrong answer"):
        client.receive(server.receive(octets))


def test_an_echo_asks_as_long_as_a_reading() -> None:
    client, server = ReadingClient(1), BenchMeter(1)
    octets = client.first()
    for _ in range(3):
        answer = server.receive(octets)
        octets = client.receive(answer)
    assert len(octets) == len(EchoAsking.request)
    assert len(answer) == len(Echo.answer)


def test_nothing_is_installed_in_an_empty_place(tmp_path: Path) -> None:
    assert installed(tmp_path) == {}
