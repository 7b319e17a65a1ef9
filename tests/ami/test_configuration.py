"""The effective configuration: a person's file, changed only where an option says so, and seen by nobody else."""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest

from ami_cli import configuration, plain_text, populations
from ami_cli.configuration import Changes, ConfigurationError, effective, listeners, subscribed
from ami_cli.simulators import consoles_of, linked, played_by

Document = dict[str, Any]


def test_without_options_nothing_of_the_file_changes(document: Document) -> None:
    assert effective(document, Changes()) == document


def test_the_cis_of_a_demo_is_told_what_happens_unless_somebody_else_is(document: Document) -> None:
    [one] = subscribed(document | {"cis": document["cis"] | {"host": "::1", "port": 1}})["hes"]["subscribers"]
    assert one["url"] == "http://[::1]:1/cim" and "EndDeviceEvents" in one["nouns"]
    assert "subscribers" not in document["hes"], "the person's own document is left alone"
    mine = document | {"hes": document["hes"] | {"subscribers": []}}
    elsewhere = document | {"cis": document["cis"] | {"host": "0.0.0.0"}}
    assert (subscribed(mine), subscribed(elsewhere)) == (mine, elsewhere)


def test_every_option_finds_its_place(document: Document) -> None:
    result = effective(
        document,
        Changes(
            cycles=2,
            asynchronous=True,
            log_apdus=True,
            period_s=1.0,
            cis_port=1,
            hes_port=2,
            dlms_port=3,
            meter_port=100,
        ),
    )
    assert result["demo"] == {"period_s": 1.0, "connect_after_s": 0.5, "cycles": 2, "read": ["import"]}
    assert (result["cis"]["port"], result["cis"]["hes_url"], result["cis"]["asynchronous"]) == (
        1,
        "http://127.0.0.1:2",
        True,
    )
    assert (result["hes"]["port"], result["hes"]["dlms_port"], result["hes"]["log_apdus"]) == (2, 3, True)
    assert [meter["address"] for meter in result["meters"]] == ["127.0.0.1:100", "127.0.0.1:101"]
    assert document["demo"] == {"period_s": 10.0, "connect_after_s": 2.0, "read": ["import"]}, (
        "the person's own document is left alone"
    )


def test_no_security_means_none_for_every_meter(document: Document) -> None:
    result = effective(document, Changes(security="none"))
    assert {meter["authentication"] for meter in result["meters"]} == {"none"}


def test_dial_in_moves_the_last_meter_to_the_hes(document: Document) -> None:
    result = effective(document, Changes(mode="dial-in", dlms_port=5000))
    first, last = result["meters"]
    assert first["address"] == document["meters"][0]["address"]
    assert last["address"] == "dials-in"
    assert last["simulated"]["dial_to"] == "127.0.0.1:5000"


def test_a_real_meter_is_neither_started_nor_told_to_dial(document: Document) -> None:
    del document["meters"][1]["simulated"]
    assert [meter["name"] for meter in configuration.simulated(document)] == ["M1001"]
    with pytest.raises(ConfigurationError, match="M1002 is not simulated"):
        effective(document, Changes(mode="dial-in"))


def test_more_meters_have_keys_and_ports_of_their_own(document: Document) -> None:
    meters = effective(document, Changes(meters=20, meter_port=5000))["meters"]
    assert len(meters) == 20
    for key in (
        "name",
        "mrid",
        "address",
        "encryption_key",
        "authentication_key",
        "system_title",
        "logical_device_name",
    ):
        assert len({meter[key] for meter in meters}) == 20, key
    assert meters[:2] == effective(document, Changes(meter_port=5000))["meters"]


def test_fewer_meters_are_the_first_ones(document: Document) -> None:
    assert [meter["name"] for meter in effective(document, Changes(meters=1))["meters"]] == ["M1001"]


def test_every_port_is_named_with_the_words_to_change_it(document: Document) -> None:
    found = listeners(effective(document, Changes(mode="dial-in")))
    assert [(one.setting, one.option, one.udp) for one in found] == [
        ("cis.port", "CIS_PORT", False),
        ("hes.port", "HES_PORT", False),
        ("hes.dlms_port", "DLMS_PORT", False),
        ("hes.dlms_port", "DLMS_PORT", True),
        ("the address of meter M1001", "METER_PORT", False),
    ]


