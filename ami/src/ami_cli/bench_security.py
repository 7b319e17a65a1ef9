"""`ami bench-security`: what TLS and signatures cost: CPU time of the HES for one small request, open, over mutual TLS, and signed both ways.

Each HES is a process of its own; they take turns, so that what else goes on at the machine meets all of them alike. The request names a meter that is not
there: what is measured is HTTP, TLS, the message and its proofs, and no work on meters. The ratio is the median of those of single turns. Linux only.
"""

import os
import ssl
import tempfile
import uuid
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from json import dumps
from pathlib import Path
from typing import Annotated

import httpx
import typer

from ami_cim import wire
from ami_cim.identity import EndDevice, Name
from ami_cim.message import Header, RequestMessage
from ami_cim.payloads.end_device_controls import EndDeviceControl, EndDeviceControls
from ami_cim.schema import Schemas
from ami_cim.wsse import Signer, load_signer, seal
from ami_cli import configuration
from ami_cli.bench import (
    CREATE,
    DISCONNECT,
    PATH,
    REQUEST_S,
    BenchError,
    machine,
    start_head_end,
    write_configuration,
)
from ami_cli.bench_cpu import OURS
from ami_cli.bench_runs import beside_the_first, measured
from ami_cli.cpu_time import used_s
from ami_cli.processes import Processes, environment
from ami_process.authority import Authority
from ami_process.message_security import SealedHeader
from ami_process.tls import TlsSettings, client_context

LIFE_S = 300
THIS_MACHINE = ("localhost", "127.0.0.1")
PRINCIPALS = '[[principals]]\nname = "bench"\nroles = ["admin"]\ncertificate = "DNS:cis"\n'
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass(frozen=True, slots=True)
class Way:
    """How requests are sent: `kept`: over one connection, else each over its own."""

    name: str
    tls: bool = False
    signed: bool = False
    kept: bool = True


WAYS = (
    Way("open"),
    Way("TLS", tls=True),
    Way("TLS, a connection each", tls=True, kept=False),
    Way("TLS and signatures", tls=True, signed=True),
)
"""The first is what the others are compared with."""


@dataclass(slots=True)
class _Turn:
    way: Way
    process_id: int
    url: str
    used_ms: list[float] = field(default_factory=list)


@app.command("bench-security")
def bench_security(
    requests: Annotated[int, typer.Option(min=1, max=100_000, help="In each run.")] = 200,
    runs: Annotated[int, typer.Option(min=1, help="Counted runs of each way.")] = 10,
    json: Annotated[bool, typer.Option("--json", help="The figures as one JSON object.")] = False,
) -> None:
    """Measure what TLS and signatures cost the HES for a small request. Linux only."""
    turns = measured(lambda report: _measure(requests, runs, report))
    # without the first run of each, which loads what is needed
    rows = beside_the_first("way", [(one.way.name, one.used_ms[1:]) for one in turns])
    if json:
        typer.echo(dumps({"machine": machine(), "requests": requests, "runs": runs, "security": rows}))
        return
    typer.echo(f"{machine()}; {runs} runs of {requests:,} requests, CPU of the HES per request")
    for row in rows:
        typer.echo(f"{row['way']:<24}  {row['median_ms']:.2f} ms  {row['ratio']:.2f} of that open")


async def _measure(requests: int, runs: int, report: Callable[[str], None]) -> list[_Turn]:
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ami-bench-")))
        _certify(directory)
        processes = await stack.enter_async_context(
            Processes(directory / "logs", environment(("AMI_METERS", "AMI_CONFIG")))
        )
        turns = [await _start(processes, directory, number, way) for number, way in enumerate(WAYS)]
        sending = _Sending(directory)
        for run in range(runs + 1):
            for turn in turns:
                before_s = used_s(turn.process_id)
                await sending.send(turn, requests)
                turn.used_ms.append((used_s(turn.process_id) - before_s) * 1000 / requests)
                report(f"run {run} of {runs}: {turn.way.name} {turn.used_ms[-1]:.2f} ms per request")
    return turns


def _certify(directory: Path) -> None:
    now, authority = datetime.now(UTC), Authority(directory / "pki")
    authority.init("AMI bench", now)
    for name in ("cis", "hes"):
        authority.issue(name, THIS_MACHINE, now)
    (directory / "principals.toml").write_text(PRINCIPALS)
    (directory / "principals.toml").chmod(0o644)


def _files(directory: Path, name: str) -> dict[str, str]:
    named = {"certificate": f"{name}.pem", "key": f"{name}.key", "authorities": "ca.pem", "revoked": "ca.crl"}
    return {key: str(directory / "pki" / file) for key, file in named.items()}


async def _start(processes: Processes, directory: Path, number: int, way: Way) -> _Turn:
    hes: dict[str, object] = {"reply_networks": []}
    if way.tls:
        hes |= {"tls": {"mode": "mutual"} | _files(directory, "hes"), "principals": str(directory / "principals.toml")}
    if way.signed:
        hes |= {"message_security": {"mode": "required", "signature": True, "responses": "sign"}}
    path, document = write_configuration(configuration.default(), 1, directory / str(number), hes)
    program, ready = await start_head_end(processes, way.name, OURS, path, document)
    scheme = "https" if way.tls else "http"
    return _Turn(way, processes.process_id(program), f"{scheme}://{ready['listen'][0]}{PATH}")


class _Sending:
    """Sends requests one after the other, each with an identifier of its own."""

    def __init__(self, directory: Path) -> None:
        self._schemas = Schemas()
        files = _files(directory, "cis")
        self._trusted: ssl.SSLContext = client_context(TlsSettings.model_validate(files), "bench", lambda _: None)
        self._signer = load_signer(Path(files["certificate"]).read_bytes(), Path(files["key"]).read_bytes())

    async def send(self, turn: _Turn, requests: int) -> None:
        """Raises BenchError for an answer that is none of the HES to this request."""
        headers = {"Content-Type": "text/xml"} | ({} if turn.way.kept else {"Connection": "close"})
        async with httpx.AsyncClient(verify=self._trusted, trust_env=False, timeout=REQUEST_S) as client:
            for _ in range(requests):
                answer = await client.post(turn.url, content=self._message(turn.way), headers=headers)
                if answer.status_code != httpx.codes.OK or b"FAILED<" not in answer.content:
                    raise BenchError(f"{turn.way.name}: the HES answers {answer.status_code}: {answer.text[:500]}")
                if (b"Signature" in answer.content) != turn.way.signed:
                    raise BenchError(f"{turn.way.name}: the answer is not as it was asked for")

    def _message(self, way: Way) -> bytes:
        octets = wire.write_request(_unknown_meter(), CREATE, self._schemas)
        return seal(octets, _header(self._signer)) if way.signed else octets


def _unknown_meter() -> RequestMessage:
    identifier, now = str(uuid.uuid4()), datetime.now(UTC)
    header = Header(
        verb="create",
        noun="EndDeviceControls",
        message_id=identifier,
        correlation_id=identifier,
        timestamp=now,
        source="bench",
    )
    meter = EndDevice(names=(Name(name="no such meter"),))
    control = EndDeviceControl(control_type=DISCONNECT, end_devices=(meter,), usage_points=())
    return RequestMessage(header=header, payload=EndDeviceControls((control,)))


def _header(signer: Signer) -> SealedHeader:
    now = datetime.now(UTC)
    return SealedHeader(
        created_at=now, expires_at=now + timedelta(seconds=LIFE_S), chance=os.urandom(32), signer=signer
    )
