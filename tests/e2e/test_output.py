"""Standard output that is not read, or whose reader has gone, holds no process up."""

from __future__ import annotations

import fcntl
import io
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from harness import ROOT, System, configuration, until
from patience import PATIENCE_S
from stranger import CONNECT, DISCONNECT, Stranger, by_mrid

PIPE_OCTETS = 4_096
ENOUGH = 40
"""So many events fill the pipe."""


@contextmanager
def unheard(how: str, module: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], io.FileIO]]:
    """A process into a small pipe that is not read ("unread"), or that has no reader ("gone"); gives the pipe as well."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_OCTETS)
    command = [sys.executable, "-m", module, "serve", *arguments]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=writing, stderr=subprocess.STDOUT, cwd=ROOT)
    os.close(writing)
    with io.FileIO(reading) as pipe:
        if how == "gone":
            pipe.close()
        try:
            yield process, pipe
        finally:
            process.kill()
            process.wait(PATIENCE_S)


def healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=PATIENCE_S) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def listens(address: str) -> bool:
    host, port = address.split(":")
    with suppress(OSError), socket.create_connection((host, int(port)), timeout=PATIENCE_S):
        return True
    return False


def provoke(url: str) -> None:
    """Make the process at this address say something, often."""
    for _ in range(ENOUGH):
        garbage = urllib.request.Request(f"{url}/cim", b"garbage", {"Content-Type": "text/xml"})
        with suppress(urllib.error.HTTPError):
            urllib.request.urlopen(garbage, timeout=PATIENCE_S)


@pytest.mark.needs("linux")
@pytest.mark.parametrize("how", ["unread", "gone"])
def test_output_that_is_not_read_stops_no_process(tmp_path: Path, how: str) -> None:
    ami = System(tmp_path, configuration(tmp_path, meters=1))
    path = ami.write()
    meter = ami.meter("M1001")
    cis_url = f"http://127.0.0.1:{ami.config['cis']['port']}"
    with ExitStack() as stack:
        hes, _ = stack.enter_context(unheard(how, "ami_hes", "--config", path))
        until(lambda: healthy(ami.hes_url), "the HES at work")
        cis, _ = stack.enter_context(unheard(how, "ami_cis", "--config", path, "--no-loop"))
        until(lambda: healthy(cis_url), "the CIS at work")
        meters, _ = stack.enter_context(unheard(how, "ami_meter_sim", "--config", path))
        until(lambda: listens(meter["address"]), "the meter at work")
        provoke(ami.hes_url)
        provoke(cis_url)
        stranger = Stranger(ami.hes_url)
        for number in range(ENOUGH // 2):
            answer = stranger.switch(CONNECT if number % 2 else DISCONNECT, [by_mrid(meter)])
            assert answer.result == "OK", answer.reasons
        assert healthy(ami.hes_url) and healthy(cis_url)
        for process in (cis, hes, meters):
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0


@pytest.mark.needs("linux")
def test_what_was_said_before_the_end_comes_out(tmp_path: Path) -> None:
    """A reader that comes late still gets each line, in order."""
    ami = System(tmp_path, configuration(tmp_path, meters=1))
    with unheard("unread", "ami_hes", "--config", ami.write()) as (process, pipe):
        until(lambda: healthy(ami.hes_url), "the HES at work")
        provoke(ami.hes_url)
        process.send_signal(signal.SIGTERM)
        events = [json.loads(line) for line in pipe.readall().splitlines()]
        assert process.wait(PATIENCE_S) == 0
    said = [event["event"] for event in events if event["event"] != "tls_files_read"]  # the first under TLS
    assert said == ["ready", *["request_unreadable"] * ENOUGH]
