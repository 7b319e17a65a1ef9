"""Nothing that changes the supply is sent without a yes: asked for on a terminal, or given as an option."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from fake_meter import FakeMeter
from meter_bench import Ami
from plain_objects import objects

SWITCHING = [
    ("disconnect",),
    ("connect",),
    ("invoke", "0-0:96.3.10", "remote_disconnect", "--class", 70),
    ("invoke", "0-0:96.3.10", 2, "--class", 70),
]


def actions(meter: FakeMeter) -> int:
    return sum(1 for apdu in meter.heard if apdu[0] == 0xC3)


@pytest.mark.parametrize("command", SWITCHING)
def test_without_a_terminal_and_without_yes(ami: Ami, command: tuple[object, ...]) -> None:
    with FakeMeter(objects()).running() as meter:
        refused = ami.run(*command, "--host", "127.0.0.1", "--port", meter.port)
    assert refused.code == 2 and "there is no terminal" in refused.err and "--yes" in refused.err
    assert not actions(meter)


def test_other_methods_are_not_asked_about(ami: Ami) -> None:
    with FakeMeter(objects()).running() as meter:
        called = ami.run("invoke", "0-0:1.0.0", 3, "--class", 8, "--host", "127.0.0.1", "--port", meter.port)
    assert called.code == 1 and actions(meter) == 1


def take_the_terminal() -> None:
    """In the child: the terminal is its own, and Ctrl-C reaches it also where this run was started in the background."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def until(near: int, wanted: bytes) -> bytes:
    shown = b""
    while wanted not in shown:
        shown += os.read(near, 1000)
    return shown


def answered(near: int, answer: bytes) -> bytes:
    """All that is shown after an answer.

    Python can miss a Ctrl-C between its question and its reading; then a person presses it again, and late enough not to meet
    a process that is about to end.
    """
    shown = b""
    os.write(near, answer)
    try:
        while True:
            if not select.select([near], [], [], 15.0)[0] and answer == b"\x03":
                os.write(near, answer)
            elif more := os.read(near, 1000):
                shown += more
    except OSError:  # the other end is closed: all is said
        return shown


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        ("n\n", 130, "not confirmed"),
        ("\n", 130, "not confirmed"),
        ("\x03", 130, "not confirmed"),
        ("y\n", 1, "object-undefined"),
    ],
    ids=["no", "nothing", "ctrl-c", "yes"],
)
def test_on_a_terminal(tmp_path: Path, answer: str, code: int, said: str) -> None:
    """The fake meter has no disconnect control: after a yes it is asked how it stands, and says that there is none."""
    with FakeMeter(objects()).running() as meter:
        command = [
            sys.executable,
            "-m",
            "ami_cli",
            "meter",
            "disconnect",
            "--host",
            "127.0.0.1",
            "--port",
            str(meter.port),
        ]
        near, line = pty.openpty()
        environ = os.environ | {"AMI_METER_COUNTERS": str(tmp_path / "counters.json"), "TERM": "dumb"}
        with subprocess.Popen(
            command,
            stdin=line,
            stdout=subprocess.PIPE,
            stderr=line,
            env=environ,
            cwd=tmp_path,
            start_new_session=True,
            preexec_fn=take_the_terminal,
        ) as process:
            os.close(line)
            try:
                shown = until(near, b"for real? [y/N]")
                assert not meter.heard, "nobody is called before the yes"
                shown += answered(near, answer.encode())
                ended = process.wait(20)
                assert (ended if ended >= 0 else 128 - ended) == code, "as a shell says it"
            finally:
                process.kill()  # a question without an answer waits for ever
        os.close(near)
    assert f"127.0.0.1:{meter.port}" in shown.decode() and said in shown.decode()
