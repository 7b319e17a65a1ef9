"""docs/howto/meter-explorer.md says what the command line does."""

from __future__ import annotations

import re

from meter_bench import ROOT, Ami

from ami_cli.meter.cli import app
from ami_cli.meter.errors import ExitCode
from ami_cli.meter.options import Wrapping
from ami_dlms.association.vocabulary import MECHANISMS
from ami_registry import Transport

PAGE = (ROOT / "docs/howto/meter-explorer.md").read_text("utf-8")


def test_every_exit_code_has_a_row() -> None:
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)] == list(ExitCode)


def test_every_command_and_choice_is_named() -> None:
    for name in (one.name or one.callback.__name__ for one in app.registered_commands if one.callback):
        assert f"`{name}" in PAGE, name
    for word in (*MECHANISMS, *Transport, *Wrapping):
        assert f"`{word}`" in PAGE, word


def test_every_option_of_the_page_exists(ami: Ami) -> None:
    shown = "".join(ami.run(one, "--help").ok().out for one in ("read", "scan", "profile", "clock", "write", "connect"))
    for option in set(re.findall(r"(--[a-z][a-z-]+)", PAGE)) - {"--config"}:
        assert option in shown, option