def test_the_written_file_is_for_this_user_only_and_says_the_same(document: Document, tmp_path: Path) -> None:
    path = tmp_path / "run" / "demo.toml"
    configuration.write(document, path)
    configuration.write(document, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert tomllib.loads(path.read_text("utf-8")) == document


def test_stores_are_anchored_where_the_demo_was_started(document: Document) -> None:
    document["hes"]["store"] = "var/hes.sqlite"
    result = configuration.anchored(document, Path("/here"))
    assert result["hes"]["store"] == "/here/var/hes.sqlite"
    assert result["cis"]["store"] == document["cis"]["store"]


def test_a_database_is_where_it_is(document: Document) -> None:
    document["hes"]["store"] = "postgresql://hes@db.example/hes"
    result = configuration.anchored(document, Path("/here"))
    assert result["hes"]["store"] == "postgresql://hes@db.example/hes"
    assert [path.name for path in configuration.kept(result)] == ["cis.sqlite", "meters"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[cis", "demo.toml: "),
        ("[hes]\nport = 1\n", r"\[cis\] with a port is missing"),
        ("[cis]\nport = 1\n[hes]\nport = 2\n", r"there is no \[\[meters\]\]"),
        ("[cis]\nport = 1\n[hes]\nport = 2\n[[meters]]\nname = 'M'\n", "number 1 has no address"),
    ],
)
def test_an_unusable_file_is_refused_in_a_sentence(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "demo.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=complaint):
        configuration.load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml"):
        configuration.load(tmp_path / "nowhere.toml")


def test_the_configuration_of_the_demo_is_the_directory_s_own_or_the_installed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    installed = configuration.default()
    assert configuration.load(installed)["meters"][0]["name"] == "M1001"
    (tmp_path / "config").mkdir()
    configuration.write(configuration.load(installed), tmp_path / "config/demo.toml")
    assert configuration.default() == Path("config/demo.toml")


class TestPopulations:
    def test_many_meters_are_the_files_own_and_a_population(self, document: dict[str, Any]) -> None:
        found = effective(document, Changes(meters=5000, meter_port=5000, security="none"))
        assert [meter["name"] for meter in found["meters"]] == ["M1001", "M1002"]
        (population,) = found["populations"]
        assert (population["count"], population["port"]) == (4998, 5002)
        assert (population["authentication"], population["ciphering"]) == ("none", "none")
        assert found["hes"]["deadline_s"] >= 60 < found["cis"]["request_timeout_s"]
        (listener,) = [one for one in listeners(found) if "population" in one.setting]
        assert listener.address == "0.0.0.0:5002"

    def test_a_population_of_the_file_has_as_many_as_are_missing(self, document: dict[str, Any]) -> None:
        document["populations"] = [{"name": "a", "count": 10}, {"name": "b", "count": 5}]
        assert [one["count"] for one in effective(document, Changes(meters=40))["populations"]] == [10, 28]
        with pytest.raises(ConfigurationError, match="12 meters are wanted, and there are 12 beside"):
            effective(document, Changes(meters=12))

    def test_a_file_of_populations_alone(self, document: dict[str, Any], tmp_path: Path) -> None:
        path = tmp_path / "town.toml"
        configuration.write(document | {"meters": [], "populations": [{"name": "a", "count": 2, "seed": "x"}]}, path)
        loaded = configuration.load(path)
        populations.ship(loaded, tmp_path)
        (hes,), (cis,) = loaded["hes"]["shipments"], loaded["cis"]["shipments"]
        assert list(populations.meter_names(loaded)) == ["AMI0001000001", "AMI0001000002"]
        assert "encryption_key" in Path(hes).read_text("utf-8")
        assert "encryption_key" not in Path(cis).read_text("utf-8")
        with pytest.raises(ConfigurationError, match="can be made to dial in"):
            effective(loaded, Changes(mode="dial-in"))

    def test_what_is_wrong_in_a_population_is_said(self, document: dict[str, Any]) -> None:
        document["populations"] = [{"name": "a", "count": 0, "seed": "x"}]
        with pytest.raises(ConfigurationError, match="populations: count"):
            list(populations.meter_names(document))


def test_where_the_consoles_are_follows_from_ports_and_tls() -> None:
    document = {
        "cis": {"port": 1, "tls": {"certificate": "c.pem", "key": "k.pem"}},
        "hes": {"port": 2},
        "meter_sim": {"port": 3},
        "meters": [{"name": "M1", "address": "dials-in", "simulated": {}}],
    }
    shown = plain_text.consoles((*listeners(document), *consoles_of(document, played_by(document, None))))
    assert shown == "CIS https://127.0.0.1:1  HES http://127.0.0.1:2  meters http://127.0.0.1:3"


def test_each_process_of_meters_has_a_console_unless_nobody_wants_one(document: dict[str, Any]) -> None:
    many = effective(document, Changes(meters=20))
    consoles = consoles_of(many, played_by(many, None))
    assert [(one.setting, one.port) for one in (consoles[0], consoles[1], consoles[-1])] == [
        ("the console of M1001", 8082),
        ("the console of M1002", 8083),
        ("the console of M1009 to M1020", 8090),
    ]
    assert plain_text.consoles(consoles) == (
        "meters M1001 http://127.0.0.1:8082, M1002 :8083, M1003 :8084, M1004 :8085, M1005 :8086, M1006 :8087, M1007 :8088, "
        "M1008 :8089, M1009 to M1020 :8090"
    )
    told = linked(many, played_by(many, None))["meter_sim"]["consoles"]
    assert len(told) == 9 and told[-1] == {"meters": "M1009 to M1020", "url": "http://127.0.0.1:8090"}
    assert "consoles" not in linked(many, played_by(many, 0))["meter_sim"], "there is none"
    one = many | {"meter_sim": {"port": 8082}}
    assert linked(one, played_by(one, None)) == one, "it shows all meters"
    assert [one.port for one in played_by(document, 7000)] == [7000, 7001]
    assert consoles_of(document, played_by(document, 0)) == ()
    with pytest.raises(ConfigurationError, match="2 consoles of meters from port 65535 on need ports above 65535"):
        played_by(document, 65535)


def test_the_port_of_the_one_console_of_a_file_is_changed_or_taken_away(document: dict[str, Any]) -> None:
    document["meter_sim"]["port"] = 7000
    assert effective(document, Changes(meter_sim_port=7001))["meter_sim"]["port"] == 7001
    assert "port" not in effective(document, Changes(meter_sim_port=0))["meter_sim"]
    del document["meter_sim"]["port"]
    assert effective(document, Changes(meter_sim_port=7001)) == document, "each process is told its own"
