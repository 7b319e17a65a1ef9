"""read, write, invoke and clock against simulated meters over real sockets, with every authentication there is."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from meter_bench import AK, EK, PASSWORD, Ami
from patience import PATIENCE_S

KINDS = ["GMAC", "SPECIFIC", "LLS", "LLS-CIPHERED", "CLEAR", "MD5", "SHA1", "SHA256", "SHA256-CIPHERED"]
DISCONNECT_CONTROL = "0-0:96.3.10"


@pytest.mark.parametrize("kind", KINDS)
def test_every_authentication_reads_an_attribute_with_its_unit(ami: Ami, kind: str) -> None:
    [found] = ami.on(kind, "read", "1-0:1.8.0", 2, "--json").ok().json
    assert (found["class"], found["attribute"], found["unit"]) == ("register", "value", "Wh")
    assert found["type"] == "double-long-unsigned" and found["quantity"] == str(found["value"])
    assert found["a_xdr"] == f"06{found['value']:08X}"


def test_general_ciphering(ami: Ami) -> None:
    result = ami.on("GMAC", "read", "0-0:96.1.0", 2, "--class", 1, "--ciphering", "general-ciphering", "-v").ok()
    assert "1001" in result.out
    assert "get-request-normal: data 0-0:96.1.0*255 value (class 1, attribute 2)  [general-ciphering]" in result.err


@pytest.mark.parametrize("protection", ["authenticated", "encrypted"])
def test_less_protection_than_the_meter_wants(ami: Ami, protection: str) -> None:
    result = ami.on("GMAC", "read", "0-0:96.1.0", 2, "--protection", protection)
    assert result.code == 5 and "--protection" in result.err


def test_an_object_with_all_that_may_be_read(ami: Ami) -> None:
    rows = {row["attribute"]: row for row in ami.on("GMAC", "read", DISCONNECT_CONTROL, "--json").ok().json}
    assert list(rows) == ["logical_name", "output_state", "control_state", "control_mode"]
    assert rows["control_state"]["text"] == "1 (connected)" and rows["output_state"]["value"] is True
    assert (rows["control_mode"]["access"], rows["control_state"]["access"]) == ("rw", "r")


def test_the_table_names_things(ami: Ami) -> None:
    shown = ami.on("CLEAR", "read", DISCONNECT_CONTROL).ok().out
    for word in ("0-0:96.3.10*255", "disconnect_control v0", "3 control_state", "1 (connected)", "rw"):
        assert word in shown


def test_everything_may_be_given_by_hand(ami: Ami, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("A_KEY", EK)
    (tmp_path / "ak").write_text(AK + "\n")
    who = ("--client", 1, "--server", 1, "--authentication", "hls-gmac", "--ek", "env:A_KEY")
    keys = (*who, "--ak", f"file:{tmp_path / 'ak'}", "--title", "4142430000000007")
    [found] = ami.at("GMAC", "read", "0-0:96.1.0", "value", *keys, "--json").ok().json
    assert found["text"] == "1001"
    password = ("--client", 1, "--authentication", "lls", "--secret", f"text:{PASSWORD}")
    assert ami.at("LLS", "read", "0-0:96.1.0", "2", *password).code == 0


def test_a_profile_is_not_read_by_the_way(ami: Ami) -> None:
    rows = {row["attribute"]: row for row in ami.on("CLEAR", "read", "1-0:99.1.0", "--json").ok().json}
    assert rows["buffer"]["value"] is None and "ami meter profile" in rows["buffer"]["note"]
    assert rows["capture_period"]["value"] == 900
    assert "1-0:1.8.0*255 value" in rows["capture_objects"]["text"]
    [buffer] = ami.on("CLEAR", "read", "1-0:99.1.0", "buffer", "--json").ok().json
    assert isinstance(buffer["value"], list)


def test_csv(ami: Ami) -> None:
    rows = ami.on("CLEAR", "read", DISCONNECT_CONTROL, "--csv").ok().csv
    assert [row["attribute"] for row in rows] == ["logical_name", "output_state", "control_state", "control_mode"]
    assert rows[1]["text"] == "true" and rows[1]["a_xdr"] == "0301"


def test_the_meters_no_is_shown_as_it_is(ami: Ami) -> None:
    denied = ami.on("CLEAR", "read", "0-0:40.0.0", "secret", "--class", 15)
    assert denied.code == 1 and "read-write-denied" in denied.err and "access rights" in denied.out + denied.err
    undefined = ami.on("GMAC", "read", "1-0:1.8.9", 2, "--class", 3)
    assert undefined.code == 1 and "object-undefined" in undefined.err


def test_an_object_that_is_not_in_the_list(ami: Ami) -> None:
    missing = ami.on("CLEAR", "read", "1-0:9.9.9", 2)
    assert missing.code == 1 and "object list (18 objects)" in missing.err and "scan" in missing.err
    other = ami.on("CLEAR", "read", "1-0:1.8.0", "--class", 7)
    assert other.code == 1 and "it is of class 3" in other.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("read", "1.8.0", "2"), 2, "A-B:C.D.E"),
        (("read", "1-0:1.8.0", "volume", "--class", "3"), 2, "there are: 1 logical_name, 2 value, 3 scaler_unit"),
        (("read", "1-0:1.8.0", "--json", "--csv"), 2, "choose one"),
        (("read", "1-0:1.8.0", "2", "--ek", "12"), 2, "--ak: is missing"),
        (("read", "1-0:1.8.0", "2", "--ek", "1"), 2, "hexadecimal"),
        (("read", "1-0:1.8.0", "2", "--ek", "env:NO_SUCH_VARIABLE"), 2, "NO_SUCH_VARIABLE"),
        (("read", "1-0:1.8.0", "2", "--ek", "file:/no/such/file"), 2, "can't be read"),
        (("read", "1-0:1.8.0", "2", "--title", "4142"), 2, "--title: has 2 octets"),
        (("read", "1-0:1.8.0", "2", "--authentication", "magic"), 2, "magic is none of none, lls"),
        (("read", "1-0:1.8.0", "2", "--authentication", "lls"), 2, "--secret: is missing"),
        (("read", "1-0:1.8.0", "2", "--authentication", "hls-gmac"), 2, "--ek: is missing"),
        (("read", "1-0:1.8.0", "2", "--meter", "M1"), 2, "--registry"),
        (("read", "1-0:1.8.0", "2", "--counter-object", "1"), 2, "--counter-object"),
        (("read", "1-0:1.8.0", "2", "--client", "1"), 5, "application-context-name-not-supported"),
        (("read", "1-0:1.8.0", "2", "--client", "77"), 5, "refuses the association"),
    ],
)
def test_what_a_person_can_get_wrong(ami: Ami, arguments: tuple[str, ...], code: int, said: str) -> None:
    result = ami.at("GMAC", *arguments)
    assert result.code == code, result.err
    assert said in result.err
    assert "Traceback" not in result.err


def test_no_address_and_nobody_there(ami: Ami) -> None:
    assert "--host: is missing" in ami.run("clock").err
    with_nobody = ami.run("clock", "--host", "127.0.0.1", "--port", 1)
    assert with_nobody.code == 3 and "127.0.0.1:1" in with_nobody.err and "refused" in with_nobody.err
    no_name = ami.run("clock", "--host", "no.such.host.invalid")
    assert no_name.code == 3 and "no.such.host.invalid" in no_name.err


def test_wrong_keys_and_passwords_are_told_without_being_shown(ami: Ami) -> None:
    wrong = "0F" * 16
    keys = ami.on("GMAC", "read", "0-0:96.1.0", 2, "--ek", wrong)
    assert keys.code in (5, 6) and "--ek" in keys.err
    password = ami.on("LLS", "read", "0-0:96.1.0", 2, "--secret", "text:87654321")
    assert password.code == 5 and "authentication-failure" in password.err and "--secret" in password.err
    for secret in (wrong, "87654321", EK):
        assert secret not in keys.err + keys.out + password.err + password.out


def test_another_meter_than_the_registry_says(ami: Ami) -> None:
    result = ami.on("GMAC", "read", "0-0:96.1.0", 2, "--port", ami.fleet.port("SPECIFIC"))
    assert result.code == 6 and "AMI0000000001001" in result.err and "AMI0000000001002" in result.err
    title = ami.on("GMAC", "read", "0-0:96.1.0", 2, "--meter-title", "4142430000000009")
    assert title.code == 6 and "foreign system title" in title.err


def test_registries_that_can_not_be_used(ami: Ami, tmp_path: Path) -> None:
    config = ami.fleet.config
    for arguments, said in [
        (("--registry", tmp_path / "none.toml"), "can't be read"),
        (("--registry", config), "more than one meter"),
        (("--registry", config, "--meter", "X"), "has no meter X"),
        (("--registry", ami.fleet.config.parent / "odd.toml", "--meter", "X"), "address: is missing"),
        (("--registry", ami.fleet.config.parent / "odd.toml", "--meter", "IN"), "dials in"),
        (("--registry", ami.fleet.config.parent / "torn.toml"), "not TOML"),
        (("--registry", ami.fleet.config.parent / "empty.toml"), "no [[meters]]"),
    ]:
        dials_in = 'name = "IN"\naddress = "dials-in"\nlogical_device_name = "L"\ndevice_id = "1"\n'
        (config.parent / "odd.toml").write_text(f'[[meters]]\nname = "X"\n[[meters]]\n{dials_in}')
        (config.parent / "torn.toml").write_text("[[meters")
        (config.parent / "empty.toml").write_text("")
        result = ami.run("clock", *arguments)
        assert result.code == 2 and said in result.err, result.err


def test_a_write_shows_before_and_after(ami: Ami) -> None:
    written = ami.on("GMAC", "write", DISCONNECT_CONTROL, "control_mode", "2", "--json").ok().json
    assert (written["before"], written["written"], written["type"], written["after"]) == ("4", "2", "enum", "2")
    shown = ami.on("GMAC", "write", DISCONNECT_CONTROL, 4, "4", "--type", "enum", "--class", 70).ok().out
    assert "before   2" in shown and "after    4" in shown


def test_writes_that_the_meter_or_we_refuse(ami: Ami) -> None:
    denied = ami.on("CLEAR", "write", DISCONNECT_CONTROL, "output_state", "false")
    assert denied.code == 1 and "read-write-denied" in denied.err
    unmatched = ami.on("CLEAR", "write", DISCONNECT_CONTROL, "control_mode", "4", "--type", "unsigned")
    assert unmatched.code == 1 and "type-unmatched" in unmatched.err and "--type" in unmatched.err
    assert ami.on("CLEAR", "write", DISCONNECT_CONTROL, "control_mode", "four").code == 2
    assert ami.on("CLEAR", "write", DISCONNECT_CONTROL, "control_mode", "4", "--type", "number").code == 2
    structure = ami.on("CLEAR", "write", "1-0:1.8.0", "scaler_unit", "1")
    assert structure.code == 2 and "a-xdr" in structure.err


def test_a_method(ami: Ami) -> None:
    outcome = ami.on("CLEAR", "invoke", "0-0:1.0.0", "adjust_to_minute", "--json").ok().json
    assert (outcome["method_id"], outcome["result"]) == (3, "success")
    refused = ami.on("CLEAR", "invoke", "0-0:1.0.0", "6", "9999", "--type", "long")
    assert refused.code == 1 and "clock 0-0:1.0.0*255 shift_time: type-unmatched" in refused.out
    unknown = ami.on("CLEAR", "invoke", "0-0:1.0.0", "explode")
    assert unknown.code == 2 and "adjust_to_quarter" in unknown.err


def test_the_clock_is_read_set_and_read_again(ami: Ami) -> None:
    set_to = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    done = ami.on("CLEAR", "clock", "--set", set_to, "--json").ok().json
    assert done["done"] and abs(done["after"]["ahead_s"] - 3600) < 5
    assert "ahead of this machine" in ami.on("CLEAR", "clock").ok().out
    back = ami.on("CLEAR", "clock", "--set", "now").ok().out
    assert back.splitlines()[-1] == "done" and "before" in back
    assert abs(ami.on("CLEAR", "clock", "--json").ok().json["ahead_s"]) < 5
    assert ami.on("CLEAR", "clock", "--set", "tomorrow").code == 2
    public = ami.at("CLEAR", "clock", "--set", "now")
    assert public.code == 1 and "read-write-denied" in public.err


def test_verbose_shows_every_apdu_in_clear_and_as_sent(ami: Ami) -> None:
    traced = ami.on("GMAC", "read", DISCONNECT_CONTROL, 2, "--class", 70, "-v").ok().err
    assert "aarq: logical names with ciphering" in traced and "user-information: initiate-request" in traced
    assert "get-request-normal: disconnect_control 0-0:96.3.10*255 output_state" in traced
    assert "[general-glo-ciphering]" in traced
    assert "clear    C001" in traced and "sent     000100010001" in traced and "received 0001" in traced
    assert EK not in traced and AK not in traced
    specific = ami.on("SPECIFIC", "write", DISCONNECT_CONTROL, 4, 4, "-v").ok().err
    assert "set-request-normal: disconnect_control" in specific
    assert "set-response-normal: success (0)  [glo-set-response]" in specific


def test_long_answers_come_in_blocks(ami: Ami) -> None:
    traced = ami.on("GMAC", "read", "0-0:40.0.0", 2, "--class", 15, "--max-pdu", 200, "-v").ok()
    assert "18 objects" in traced.out and "get-request-next: block 2" in traced.err
    assert "get-response-with-data-block: block 3" in traced.err


def test_as_a_process(ami: Ami, tmp_path: Path) -> None:
    where = ["--host", "127.0.0.1", "--port", str(ami.fleet.port("GMAC"))]
    command = [sys.executable, "-m", "ami_cli", "meter", "read", "0-0:42.0.0", "2", *where]
    environ = os.environ | {"AMI_METER_COUNTERS": str(tmp_path / "c.json")}
    ran = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, env=environ)
    assert ran.returncode == 0 and "AMI0000000001001" in ran.stdout and ran.stderr == ""
    assert not (tmp_path / "c.json").exists()  # the public client needs no counter
