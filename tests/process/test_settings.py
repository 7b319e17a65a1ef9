"""One file for CIS, HES and simulated meters: whatever stands in the environment, each says what is wrong and holds no value."""

from __future__ import annotations

from pathlib import Path

import pytest

import ami_cis.settings
import ami_hes.settings
import ami_meter_sim.settings
from ami_process.settings import FileSettings, SettingsError

DEMO = Path(__file__).parents[2] / "config" / "demo.toml"
PROCESSES = (ami_cis.settings.Settings, ami_hes.settings.Settings, ami_meter_sim.settings.Settings)


@pytest.mark.parametrize("settings", PROCESSES)
def test_a_number_of_meters_means_the_first_of_them(
    settings: type[FileSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = settings.load(DEMO)
    assert isinstance(whole, PROCESSES) and len(whole.meters) == 2
    for number in (0, 1, 2):
        monkeypatch.setenv("AMI_METERS", str(number))
        some = settings.load(DEMO)
        assert isinstance(some, PROCESSES) and some.meters == whole.meters[:number]


@pytest.mark.parametrize("settings", PROCESSES)
@pytest.mark.parametrize("number", ["x", "-1", "1.5", "3", "9" * 5000, "\u0663", "[]", '[{"name": "secret"}]'])
def test_what_is_no_number_of_meters_is_refused(
    settings: type[FileSettings], number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMI_METERS", number)
    with pytest.raises(SettingsError, match="AMI_METERS") as refused:
        settings.load(DEMO)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    ("settings", "name"), list(zip(PROCESSES, ("AMI_CIS", "AMI_HES", "AMI_METER_SIM"), strict=True))
)
def test_a_variable_that_can_not_be_read_is_named_without_its_value(
    settings: type[FileSettings], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "secret")
    with pytest.raises(SettingsError, match=name.removeprefix("AMI_").lower()) as refused:
        settings.load(DEMO)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("settings", PROCESSES)
def test_the_clock_of_all_is_read_from_one_place(
    settings: type[FileSettings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMI_CLOCK__MODE", "scaled")
    with pytest.raises(SettingsError, match="needs start_at"):
        settings.load(DEMO)
    monkeypatch.setenv("AMI_CLOCK__START_AT", "2026-01-01T01:00:00+01:00")
    assert settings.load(DEMO).clock.start_at is not None
    (tmp_path / "ami.toml").write_text("[clock]\nmoed = 'real'\n")
    with pytest.raises(SettingsError, match=r"clock\.moed: unknown key"):
        settings.load(tmp_path / "ami.toml")
