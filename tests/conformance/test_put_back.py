"""A run that is killed while an attribute is written leaves it in the journal; the next run puts the value back, and says so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conformance_bench import Conformance
from patience import PATIENCE_S
from served_meter import WITH_LISTS, profile, served
from typer.testing import CliRunner
from wrong_meter import CLOCK, READ, WRITE, Wrong, line, values

from ami_cli.__main__ import app
from ami_conformance.bench import Bench, Rules
from ami_conformance.journal import Journal, only_run
from ami_conformance.plan import rows
from ami_conformance.runner import run as run_tests
from ami_dlms import data
from ami_dlms.association import Set
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.obis import Obis

MESSAGE = Obis.parse("0-0:96.13.0*255")
TEXT = AttributeDescriptor(1, MESSAGE, 2)
BEFORE = data.octet_string(b"hello")


@dataclass
class Writable(Wrong):
    """A meter that kills its client once it has taken another text, where `kills`; it may refuse to take any."""

    kills: subprocess.Popen[bytes] | None = None
    refuses: bool = False
    keeps: bool = False
    """Takes every text but the one that it had at first."""
    written: int = 0

    def carry_out(self, item: Any) -> Any:
        if isinstance(item, Set) and (self.refuses or (self.keeps and item.value == BEFORE)):
            return super().carry_out(Set(item.descriptor, self.values[item.descriptor]))
        result = super().carry_out(item)
        if isinstance(item, Set):
            self.written += 1
            if self.kills is not None and item.value != BEFORE:
                os.kill(self.kills.pid, signal.SIGKILL)
        return result


def meter() -> Writable:
    found = values(message=line(1, 0, MESSAGE, {1: READ, 2: READ | WRITE}))
    return Writable(found | {AttributeDescriptor(1, MESSAGE, 1): data.octet_string(MESSAGE), TEXT: BEFORE})


def words(port: int, journal: Path, *more: str) -> list[str]:
    return ["--host", "127.0.0.1", "--port", str(port), "--journal", str(journal), *more]


def killed(one: Writable, port: int, journal: Path) -> None:
    """A run in a process of its own, which the meter kills amid a write."""
    command = [
        sys.executable,
        "-m",
        "ami_cli",
        "conformance",
        "run",
        *words(port, journal, "--allow", "s2", "--test", "SV-13"),
    ]
    one.kills = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    assert one.kills.wait(PATIENCE_S) == -signal.SIGKILL
    one.kills = None


def test_what_a_killed_run_has_written_is_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMI_METER_COUNTERS", str(tmp_path / "counters.json"))
    one, journal = meter(), tmp_path / "kept.jsonl"
    with served(one, profile(one, client_wport=16, conformance=WITH_LISTS)) as port:
        killed(one, port, journal)
        assert one.values[TEXT] != BEFORE
        assert len(Journal(journal).open) == 1
        found = Conformance(None, tmp_path).run(*words(port, journal, "--test", "AS-22"))  # type: ignore[arg-type]
    assert one.values[TEXT] == BEFORE
    assert Journal(journal).open == ()
    assert found.code == 0
    assert "0-0:96.13.0*255" in found.json["put_back"][0]
    assert "written by SV-13" in found.out


def test_what_can_not_be_put_back_makes_the_run_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMI_METER_COUNTERS", str(tmp_path / "counters.json"))
    one, journal = meter(), tmp_path / "kept.jsonl"
    with served(one, profile(one, client_wport=16, conformance=WITH_LISTS)) as port:
        killed(one, port, journal)
        one.refuses = True
        found = Conformance(None, tmp_path).run(*words(port, journal, "--test", "AS-22"))  # type: ignore[arg-type]
    assert found.code == 1
    assert len(Journal(journal).open) == 1
    assert "0-0:96.13.0*255" in found.json["not_put_back"][0]


def test_what_this_run_can_not_put_back_makes_it_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMI_METER_COUNTERS", str(tmp_path / "counters.json"))
    one, journal = meter(), tmp_path / "kept.jsonl"
    one.keeps = True
    with served(one, profile(one, client_wport=16, conformance=WITH_LISTS)) as port:
        found = Conformance(None, tmp_path).run(*words(port, journal, "--allow", "s2", "--test", "SV-13"))  # type: ignore[arg-type]
    assert len(Journal(journal).open) == 1
    assert found.code == 1
    (said,) = found.json["not_put_back"]
    assert "0-0:96.13.0*255" in said and "the next run begins with it" in said


class InterruptedWhilePuttingBack(Bench):
    """A person has no patience."""

    def put_back(self, *left: Any, **more: Any) -> None:
        raise KeyboardInterrupt


def test_ctrl_c_while_an_earlier_run_is_put_back_says_what_is_left(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "kept.jsonl")
    journal.begin("SV-13", TEXT, BEFORE, data.octet_string(b"other"))
    bench = InterruptedWhilePuttingBack(None, Rules(), journal)  # type: ignore[arg-type]
    done = run_tests(bench, [rows()["SV-01"]], lambda what, number, of: None)
    assert (done.interrupted, done.results, len(done.stuck)) == (True, [], 1)


SHOWN = AttributeDescriptor(8, CLOCK, 2)


def with_clock() -> Writable:
    """A meter whose clock may be set, to anything, and stands still."""
    return Writable(values(clock=line(8, 0, CLOCK, {1: READ, 2: READ | WRITE})))


def test_a_clock_that_a_test_has_spoiled_is_set_right_though_the_test_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMI_METER_COUNTERS", str(tmp_path / "counters.json"))
    one, journal = with_clock(), tmp_path / "kept.jsonl"
    with served(one, profile(one, client_wport=16, conformance=WITH_LISTS)) as port:
        allowed = "--allow", "s3", "--agreed", "--test", "C8-05"
        found = Conformance(None, tmp_path).run(*words(port, journal, *allowed))  # type: ignore[arg-type]
    assert "month 13 is taken with success" in found.failed["C8-05"][0]
    shown = CosemDateTime.decode(one.values[SHOWN].value)
    assert (shown.year, shown.month, shown.day, shown.hour) == (2026, 6, 1, 12)
    assert found.json["not_put_back"] == [] and Journal(journal).open == ()


def test_a_clock_that_a_killed_run_has_moved_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMI_METER_COUNTERS", str(tmp_path / "counters.json"))
    one, journal = with_clock(), tmp_path / "kept.jsonl"
    before = one.values[SHOWN]
    Journal(journal).begin("C8-02", SHOWN, before, before, at=time.time() - 3600)
    with served(one, profile(one, client_wport=16, conformance=WITH_LISTS)) as port:
        found = Conformance(None, tmp_path).run(*words(port, journal, "--test", "AS-22"))  # type: ignore[arg-type]
    assert found.code == 0 and "written by C8-02" in found.json["put_back"][0]
    shown = CosemDateTime.decode(one.values[SHOWN].value)
    assert (shown.day, shown.hour) == (1, 13)
    assert Journal(journal).open == ()


def test_the_journal_of_another_meter_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMI_METER_COUNTERS", str(tmp_path / "counters.json"))
    one, journal = meter(), tmp_path / "kept.jsonl"
    Journal(journal, "ANOTHER").begin("SV-13", TEXT, BEFORE, data.octet_string(b"other"))
    with served(one, profile(one, client_wport=16, conformance=WITH_LISTS)) as port:
        found = Conformance(None, tmp_path).run(*words(port, journal, "--test", "AS-22"))  # type: ignore[arg-type]
    assert found.code == 2 and "journal of the meter ANOTHER" in found.out
    assert one.written == 0


def test_what_moves_by_itself_is_not_written_and_a_write_of_what_was_there_is_closed(conformance: Conformance) -> None:
    """The last counter that a meter has accepted moves with each request."""
    kept = conformance.directory / "residential.jsonl"
    counter = AttributeDescriptor(1, Obis.parse("0-0:43.1.0*255"), 2)
    Journal(kept).begin("AR-02", counter, data.double_long_unsigned(1), data.double_long_unsigned(1))
    found = conformance.on("residential", "--allow", "s2", "--test", "AR-02")
    assert found.verdicts == {"AR-02": "pass"} and found.code == 0
    assert "has moved by itself" in found.json["put_back"][0]
    assert f"SET {counter}" not in {one["what"] for one in found.of("AR-02")["exchanges"]}
    assert Journal(kept).open == ()
    assert conformance.on("residential", "--test", "AS-22").code == 0


def test_a_good_run_writes_and_puts_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMI_METER_COUNTERS", str(tmp_path / "counters.json"))
    one, journal = meter(), tmp_path / "kept.jsonl"
    with served(one, profile(one, client_wport=16, conformance=WITH_LISTS)) as port:
        run = Conformance(None, tmp_path).run  # type: ignore[arg-type]
        dry = run(*words(port, journal, "--allow", "s2", "--test", "SV-13", "--dry-run"))
        assert one.written == 0 and not journal.exists()
        assert "SET class 1 0-0:96.13.0*255 attribute 2" in dry.out
        page = tmp_path / "page.html"
        found = run(*words(port, journal, "--allow", "s2", "--test", "SV-13", "--html", str(page)))
    assert found.verdicts == {"SV-13": "pass"}
    assert one.written >= 3
    assert one.values[TEXT] == BEFORE
    assert Journal(journal).open == ()
    text = page.read_text()
    assert "set-request" in text.lower() and "IEC 62056-5-3, 7.4 (SET)" in text


def test_what_can_not_end_well_does_not_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports that can't be written, and a meter that another run is at work with: told before a test is made."""
    monkeypatch.setenv("AMI_METER_COUNTERS", str(tmp_path / "counters.json"))
    one, journal, page = meter(), tmp_path / "kept.jsonl", tmp_path / "page.html"

    def refused(*more: str) -> str:
        result = CliRunner().invoke(app, ["conformance", "run", *words(port, journal, "--test", "AS-22", *more)])
        assert result.exit_code == 2
        assert not page.exists()
        return result.output

    with served(one, profile(one, client_wport=16, conformance=WITH_LISTS)) as port:
        nowhere = refused("--html", str(page), "--json", str(tmp_path / "nowhere" / "all.json"))
        assert "there is no folder" in nowhere
        assert "a folder, or not allowed" in refused("--html", str(page), "--markdown", str(tmp_path))
        page.with_suffix(".json").write_bytes(b" " * 101)
        with monkeypatch.context() as change:
            change.setattr("ami_cli.conformance.cli.MOST_OCTETS", 100)
            assert "has more than 100 octets" in refused("--compare", str(page.with_suffix(".json")))
        with only_run(journal):
            assert "another run is at work with this meter" in refused("--html", str(page))


def test_a_group_that_there_is_not_is_refused_in_words() -> None:
    result = CliRunner().invoke(app, ["conformance", "list", "--group", "Asociation"])
    assert result.exit_code == 2
    assert "Asociation is none of HDLC" in result.output
