"""The programs in services/dlms/README.md run as they are printed there and say what is printed there."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from free_ports import free_port
from patience import PATIENCE_S

README = Path(__file__).parents[2] / "services/dlms/README.md"
EXAMPLE = re.compile(r"`python (\w+\.py)([^`]*)`:\n\n```python\n(.*?)```\n(?:\n```text\n(.*?)```)?", re.DOTALL)
EXAMPLES = {name: (code, printed) for name, _, code, printed in EXAMPLE.findall(README.read_text("utf-8"))}
LOOK_S = 0.02


def said(directory: Path, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(directory / name), *arguments]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def run(directory: Path, name: str, *arguments: str) -> str:
    done = said(directory, name, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place: Path = tmp_path_factory.mktemp("readme")
    for name, (code, _) in EXAMPLES.items():
        (place / name).write_text(code, "utf-8")
    return place


def test_every_program_of_the_page_is_run_here() -> None:
    assert set(EXAMPLES) == {"client.py", "client_asyncio.py", "server.py", "explain.py", "profile.py"}
    assert README.read_text("utf-8").count("```python") == len(EXAMPLES)


@pytest.mark.parametrize("name", ["explain.py", "profile.py"])
def test_what_needs_no_meter(directory: Path, name: str) -> None:
    assert run(directory, name) == EXAMPLES[name][1]


COMMANDS = {name: arguments.split() for name, arguments, _, _ in EXAMPLE.findall(README.read_text("utf-8"))}
"""What stands behind each program's name on the page; 4059 is the port."""


def test_clients_and_server_as_often_as_one_likes(directory: Path) -> None:
    """Exactly as printed, in any order and again; and again with a server that was started anew."""
    port = free_port()
    commands = {name: [word.replace("4059", str(port)) for word in words] for name, words in COMMANDS.items()}
    for _ in range(2):
        with subprocess.Popen([sys.executable, str(directory / "server.py"), *commands["server.py"]]) as server:
            try:
                wait_for(port, server)
                for name in ("client.py", "client.py", "client_asyncio.py", "client.py", "client_asyncio.py"):
                    assert run(directory, name, *commands[name]) == EXAMPLES[name][1]
            finally:
                server.terminate()


def test_a_client_that_forgot_its_counter_is_refused(directory: Path) -> None:
    port = free_port()
    with subprocess.Popen([sys.executable, str(directory / "server.py"), str(port)]) as server:
        try:
            wait_for(port, server)
            assert run(directory, "client.py", str(port)) == EXAMPLES["client.py"][1]
            (directory / "invocation_counter").unlink()
            again = said(directory, "client.py", str(port))
            assert (again.returncode, again.stdout) == (1, "PeerFault\n"), "these counters were used before"
        finally:
            server.terminate()


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    """Until the server listens; it takes the connection for a client that leaves."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S).close()
            return
        except ConnectionRefusedError:
            with suppress(subprocess.TimeoutExpired):
                server.wait(LOOK_S)
                raise AssertionError("the server ended") from None
