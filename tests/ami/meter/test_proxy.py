"""`ami proxy`: what passes is shown, recorded, answered from the record with other keys, and made a model of; over the wrapper and HDLC."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from free_ports import free_port
from meter_bench import AK, EK, PASSWORD, Ami, Fleet, meter
from patience import PATIENCE_S
from typer.testing import CliRunner

from ami_cli.__main__ import app
from ami_cli.conformance.cli import _named
from ami_cli.meter.target_options import TargetOptions
from ami_cli.proxy.cli import _address
from ami_cli.proxy.exchanges import Exchange, Session, session_of
from ami_cli.proxy.model import model_of
from ami_cli.proxy.passing import Passed
from ami_cli.proxy.recorder import CaptureFile, Recorder
from ami_cli.proxy.relay import MOST_WAITING, Relay
from ami_cli.proxy.replay import Answers, ReplayKeys, counter_at, profiles_of
from ami_cli.proxy.session_file import LONGEST_LINE, SessionFileError, SessionWriter, read_session
from ami_cli.proxy.taps import Framing, tap_of
from ami_dlms import apdu, data
from ami_dlms.apdu.acse import Aare, Aarq, Diagnostic
from ami_dlms.apdu.blocks import BlockControl, GeneralBlockTransfer
from ami_dlms.apdu.get import GetRequestNext, GetRequestNormal, GetResponseNormal, GetResponseWithDataBlock
from ami_dlms.apdu.initiate import InitiateRequest, InitiateResponse
from ami_dlms.apdu.set import SetRequestNormal
from ami_dlms.association import Get
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import (
    AcseServiceUserDiagnostic,
    ApplicationContext,
    AssociationResult,
    Conformance,
    DataAccessResult,
    Mechanism,
)
from ami_dlms.errors import LocalError
from ami_dlms.explain import Keyring
from ami_dlms.framing import hdlc, wrapper
from ami_dlms.framing.framing import WrapperPdu
from ami_dlms.framing.hdlc import Frame, FrameKind, control_of
from ami_dlms.framing.hdlc_address import HdlcAddress
from ami_dlms.framing.hdlc_client import HdlcClient
from ami_dlms.framing.hdlc_parameters import LinkParameters
from ami_dlms.framing.hdlc_segments import LLC_COMMAND
from ami_dlms.obis import Obis
from ami_meter_sim.objects.model_files import load_model
from ami_trace.pcapng import Dissector, Endpoint

OTHER_EK, OTHER_AK = "00112233445566778899AABBCCDDEEFF", "FFEEDDCCBBAA99887766554433221100"
LISTENING = re.compile(r"listening at \S+:(\d+)")
MOVING = {"0-0:1.0.0*255", "0-0:43.1.0*255", "0-0:43.1.1*255"}
SCAN = ("scan", "--skip-buffers", "--json", "--max-pdu", "300")
"""Object lists and lists of attributes come in blocks."""
PROFILE = ("profile", "1-0:99.1.0", "--last", "4", "--json")


@dataclass
class Proxy:
    """A process of `ami proxy`."""

    process: subprocess.Popen[str]
    port: int
    out: list[str] = field(default_factory=list)


@contextmanager
def proxy(*arguments: object) -> Iterator[Proxy]:
    """At work, and ended as a person ends it; then `out` has its lines."""
    command = [sys.executable, "-m", "ami_cli", "proxy", *map(str, arguments), "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        found = LISTENING.search(said)
        if found is None:
            raise AssertionError(said + process.stderr.read())
        running = Proxy(process, int(found[1]))
        try:
            yield running
        finally:
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
            running.out = [*out.splitlines(), *err.splitlines()]
        assert process.returncode == 0, err


def through(directory: Path, entry: dict[str, Any], port: int, **change: Any) -> Ami:
    """The command line for the same meter at another address."""
    directory.mkdir()
    return Ami(Fleet(directory, [entry | change | {"address": f"127.0.0.1:{port}"}]))


def shown(found: Any) -> dict[tuple[int, str, int], tuple[Any, ...]]:
    (device,) = found["devices"]
    assert device["error"] is None
    return {
        (one["class_id"], one["obis"], one["attribute_id"]): (one["a_xdr"], one["error"])
        for each in device["objects"]
        for one in each["attributes"]
        if one["obis"] not in MOVING
    }


def ami(*arguments: object) -> str:
    result = CliRunner().invoke(app, [*map(str, arguments)], terminal_width=300)
    assert result.exit_code == 0, result.output
    return result.output


def ways() -> Sequence[Any]:
    keys = ("--ek", EK, "--ak", AK)
    lls = {"authentication": "lls", "ciphering": "none", "secret": PASSWORD.encode().hex()}
    password = ("--secret", f"hex:{PASSWORD.encode().hex()}")
    other = {"encryption_key": OTHER_EK, "authentication_key": OTHER_AK}
    return [
        pytest.param({}, keys, other, ("--ek", OTHER_EK, "--ak", OTHER_AK), id="wrapper-gmac"),
        pytest.param({"transport": "hdlc"} | lls, (), {}, password, id="hdlc-lls"),
        pytest.param(
            {"transport": "hdlc"},
            keys,
            other,
            ("--ek", OTHER_EK, "--ak", OTHER_AK),
            id="hdlc-gmac",
            marks=pytest.mark.ci,
        ),
    ]


@pytest.mark.parametrize(("kind", "keys", "change", "replay_keys"), ways())
def test_what_was_recorded_is_answered_again_and_makes_a_model(
    tmp_path: Path, kind: dict[str, Any], keys: Sequence[str], change: dict[str, Any], replay_keys: Sequence[str]
) -> None:
    entry = meter("M1", 2301, free_port(), **kind)
    session, capture, saved = tmp_path / "session.jsonl", tmp_path / "all.clear.pcapng", tmp_path / "model.toml"
    by_entry = ("--registry", tmp_path / "ami.toml", "--meter", "M1")
    whom = by_entry if kind else (entry["address"], *keys)
    with (
        Fleet(tmp_path, [entry]),
        proxy("record", *whom, "--session", session, "--pcapng", capture) as recording,
    ):
        client = through(tmp_path / "through", entry, recording.port)
        before = client.on("M1", *SCAN).ok().json
        rows = client.on("M1", *PROFILE).ok().json
    said = "\n".join(recording.out)
    assert "get-response-with-data-block" in said and "→ 1/1" in said and "← 1/1" in said
    kept = (
        session.read_text("utf-8") + said + capture.read_bytes().hex().upper() + capture.read_bytes().decode("latin-1")
    )
    for secret in (EK, AK, PASSWORD, PASSWORD.encode().hex().upper()):
        assert secret not in kept and secret.lower() not in kept
    assert {path.stat().st_mode & 0o777 for path in (session, capture)} == {0o600}
    assert "get-response" in ami("decode", "--summary", *keys, capture)
    with proxy("replay", session, *replay_keys, "--counters", tmp_path / "counters.json") as replayed:
        client = through(tmp_path / "again", entry, replayed.port, **change)
        assert shown(client.on("M1", *SCAN).ok().json) == shown(before)
    assert rows["rows"]
    ami("proxy", "model", session, "--save-model", saved)
    model = load_model(str(saved))
    (device,) = before["devices"]
    assert {(class_id, str(obis)) for class_id, obis in model.objects} == {
        (one["class_id"], one["obis"]) for one in device["objects"]
    }


HEAD: dict[str, Any] = {"form": "ami proxy session", "version": 1, "framing": "wrapper"}


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([], "no session of"),
        (["{}"], "no session of"),
        (["{"], "no JSON"),
        (["[" * 100_000], "no JSON"),
        (["1"], "no object"),
        ([{"form": "ami proxy session", "version": 2, "framing": "wrapper"}], "version 2"),
        ([{"form": "ami proxy session", "version": 1, "framing": "pigeon"}], "'pigeon' is not known"),
        ([HEAD, {"at": "now"}], "line 2: no message"),
        ([HEAD, HEAD | {"at": "2026-01-01", "connection": float("inf")}], "line 2: no message"),
        ([HEAD, "{"], "line 2: no JSON"),
        (["x" * (LONGEST_LINE + 2)], "longer than"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_a_file_that_is_no_session_is_refused_with_the_line(tmp_path: Path, lines: list[Any], reason: str) -> None:
    path = tmp_path / "session.jsonl"
    path.write_text("".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in lines))
    result = CliRunner().invoke(app, ["proxy", "model", str(path), "--save-model", str(tmp_path / "model.toml")])
    assert result.exit_code == 2
    assert reason in result.output


# --- the parts, without processes

AT = datetime(2026, 3, 2, 10, 5, tzinfo=UTC)
CLIENT, METER = Endpoint("10.0.0.1", 40_000, "head-end"), Endpoint("10.0.0.5", 4059, "meter")
TIME = AttributeDescriptor(8, Obis.parse("0-0:1.0.0"), 2)
READ_TIME = apdu.encode(GetRequestNormal(0xC1, TIME))


def recorder(
    directory: Path, framing: Framing = Framing.WRAPPER, most_octets: int = 1 << 20
) -> tuple[Recorder, list[str]]:
    said: list[str] = []
    session = SessionWriter(directory / "session.jsonl", framing, AT, most_octets)
    capture = CaptureFile(directory / "all.clear.pcapng", "test", Dissector.STOCK, most_octets)
    one = Recorder(framing, Keyring(), said.append, session, capture)
    one.begin(1, CLIENT, METER)
    return one, said


def framed(octets: bytes, *, back: bool = False) -> bytes:
    return wrapper.encode(WrapperPdu(1, 16, octets) if back else WrapperPdu(16, 1, octets))


def test_octets_come_in_any_portions(tmp_path: Path) -> None:
    one, said = recorder(tmp_path)
    for octet in framed(READ_TIME):
        one.take(AT, 1, True, bytes((octet,)))
    one.close()
    (message,) = read_session(tmp_path / "session.jsonl").messages
    assert (message.clear, message.from_client, message.client, message.server) == (READ_TIME, True, 16, 1)
    assert len(said) == 1 and "get-request" in said[0]


def test_what_is_no_framing_is_told_once_and_ends_one_direction(tmp_path: Path) -> None:
    one, said = recorder(tmp_path)
    for _ in range(3):
        one.take(AT, 1, False, b"\xff" * 20)
    one.take(AT, 1, True, framed(READ_TIME))
    assert [("is no wrapper" in line, "get-request" in line) for line in said] == [(True, False), (False, True)]
    one.close()


def test_secrets_are_neither_shown_nor_kept(tmp_path: Path) -> None:
    """A password of LLS, a dedicated key, a password that is written, and one that a meter gives away."""
    password, key = b"the password", bytes(range(0x50, 0x60))
    initiate = InitiateRequest(dedicated_key=key, conformance=Conformance.GET, client_max_receive_pdu_size=0)
    secret = AttributeDescriptor(15, Obis.parse("0-0:40.0.0"), 7)
    messages = [
        (True, Aarq(ApplicationContext.LN, None, Mechanism.LOW, password, apdu.encode(initiate))),
        (True, SetRequestNormal(0xC1, secret, None, data.octet_string(password))),
        (True, GetRequestNormal(0xC1, secret)),
        (False, GetResponseNormal(0xC1, data.octet_string(password))),
    ]
    one, said = recorder(tmp_path)
    for from_client, message in messages:
        one.take(AT, 1, from_client, framed(apdu.encode(message), back=not from_client))
    one.take(AT, 1, True, framed(READ_TIME))
    one.close()
    text = (tmp_path / "session.jsonl").read_text("utf-8") + "\n".join(said)
    octets = (tmp_path / "all.clear.pcapng").read_bytes()
    for hidden in (password, key):
        assert hidden.hex() not in text.lower() and repr(hidden)[2:-1] not in text and hidden not in octets
    assert READ_TIME in octets, "what holds none is in the capture"
    (opening, *_, last) = read_session(tmp_path / "session.jsonl").messages
    assert opening.clear is not None and isinstance(apdu.decode(opening.clear), Aarq)
    assert last.clear == READ_TIME


SECRET = AttributeDescriptor(15, Obis.parse("0-0:40.0.0"), 7)
Step = tuple[bool, Any]


def block(first: int, number: int, octets: bytes, *, last: bool) -> GetResponseWithDataBlock:
    return GetResponseWithDataBlock(0xC0 | first, last, number, octets)


def pieces(octets: bytes) -> list[GeneralBlockTransfer]:
    middle = len(octets) // 2
    return [
        GeneralBlockTransfer(BlockControl(False, False, 1), 1, 0, octets[:middle]),
        GeneralBlockTransfer(BlockControl(True, False, 1), 2, 0, octets[middle:]),
    ]


def exchanges_in_parts(password: bytes) -> dict[str, list[Step]]:
    """A secret behind its question, in each of the ways in which later messages don't name what they are about."""
    answer = data.encode(data.octet_string(password))
    first, second = answer[:10], answer[10:]
    blocks: list[Step] = [
        (True, GetRequestNormal(0xC1, SECRET)),
        (False, block(1, 1, first, last=False)),
        (True, GetRequestNext(0xC1, 1)),
        (False, block(1, 2, second, last=True)),
    ]
    get = apdu.encode(GetRequestNormal(0xC1, SECRET))
    put = apdu.encode(SetRequestNormal(0xC3, SECRET, None, data.octet_string(password)))
    response = apdu.encode(GetResponseNormal(0xC1, data.octet_string(password)))
    return {
        "blocks": blocks,
        "the second of two questions at once": [
            (True, GetRequestNormal(0xC1, SECRET)),
            (True, GetRequestNormal(0xC2, TIME)),
            (False, GetResponseNormal(0xC2, data.unsigned(1))),
            (False, GetResponseNormal(0xC1, data.octet_string(password))),
        ],
        "a general block transfer asked": [*((True, one) for one in pieces(put))],
        "and answered": [*((True, one) for one in pieces(get)), *((False, one) for one in pieces(response))],
        "a broken answer": [(True, GetRequestNormal(0xC1, SECRET)), (False, response + b"more")],
        "a broken AARQ": [(True, apdu.encode(Aarq(ApplicationContext.LN, None, Mechanism.LOW, password)) + b"more")],
    }


