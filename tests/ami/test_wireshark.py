"""`ami wireshark`: the plug-in put where Wireshark looks for it, what may keep it from loading, and the key file."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from patience import PATIENCE_S
from typer.testing import CliRunner, Result

from ami_cli.__main__ import app
from ami_cli.wireshark import cli
from ami_cli.wireshark.assembling import plugin
from ami_cli.wireshark.installed import Wireshark
from ami_cli.wireshark.lua_literals import lua, table

ROOT = Path(__file__).parents[2]
ENTRY = """
[hes]
system_title = "414D490000000001"

[[meters]]
name = "M 1001"
address = "{address}"
system_title = "414D4900000003E9"
encryption_key = "9B785F51767FA3192281C83EA0D0BB6F"
authentication_key = "env:AK"
"""
AK = "D322ADF6A2C591117D2571D13FCBA386"
SAID = """\
TShark (Wireshark) {version} (Git v{version}).

Compiled (64-bit) using GCC 12.2.0, with GLib 2.74.6, with libpcap, {lua}, with GnuTLS.
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["wireshark", *arguments], env={"AK": AK})


@pytest.fixture
def pretend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A search path with a program in it that says it is a tshark; the file with what it says of its version."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "version").write_text(SAID.format(version="4.4.18", lua="with Lua 5.4.6"))
    script = f"""#!/bin/sh
case "$1" in
    --version) while read -r line; do echo "$line"; done < {folder}/version ;;
    -G) echo "Temp:                 /tmp"; echo "Personal Lua Plugins: {tmp_path}/plug ins" ;;
esac
"""
    (folder / "tshark").write_text(script)
    (folder / "tshark").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return folder / "version"


def test_it_goes_where_wireshark_looks(tmp_path: Path, pretend: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    done = run("install")
    assert (done.exit_code, done.stderr) == (0, "")
    assert (tmp_path / "plug ins/amidlms.lua").read_text("utf-8") == plugin()


@pytest.mark.parametrize(
    ("version", "built", "user", "doubt"),
    [
        ("4.4.18", "with Lua 5.4.6", 0, "tshark 4.4 ignores Lua when it runs as root: run it as another user"),
        ("4.0.17", "with Lua 5.2.4", 0, ""),
        ("4.6.0", "without Lua", 1000, "this tshark was built without Lua: it loads no plug-in"),
        ("3.6.2", "with Lua 5.2.4", 1000, "this tshark is 3.6: the plug-in is tried from 4.0 on"),
    ],
)
def test_what_may_keep_it_from_loading_is_said(
    version: str, built: str, user: int, doubt: str, pretend: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend.write_text(SAID.format(version=version, lua=built))
    monkeypatch.setattr(os, "geteuid", lambda: user)
    done = run("install")
    assert done.exit_code == (1 if doubt else 0)
    assert done.stderr == (f"ami wireshark: {doubt}\n" if doubt else "")


def test_without_wireshark_a_folder_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "find_wireshark", lambda: None)
    done = run("install")
    assert done.exit_code == 2
    assert "give --folder" in done.stderr
    assert run("install", "--folder", str(tmp_path / "here")).exit_code == 0
    assert (tmp_path / "here/amidlms.lua").is_file()


def test_a_folder_that_cant_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "find_wireshark", lambda: Wireshark("tshark", (4, 0), "5.2", None))
    (tmp_path / "file").write_text("")
    done = run("install", "--folder", str(tmp_path / "file"))
    assert done.exit_code == 2
    assert "can't be written: File exists" in done.stderr


@pytest.mark.needs("tshark-lua")
@pytest.mark.ci
def test_wireshark_finds_it_there(tmp_path: Path) -> None:
    """As a user's own tshark does: by its folder, without being told of a file."""
    environment = os.environ | {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    said = subprocess.run(
        ["tshark", "-G", "folders"], env=environment, capture_output=True, text=True, check=True, timeout=PATIENCE_S
    )
    folder = re.search(r"^Personal Lua Plugins:\s*(\S.*)$", said.stdout, re.MULTILINE)
    assert folder is not None
    assert run("install", "--folder", folder[1]).exit_code == 0
    known = subprocess.run(
        ["tshark", "-G", "protocols"], env=environment, capture_output=True, text=True, check=True, timeout=PATIENCE_S
    )
    assert "DLMS/COSEM (AMI)\tAMIDLMS\tamidlms" in known.stdout


def test_the_key_file_is_its_owners_alone(tmp_path: Path) -> None:
    config, keys = tmp_path / "hes.toml", tmp_path / "keys"
    config.write_text(ENTRY.format(address="127.0.0.1:4061"))
    keys.write_text("")
    keys.chmod(0o644)
    done = run("keys", str(config), str(keys))
    assert done.exit_code == 0, done.stderr
    assert keys.stat().st_mode & 0o777 == 0o600
    (line,) = [line for line in keys.read_text().splitlines() if not line.startswith("#")]
    assert line == (
        "title=414D4900000003E9 ek=9B785F51767FA3192281C83EA0D0BB6F ak=D322ADF6A2C591117D2571D13FCBA386"
        " client=414D490000000001 address=127.0.0.1:4061 name=M_1001"
    )
    assert f"-o amidlms.keys:{keys}" in done.stdout
    assert "9B785F51" not in done.output


def test_a_host_name_is_no_address_of_a_packet(tmp_path: Path) -> None:
    config, keys = tmp_path / "hes.toml", tmp_path / "a new folder/keys"
    config.write_text(ENTRY.format(address="meter.example:4059"))
    assert run("keys", str(config), str(keys)).exit_code == 0
    assert "address=" not in keys.read_text().splitlines()[-1]


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        ("[[meters]]\nname = 'M1'\n", 1, "no meter of"),
        ("[[meters]]\nname = 'M1'\nsystem_title = '00'\n", 2, "system_title"),
        ("meters = 1\n", 2, "has no [[meters]]"),
        ("= 1", 2, "is not TOML"),
    ],
)
def test_a_file_without_keys_is_said(content: str, code: int, said: str, tmp_path: Path) -> None:
    (tmp_path / "hes.toml").write_text(content)
    done = run("keys", str(tmp_path / "hes.toml"), str(tmp_path / "keys"))
    assert done.exit_code == code
    assert said in done.stderr


def test_literals_of_lua() -> None:
    assert lua([None, True, 5, 'a"\\\n€']) == '{nil, true, 5, "a\\034\\092\\010\\226\\130\\172"}'
    assert table("known.some", {1: "a", 2: {"b": [1]}}) == 'known.some = {\n  [1] = "a",\n  [2] = {["b"] = {1}},\n}\n'
