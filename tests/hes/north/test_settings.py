"""The configuration file: strict keys, the environment above it, and no value in any message."""

import sys
from pathlib import Path
from ssl import SSLContext, create_default_context

import pytest
from north_bench import settings
from reported import ignore

from ami_hes import configured
from ami_hes.app import southbound, storage
from ami_hes.app.setup import Setup
from ami_hes.settings import Settings
from ami_process.environment import Environment
from ami_process.settings import SettingsError

DEMO = Path(__file__).parents[3] / "config/demo.toml"


def load(directory: Path, text: str) -> Settings:
    path = directory / "ami.toml"
    path.write_text(text)
    return Settings.load(path)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AMI_METERS", "AMI_HES__PORT"):
        monkeypatch.delenv(name, raising=False)


def test_the_demo_file_is_read() -> None:
    settings = Settings.load(DEMO)
    assert settings.hes.port == 8081
    assert settings.hes.system_title == bytes.fromhex("414D490000000001")
    assert [meter["name"] for meter in settings.meters][:2] == ["M1001", "M1002"]


def test_nothing_is_needed_but_a_file(tmp_path: Path) -> None:
    settings = load(tmp_path, "")
    assert settings.meters == ()
    assert settings.hes.reply_networks == ()


def test_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMI_HES__PORT", "9081")
    monkeypatch.setenv("AMI_METERS", "1")
    settings = load(tmp_path, '[hes]\nport = 1\nhost = "::1"\n[[meters]]\nname = "A"\n[[meters]]\nname = "B"\n')
    assert (settings.hes.port, settings.hes.host) == (9081, "::1")
    assert [meter["name"] for meter in settings.meters] == ["A"]


def test_more_meters_than_the_file_holds_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMI_METERS", "3")
    with pytest.raises(SettingsError, match=r"asks for 3 meters, \[\[meters\]\] holds 1"):
        load(tmp_path, '[[meters]]\nname = "A"\n')


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[hes]\nprot = 1\n", "hes.prot"),
        ("[hess]\nport = 1\n", "hess"),
        ("[hes]\nport = 70000\n", "hes.port"),
        ("[hes]\ndeadline_s = 0\n", "hes.deadline_s"),
        ("[hes]\nmax_sessions = 0\n", "hes.max_sessions"),
        ('[hes]\nsystem_title = "00"\n', "8 octets"),
        ('[hes]\nsystem_title = "xyz"\n', "hex digits"),
        ('[hes]\nengine = "nats://h:4222/hes"\n', "needs a store that they can share"),
        *(
            (f'[hes]\nengine = "{url}"\nstore = "postgresql://u@h/d"\n', "expected nats://HOST:4222/SYSTEM")
            for url in ("nats://u:secret@h/hes", "http://h/", "nats://", "nats://h/a.b", "nats://h/" + "s" * 33)
        ),
        ("[hes]\nport = \n", "not TOML: .*line 2"),
        ('[hes]\nport = 1\nsource = "cut', r"not TOML: Unterminated string \(at the end, line 3\)"),
        (f"[hes]\nport = {'9' * 5000}\n", "not TOML"),
        (f"[hes]\nport = {'[' * 5000}\n", "not TOML: lists or tables are nested too deeply"),
    ],
)
def test_what_is_wrong_is_told_by_its_place(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        load(tmp_path, text)


@pytest.mark.parametrize(
    "url",
    [
        *("http://127.0.0.1:-1/", "http://127.0.0.1:0/", "http://127.0.0.1:65536/", "http://xn--/", "http://[::1/"),
        *("http://", "http:///cim", "http://a b/", "http://%zz/", "http://h/\\u0000", "ftp://h/"),
    ],
)
def test_an_address_that_cannot_be_one_is_refused_at_the_start(tmp_path: Path, url: str) -> None:
    subscriber = '[[hes.subscribers]]\nname = "mdm"\nurl = "{}"\n'
    for text, place in (
        (subscriber, "hes.subscribers.0.url"),
        ('[hes]\npublic_url = "{}"\n', "hes.public_url"),
        ('[cis]\nreply_address = "{}"\n', "cis.reply_address"),
        ('[cis]\nhes_url = "{}"\n', "cis.hes_url"),
    ):
        with pytest.raises(SettingsError, match=place):
            load(tmp_path, text.format(url))
    with pytest.raises(SettingsError, match="user name or password"):
        load(tmp_path, subscriber.format("http://me:secret@127.0.0.1/"))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        Settings.load(tmp_path / "none.toml")


def test_no_value_in_any_message_or_repr(tmp_path: Path) -> None:
    key = "9B785F51767FA3192281C83EA0D0BB6F"
    with pytest.raises(SettingsError) as refusal:
        load(tmp_path, f'[hes]\nencryption_key = "{key}"\nsystem_title = "{key}"\n')
    assert key not in str(refusal.value)
    settings = load(tmp_path, f'[[meters]]\nname = "A"\nencryption_key = "{key}"\n[demo]\nsecret = "{key}"\n')
    assert key not in repr(settings)


@pytest.mark.parametrize("fast_path", [True, False])
async def test_whether_the_fast_path_is_taken_is_handed_on(tmp_path: Path, fast_path: bool) -> None:
    setup = Setup.of(settings(tmp_path, fast_path=fast_path), Environment(emit=ignore))
    known = southbound.known(setup)
    async with storage.opened(setup) as stores, southbound.opened(setup, stores, known) as south:
        assert south.meters.settings.fast_path is fast_path


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("", r"pip install 'ami-hes\[otel\]'"),
        ('token = "env:NOT_THERE"', "hes.telemetry.token"),
        ('[hes.traces]\nkeep = "off"', 'hes.traces keeps, which is "off"'),
    ],
)
def test_a_collector_that_can_not_be_told_is_said_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str, told: str
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    wanted = load(tmp_path, f'[hes.telemetry]\nendpoint = "http://127.0.0.1:4318"\n{more}\n')
    with pytest.raises(SettingsError, match=told):
        Setup.of(wanted, Environment(emit=ignore))


@pytest.mark.parametrize(
    ("endpoint", "asked"),
    [
        ("http://c:4318/", "http://c:4318/v1/traces"),
        ("https://c/otlp", "https://c/otlp"),
        ("https://c/v1/traces?x=1", "https://c/v1/traces?x=1"),
    ],
)
def test_where_a_collector_is(tmp_path: Path, endpoint: str, asked: str) -> None:
    found = configured.collector(load(tmp_path, f'[hes.telemetry]\nendpoint = "{endpoint}"\n'), "one", "hes")
    assert found is not None and found.endpoint == asked


def test_where_the_engine_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NATS_PASSWORD", "sesame")
    text = '[hes]\nstore = "postgresql://u@h/d"\nengine = "{}"\nengine_password = "env:NATS_PASSWORD"\n'
    address = configured.engine(load(tmp_path, text.format("nats://me@a:4222,b:4223/north")), no_tls)
    assert (address.servers, address.system) == (("nats://a:4222", "nats://b:4223"), "north")
    assert (address.user, address.password, address.tls) == ("me", "sesame", None)
    assert "sesame" not in repr(address)
    address = configured.engine(load(tmp_path, text.format("tls://a")), create_default_context)
    assert (address.servers, address.system, address.user) == (("tls://a",), "hes", None)
    assert isinstance(address.tls, SSLContext)


def no_tls() -> SSLContext:
    raise AssertionError("the server's certificate is not asked for")