def kept_of(directory: Path, steps: Sequence[Step]) -> bytes:
    """All that a recorder shows and keeps, the octets of the session as octets."""
    directory.mkdir()
    one, said = recorder(directory)
    for from_client, message in (*steps, (True, GetRequestNormal(0xC5, TIME))):
        octets = message if isinstance(message, bytes) else apdu.encode(message)
        one.take(AT, 1, from_client, framed(octets, back=not from_client))
    one.close()
    session = (directory / "session.jsonl").read_text("utf-8")
    digits = b"".join(bytes.fromhex(found) for found in re.findall(r'"((?:[0-9a-f]{2})+)"', session))
    return digits + (session + "\n".join(said)).encode() + (directory / "all.clear.pcapng").read_bytes()


def test_a_secret_is_known_by_its_exchange_and_not_by_the_last_question(tmp_path: Path) -> None:
    password = b"rather a long passphrase"
    for number, (what, steps) in enumerate(exchanges_in_parts(password).items()):
        kept = kept_of(tmp_path / str(number), steps)
        assert apdu.encode(GetRequestNormal(0xC5, TIME)) in kept, f"{what}: what holds none is kept"
        found = [part for at in range(0, len(password) - 6, 3) if (part := password[at : at + 6]) in kept]
        assert not found, what
        assert password.hex().encode() not in kept, what


