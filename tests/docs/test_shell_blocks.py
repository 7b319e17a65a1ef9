"""Every shell block of README, CONTRIBUTING and the how-tos is run as it is pasted, in the order of the page.

Each page has a bash of its own, in a directory that looks like the repository; only ports are exchanged for free ones, and
config/*.toml and my.toml (with the meter 4711 that the pages ask for, a simulated one here) stand on them. A comment in the
source of the page, on the line before a block, says what is special about it:

    <!-- shell: keeps running, ready when it says "ready" -->
    <!-- shell: again until it says "0.12.0.257" -->
    <!-- shell: not run in the tests, needs Docker -->
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import tomli_w
from free_ports import free_port, free_ports

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs/howto").glob("*.md"))]
BLOCK = re.compile(r"(?:^<!-- shell: (.*?) -->\n)?^```(?:sh|bash|shell)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
KEEPS_RUNNING = re.compile(r'keeps running, ready when it says "(.+)"')
AGAIN_UNTIL = re.compile(r'again until it says "(.+)"')
NOT_RUN = re.compile(r"not run in the tests, (.+)")
NOTES = (KEEPS_RUNNING, AGAIN_UNTIL, NOT_RUN)
NOT_RUN_BLOCKS = {
    "needs Docker": 4,
    "needs a window": 1,
    "the usage point is of one demo": 1,
    "needs a home of its own": 1,
    "read-a-trace does the same": 1,
    "needs a real meter": 1,
    "ids are those of one run": 1,
    "needs meters of an imported shipment": 1,
    "needs a package index": 4,
    "they are what it runs": 2,
    "they need a running head-end": 4,
    "asks for a password": 1,
    "needs the demo with TLS": 1,
    "the meters of this page have neither a master key nor an image": 1,
    "tests/e2e/test_tls.py does the same with files of its own": 1,
    "tests/e2e/test_workers.py does the same": 2,
    "tests/e2e/test_listeners.py does the same": 1,
    "tests/ami/meter/test_proxy.py does the same": 4,
    "tests/compose/test_scale.py starts the same file and kills processes of it": 1,
    "needs a cluster": 1,
    "tests/process/test_pki.py runs the commands": 1,
    "they revoke and renew by the functions behind these commands": 1,
    "it needs an issuer; tests/process/test_oidc.py does the same": 1,
}
"""How many blocks of all pages are left out for which reason; one more is a decision."""
OURS = ("config", "var", "captures", "my.toml", ".venv")
INSTALLED = (".run", ".dev")
"""What make looks at to know whether the environment has to be made again."""
WITH_A_METER = ("real-meter",)
"""Pages that take for granted that the meter 4711 of my.toml is there."""
WITH_A_SERVER = ("backup-and-restore",)
"""Pages that take for granted that libpq's variables name a server of PostgreSQL."""
PATIENCE_S = 300.0
"""A block may be twenty commands, each of which starts a process."""


@dataclass(frozen=True)
class Block:
    """A block of shell, and what the page's source says about it."""

    note: str
    text: str

    @property
    def left_out_for(self) -> str | None:
        found = NOT_RUN.fullmatch(self.note)
        return found[1] if found else None

    @property
    def ready(self) -> str | None:
        found = KEEPS_RUNNING.fullmatch(self.note)
        return found[1] if found else None

    @property
    def awaited(self) -> str | None:
        found = AGAIN_UNTIL.fullmatch(self.note)
        return found[1] if found else None


def blocks(page: Path) -> list[Block]:
    return [Block(note, text) for note, text in BLOCK.findall(page.read_text("utf-8"))]


RUN = [page for page in PAGES if any(block.left_out_for is None for block in blocks(page))]
API_PORT = "AMI_METER_SIM__PORT"
PORTS = {"127.0.0.1:8080": "cis", "127.0.0.1:8081": "hes"}


