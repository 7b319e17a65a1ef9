"""What the command lines share: a process runs until it is asked to stop, and a refusal is one sentence."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest
import typer

from ami_process.commands import USAGE, exit_code_of, explaining, lazy_group, serve_until_stopped


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
    loaded: list[str] = []

    def late() -> typer.Typer:
        loaded.append("meters")
        return typer.Typer()

    app = typer.Typer(cls=lazy_group({"meters": late}), rich_markup_mode=None)
    app.callback()(lambda: None)
    app.command("serve")(lambda: None)
    for given, suggested in (("meter", " Did you mean 'meters'?"), ("serv", " Did you mean 'serve'?"), ("xyz", "")):
        assert exit_code_of(app, [given]) == USAGE
        assert capsys.readouterr().err.endswith(f"No such command '{given}'.{suggested}\n")
    assert loaded == []


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
