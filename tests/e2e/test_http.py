"""The HTTP edge of HES and CIS as processes, spoken to by sockets: what no client library would send."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from harness import System, system
from hostile import controls, exchange, soap
from patience import PATIENCE_S

from ami_process.open_files import allow_open_files

SILENT = 1_100
allow_open_files(2 * SILENT)
"""More than all connections that a HES or a CIS keeps."""


@pytest.fixture(scope="module")
def ami(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with system(tmp_path_factory.mktemp("http"), meters=1) as one:
        one.start()
        one.start_cis("--no-loop").wait_for("ready")
        yield one


def address(ami: System, role: str) -> tuple[str, int]:
    return "127.0.0.1", ami.config[role]["port"]


def disconnect(ami: System) -> bytes:
    return soap(controls(f"<c:EndDevices><c:mRID>{ami.meter('M1001')['mrid']}</c:mRID></c:EndDevices>"))


def head(target: str, length: int, more: str = "") -> bytes:
    lines = f"POST {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/xml\r\nContent-Length: {length}\r\n{more}"
    return (lines + "\r\n").encode()


def half_closing(to: tuple[str, int], octets: bytes) -> bytes:
    """As `nc -N`: everything that there is to say, the end of it, and then the answer."""
    answer = bytearray()
    with socket.create_connection(to, timeout=PATIENCE_S) as caller:
        caller.sendall(octets)
        caller.shutdown(socket.SHUT_WR)
        while chunk := caller.recv(65_536):
            answer += chunk
    return bytes(answer)


def test_a_client_that_closes_its_side_after_sending_gets_its_answer(ami: System) -> None:
    body = disconnect(ami)
    answer = half_closing(address(ami, "hes"), head("/cim", len(body)) + body)
    assert answer.startswith(b"HTTP/1.1 200 ") and b"Result>OK<" in answer
    wsdl = half_closing(address(ami, "cis"), b"GET /cim?wsdl HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert wsdl.startswith(b"HTTP/1.1 200 ") and wsdl.endswith(b"definitions>")


@pytest.mark.parametrize("role", ["hes", "cis"])
@pytest.mark.parametrize("target", ["/cim/", "http://127.0.0.1/cim", "http://127.0.0.1:1234/cim/"])
def test_other_spellings_of_an_address_are_that_address(ami: System, role: str, target: str) -> None:
    answer = exchange(address(ami, role), head(target, 7, "Connection: close\r\n") + b"garbage")
    assert answer.startswith(b"HTTP/1.1 500 ") and b"FaultMessage" in answer
    assert b"location:" not in answer.lower()


@pytest.mark.parametrize("role", ["hes", "cis"])
@pytest.mark.parametrize("octets", [2**32, 10**19])
def test_a_body_that_is_announced_too_large_is_refused_before_it_comes(ami: System, role: str, octets: int) -> None:
    with socket.create_connection(address(ami, role), timeout=PATIENCE_S) as caller:
        caller.sendall(head("/cim", octets))
        answer = caller.recv(65_536)
        while not answer.endswith(b"Envelope>"):
            answer += caller.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 413 ") and b"too large" in answer


@pytest.mark.parametrize("role", ["hes", "cis"])
@pytest.mark.parametrize("octets", [b"", b"POST /cim HTTP/1.1\r\nHost: 127.0.0.1\r\n", head("/cim", 100)])
def test_connections_that_say_half_keep_nobody_out(ami: System, role: str, octets: bytes) -> None:
    to = address(ami, role)
    with ExitStack() as held:
        for _ in range(SILENT):
            caller = held.enter_context(socket.create_connection(to, timeout=PATIENCE_S))
            caller.sendall(octets)
        answer = httpx.get(f"http://127.0.0.1:{to[1]}/healthz", timeout=PATIENCE_S, trust_env=False)
        assert answer.status_code == 200


def test_half_a_head_is_waited_for_so_long_and_not_longer(tmp_path: Path) -> None:
    with system(tmp_path, meters=1) as one:
        one.config["hes"]["http_head_s"] = 0.5
        one.start_hes()
        with socket.create_connection(address(one, "hes"), timeout=PATIENCE_S) as caller:
            caller.sendall(b"POST /cim HTTP/1.1\r\nHost: 127.0")
            answer = bytearray()
            while chunk := caller.recv(65_536):
                answer += chunk
        assert answer.startswith(b"HTTP/1.1 408 ") and b"within 0.5 s" in answer
