"""`ami pack`: what is listed, compared, laid beside a meter and made of a scan; `--pack` in `ami meter` names objects and events."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ami_cli.meter.pack_names import names_of
from ami_cli.packs.cli import app
from ami_dlms.obis import Obis
from ami_packs.pack_folders import Packs, shipped_folder

ROOT = Path(__file__).parents[2]
SCAN = ROOT / "docs/samples/two-objects.toml"


def said(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


def test_packs_are_listed_shown_and_compared() -> None:
    assert "is15959" in said("list") and "uni-ts-11291" in said("list")
    assert "level: meter" in said("show", "dsmr-smr5.2") and "extends: dsmr-smr5.1" in said("show", "dsmr-smr5.2")
    assert "251" in said("show", "is15959", "--rows", "events")
    found = said("diff", "dsmr-smr5.1", "dsmr-smr5.2").splitlines()
    assert "+ object 1/0-0:97.98.1: Alarm register 2" in found and not [
        one for one in found if one.startswith("- object")
    ]
    assert said("diff", "generic", "generic").strip() == "generic and generic have the same rows"
    assert "did you mean `is15959`?" in said("show", "is15958", code=1)


def test_a_pics_says_what_a_meter_has_of_a_pack_in_both_forms(tmp_path: Path) -> None:
    page, text = tmp_path / "pics.html", tmp_path / "pics.md"
    said("pics", str(SCAN), "--pack", "idis-like", "--html", str(page), "--markdown", str(text))
    lines = text.read_text("utf-8").splitlines()
    assert lines[0] == "# What two-objects has of idis-like" and any("level meter" in one for one in lines)
    (log,) = [one for one in lines if one.startswith("| 0-0:99.98.1 | 7 ")]
    assert "| yes | management methods -1 |" in log, "the operator's rights are not those of the file"
    (calendar,) = [one for one in lines if one.startswith("| 0-0:13.0.0 |")]
    assert "| no |" in calendar
    assert "Rows without a source: none." in text.read_text("utf-8")
    assert page.read_text("utf-8").startswith("<!doctype html>") and "http" not in page.read_text("utf-8")


def test_a_pack_is_made_of_a_scan_and_can_be_checked(tmp_path: Path) -> None:
    said("from-scan", str(SCAN), "mine", "--into", str(tmp_path))
    pack = Packs([shipped_folder(), tmp_path]).pack("mine")
    assert pack.events[Obis.parse("0-0:99.98.1"), 40].meaning == "seen in the log, meaning not known"
    assert (3, Obis.parse("1-0:1.8.0")) in pack.objects
    assert "models: mine" in said("check", str(tmp_path / "mine"))
    assert "File exists" in said("from-scan", str(SCAN), "mine", "--into", str(tmp_path), code=1)
    said("from-scan", str(SCAN), "../mine", "--into", str(tmp_path), code=1)


def test_a_pack_names_objects_and_says_what_numbers_of_events_mean() -> None:
    names = names_of("is15959", None)
    code = Obis.parse("0-0:96.11.5")
    assert names.object_name(1, code) == "event code non-rollover"
    assert names.event_meaning(1, code, 251) == "meter cover opened (never rolls over)"
    assert (
        names.event_meaning(1, code, 1)
        == names.event_meaning(3, code, 251)
        == names_of("", None).event_meaning(1, code, 251)
        == ""
    )
    with pytest.raises(Exception, match="is15959"):
        names_of("is1595", None)
