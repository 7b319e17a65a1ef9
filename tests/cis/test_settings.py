from pathlib import Path

import pytest

from ami_cis.settings import Settings
from ami_process.settings import SettingsError

DEMO = Path(__file__).parents[2] / "config" / "demo.toml"


def write(directory: Path, text: str) -> Path:
    path = directory / "ami.toml"
    path.write_text(text)
    return path


def test_the_demo_file_is_read_and_no_key_of_a_meter_is_kept() -> None:
    settings = Settings.load(DEMO)
    assert [meter.name for meter in settings.meters[:2]] == ["M1001", "M1002"]
    assert settings.meters[0].usage_points == ("UP-1001",)
    assert settings.demo.period_s == 10.0
    assert settings.cis.request_timeout_s == 150.0
    assert "9B785F51767FA3192281C83EA0D0BB6F" not in repr(settings)


def test_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMI_CIS__PORT", "9000")
    monkeypatch.setenv("AMI_DEMO__CYCLES", "3")
    monkeypatch.setenv("AMI_METERS", "1")
    monkeypatch.setenv("AMI_HES__PORT", "1")
    monkeypatch.setenv("METERS", "20")
    settings = Settings.load(DEMO)
    assert (settings.cis.port, settings.demo.cycles) == (9000, 3)
    assert [meter.name for meter in settings.meters] == ["M1001"]


@pytest.mark.parametrize(
    ("number", "told"), [("x", "number of meters"), ("2000000", r"\[\[meters\]\] holds"), ("-1", "number of meters")]
)
def test_a_number_of_meters_that_cannot_be(monkeypatch: pytest.MonkeyPatch, number: str, told: str) -> None:
    monkeypatch.setenv("AMI_METERS", number)
    with pytest.raises(SettingsError, match=told):
        Settings.load(DEMO)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[cis]\nprot = 1\n", "cis.prot: unknown key"),
        ("[demo]\nperiod = 1\n", "demo.period: unknown key"),
        ("[crs]\n", "unknown section or key 'crs'"),
        ("[demo]\nperiod_s = 0\n", "demo.period_s"),
        ("[demo]\nperiod_s = inf\n", "demo.period_s"),
        ("[cis]\nport = 70000\n", "cis.port"),
        ("[cis]\nhes_url = 'hes:8081'\n", "http://"),
        ("[cis]\nhes_url = 'http://hes:-1'\n", "cis.hes_url: has a port"),
        ("[cis]\nreply_address = 'http://xn--/cim'\n", "cis.reply_address: is no URL"),
        ("[cis]\nhost = '0.0.0.0'\nasynchronous = true\n", "reply_address"),
        ("[[meters]]\nname = 'M1'\n[[meters]]\nname = 'M1'\n", "two meters have the name 'M1'"),
        ("[[meters]]\nmrid = 'a'\n", "meters.0.name"),
        ("[cis\n", "ami.toml"),
    ],
)
def test_what_cannot_be_is_refused_with_the_place(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        Settings.load(write(tmp_path, text))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nothing\.toml"):
        Settings.load(tmp_path / "nothing.toml")


def test_the_reply_address_is_the_set_one_or_made_of_host_and_port(tmp_path: Path) -> None:
    assert (
        Settings.load(write(tmp_path, "[cis]\nhost = '127.0.0.1'\n")).cis.reply_address_at(7)
        == "http://127.0.0.1:7/cim"
    )
    assert Settings.load(write(tmp_path, "[cis]\nhost = '::1'\n")).cis.reply_address_at(7) == "http://[::1]:7/cim"
    assert Settings.load(write(tmp_path, "[cis]\nhost = '0.0.0.0'\n")).cis.reply_address_at(7) is None
    with_address = "[cis]\nhost = '0.0.0.0'\nasynchronous = true\nreply_address = 'http://cis:8080/cim'\n"
    named = Settings.load(write(tmp_path, with_address)).cis
    assert named.reply_address_at(8080) == "http://cis:8080/cim"
    assert named.reply_address_at(7) == "http://cis:7/cim"


def test_a_timeout_shorter_than_the_deadline_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not Settings.load(DEMO).gives_up_too_early
    assert Settings.load(
        write(tmp_path, "[cis]\nrequest_timeout_s = 30\n[hes]\nport = 1\ndeadline_s = 30.0\n")
    ).gives_up_too_early
    reading = "[cis]\nrequest_timeout_s = 30\n[hes]\ndeadline_s = 5.0\n[hes.lanes.read]\ndeadline_s = 30.0\n"
    assert Settings.load(write(tmp_path, reading)).gives_up_too_early
    monkeypatch.setenv("AMI_HES__DEADLINE_S", "190")
    assert Settings.load(DEMO).gives_up_too_early