def test_a_frame_of_hdlc_with_a_secret_is_in_no_capture_when_it_is_sent_again(tmp_path: Path) -> None:
    one, _ = recorder(tmp_path, Framing.HDLC)
    here, there, password = HdlcAddress(16), HdlcAddress(1), b"the password"
    opening = apdu.encode(Aarq(ApplicationContext.LN, None, Mechanism.LOW, password))

    def sent(number: int, message: bytes, final: bool) -> bytes:
        control = control_of(FrameKind.I, final, 0, number)
        return hdlc.encode(Frame(there, here, control, LLC_COMMAND + message))

    for final in (True, False, True):
        one.take(AT, 1, True, sent(0, opening, final))
    for number in (1, 2, 1, 2, 0):  # a window that is sent again, and what is out of any order
        one.take(AT, 1, True, sent(number, READ_TIME if number else opening, True))
    one.close()
    octets = (tmp_path / "all.clear.pcapng").read_bytes()
    assert password not in octets
    assert octets.count(READ_TIME) == 4, "what holds none is there as often as it was sent"
    assert len(read_session(tmp_path / "session.jsonl").messages) == 3


def test_a_file_that_is_full_is_told_and_the_rest_is_shown(tmp_path: Path) -> None:
    one, said = recorder(tmp_path, most_octets=2000)
    for _ in range(20):
        one.take(AT, 1, True, framed(READ_TIME))
    one.close()
    assert sum("reached --most-mib" in line for line in said) == 1 and sum("get-request" in line for line in said) == 20
    assert (tmp_path / "session.jsonl").stat().st_size <= 2000
    assert len(read_session(tmp_path / "session.jsonl").messages) < 20


