"""The simulator's part of the common configuration: what is refused, in which words, and what it becomes."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from ami_dlms import data
from ami_dlms.enums import Mechanism
from ami_dlms.obis import Obis
from ami_meter_sim.entries import make_faults, make_meters
from ami_meter_sim.faults.pushes import POWER_DOWN
from ami_meter_sim.meter.pushes import INSTALLATION, INTERVAL, POWER_UP, SETUPS, SWITCH
from ami_meter_sim.meter.setup import LockOutSetup
from ami_meter_sim.population.store import Store, WantedMeters
from ami_meter_sim.settings import Settings, choose_meters
from ami_process.settings import SettingsError

DEMO = Path(__file__).parents[2] / "config/demo.toml"


@pytest.fixture
def config() -> dict[str, Any]:
    return tomllib.loads(DEMO.read_text())


def load(directory: Path, config: dict[str, Any]) -> Settings:
    path = directory / "ami.toml"
    path.write_text(tomli_w.dumps(config))
    return Settings.load(path)


def setups(directory: Path, config: dict[str, Any]) -> list[Any]:
    settings = load(directory, config)
    section = settings.meter_sim.model_copy(update={"state": directory / "state"})
    from bench import START

    chosen = choose_meters(settings, ())
    store = Store.open(section.state, [WantedMeters(one.name) for one in chosen])
    try:
        return [meter.setup for meter in make_meters(section, chosen, store, START)]
    finally:
        store.abandon()


def test_the_demo_s_own_configuration(tmp_path: Path, config: dict[str, Any]) -> None:
    one, two = setups(tmp_path, config)
    assert (one.identity.name, one.identity.logical_device_name, one.identity.device_id) == (
        "M1001",
        b"AMI0000000001001",
        b"1001",
    )
    assert one.management.mechanism is Mechanism.GMAC and one.management.security.ciphered
    assert one.management.security.keys != two.management.security.keys
    assert not make_faults((), load(tmp_path, config).meters).rules
    assert one.lock_out == LockOutSetup() and one.control_mode == 4
    assert one.model is two.model
    assert one.logical_devices == ((1, b"AMI0000000001001"),)


REFUSED = {"fault": "refuses", "result": "read-write-denied", "when": {"service": ["action"], "class": [70]}}
FALSE = {"fault": "accepts-but-does-not-switch", "when": {"service": ["action"], "class": [70]}}
BROKEN = {"fault": "reset-after-action", "when": {"service": ["action"], "class": [70]}}
UNANSWERED = {"fault": "silent", "when": {"service": ["get", "set", "action"]}}


@pytest.mark.parametrize(
    ("simulated", "expected"),
    [
        ({"kill_after_action": True}, [BROKEN | {"how": "close"}]),
        ({"kill_after_action": "exit"}, [BROKEN | {"how": "exit"}]),
        ({"lie_about_action": True}, [FALSE]),
        ({"answer_delay_s": 0.5}, [{"fault": "slow", "seconds": 0.5, "jitter_s": 0.0}]),
        ({"silent": True}, [UNANSWERED]),
        ({"silent": "always"}, [{"fault": "silent"}]),
        ({"refuse_action": "temporary-failure"}, [REFUSED | {"result": "temporary-failure"}]),
        ({"refuse_action": 3}, [REFUSED]),
        (
            {"silent": True, "answer_delay_s": 2, "lie_about_action": True, "refuse_action": 3},
            [REFUSED, FALSE, {"fault": "slow", "seconds": 2.0, "jitter_s": 0.0}, UNANSWERED],
        ),
    ],
)
def test_faults(
    tmp_path: Path, config: dict[str, Any], simulated: dict[str, Any], expected: list[dict[str, Any]]
) -> None:
    config["meters"][0]["simulated"] |= simulated
    faults = make_faults((), load(tmp_path, config).meters)
    usual = {"meters": ["M1001"], "probability": 1.0, "seed": 0, "share": 1.0}
    assert [rule.described() for _, rule in faults.rules] == [usual | one for one in expected]
    assert ([one.number for one in faults.of("M1001")], faults.of("M1002")) == (
        list(range(1, len(expected) + 1)),
        (),
    )


def test_rules_of_the_file(tmp_path: Path, config: dict[str, Any]) -> None:
    config["faults"] = [{"fault": "slow", "share": 0.5}, {"fault": "busy", "when": {"first": 2}}]
    settings = load(tmp_path, config)
    assert [rule.fault for _, rule in make_faults(settings.faults, settings.meters).rules] == ["slow", "busy"]


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ({"fault": "lazy"}, r"\[\[faults\]\] number 2: fault: there is no 'lazy'; there are silent"),
        ({"fault": "slow", "second": 1}, r"number 2: slow: there is no 'second'; there are seconds"),
    ],
)
def test_a_rule_that_is_misspelt(tmp_path: Path, config: dict[str, Any], rule: dict[str, Any], reason: str) -> None:
    config["faults"] = [{"fault": "slow"}, rule]
    settings = load(tmp_path, config)
    with pytest.raises(SettingsError, match=reason):
        make_faults(settings.faults, settings.meters)


def test_lock_out(tmp_path: Path, config: dict[str, Any]) -> None:
    config["meters"][0]["simulated"] |= {"lock_out_after": 3, "lock_out_s": 5}
    one, two = setups(tmp_path, config)
    assert (one.lock_out, two.lock_out) == (LockOutSetup(3, 5.0), LockOutSetup(None, 60.0))
    assert not make_faults((), load(tmp_path, config).meters).rules


def test_push(tmp_path: Path, config: dict[str, Any]) -> None:
    config["meters"][0]["simulated"] |= {"push_to": "udp://127.0.0.1:4059", "push_every_s": 60}
    one, two = setups(tmp_path, config)
    setup_of = {reason: one.model.objects.get((40, obis)) for reason, obis in SETUPS.items()}
    destination = data.structure(data.enum(1), data.octet_string(b"127.0.0.1:4059"), data.enum(0))
    for reason in (SWITCH, INTERVAL, POWER_UP, POWER_DOWN):
        assert setup_of[reason].attributes[3] == destination
    assert setup_of[INTERVAL].options["every_s"] == 60 and setup_of[INSTALLATION] is None
    assert not [obis for class_id, obis in two.model.objects if class_id == 40], "the model of the other is as it was"


@pytest.mark.parametrize(
    ("authentication", "ciphering", "mechanism", "ciphered"),
    [
        ("none", "general-glo", Mechanism.LOWEST, None),
        ("lls", "none", Mechanism.LOW, None),
        ("lls", "general-glo", Mechanism.LOW, True),
        ("hls-gmac", "none", Mechanism.GMAC, False),
        ("hls-gmac", "service-specific", Mechanism.GMAC, True),
    ],
)
def test_protection(
    tmp_path: Path,
    config: dict[str, Any],
    authentication: str,
    ciphering: str,
    mechanism: Mechanism,
    ciphered: bool | None,
) -> None:
    config["meters"][0] |= {"authentication": authentication, "ciphering": ciphering, "secret": "hex:00112233"}
    management = setups(tmp_path, config)[0].management
    assert management.mechanism is mechanism
    assert (management.security.ciphered if management.security else None) is ciphered


@pytest.mark.parametrize("given", ["text:12345678", "hex:3132333435363738", "3132333435363738", "env:PASSWORD"])
def test_a_password_of_digits(
    tmp_path: Path, config: dict[str, Any], given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSWORD", "text:12345678")
    config["meters"][0] |= {"authentication": "lls", "ciphering": "none", "secret": given}
    assert setups(tmp_path, config)[0].management.secret == b"12345678"


def test_meters_behind_one_address_know_each_other(tmp_path: Path, config: dict[str, Any]) -> None:
    for number, meter in enumerate(config["meters"]):
        meter |= {"address": "127.0.0.1:4061", "server_wport": 16 + number}
    for one in setups(tmp_path, config):
        assert one.logical_devices == ((16, b"AMI0000000001001"), (17, b"AMI0000000001002"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"adress": "127.0.0.1:1"}, "adress: this field does not exist"),
        ({"address": "127.0.0.1"}, 'expected "host:port"'),
        ({"address": "dials-in"}, "needs simulated.dial_to"),
        ({"authentication": "lls"}, "secret: is missing"),
        ({"authentication": "lls", "secret": "12345678"}, "is digits alone, text or hex"),
        ({"encryption_key": "00"}, "16 octets"),
        ({"encryption_key": "no hex, a secret word"}, "is not an even number of hexadecimal digits"),
        ({"authentication_key": "env:AMI_NOT_SET_ANYWHERE"}, "no variable AMI_NOT_SET_ANYWHERE"),
        ({"authentication_key": "file:/nowhere"}, "can't be read"),
        ({"system_title": "00"}, "8 octets"),
        ({"logical_device_name": "more than sixteen characters"}, "at most 16"),
        ({"logical_device_name": "Zähler"}, "ASCII"),
        ({"client_wport": 16}, "belongs to the public client"),
        ({"name": "../M1"}, "name"),
        ({"name": "m1002"}, "more than one"),
        ({"suite": 2}, "suite"),
        ({"simulated": {"control_mode": 7}}, "control_mode"),
        ({"simulated": {"lie": True}}, "lie: unknown key"),
        ({"simulated": {"push_to": "127.0.0.1:4059"}}, "tcp://host:port"),
    ],
)
def test_what_can_not_be_right_is_refused(
    tmp_path: Path, config: dict[str, Any], change: dict[str, Any], words: str
) -> None:
    config["meters"][0] |= change
    with pytest.raises(SettingsError) as refusal:
        load(tmp_path, config)
    assert words in str(refusal.value)
    assert "secret word" not in str(refusal.value) and "9B785F51" not in str(refusal.value)


def test_a_meter_that_is_not_simulated_is_left_alone(tmp_path: Path, config: dict[str, Any]) -> None:
    real = config["meters"][0]
    del real["simulated"]
    real |= {"address": "meter.example:4059", "suite": 1, "encryption_key": "env:NOT_OUR_BUSINESS", "client_wport": 300}
    settings = load(tmp_path, config)
    assert [meter.name for meter in choose_meters(settings, ())] == ["M1002"]
    with pytest.raises(SettingsError, match="M1001"):
        choose_meters(settings, ["M1001"])


def test_what_only_the_head_end_needs_is_accepted(tmp_path: Path, config: dict[str, Any]) -> None:
    objects = {"device_id_object": "0-0:96.1.1*255", "disconnect_object": "0-1:96.3.10*255"}
    config["meters"][0] |= objects
    assert load(tmp_path, config).meters[0].meter.disconnect_object == Obis.parse("0-1:96.3.10*255")


def test_two_meters_can_not_share_address_and_wrapper_port(tmp_path: Path, config: dict[str, Any]) -> None:
    config["meters"][1]["address"] = config["meters"][0]["address"]
    with pytest.raises(SettingsError, match="address and server_wport"):
        load(tmp_path, config)


@pytest.mark.parametrize("change", [{"transport": "hdlc"}, {"transport": "udp"}])
def test_meters_behind_one_address_speak_one_way(
    tmp_path: Path, config: dict[str, Any], change: dict[str, Any]
) -> None:
    config["meters"][1] |= {"address": config["meters"][0]["address"], "server_wport": 2} | change
    with pytest.raises(SettingsError, match="differ in transport or physical_address"):
        load(tmp_path, config)


def test_unknown_result_and_model_and_meter(tmp_path: Path, config: dict[str, Any]) -> None:
    config["meters"][0]["simulated"] |= {"refuse_action": "maybe"}
    with pytest.raises(SettingsError, match=r"M1001.*MAYBE.*temporary-failure"):
        make_faults((), load(tmp_path, config).meters)
    with pytest.raises(SettingsError, match=r"M7.*M1001, M1002"):
        choose_meters(load(tmp_path, config), ["M7"])


def test_files_that_are_not_there_or_no_toml(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        Settings.load(tmp_path / "nothing.toml")
    (tmp_path / "bad.toml").write_text("= nothing")
    with pytest.raises(SettingsError, match="not TOML"):
        Settings.load(tmp_path / "bad.toml")


def test_the_environment_wins(tmp_path: Path, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMI_METER_SIM__STATE", "/elsewhere")
    monkeypatch.setenv("AMI_METERS", "1")
    monkeypatch.setenv("SECRET_KEY_OF_M1", "00" * 16)
    config["meters"][0]["encryption_key"] = "env:SECRET_KEY_OF_M1"
    settings = load(tmp_path, config)
    assert settings.meter_sim.state == Path("/elsewhere")
    assert [meter.name for meter in choose_meters(settings, ())] == ["M1001"]
    with pytest.raises(SettingsError, match="M1002"):
        choose_meters(settings, ["M1002"])
    assert settings.meters[0].meter.encryption_key == bytes(16)
    assert "encryption_key" not in repr(settings)
    monkeypatch.setenv("AMI_METERS", "3")
    with pytest.raises(SettingsError, match="holds 2"):
        load(tmp_path, config)


@pytest.mark.parametrize("fast_path", [True, False])
def test_the_fast_path_can_be_turned_off(tmp_path: Path, config: dict[str, Any], fast_path: bool) -> None:
    config["meter_sim"] = config.get("meter_sim", {}) | {"fast_path": fast_path}
    assert {one.fast_path for one in setups(tmp_path, config)} == {fast_path}
