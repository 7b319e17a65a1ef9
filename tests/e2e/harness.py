"""The whole system in processes for the end-to-end tests: a configuration on free ports, the processes, a TCP tap, a reply receiver.

Nothing here knows the inside of a service: processes are started by their command lines and watched through the JSON
lines on their standard output, the HES is spoken to by zeep from its own ``?wsdl``, and the wire to the meters is seen
by a proxy that hands every octet on.
"""

from __future__ import annotations

import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import tomllib
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import scaled
import secured
import tomli_w
from free_ports import free_port
from patience import PATIENCE_S

from ami_cli import generated_meters

ROOT = Path(__file__).parents[2]
PARTITIONS = 64
"""That a worker has by itself."""


class Process:
    """One service in its own process; its events are the JSON lines that it prints."""

    def __init__(self, module: str, *arguments: str, said_by: Process | None = None) -> None:
        """What it says is said by the other process, where there is one."""
        self.name = " ".join((module, *arguments))
        self._said_by = said_by or self
        self.events: list[dict[str, Any]] = [] if said_by is None else said_by.events
        self._more = threading.Condition() if said_by is None else said_by._more
        self._since = datetime.min.replace(tzinfo=UTC)
        self._ended = False
        self.beside: list[Process] = []
        """Those that end with it."""
        self._popen = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            env={k: v for k, v in os.environ.items() if not k.startswith("AMI_")} | {"PYTHONUNBUFFERED": "1"},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            try:
                event = json.loads(line)
            except ValueError:
                event = {"event": "text", "text": line.rstrip()}
            with self._more:
                if "at" not in event or datetime.fromisoformat(event["at"]) >= self._said_by._since:
                    self.events.append(event)
                    self._more.notify_all()
        with self._more:
            self._ended = True
            self._more.notify_all()

    def wait_for(self, event: str, patience_s: float = PATIENCE_S, **fields: Any) -> dict[str, Any]:
        """The first event of this name with these fields; fails with everything that was printed if it does not come."""

        looked = 0

        def found() -> dict[str, Any] | None:
            """Of those that it has not looked at: with thousands of meters there are many."""
            nonlocal looked
            begin = looked if looked <= len(self.events) else 0
            looked = len(self.events)
            new = (self.events[place] for place in range(begin, looked))
            wanted = fields | {"event": event}
            return next((e for e in new if all(e.get(k) == v for k, v in wanted.items())), None)

        with self._more:
            hit: dict[str, Any] | None = None

            def is_over() -> bool:
                nonlocal hit
                hit = hit or found()
                return hit is not None or self._ended

            self._more.wait_for(is_over, patience_s)
            if hit is not None:
                return hit
            printed = "\n".join(json.dumps(e) for e in self.events[-40:])
            raise AssertionError(f"{self.name}: no event {event!r} {fields}; it printed:\n{printed}")

    @property
    def alive(self) -> bool:
        return self._popen.poll() is None

    def seen(self, event: str) -> list[dict[str, Any]]:
        return [e for e in self.events if e.get("event") == event]

    def wait_for_some(self, event: str, count: int) -> list[dict[str, Any]]:
        """All events of this name so far, as soon as there are so many."""
        with self._more:
            self._more.wait_for(lambda: len(self.seen(event)) >= count or self._ended, PATIENCE_S)
            return self.seen(event)

    def forget(self) -> None:
        """Begin anew with an empty list of events; what the process has said before and is still on its way is none."""
        with self._more:
            self._since = datetime.now(UTC)
            self.events.clear()

    @property
    def pid(self) -> int:
        return self._popen.pid

    def kill(self) -> None:
        """As ``kill -9``: no goodbye."""
        for one in self.beside:
            one.kill()
        self._popen.kill()
        self._popen.wait(PATIENCE_S)

    def stop(self) -> int:
        """Ask it to stop; its exit code."""
        for one in self.beside:
            one.stop()
        if self._popen.poll() is None:
            self._popen.send_signal(signal.SIGTERM)
            try:
                self._popen.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.kill()
        self._reader.join(PATIENCE_S)
        assert self._popen.stdout is not None
        self._popen.stdout.close()
        return self._popen.returncode

    def wait(self) -> int:
        return self._popen.wait(PATIENCE_S)


