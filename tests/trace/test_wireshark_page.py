"""docs/howto/wireshark.md shows what the commands print, with the plug-in in a user's own folder, as the page puts it there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from patience import PATIENCE_S
from plugin_bench import plugin_file

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/howto/wireshark.md").read_text("utf-8")
COMMANDS = re.findall(
    r"^\$ (.*)\n((?:(?!\$ |```).*\n)*)", "\n".join(re.findall(r"```console\n.*?```", PAGE, re.DOTALL)), re.MULTILINE
)
BELOW = ("Frame ", "Ethernet", "Internet Protocol", "Transmission Control")
"""Wireshark's own lines above ours, which differ between its versions."""


def run(place: Path, command: str) -> str:
    environment = os.environ | {"HOME": str(place), "XDG_CONFIG_HOME": str(place / ".config")}
    words = shlex.split(command)
    program = [sys.executable, "-m", "ami_cli"] if words[0] == "ami" else words[:1]
    done = subprocess.run(
        [*program, *words[1:]],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines() if not line.startswith(BELOW)]


@pytest.mark.needs("tshark-lua")
@pytest.mark.ci
def test_commands_print_what_the_page_shows(tmp_path: Path) -> None:
    for folder in ("config", "docs/samples"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "var").mkdir()
    folders = run(tmp_path, "tshark -G folders")
    found = re.search(r"^Personal Lua Plugins:\s*(\S.*)$", folders, re.MULTILINE)
    assert found is not None
    Path(found[1]).mkdir(parents=True)
    shutil.copy(plugin_file(), found[1])
    run(tmp_path, "ami wireshark keys config/demo.toml var/demo.keys")
    assert len(COMMANDS) == 5
    for command, shown in COMMANDS:
        assert lines(run(tmp_path, command)) == lines(shown), command