def test_segments_are_put_together_and_a_frame_sent_again_counts_once() -> None:
    link = HdlcClient(HdlcAddress(16), HdlcAddress(1), LinkParameters(32, 32))
    link.connect()
    link.receive_data(hdlc.encode(Frame(HdlcAddress(16), HdlcAddress(1), control_of(FrameKind.UA), b"")))
    link.next_event()
    link.data_to_send()
    long = apdu.encode(SetRequestNormal(0xC1, TIME, None, data.octet_string(bytes(80))))
    octets, tap = link.send_apdu(long), tap_of(Framing.HDLC)
    found, number = [], 0
    while octets:
        number += 1
        for _ in range(2):
            found += [one.pdu for one in tap.take(octets)]
        ready = Frame(HdlcAddress(16), HdlcAddress(1), control_of(FrameKind.RR, True, number))
        link.receive_data(hdlc.encode(ready))
        link.next_event()
        octets = link.data_to_send()
    assert number > 2
    assert [one for one in found if one is not None] == [WrapperPdu(16, 1, long)]


async def test_octets_pass_unchanged_whatever_they_are(tmp_path: Path) -> None:
    noise = bytes(range(256)) * 300

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(len(noise)))
        writer.close()

    one, stop = recorder(tmp_path)[0], asyncio.Event()
    meter_side = await asyncio.start_server(echo, "127.0.0.1", 0)
    relay = Relay(("127.0.0.1", meter_side.sockets[0].getsockname()[1]), one)
    listener = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    relaying = asyncio.create_task(relay.run(listener, stop))
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.sockets[0].getsockname()[1])
    writer.write(noise)
    assert await asyncio.wait_for(reader.readexactly(len(noise)), PATIENCE_S) == noise
    assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b"", "and the end as well"
    writer.close()
    stop.set()
    await relaying
    meter_side.close()
    one.close()