class Tap:
    """A TCP proxy in front of a meter that keeps what passed, direction by direction."""

    def __init__(self, port: int, target: int) -> None:
        self.requests = bytearray()
        self.answers = bytearray()
        self.connections = 0
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", port))
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                near.close()
                continue
            self._sockets += [near, far]
            for source, sink, kept in ((near, far, self.requests), (far, near, self.answers)):
                threading.Thread(target=self._pump, args=(source, sink, kept), daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket, kept: bytearray) -> None:
        with suppress(OSError):
            while octets := source.recv(65536):
                kept += octets
                sink.sendall(octets)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def forget(self) -> None:
        self.requests.clear()
        self.answers.clear()
        self.connections = 0

    def close(self) -> None:
        for one in (self._listener, *self._sockets):
            one.close()


class Receiver:
    """An HTTP server that stands where a CIS takes asynchronous replies; it may refuse the first few.

    Its port is given to nobody else while this process lives: an HES tries again for as long as it runs, and would bring
    the reply of one test to the receiver of another.
    """

    def __init__(self, refuse_first: int = 0) -> None:
        self.bodies: list[bytes] = []
        self.refused = 0
        self._came = threading.Condition()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if outer.refused < refuse_first:
                    outer.refused += 1
                    self.send_error(503)
                    return
                with outer._came:
                    outer.bodies.append(body)
                    outer._came.notify_all()
                answer = response_ok(body)
                self.send_response(200)
                self.send_header("Content-Type", "text/xml; charset=utf-8")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/cim"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def wait(self, count: int = 1) -> list[bytes]:
        with self._came:
            assert self._came.wait_for(lambda: len(self.bodies) >= count, PATIENCE_S), "no asynchronous reply came"
        return self.bodies

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def response_ok(body: bytes) -> bytes:
    from lxml import etree

    from ami_cim import envelope, soap
    from ami_cim.message import Header, Reply, ResponseMessage

    root = soap.unwrap(body)
    got = envelope.parse_delivery(root).message
    header = Header(
        verb="reply",
        noun=got.header.noun,
        message_id=str(uuid.uuid4()),
        correlation_id=got.header.correlation_id or got.header.message_id,
        timestamp=got.header.timestamp,
    )
    answer = ResponseMessage(header=header, reply=Reply(result="OK"))
    return soap.wrap(envelope.format_response(answer, etree.QName(root)))


