"""The whole system over mutual TLS with principals, for tests that speak HTTP: `make test ARGS='tests/e2e --secure'`.

The configuration that a test has written gets certificates, principals and token files before a process reads it, and other ports. At the ports
that the test knows a relay takes its HTTP and hands it on over TLS with a certificate of its own, whose principal is an admin.
CIS and HES speak to each other directly, by their own certificates.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from contextlib import suppress
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests
import requests.adapters
import tomli_w
from free_ports import free_port

from ami_cli.demo_tls import secured
from ami_process.authority import Authority

chosen = False
"""Whether the option was given."""
ROLES = {
    "hes": {"cis": ["controller", "operator"], "tests": ["admin"]},
    "cis": {"hes": ["operator"], "tests": ["admin"]},
}
NOT_THERE = {
    "test_lost_streams.py": "asks without TLS",
    "test_telemetry.py::test_one_trace_from_the_message_to_the_meter_and_back[True]": "starts the processes of that engine without TLS",
}
"""Tests, by the beginning of their ids in this folder, that can't be run so, and why."""
CHUNK = 65536


def why_not(nodeid: str) -> str | None:
    """Why this test can't be run with TLS; None where it can."""
    own = nodeid.rpartition("tests/e2e/")[2]
    return next((why for begin, why in NOT_THERE.items() if own.startswith(begin)), None)


class ByRelay(requests.adapters.HTTPAdapter):
    """For a client that follows the WSDL, whose addresses are those of TLS at the ports of the relays."""

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        request.url = f"http{str(request.url).removeprefix('https')}"
        return super().send(request, *arguments, **options)


def session() -> requests.Session:
    """Of a client of the HES."""
    made = requests.Session()
    if chosen:
        made.mount("https://127.0.0.1", ByRelay())
    return made


class Relay:
    """Plain connections at one port, each handed on over TLS to another."""

    def __init__(self, port: int, target: int, context: ssl.SSLContext) -> None:
        self.target = target
        self._port, self._context = port, context
        self._tasks = set[asyncio.Task[None]]()
        self._serving = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        self._serving.wait()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._accepted, "127.0.0.1", self._port)
        self._serving.set()
        await self._stop.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._relayed(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _relayed(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(
                "127.0.0.1", self.target, ssl=self._context, server_hostname="127.0.0.1"
            )
        except OSError:  # as where nobody listens
            writer.transport.abort()
            return
        there = asyncio.create_task(_pump(reader, far_writer))
        try:
            await _pump(far_reader, writer)
        finally:
            there.cancel()
            await asyncio.gather(there, return_exceptions=True)
            for end in (writer, far_writer):
                end.close()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while octets := await reader.read(CHUNK):
            writer.write(octets)
            await writer.drain()


class Security:
    """Of one system: its authority, and its relays by the ports that tests know."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._relays: dict[int, Relay] = {}
        self._context: ssl.SSLContext | None = None

    def apply(self, config: dict[str, Any]) -> dict[str, Any]:
        """What the processes read in place of this configuration."""
        made = deepcopy(config)
        plain = {process: made[process]["port"] for process in ROLES}
        beside = {process: made[process] | {"store": str(self._directory / f"{process}.sqlite")} for process in ROLES}
        sections = secured(made | beside, datetime.now(UTC))
        context = self._client()
        for process, known in ROLES.items():
            made[process] |= {
                "tls": sections[process]["tls"],
                "port": self._relayed(plain[process], context),
                "principals": self._principals(process, known),
                "anonymous": [],
            }
            made[process].setdefault("token_file", str(self._directory / f"{process}.tokens"))
        if made["cis"].get("hes_url", "").endswith(f":{plain['hes']}"):
            made["cis"]["hes_url"] = f"https://127.0.0.1:{made['hes']['port']}"
        return made

    def _relayed(self, port: int, context: ssl.SSLContext) -> int:
        if port not in self._relays:
            self._relays[port] = Relay(port, free_port(), context)
        return self._relays[port].target

    def _client(self) -> ssl.SSLContext:
        if self._context is None:
            pki = self._directory / "pki"
            Authority(pki).issue("tests", (), datetime.now(UTC))
            self._context = ssl.create_default_context(cafile=pki / "ca.pem")
            self._context.load_cert_chain(pki / "tests.pem", pki / "tests.key")
        return self._context

    def _principals(self, process: str, known: dict[str, list[str]]) -> str:
        file = self._directory / f"{process}.principals.toml"
        tables = [{"name": name, "certificate": f"DNS:{name}", "roles": roles} for name, roles in known.items()]
        file.write_text(tomli_w.dumps({"principals": tables}))
        file.chmod(0o644)
        return str(file)

    def close(self) -> None:
        for relay in self._relays.values():
            relay.close()
