"""`ami bench-scale` measures real stores; no figure of it is judged here, and its page keeps the sections that were not measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from nats_server import Broker
from postgresql_server import Cluster
from typer.testing import CliRunner

from ami_cli.__main__ import app
from ami_cli.bench_scale import report
from ami_cli.bench_scale.found import Found, Section, Table


@pytest.mark.ci
@pytest.mark.needs("postgresql")
def test_readings_have_figures_of_both_stores_and_leave_nothing(postgresql: Cluster, tmp_path: Path) -> None:
    page, store = tmp_path / "bench-scale.md", postgresql.url("public").partition("&options=")[0]
    words = ["bench-scale", "--only", "readings", "--store", store, "--small", "--runs", "1", "--json"]
    done = CliRunner().invoke(app, [*words, "--write", str(page)])
    assert done.exit_code == 0, done.output
    (table,) = json.loads(done.stdout)["sections"]["readings"]["tables"]
    kinds = ["days", "registers", "days again"]
    assert [row[:2] for row in table["rows"]] == [[store, kind] for store in ("SQLite", "PostgreSQL") for kind in kinds]
    assert all(min(row[2:]) > 0 for row in table["rows"])
    assert "## Readings into the store" in page.read_text("utf-8")
    assert postgresql.run("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'ami_bench%'") == []


@pytest.mark.ci
@pytest.mark.needs("postgresql")
@pytest.mark.needs("nats")
def test_workers_have_figures_beside_one_process_and_leave_nothing(postgresql: Cluster, nats: Broker) -> None:
    store = postgresql.url("public").partition("&options=")[0]
    words = ["--only", "workers", "--store", store, "--engine", nats.server, "--small", "--runs", "1", "--json"]
    done = CliRunner().invoke(app, ["bench-scale", *words])
    assert done.exit_code == 0, done.output
    rates, deaths, urgent = json.loads(done.stdout)["sections"]["workers"]["tables"]
    assert [row[1] for row in rates["rows"]] == [row[1] for row in urgent["rows"]] == ["one process", "2 workers"]
    (death,) = deaths["rows"]
    assert min(row[3] for row in rates["rows"]) > 0 and death[3] >= death[4] > 0
    assert postgresql.run("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'ami_bench%'") == []


@pytest.mark.ci
@pytest.mark.needs("postgresql")
@pytest.mark.needs("nats")
def test_meters_that_dial_in_have_figures_of_two_listeners(postgresql: Cluster, nats: Broker) -> None:
    store = postgresql.url("public").partition("&options=")[0]
    words = ["bench-scale", "--only", "dialled-in", "--store", store, "--engine", nats.server, "--small", "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    memory, times = json.loads(done.stdout)["sections"]["dialled-in"]["tables"]
    assert [row[0] for row in memory["rows"]] == ["front end", "listener 1", "listener 2"]
    assert all(row[2] > 0 for row in times["rows"])


@pytest.mark.ci
@pytest.mark.needs("postgresql", "proc")
def test_a_registry_has_figures_with_both_stores(postgresql: Cluster) -> None:
    store = postgresql.url("public").partition("&options=")[0]
    done = CliRunner().invoke(app, ["bench-scale", "--only", "registry", "--store", store, "--small", "--json"])
    assert done.exit_code == 0, done.output
    (table,) = json.loads(done.stdout)["sections"]["registry"]["tables"]
    assert [row[:2] for row in table["rows"]] == [["SQLite", 200], ["PostgreSQL", 200]]
    assert all(min(row[2:]) > 0 for row in table["rows"])


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--only", "readings"], "needs --store"), (["--only", "nothing"], "there is no section nothing")],
)
def test_what_cannot_be_measured_is_said_before_anything_is(words: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["bench-scale", *words])
    assert done.exit_code == 2 and said in done.output


def test_a_page_keeps_the_sections_that_were_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object) -> Found:
        raise AssertionError

    monkeypatch.setattr(report, "SECTIONS", {"a": Section("A", never), "b": Section("B", never)})
    first = Found("How.", (Table(("what", "values", "ratio"), (("days", 1_000, 0.5),)),), ("PostgreSQL 15",))
    page = report.markdown({"b": first}, "a machine")
    assert (
        "on: a machine. PostgreSQL 15.\n\n| what | values | ratio |\n|---|--:|--:|\n| days | 1,000 | 0.50 |\n" in page
    )
    both = report.markdown({"a": Found("Other.", ())}, "another machine", page)
    assert both.index("## A\n\nOther.") < both.index("## B\n\nHow.") and "on: a machine." in both
    assert report.markdown({}, "", both) == both