@dataclass
class System:
    """A configuration in a directory, and the processes that were started on it."""

    directory: Path
    config: dict[str, Any]
    processes: list[Process] = field(default_factory=list)
    taps: list[Tap] = field(default_factory=list)
    hes: Process | None = None
    security: secured.Security | None = None
    scaled: scaled.Scaled | None = None

    @property
    def path(self) -> str:
        return str(self.directory / "ami.toml")

    @property
    def hes_url(self) -> str:
        return f"http://127.0.0.1:{self.config['hes']['port']}"

    def meter(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(m for m in self.config["meters"] if m["name"] == name)
        return found

    def tap(self, name: str) -> Tap:
        """Put a tap between the HES and a meter; call before the processes start."""
        meter = self.meter(name)
        port, real = meter["address"].rsplit(":", 1)[1], free_port()
        meter["simulated"]["listen"] = f"127.0.0.1:{real}"
        tap = Tap(int(port), real)
        self.taps.append(tap)
        return tap

    def write(self, name: str = "ami.toml", config: dict[str, Any] | None = None) -> str:
        path = self.directory / name
        config = config or self.config
        if secured.chosen and "tls" not in config["hes"]:
            self.security = self.security or secured.Security(self.directory)
            config = self.security.apply(config)
        if scaled.chosen:
            self.scaled = self.scaled or scaled.Scaled()
            config = self.scaled.apply(config)
        path.write_text(tomli_w.dumps(config))
        return str(path)

    def start_meter(self, name: str, config: dict[str, Any] | None = None) -> Process:
        path = self.write(f"{name}.toml", config or self.config)
        process = self._start("ami_meter_sim", "serve", "--config", path, "--meter", name)
        process.wait_for("ready")
        return process

    def start_together(self, served: dict[str, Any] | None = None) -> System:
        """All meters in one process, then the HES; the meters may have a configuration of their own."""
        meters = self._start_meters(served)
        self.hes = self._start("ami_hes", "serve", "--config", self.write("hes.toml"))
        for process in (meters, self.hes):
            process.wait_for("ready")
        return self

    def start_meters(self) -> Process:
        """All meters in one process."""
        meters = self._start_meters(None)
        meters.wait_for("ready")
        return meters

    def _start_meters(self, served: dict[str, Any] | None) -> Process:
        return self._start("ami_meter_sim", "serve", "--config", self.write("meters.toml", served))

    def start_hes(self, config: dict[str, Any] | None = None) -> Process:
        self.hes = self._start("ami_hes", "serve", "--config", self.write("hes.toml", config or self.config))
        self.hes.wait_for("ready")
        return self.hes

    def start_cis(self, *arguments: str) -> Process:
        return self._start("ami_cis", "serve", "--config", self.write("cis.toml"), *arguments)

    def send(self, code: str, *arguments: str) -> Process:
        """One control for M1001 by the command line of a CIS, which is started where none serves."""
        if not any(one.alive and one.name.startswith("ami_cis serve") for one in self.processes):
            self.start_cis("--no-loop").wait_for("ready")
        options = ("--code", code, "--meter", "M1001", "--json", *arguments)
        return self._start("ami_cis", "send", "--url", f"http://127.0.0.1:{self.config['cis']['port']}", *options)

    def start(self, *meters: str) -> System:
        """The meters (all of them if none is named), then the HES."""
        names = meters or [m["name"] for m in self.config["meters"]]
        started = [
            self._start("ami_meter_sim", "serve", "--config", self.write(f"{n}.toml"), "--meter", n) for n in names
        ]
        self.hes = self._start("ami_hes", "serve", "--config", self.write("hes.toml"))
        for process in (*started, self.hes):
            process.wait_for("ready")
        return self

    def _start(self, module: str, *arguments: str) -> Process:
        process = Process(module, *arguments)
        self.processes.append(process)
        if scaled.chosen and (module, arguments[0]) == ("ami_hes", "serve"):
            until(lambda: process.seen("ready") or not process.alive, "the front end was ready, or not to be")
            if process.alive:
                process.beside.append(Process(module, "work", *arguments[1:], said_by=process))
                until(lambda: any(one.get("owned") == PARTITIONS for one in process.events), "the worker had its share")
        return process

    def process(self, meter: str) -> Process:
        return next(p for p in reversed(self.processes) if p.name.endswith(f"--meter {meter}"))

    def forget(self) -> None:
        """Begin anew: what the processes have said and what passed on the taps is forgotten."""
        for one in (*self.processes, *self.taps):
            one.forget()

    def close(self) -> None:
        for process in reversed(self.processes):
            process.stop()
        for tap in self.taps:
            tap.close()
        if self.security is not None:
            self.security.close()


def configuration(directory: Path, meters: int = 2) -> dict[str, Any]:
    """The demo's own configuration, moved to free ports and to a directory of its own."""
    config = tomllib.loads((ROOT / "config/demo.toml").read_text())
    config["demo"]["read"] = []  # the loop's requests are its controls alone, which tests count
    config["cis"] |= {"port": free_port(), "store": str(directory / "cis.sqlite")}
    config["hes"] |= {
        "port": free_port(),
        "dlms_port": free_port(),
        "store": str(directory / "hes.sqlite"),
        "store_mark": str(directory / "elsewhere/hes.mark"),
        "deadline_s": 8.0,
        "apdu_timeout_s": 2.0,
    }
    config["cis"]["hes_url"] = f"http://127.0.0.1:{config['hes']['port']}"
    config["meter_sim"]["state"] = str(directory / "meters")
    config = generated_meters.fleet(
        config, meters, seed="e2e", layout=generated_meters.Layout.PORTS, address="127.0.0.1:1"
    )
    for meter in config["meters"]:
        meter["address"] = f"127.0.0.1:{free_port()}"
    return config


@contextmanager
def system(directory: Path, meters: int = 2) -> Iterator[System]:
    one = System(directory, configuration(directory, meters))
    try:
        yield one
    finally:
        one.close()


def until(condition: Any, what: str, patience_s: float = PATIENCE_S, *, every_s: float = 0.02) -> None:
    """Wait for a condition that no event announces (a file, a port)."""
    end = time.monotonic() + patience_s
    gate = threading.Event()
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen"
        gate.wait(every_s)