class Repository:
    """A directory that looks like the repository, with ports of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        for path in ROOT.iterdir():
            if path.name not in OURS:
                (directory / path.name).symlink_to(path)
        _borrow_environment(directory / ".venv")
        config = tomllib.loads((ROOT / "config/demo.toml").read_text("utf-8"))
        for section in ("cis", "hes"):
            config[section]["port"] = free_port()
        config["hes"]["dlms_port"] = free_port()
        config["cis"]["hes_url"] = f"http://127.0.0.1:{config['hes']['port']}"
        for meter, port in zip(config["meters"], free_ports(len(config["meters"])), strict=True):
            meter["address"] = f"127.0.0.1:{port}"
        self.config = config
        self.api_port = free_port()
        (directory / "config").mkdir()
        town = tomllib.loads((ROOT / "config/town.toml").read_text("utf-8"))
        for section in ("cis", "hes"):
            town[section] |= {
                key: config[section][key] for key in ("port", "hes_url", "dlms_port") if key in town[section]
            }
        town["populations"][0]["port"] = free_port()
        (directory / "config/town.toml").write_text(tomli_w.dumps(town), "utf-8")
        (directory / "config/demo.toml").write_text(tomli_w.dumps(config), "utf-8")
        mine = dict(config, meters=[{**config["meters"][0], "name": "4711"}])
        (directory / "my.toml").write_text(tomli_w.dumps(mine), "utf-8")

    def pasted(self, text: str) -> str:
        for address, section in PORTS.items():
            text = text.replace(address, f"127.0.0.1:{self.config[section]['port']}")
        text = text.replace("make demo", "make demo METER_SIM_PORT=0")  # its consoles are in no block
        return text.replace(f"{API_PORT}=8082", f"{API_PORT}={self.api_port}").replace(
            "127.0.0.1:4059", f"127.0.0.1:{self.config['hes']['dlms_port']}"
        )

    def start(self, text: str) -> subprocess.Popen[str]:
        """One bash for a block, with the commands on its path; all that it starts is one group."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("AMI_", "PYTEST"))}
        environment["CIS_URL"] = f"http://127.0.0.1:{self.config['cis']['port']}"  # where the page leaves out --url
        environment["HES_URL"] = f"http://127.0.0.1:{self.config['hes']['port']}"
        environment["METER_SIM_URL"] = f"http://127.0.0.1:{self.api_port}"
        command = ["bash", "-euo", "pipefail", "-c", preparation() + self.pasted(text)]
        return subprocess.Popen(
            command,
            cwd=self.directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
            errors="replace",
        )

    def run_until(self, text: str, awaited: str) -> None:
        """Again and again, as who waits for something does, until it says that."""
        until = time.monotonic() + PATIENCE_S
        while awaited not in (said := self.run(text)):
            assert time.monotonic() < until, f"it never said {awaited!r}: {text}{said}"

    def run(self, text: str) -> str:
        """To its end, which has to be a good one; what it said."""
        process = self.start(text)
        try:
            said, _ = process.communicate(timeout=PATIENCE_S)
            assert process.returncode == 0, text + said
            return said
        finally:
            stop(process)

    @contextmanager
    def running(self, text: str, ready: str) -> Iterator[None]:
        """As long as the context, which begins when the block says that it is ready."""
        process = self.start(text)
        assert process.stdout is not None
        watchdog = threading.Timer(PATIENCE_S, stop, (process,))
        watchdog.start()
        draining = threading.Thread(target=process.stdout.read)
        try:
            said = ""
            while ready not in said:
                line = process.stdout.readline()
                assert line, f"it ended before it said {ready!r}: {text}{said}"
                said += line
            watchdog.cancel()
            draining.start()
            yield
        finally:
            watchdog.cancel()
            stop(process)
            if draining.ident is not None:
                draining.join()
            process.stdout.close()


def _borrow_environment(here: Path) -> None:
    """The environment that runs the tests, as make would have made it just now: it must not be installed into from here."""
    here.mkdir()
    for path in (ROOT / ".venv").iterdir():
        if path.name not in INSTALLED:
            (here / path.name).symlink_to(path)
    for name in INSTALLED:
        (here / name).touch()


def stop(process: subprocess.Popen[str]) -> None:
    """End what a block has started, all of it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(20)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def preparation() -> str:
    """The block of the README that puts the commands on the path."""
    (text,) = [block.text for block in blocks(ROOT / "README.md") if "activate" in block.text]
    return text


def marks(page: Path) -> list[pytest.MarkDecorator]:
    """The smallest run only tries whether the commands can be had."""
    needed = [pytest.mark.needs("postgresql")] if page.stem in WITH_A_SERVER else []
    return needed if page == ROOT / "README.md" else [pytest.mark.ci, *needed]


def test_each_note_is_understood_and_nothing_else_is_left_out() -> None:
    everything = [block for page in PAGES for block in blocks(page)]
    notes = [block.note for block in everything if block.note]
    assert [note for note in notes if not any(known.fullmatch(note) for known in NOTES)] == []
    assert len(notes) == sum(page.read_text("utf-8").count("<!-- shell:") for page in PAGES)
    assert Counter(block.left_out_for for block in everything if block.left_out_for) == NOT_RUN_BLOCKS


@pytest.mark.needs("curl")
@pytest.mark.parametrize("page", [pytest.param(page, id=page.stem, marks=marks(page)) for page in RUN])
def test_the_blocks_of_a_page_can_be_pasted(
    page: Path, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if page.stem in WITH_A_SERVER:
        for name, value in request.getfixturevalue("postgresql").variables.items():
            monkeypatch.setenv(name, value)
    repository = Repository(tmp_path)
    with ExitStack() as stack:
        if page.stem in WITH_A_METER:
            stack.enter_context(repository.running("meter-sim serve --config my.toml", "ready"))
        for block in blocks(page):
            if block.ready is not None:
                stack.enter_context(repository.running(block.text, block.ready))
            elif block.awaited is not None:
                repository.run_until(block.text, block.awaited)
            elif block.left_out_for is None:
                repository.run(block.text)
