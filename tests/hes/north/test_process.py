"""The HES as a process: it says when it is ready, which port is taken, and stops when it is asked to."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from north_bench import DISCONNECT, TYPED, control, octets, request, texts
from patience import PATIENCE_S

from ami_hes.meters.datagrams import BUFFER_LIMIT

METER = """
[[meters]]
name = "M1"
mrid = "00000000-0000-0000-0000-000000000001"
address = "dials-in"
authentication = "none"
logical_device_name = "LDN1"
device_id = "1"
"""


NOON = '[clock]\nmode = "stepped"\nstart_at = 2026-03-01T12:00:00Z\n'


def configuration(directory: Path, clock: str = "", **hes: object) -> Path:
    values: dict[str, object] = {"port": 0, "dlms_port": 0, "store": str(directory / "hes.sqlite")}
    lines = [f"{name} = {json.dumps(value)}" for name, value in (values | hes).items()]
    path = directory / "ami.toml"
    path.write_text("\n".join(["[hes]", *lines, clock, METER]))
    return path


@contextmanager
def started(path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "ami_hes", "serve", "--config", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def event(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    found: dict[str, Any] = json.loads(process.stdout.readline())
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ready_and_stopped(tmp_path: Path, number: signal.Signals) -> None:
    with started(configuration(tmp_path)) as process:
        ready = event(process)
        assert (ready["event"], ready["role"]) == ("ready", "hes")
        http, dlms = ready["listen"]
        assert ready["datagram_buffer_octets"] > 0 and ready["datagram_buffer_limited_by"] in (None, BUFFER_LIMIT)
        assert httpx.get(f"http://{http}/healthz", trust_env=False, timeout=PATIENCE_S).json() == {"status": "ok"}
        host, port = dlms.split(":")
        socket.create_connection((host, int(port))).close()
        process.send_signal(number)
        assert process.wait(10) == 0
        assert process.stderr is not None and process.stderr.read() == ""


def test_stopped_in_the_middle_of_a_request(tmp_path: Path) -> None:
    with started(configuration(tmp_path, deadline_s=3600.0)) as process:
        http = event(process)["listen"][0]
        host, port = http.split(":")
        body = octets(request(control(DISCONNECT, "M1")))
        with closing(socket.create_connection((host, int(port)))) as caller:
            head = f"POST {TYPED} HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n"
            caller.sendall(head.encode() + body)
            assert event(process)["event"] == "request_accepted"
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0, "it does not wait for the deadline of the request"


def test_killed_and_started_again_with_the_deadline_passed(tmp_path: Path) -> None:
    """kill -9 while a meter is awaited: the next life answers for it, honestly and without having reached anybody."""
    body = octets(request(control(DISCONNECT, "M1")))
    with started(configuration(tmp_path, NOON)) as process:
        host, port = event(process)["listen"][0].split(":")
        with closing(socket.create_connection((host, int(port)))) as caller:
            head = f"POST {TYPED} HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n"
            caller.sendall(head.encode() + body)
            assert event(process)["event"] == "request_accepted"
            process.kill()
            process.wait(10)
    with started(configuration(tmp_path, NOON.replace("T12", "T13"))) as process:
        recovered = event(process)
        assert (recovered["event"], recovered["commands"]) == ("recovered", 1)
        told = [event(process) for _ in range(3)]
        (ready,) = [one for one in told if one["event"] == "ready"]
        answer = httpx.post(
            f"http://{ready['listen'][0]}{TYPED}",
            content=body,
            headers={"Content-Type": "text/xml"},
            trust_env=False,
            timeout=PATIENCE_S,
        )
        assert (texts(answer.content, "Result"), texts(answer.content, "code")) == (["FAILED"], ["4.1"])


@pytest.mark.parametrize("setting", ["port", "dlms_port"])
def test_a_taken_port_is_told(tmp_path: Path, setting: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        with started(configuration(tmp_path, **{setting: port})) as process:
            told = event(process)
            assert (told["event"], told["address"], told["setting"]) == (
                "port_taken",
                f"127.0.0.1:{port}",
                f"hes.{setting}",
            )
            assert process.wait(10) == 98


@pytest.mark.parametrize(
    ("wrong", "told"),
    [("[hes]\nprot = 1\n", "hes.prot"), ('[[meters]]\nname = "A"\n', "[[meters]] entry 1 (A)")],
)
def test_a_wrong_configuration_is_told(tmp_path: Path, wrong: str, told: str) -> None:
    path = tmp_path / "ami.toml"
    path.write_text(wrong + "[hes]\nport = 0\ndlms_port = 0\n" * ("[hes]" not in wrong))
    with started(path) as process:
        assert process.wait(20) == 2
        assert process.stderr is not None and told in process.stderr.read()
