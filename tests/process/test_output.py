"""The queue between those who say something and a reader that may not read."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from patience import PATIENCE_S

from ami_process.output import Output

SMALL = 4_096


def missing(count: int) -> str:
    return f"{count} missing"


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, SMALL)
    try:
        yield reading, writing
    finally:
        os.close(writing)
        os.close(reading)


def read_lines(descriptor: int, count: int) -> list[str]:
    octets = bytearray()
    while octets.count(b"\n") < count:
        octets += os.read(descriptor, 65_536)
    return octets.decode().splitlines()


@pytest.mark.needs("linux")
def test_lines_come_in_order_and_whole() -> None:
    with pipe() as (reading, writing):
        output = Output(writing, missing)
        said = [f"line {number} " + "x" * 200 for number in range(500)]
        for line in said:
            output.write(line)
        assert read_lines(reading, len(said)) == said
        assert output.flush(PATIENCE_S)
        output.close()


@pytest.mark.needs("linux")
def test_a_reader_that_does_not_read_costs_lines_and_no_time() -> None:
    with pipe() as (reading, writing):
        output = Output(writing, missing, max_octets=10_000)
        for number in range(1_000):
            output.write(f"{number:099}")
        assert not output.flush(0.0), "nobody has read yet"
        told, kept = 0, 0
        with open(reading, closefd=False) as lines:
            while told < 1_000:  # the gap is told in two parts if the thread was at work while it grew
                line = lines.readline().rstrip()
                if line.endswith("missing"):
                    told += int(line.split()[0])
                else:
                    assert line == f"{told:099}", "in order, and each line that is not there was told as missing"
                    told, kept = told + 1, kept + 1
        assert told == 1_000
        assert 100 <= kept <= 100 + SMALL // 100, "what the queue and the pipe hold"
        output.write("back again")
        assert read_lines(reading, 1) == ["back again"]
        output.close()


@pytest.mark.needs("linux")
def test_a_line_larger_than_the_queue_is_counted() -> None:
    with pipe() as (reading, writing):
        output = Output(writing, missing, max_octets=100)
        output.write("x" * 200)
        assert read_lines(reading, 1) == ["1 missing"]
        output.close()


def test_what_could_not_be_written_is_counted_when_it_can_again(tmp_path: Path) -> None:
    """As on a disk that is full for a while, in the middle of a line."""
    path = tmp_path / "output"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with path.open("wb") as file:
        output = Output(file.fileno(), missing)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (8, before[1]))
            for line in ("first", "second", "third"):
                output.write(line)
            assert output.flush(PATIENCE_S)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        output.write("fourth")
        assert output.flush(PATIENCE_S)
        output.close()
    assert path.read_text().splitlines() == ["first", "se", "2 missing", "fourth"]


@pytest.mark.needs("linux")
def test_a_descriptor_that_does_not_block_is_waited_for() -> None:
    with pipe() as (reading, writing):
        os.set_blocking(writing, False)
        output = Output(writing, missing)
        said = [f"{number:099}" for number in range(500)]
        for line in said:
            output.write(line)
        assert read_lines(reading, len(said)) == said
        output.close()


EVENTS = """
import logging
from ami_process.events import Log, Ready, events_on_standard_output
with events_on_standard_output() as events:
    events(Ready(role="test", listen=["127.0.0.1:1"]))
    events(Log(level="warning", logger="odd", message="\\udc80"))
    try:
        raise ValueError("no")
    except ValueError:
        logging.getLogger("library").exception("it failed")
    logging.getLogger("library").info("not said")
"""


def test_events_are_lines_of_json_whoever_says_them() -> None:
    done = subprocess.run([sys.executable, "-c", EVENTS], capture_output=True, check=True, timeout=PATIENCE_S)
    ready, odd, log = map(json.loads, done.stdout.splitlines())
    assert list(ready) == ["event", "at", "role", "listen"]
    assert (odd["logger"], odd["level"], odd["message"]) == ("odd", "warning", "\udc80")
    assert (log["event"], log["level"], log["logger"]) == ("log", "error", "library")
    assert "it failed" in log["message"] and "ValueError: no" in log["message"]
    assert done.stderr == b""


def test_a_process_without_standard_output_says_nothing() -> None:
    """Descriptor 1 then belongs to the next file or socket that is opened."""
    program = EVENTS.replace("with ", "import socket; other = socket.socketpair()\nwith ", 1) + (
        "\nother[1].setblocking(False)\ntry:\n    octets = other[1].recv(1)\nexcept BlockingIOError:\n    octets = b''\n"
        "raise SystemExit(len(octets))\n"
    )
    command = f'exec "{sys.executable}" -c "$0" >&-'
    done = subprocess.run(["/bin/sh", "-c", command, program], check=False, timeout=PATIENCE_S, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, b"")
