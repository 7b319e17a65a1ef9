"""What the command lines share: a process runs until it is asked to stop, and a refusal is one sentence."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
from collections.abc import Iterator

import pytest
import typer

import ami_cis.__main__
import ami_cli.__main__
import ami_hes.__main__
import ami_meter_sim.__main__
from ami_cli.lazy_commands import LAZY_COMMANDS
from ami_process.commands import USAGE, Late, exit_code_of, explaining, lazy_group, serve_until_stopped


@pytest.fixture
def umask() -> Iterator[None]:
    """Commands set it for their whole process, which is ours here."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_runs_on_the_fast_event_loop_until_a_signal(number: signal.Signals) -> None:
    loops = []

    async def serve(stop: asyncio.Event) -> int:
        loops.append(type(asyncio.get_running_loop()).__module__)
        assert not stop.is_set()
        os.kill(os.getpid(), number)
        await stop.wait()
        return 5

    assert serve_until_stopped(serve) == 5
    assert loops[0].startswith("uvloop")


def test_a_process_that_ends_by_itself_gives_its_exit_code() -> None:
    async def serve(stop: asyncio.Event) -> int:
        await asyncio.sleep(0)
        return 7

    assert serve_until_stopped(serve, asyncio.run) == 7


def test_a_misspelt_command_that_is_loaded_late_is_suggested_too(capsys: pytest.CaptureFixture[str]) -> None:
    late = Late("no_such_module:meters", "The registry.")
    app = typer.Typer(cls=lazy_group({"meters": late}), rich_markup_mode=None)
    app.callback()(lambda: None)
    app.command("serve")(lambda: None)
    for given, suggested in (("meter", " Did you mean 'meters'?"), ("serv", " Did you mean 'serve'?"), ("xyz", "")):
        assert exit_code_of(app, [given]) == USAGE
        assert capsys.readouterr().err.endswith(f"No such command '{given}'.{suggested}\n")


def test_the_list_of_commands_imports_none_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    late = Late("no_such_module:meters", "The registry.")
    app = typer.Typer(cls=lazy_group({"meters": late}), rich_markup_mode=None)
    app.callback()(lambda: None)
    assert exit_code_of(app, ["--help"]) == 0
    assert "  meters  The registry.\n" in capsys.readouterr().out
    with pytest.raises(ModuleNotFoundError):
        exit_code_of(app, ["meters"])


COMMANDS = [
    pytest.param(app, late, id=f"{program} {name}")
    for program, app, commands in (
        ("hes", ami_hes.__main__.app, ami_hes.__main__.COMMANDS),
        ("cis", ami_cis.__main__.app, ami_cis.__main__.COMMANDS),
        ("meter-sim", ami_meter_sim.__main__.app, ami_meter_sim.__main__.COMMANDS),
        ("ami", ami_cli.__main__.app, LAZY_COMMANDS),
    )
    for name, late in commands.items()
]


@pytest.mark.parametrize(("app", "late"), COMMANDS)
def test_what_the_list_says_of_a_command_is_what_its_help_says(app: typer.Typer, late: Late) -> None:
    command = late.load()
    first, _, _ = inspect.cleandoc(command.help).partition("\n\n")
    assert late.help == first.replace("\n", " ")
    assert command.rich_markup_mode == typer.main.get_command(app).rich_markup_mode
    if command.rich_markup_mode is None:  # those of the services
        assert "install_completion" not in {option.name for option in command.params}


@pytest.mark.usefixtures("umask")
def test_a_refusal_is_a_sentence_and_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as end, explaining("hes", KeyError, ValueError):
        raise ValueError("hes.port: 70000 is no port")
    assert end.value.exit_code == USAGE == 2
    assert capsys.readouterr().err == "hes: hes.port: 70000 is no port\n"


@pytest.mark.usefixtures("umask")
def test_what_is_no_refusal_is_not_hidden() -> None:
    with pytest.raises(RuntimeError), explaining("hes", ValueError):
        raise RuntimeError("a defect")


@pytest.mark.usefixtures("umask")
def test_what_a_command_writes_is_its_users_alone() -> None:
    with explaining("hes"):
        assert os.umask(0o077) == 0o077
