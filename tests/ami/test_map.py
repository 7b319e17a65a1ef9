"""`ami map`: both ways, with decisions and words; what is not known is exit code 1 and a sentence."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from ami_cli.__main__ import app
from ami_mapping.reading_types import ReadingType

ROOT = Path(__file__).parents[2]
IMPORT_KWH = "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"


def ami_map(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["map", *arguments], env={"COLUMNS": "120"})


@pytest.mark.parametrize("spelling", ["1-0:1.8.0*255", "1-0:1.8.0", "1.0.1.8.0.255", " 1-1:1.8.0 ", "1.8.0", "import"])
def test_an_obis_code_in_every_context(spelling: str) -> None:
    result = ami_map(spelling)
    assert result.exit_code == 0
    assert "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.m.72.0" in result.output
    assert "11.0.0.1.1.1.12.0.0.0.0.0.0.0.0.m.72.0" in result.output
    assert "profile_15min_value" in result.output and "M-103 Accumulation." in result.output
    assert "bulkQuantity" in result.output and "electricitySecondaryMetered" in result.output


def test_a_reading_type_with_all_its_fields_in_words() -> None:
    result = ami_map(IMPORT_KWH)
    assert result.exit_code == 0
    for words in ("bulkQuantity", "forward", "energy", "kilo", "Wh", "class 3 1-0:1.8.0*255 attribute 2", "M-103"):
        assert words in result.output
    first_words = [line.split()[0] for line in result.output.splitlines() if line.split()]
    assert [word for word in first_words if word in ReadingType._fields] == list(ReadingType._fields)


def test_an_alias_is_said_to_be_one() -> None:
    result = ami_map("0.26.0.1.1.1.12.0.0.0.0.0.0.0.224.3.72.0")
    assert result.exit_code == 0 and f"an alias of {IMPORT_KWH}" in result.output


def test_the_tariff_of_an_obis_code_is_in_its_reading_type() -> None:
    assert "0.0.0.9.1.1.12.0.0.0.0.4.0.0.0.m.72.0" in ami_map("1-0:1.8.4").output


def test_a_control_code() -> None:
    result = ami_map("3.31.0.23")
    assert result.exit_code == 0
    assert "class 70 0-0:96.3.10*255 method 1" in result.output and "M-001" in result.output
    assert "the meter reads back disconnected" in result.output


@pytest.mark.parametrize("code", ["0.26.38.85", "3.26.38.85"])
def test_an_event_code(code: str) -> None:
    result = ami_map(code)
    assert result.exit_code == 0
    assert "0-0:99.98.0*255" in result.output and "power down" in result.output and "M-130" in result.output


@pytest.mark.parametrize("words", ["sags l1", "L1 Sags"])
def test_words_of_a_meaning(words: str) -> None:
    assert [row["obis"] for row in csv.DictReader(ami_map(words, "--csv").output.splitlines())] == ["1-0:32.32.0*255"]
    assert "number of voltage sags, phase L1" in ami_map(words).output


def test_an_event_log() -> None:
    result = ami_map("0-0:99.98.2")
    assert result.exit_code == 0 and "0.31.26.68" in result.output and "remote disconnection" in result.output


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("3.31.0.24", ["3.31.0.24 is no EndDeviceControlType", "near: 3.31.0.23 disconnect"]),
        ("0.0.0.6.5.1.12.0.0.0.0.0.0.0.0.3.73.0", ["(2.10)", "near: 0.0.0.1.5.1.12", "accumulation 6, there 1"]),
        ("0.0.0.1.1.1.999.0.0.0.0.0.0.0.0.3.72.0", ["(2.6)", "measurement_kind 999"]),
        ("0.0.0.1.1.1.12.0.0.0.0", ["(2.6)", "not 18 numbers"]),
        ("8.0.0.4.1.1.12.0.0.0.0.0.0.0.0.0.72.0", ["(2.10)", "RT0029 has it and is unsure"]),
        ("1-0:1.9.0", ["1-0:1.9.0*255 has no ReadingType", "near: 1-0:1.8.0*255", "--unsure"]),
        ("1-0:200.8.0", ["1-0:200.8.0*255 has no ReadingType"]),
        ("kWh", ["'kWh' is no OBIS code"]),
        ("1-0:1.8.999", ["is no OBIS code"]),
        ("", ["is no OBIS code"]),
    ],
)
def test_what_is_not_known_is_a_sentence_and_exit_code_1(what: str, said: list[str]) -> None:
    result = ami_map(what)
    assert result.exit_code == 1
    for words in said:
        assert words in result.output
    assert "Traceback" not in result.output


def test_nothing_to_explain() -> None:
    result = ami_map()
    assert result.exit_code == 1 and "say what to explain, or --all" in result.output


def test_all_rows_as_csv() -> None:
    served, every = (
        list(csv.DictReader(ami_map("--all", "--csv", *more).output.splitlines())) for more in ([], ["--unsure"])
    )
    assert (len(served), len(every)) == (915, 1040)
    assert served[0]["reading_type"] == "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.m.72.0"
    one = list(csv.DictReader(ami_map("0-0:96.3.10", "--csv").output.splitlines()))
    assert [(row["obis"], row["class_id"], row["unit"]) for row in one] == [("0-0:96.3.10*255", "70", "status")]


def test_the_codes_of_a_partner(tmp_path: Path) -> None:
    profile = tmp_path / "partner.toml"
    profile.write_text('[switches]\ncommodity = "2"\n', "utf-8")
    result = ami_map("1-0:1.8.0", "--partner", str(profile))
    assert result.exit_code == 0 and "0.0.0.1.1.2.12.0.0.0.0.0.0.0.0.m.72.0" in result.output
    profile.write_text('[switches]\nnight = "2"\n', "utf-8")
    result = ami_map("--all", "--partner", str(profile))
    assert result.exit_code == 1 and "no switch 'night'" in result.output
    result = ami_map("--all", "--partner", str(tmp_path / "none.toml"))
    assert result.exit_code == 1 and "none.toml" in result.output


def test_the_pages_are_written(tmp_path: Path) -> None:
    assert ami_map("--write", str(tmp_path)).exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mapping.md", "readings.md"]


def test_the_sample_of_a_partner_is_one() -> None:
    result = ami_map("1-0:3.8.0", "--partner", str(ROOT / "docs/samples/partner.toml"))
    assert result.exit_code == 0
    assert "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.m.73.0" in result.output
    assert "0.0.4.1.1.1.12.0.0.0.0.0.0.0.0.m.73.0" in result.output


def test_the_program_of_the_how_to_does_what_it_says() -> None:
    (program,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs/howto/reading-types.md").read_text("utf-8"), re.DOTALL
    )
    names: dict[str, object] = {}
    exec(program, names)
    assert str(names["attribute"]) == "class 3 1-0:1.8.0*255 attribute 2"
    assert (str(names["code"]), names["value"], names["found"]) == (IMPORT_KWH, "1234.567", ("1.2.32",))