def test_a_record_whose_last_line_was_cut_has_the_others(tmp_path: Path) -> None:
    one, _ = recorder(tmp_path)
    for _ in range(2):
        one.take(AT, 1, True, framed(READ_TIME))
    one.close()
    path = tmp_path / "session.jsonl"
    path.write_text(path.read_text("utf-8")[:-20], "utf-8")
    assert [message.clear for message in read_session(path).messages] == [READ_TIME]


class GoneTerminal:
    """A pipe whose reader has gone."""

    def __init__(self) -> None:
        self.tried = 0

    def __call__(self, line: str) -> None:
        self.tried += 1
        raise BrokenPipeError(32, "Broken pipe")


class Startled(Recorder):
    """Meets something that nobody has thought of."""

    def take(self, at: datetime, number: int, from_client: bool, octets: bytes) -> None:
        raise ZeroDivisionError("nobody thought of it")


@pytest.mark.parametrize("kind", [Recorder, Startled])
async def test_nothing_that_befalls_the_recorder_stops_the_line(tmp_path: Path, kind: type[Recorder]) -> None:
    """More pieces pass than wait between sockets and recorder, each by itself, and stopping ends it with a connection open."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while octets := await reader.read(1 << 16):
            writer.write(octets)
        writer.close()

    gone, stop, request, times = GoneTerminal(), asyncio.Event(), framed(READ_TIME), MOST_WAITING
    session = SessionWriter(tmp_path / "session.jsonl", Framing.WRAPPER, AT, 1 << 20)
    one = kind(Framing.WRAPPER, Keyring(), gone, session)
    troubles: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, trouble: troubles.append(trouble))
    meter_side = await asyncio.start_server(echo, "127.0.0.1", 0)
    relay = Relay(("127.0.0.1", meter_side.sockets[0].getsockname()[1]), one)
    listener = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    relaying = asyncio.create_task(relay.run(listener, stop))
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.sockets[0].getsockname()[1])
    async with asyncio.timeout(PATIENCE_S):
        for _ in range(times):
            writer.write(request)
            assert await reader.readexactly(len(request)) == request
        stop.set()
        await relaying
        assert await reader.read() == b""
    writer.close()
    meter_side.close()
    one.close()
    assert troubles == [] and gone.tried == 1
    kept = len(read_session(tmp_path / "session.jsonl").messages)
    under_way = 2  # a piece of each direction that waits for a place while it is stopped
    assert 2 * times - under_way <= kept if kind is Recorder else kept == 0, "the file goes on without a terminal"


class Lines(list[str]):
    """A terminal of ASCII."""

    def __call__(self, line: str) -> None:
        self.append(line.encode("ascii").decode())


def test_a_terminal_that_lacks_a_character_is_shown_its_number(tmp_path: Path) -> None:
    lines = Lines()
    one = Recorder(Framing.WRAPPER, Keyring(), lines, SessionWriter(tmp_path / "session.jsonl", Framing.HDLC, AT, 9999))
    one.begin(1, CLIENT, METER)
    for _ in range(2):
        one.take(AT, 1, True, framed(READ_TIME))
    assert [("\\u2192" in line, "get-request" in line) for line in lines] == [(True, True)] * 2
    session = one.session
    one.stop_keeping(OSError(28, "no space"))
    assert session is not None and session.closed


async def test_each_side_may_end_before_the_other_and_a_line_that_is_gone_is_no_fault(tmp_path: Path) -> None:
    """The meter answers what was asked when its client has said that it asks no more; then a client whose line times out."""
    troubles: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, trouble: troubles.append(trouble))

    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        writer.close()

    one, stop = recorder(tmp_path)[0], asyncio.Event()
    meter_side = await asyncio.start_server(late, "127.0.0.1", 0)
    relay = Relay(("127.0.0.1", meter_side.sockets[0].getsockname()[1]), one)
    broken: list[asyncio.StreamReader] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        broken.append(reader)
        await relay.serve(reader, writer)

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    relaying = asyncio.create_task(relay.run(listener, stop))
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(framed(READ_TIME))
        writer.write_eof()
        assert await reader.read() == framed(READ_TIME)
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(framed(READ_TIME))
        while len(broken) < 2:
            await asyncio.sleep(0)
        broken[1].set_exception(TimeoutError(110, "Connection timed out"))
        assert await reader.read() in (b"", framed(READ_TIME))
        writer.close()
        stop.set()
        await relaying
    meter_side.close()
    one.close()
    assert troubles == []


class Stuck(Recorder):
    """Looks at nothing until it is let go."""

    let_go = threading.Event()
    ended = 0

    def take(self, at: datetime, number: int, from_client: bool, octets: bytes) -> None:
        assert self.let_go.wait(PATIENCE_S)
        super().take(at, number, from_client, octets)

    def end(self, number: int) -> None:
        super().end(number)
        Stuck.ended += 1


async def test_a_recorder_that_is_stuck_loses_a_connection_from_the_record_and_not_from_the_line() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while octets := await reader.read(1 << 16):
            writer.write(octets)
        writer.close()

    said: list[str] = []
    stop, request = asyncio.Event(), framed(READ_TIME)
    meter_side = await asyncio.start_server(echo, "127.0.0.1", 0)
    one = Stuck(Framing.WRAPPER, Keyring(), said.append)
    relay = Relay(("127.0.0.1", meter_side.sockets[0].getsockname()[1]), one, stalled_s=0.01)
    listener = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    relaying = asyncio.create_task(relay.run(listener, stop))
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.sockets[0].getsockname()[1])
        for _ in range(MOST_WAITING):
            writer.write(request)
            assert await reader.readexactly(len(request)) == request
        stop.set()
        assert await reader.read() == b""
        one.let_go.set()
        await relaying
    writer.close()
    meter_side.close()
    assert one.ended == 1, "its end is not lost in the full queue"
    assert sum("not shown any more: TimeoutError" in line for line in said) == 1
    assert MOST_WAITING <= one.apdus < 2 * MOST_WAITING


def test_the_longest_that_is_put_together_of_blocks_is_read_back(tmp_path: Path) -> None:
    path, whole = tmp_path / "session.jsonl", bytes(1 << 20)
    writer = SessionWriter(path, Framing.WRAPPER, AT, 1 << 26)
    writer.message(Passed(AT, 1, False, 16, 1, b"\0", "a last block", secret_in_clear=False, whole=whole))
    writer.close()
    assert [one.whole for one in read_session(path).messages] == [whole]


def test_what_can_not_begin_leaves_no_file_and_says_why(tmp_path: Path) -> None:
    session, capture = tmp_path / "session.jsonl", tmp_path / "all.clear.pcapng"
    kept = ("--session", str(session), "--pcapng", str(capture))

    def refused(listen: int) -> str:
        result = CliRunner().invoke(app, ["proxy", "record", "127.0.0.1:1", "--listen", f"127.0.0.1:{listen}", *kept])
        assert result.exit_code == 2
        return result.output

    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "already in use" in refused(taken.getsockname()[1])
    assert not session.exists() and not capture.exists()
    capture.touch()
    assert "all.clear.pcapng is there already" in refused(0)
    assert not session.exists()


def test_an_address_of_ipv6_has_brackets_before_a_port() -> None:
    assert (_address("[fe80::1]:4059", "X"), _address("meter:1", "X")) == (("fe80::1", 4059), ("meter", 1))
    for wrong in ("fe80::1", "fe80::1:4059", "[fe80::1]", "meter", ":1", "meter:65536", "meter:" + "1" * 5000):
        with pytest.raises(SessionFileError, match="is no HOST:PORT"):
            _address(wrong, "X")
    found = {name: _named(TargetOptions(), name) for name in ("fe80::1", "[fe80::1]", "[fe80::1]:1", "a:2", "a")}
    assert [(one.host, one.port) for one in found.values()] == [
        ("fe80::1", TargetOptions().port),
        ("fe80::1", TargetOptions().port),
        ("fe80::1", 1),
        ("a", 2),
        ("a", TargetOptions().port),
    ]


def test_a_replay_says_what_it_lacks(tmp_path: Path) -> None:
    one, _ = recorder(tmp_path)
    one.take(AT, 1, True, framed(READ_TIME))
    one.close()
    session = session_of(read_session(tmp_path / "session.jsonl"))
    with pytest.raises(SessionFileError, match="no association was opened"):
        profiles_of(session, ReplayKeys(None, None, 1))
    with pytest.raises(SessionFileError, match="nothing was read"):
        model_of(session)


def test_a_question_that_comes_again_gets_the_next_answer_and_then_the_last() -> None:
    ends, item = (16, 1), Get(TIME)
    answers = Answers.of(Session(exchanges=[Exchange(ends, item, data.unsigned(number)) for number in (1, 2)]))
    assert [answers.to(ends, item) for _ in range(3)] == [data.unsigned(1), data.unsigned(2), data.unsigned(2)]
    assert answers.to((1, 1), item) is DataAccessResult.OBJECT_UNAVAILABLE


def test_without_an_object_list_a_model_has_what_was_read(tmp_path: Path) -> None:
    register = AttributeDescriptor(3, Obis.parse("1-0:1.8.0"), 2)
    hidden = AttributeDescriptor(15, Obis.parse("0-0:40.0.0"), 7)
    results = {
        TIME: data.octet_string(CosemDateTime.from_datetime(AT).encode()),
        register: data.double_long_unsigned(4711),
        replace(register, attribute_id=3): DataAccessResult.READ_WRITE_DENIED,
        hidden: data.octet_string(b"a password"),
    }
    session = Session(exchanges=[Exchange((1, 1), Get(which), result) for which, result in results.items()])
    text, _ = model_of(session)
    assert b"a password".hex() not in text.lower()
    path = tmp_path / "model.toml"
    path.write_text(text)
    model = load_model(str(path))
    described = model.objects[3, register.instance_id]
    assert described.attributes == {2: data.double_long_unsigned(4711)}
    assert described.errors == {3: DataAccessResult.READ_WRITE_DENIED}
    with pytest.raises(SessionFileError, match="nothing was read by client 16"):
        model_of(session, 16)


def test_a_later_run_counts_above_an_earlier_one() -> None:
    assert counter_at(AT) < counter_at(AT + timedelta(seconds=1)) < 2**32


def test_whatever_is_changed_in_a_file_is_refused_or_read(tmp_path: Path) -> None:
    """Each seventh octet another one: nothing but the file's own error comes of it, up to the model and the replay."""
    one, _ = recorder(tmp_path)
    objects = AttributeDescriptor(15, Obis.parse("0-0:40.0.0"), 2)
    right = data.structure(data.integer(2), data.enum(1), data.null())
    line = data.structure(
        data.long_unsigned(8),
        data.unsigned(0),
        data.octet_string(Obis.parse("0-0:1.0.0")),
        data.structure(data.array(right), data.array()),
    )
    response = InitiateResponse(conformance=Conformance.GET, server_max_receive_pdu_size=0)
    accepted = Diagnostic.user(AcseServiceUserDiagnostic.NULL)
    request = InitiateRequest(conformance=Conformance.GET, client_max_receive_pdu_size=0)
    for from_client, message in (
        (True, Aarq(ApplicationContext.LN, user_information=apdu.encode(request))),
        (
            False,
            Aare(ApplicationContext.LN, AssociationResult.ACCEPTED, accepted, user_information=apdu.encode(response)),
        ),
        (True, GetRequestNormal(0xC1, objects)),
        (False, GetResponseNormal(0xC1, data.array(line))),
    ):
        one.take(AT, 1, from_client, framed(apdu.encode(message), back=not from_client))
    one.close()
    path, given = tmp_path / "session.jsonl", ReplayKeys(None, None, 1)
    right_octets = path.read_bytes()
    whole = session_of(read_session(path))
    assert profiles_of(whole, given) and "0-0:1.0.0*255" in model_of(whole)[0]
    refused = 0
    for place in range(0, len(right_octets), 7):
        for other in (0x31, 0xFF):
            path.write_bytes(right_octets[:place] + bytes((other,)) + right_octets[place + 1 :])
            try:
                session = session_of(read_session(path))
                profiles_of(session, given)
                model_of(session)
            except (SessionFileError, LocalError):
                refused += 1
    assert refused
