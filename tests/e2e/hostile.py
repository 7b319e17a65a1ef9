"""Senders that want to end, freeze or fill a process, one row each; `test_survival.py` sends every row once and 50 times at once.

To add a row: write a function that takes a `Site` and sends one message over a socket, and put it into SENDERS with the process
that it is aimed at. `Site.hold` keeps a socket (or any other context) open until the row is over, for senders that send half
and wait. What the victim answers doesn't matter here; a test of its own says what the answer is.
"""

from __future__ import annotations

import base64
import gzip
import json
import socket
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any, Literal, TypeVar

from free_ports import free_port

from ami_process.open_files import allow_open_files

PATIENCE_S = 60.0
"""How long a sender waits for an answer that it doesn't need."""

allow_open_files(2_000)

T = TypeVar("T")
Address = tuple[str, int]


@dataclass
class Site:
    """Where the processes of a system listen, and where its files are."""

    hes: Address
    dlms: Address
    cis: Address
    directory: Path
    meters: list[dict[str, Any]]
    _held: ExitStack = field(default_factory=ExitStack)
    _lock: Lock = field(default_factory=Lock)

    def hold(self, context: AbstractContextManager[T]) -> T:
        """Enter a context (e.g. a connected socket) that stays open until the row is over."""
        with self._lock:
            return self._held.enter_context(context)

    def release(self) -> None:
        """The row is over."""
        with self._lock:
            self._held.close()


@dataclass(frozen=True)
class Sender:
    """One row: `send` sends one message; `clause` is the section of docs/field-faults.md."""

    name: str
    clause: int
    send: Callable[[Site], object]
    victim: Literal["hes", "cis"] = "hes"

    @property
    def key(self) -> str:
        """The name of the row in pytest's output."""
        return f"{self.clause}-{self.victim}-{self.name}"


def exchange(address: Address, octets: bytes, patience_s: float = PATIENCE_S) -> bytes:
    """Send octets and read until the other end closes; what came, also if the other end hung up on us."""
    answer = bytearray()
    with suppress(OSError), socket.create_connection(address, timeout=patience_s) as caller:
        with suppress(OSError):  # it may hang up before everything is sent, and its answer can still be read
            caller.sendall(octets)
        while chunk := caller.recv(65536):
            answer += chunk
    return bytes(answer)


def post(address: Address, body: bytes, path: str = "/cim", **headers: str) -> bytes:
    """One POST of a SOAP message on a connection of its own."""
    lines = {
        "Host": f"{address[0]}:{address[1]}",
        "Content-Type": "text/xml; charset=utf-8",
        "Content-Length": str(len(body)),
        "Connection": "close",
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return exchange(address, f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body)


MESSAGE = "http://iec.ch/TC57/2011/schema/message"
CONTROLS = "http://iec.ch/TC57/2011/EndDeviceControls#"


def soap(payload: str, declarations: str = "", wrapper: str = "RequestMessage", reply: str = "") -> bytes:
    """A generic request (or, with `reply`, a response) that isn't known yet, around what is inside its Payload."""
    message_id = uuid.uuid4()
    verb = "reply" if reply else "create"
    return (
        f'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" {declarations}><s:Body>'
        f'<m:{wrapper} xmlns:m="{MESSAGE}"><m:Header><m:Verb>{verb}</m:Verb><m:Noun>EndDeviceControls</m:Noun>'
        f"<m:MessageID>{message_id}</m:MessageID><m:CorrelationID>{message_id}</m:CorrelationID></m:Header>{reply}"
        f"<m:Payload>{payload}</m:Payload></m:{wrapper}></s:Body></s:Envelope>"
    ).encode()


def controls(devices: str, code: str = "3.31.0.23") -> str:
    """EndDeviceControls with one control for these EndDevices; the elements have the prefix `c`."""
    return (
        f'<c:EndDeviceControls xmlns:c="{CONTROLS}"><c:EndDeviceControl><c:EndDeviceControlType ref="{code}"/>'
        f"{devices}</c:EndDeviceControl></c:EndDeviceControls>"
    )


def _to(victim: Literal["hes", "cis"], site: Site, payload: str, declarations: str = "") -> bytes:
    """The payload in what the victim takes: a request for the HES, a late reply for the CIS."""
    if victim == "hes":
        return post(site.hes, soap(payload, declarations))
    reply = "<m:Reply><m:Result>OK</m:Result></m:Reply>"
    return post(site.cis, soap(payload, declarations, "ResponseMessage", reply))


def _packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


_BOMB = _packed("<a>" + " " * 4_900_000 + "</a>")
_BOMBS = "".join(f"<m:Compressed>{_packed('<a/>' + ' ' * 4_900_000)}</m:Compressed>" for _ in range(15))
_DECLARATIONS = " ".join(f'xmlns:n{number}="urn:n:{number}"' for number in range(60_000))
_DEVICES = "".join(
    f"<c:EndDevices><c:Names><c:name>X{number}</c:name></c:Names></c:EndDevices>" for number in range(19_000)
)
_FIVE_THOUSAND = "".join(
    f"<c:EndDevices><c:Names><c:name>X{number}</c:name></c:Names></c:EndDevices>" for number in range(5_000)
)
_WRONG = "<c:EndDevices><c:isPan>x</c:isPan></c:EndDevices>" * 30_000
_SMALLEST = "<c:EndDevices/>" * 325_000


def _both(name: str, clause: int, payload: str, declarations: str = "") -> list[Sender]:
    def to(victim: Literal["hes", "cis"]) -> Sender:
        return Sender(name, clause, lambda site: _to(victim, site, payload, declarations), victim)

    return [to("hes"), to("cis")]


# --- to the port for meters: frames of the DLMS wrapper, written out by hand

_AARE = bytes.fromhex("6129A109060760857405080101A203020100A305A103020100BE10040E0800065F1F040000501F01F40007")
_NULLS = b"\x01\x83\x0f\x42\x40" + bytes(1_000_000)
_BLOCK = 60_000


def _frame(apdu: bytes, source: int = 1, destination: int = 16) -> bytes:
    return b"".join(number.to_bytes(2, "big") for number in (1, source, destination, len(apdu))) + apdu


def _octet_string(octets: bytes) -> bytes:
    return b"\x09" + bytes((len(octets),)) + octets


def _long_answer(invoke: int, number: int, whole: bytes) -> bytes:
    """A GET response with data block."""
    part = whole[(number - 1) * _BLOCK : number * _BLOCK]
    last = number * _BLOCK >= len(whole)
    head = b"\xc4\x02" + bytes((invoke, last)) + number.to_bytes(4, "big") + b"\x00\x82"
    return head + len(part).to_bytes(2, "big") + part


def _meter_that_says(site: Site, name: bytes, source: str = "127.0.0.1", after: bytes | None = None) -> None:
    """Dial in and answer everything with this encoded name; `after` an association, if given, say that and no more."""
    with suppress(OSError), socket.create_connection(site.dlms, PATIENCE_S, (source, 0)) as caller:
        while asked := caller.recv(65536):
            apdu = asked[8:]
            if apdu[:1] == b"\x60":
                caller.sendall(_frame(_AARE, destination=int.from_bytes(asked[2:4], "big")))
            elif apdu[:1] == b"\x62":
                caller.sendall(_frame(bytes.fromhex("6303800100")))
            elif apdu[:1] == b"\xc0" and len(name) > _BLOCK:
                number = int.from_bytes(apdu[3:7], "big") + 1 if apdu[1] == 2 else 1
                caller.sendall(_frame(_long_answer(apdu[2], number, name)))
            elif apdu[:1] == b"\xc0":
                caller.sendall(_frame(b"\xc4\x01" + apdu[2:3] + b"\x00" + name))


def _name_of_a_megabyte(site: Site) -> None:
    _meter_that_says(site, _NULLS)


def _claim(site: Site) -> None:
    """Say the name of the meter that dials in, and let the connection wait as long as the row lasts."""
    caller = site.hold(socket.create_connection(site.dlms, PATIENCE_S))
    name = next(meter for meter in site.meters if meter["address"] == "dials-in")["logical_device_name"]
    for answer in (_AARE, b"\xc4\x01\xc1\x00" + _octet_string(name.encode()), bytes.fromhex("6303800100")):
        if not caller.recv(65536):
            return
        caller.sendall(_frame(answer))


def _silent(site: Site) -> None:
    for _ in range(4):
        site.hold(socket.create_connection(site.dlms, PATIENCE_S))


def _half_a_frame(site: Site) -> None:
    site.hold(socket.create_connection(site.dlms, PATIENCE_S)).sendall(_frame(bytes(65_000))[:60_000])


def _pushes(transport: Literal["tcp", "udp"]) -> Callable[[Site], None]:
    """A hundred unencrypted notifications, each an array of nulls as long as a datagram."""
    body = b"\x0f\x00\x00\x00\x01\x00\x01\x82\xea\x60" + bytes(60_000)

    def send(site: Site) -> None:
        kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
        with suppress(OSError), socket.socket(socket.AF_INET, kind) as caller:
            caller.connect(site.dlms)
            for _ in range(100):
                caller.sendall(_frame(body))

    return send


def _arrays_in_a_row(site: Site) -> None:
    """Three hundred unencrypted notifications as large as they may be, behind each other."""
    body = b"\x0f\x00\x00\x00\x01\x00\x01\x82\x3e\x80" + bytes(16_000)
    exchange(site.dlms, _frame(body) * 300, 30.0)


def _blocks_without_end(site: Site) -> None:
    """A push in blocks of a general block transfer that never ends."""
    with suppress(OSError), socket.create_connection(site.dlms, PATIENCE_S) as caller:
        for number in range(1, 200):
            block = b"\xe0\x40" + number.to_bytes(2, "big") + b"\x00\x00\x82\xea\x60" + bytes(60_000)
            caller.sendall(_frame(block))


# --- to the port for requests: where the reply shall go


def _asynchronous(site: Site, reply_address: str) -> bytes:
    """A control for a meter that is not there, so that it fails soon and nothing is switched; the reply goes elsewhere."""
    body = soap(controls(f"<c:EndDevices><c:mRID>{site.meters[2]['mrid']}</c:mRID></c:EndDevices>")).replace(
        b"<m:MessageID>",
        f"<m:AsyncReplyFlag>true</m:AsyncReplyFlag><m:ReplyAddress>{reply_address}</m:ReplyAddress><m:MessageID>".encode(),
    )
    return post(site.hes, body)


def _to_receiver(answer: bytes | None) -> Callable[[Site], object]:
    """The reply goes to a receiver that gives this answer, or none."""

    def send(site: Site) -> None:
        listener = site.hold(socket.create_server(("127.0.0.1", free_port())))
        _asynchronous(site, f"http://127.0.0.1:{listener.getsockname()[1]}/")
        listener.settimeout(PATIENCE_S)
        caller = site.hold(listener.accept()[0])
        if answer is not None:
            caller.recv(65536)
            caller.sendall(answer)

    return send


_NOWHERE = b"HTTP/1.1 302 Found\r\nLocation: http://xn--/\r\nContent-Length: 0\r\n\r\n"


# --- to the HTTP ports: connections that do not get on


def _http(name: str, clause: int, send: Callable[[Site, Address], object]) -> list[Sender]:
    return [
        Sender(name, clause, lambda site: send(site, site.hes)),
        Sender(name, clause, lambda site: send(site, site.cis), "cis"),
    ]


def _holding(octets: bytes, times: int = 20) -> Callable[[Site, Address], None]:
    """So many connections that say this and no more; fifty senders hold a thousand."""

    def send(site: Site, address: Address) -> None:
        for _ in range(times):
            caller = site.hold(socket.socket())
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            caller.settimeout(PATIENCE_S)
            caller.connect(address)
            with suppress(OSError):
                caller.sendall(octets)

    return send


_HALF_A_HEAD = b"POST /cim HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/xml\r\n"
_UNREAD = b"GET /cim?xsd=EndDeviceControls.xsd HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 10


def _four_gigabytes(_: Site, address: Address) -> None:
    """Announced, and then sent as far as anyone lets it."""
    with suppress(OSError), socket.create_connection(address, PATIENCE_S) as caller:
        caller.sendall(_HALF_A_HEAD + b"Content-Length: 4294967296\r\n\r\n")
        for _ in range(1_000):
            caller.sendall(bytes(65_536))


_SEMICOLONS = _HALF_A_HEAD.replace(b"text/xml", b'text/xml; charset="' + b";" * 60_000) + b"Content-Length: 1\r\n\r\nx"
_TINY_CHUNKS = _HALF_A_HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 1_000_000 + b"0\r\n\r\n"


def _saying(octets: bytes) -> Callable[[Site, Address], object]:
    closing = octets.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)
    return lambda _, address: exchange(address, closing)


# --- to the REST APIs of both, and messages of readings and schedules

_IMPORT = json.dumps(
    {"rows": [{"place": "x", "columns": {"name": f"X{number}", "feeder": "x" * 20}} for number in range(1_000)]}
).encode()
_QUARTERS = "0.0.2.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"


def _to_api(body: bytes) -> Callable[[Site, Address], object]:
    """What is posted there is imported by the HES, and asked for by the CIS."""

    def send(site: Site, address: Address) -> None:
        post(address, body, f"/api/v1/{_posted(site, address)}", Content_Type="application/json")

    return send


def _posted(site: Site, address: Address) -> str:
    return "meters" if address == site.hes else "readings"


def _half_of_an_order(site: Site, address: Address) -> None:
    """Twenty bodies of the REST API, of which half comes."""
    head = (
        f"POST /api/v1/{_posted(site, address)} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        "Content-Type: application/json\r\nContent-Length: 90000\r\n\r\n"
    )
    _holding(head.encode() + bytes(45_000))(site, address)


def _lists(site: Site) -> None:
    """Everything that can be listed, and the metrics, over one connection."""
    paths = ("/metrics", "/api/v1/meters", "/api/v1/requests", "/api/v1/jobs", "/api/v1/schedules", "/api/v1/groups")
    asked = "".join(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" for path in paths * 3)
    exchange(site.hes, asked.encode() + b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")


def _message(site: Site, verb: str, noun: str, content: str) -> bytes:
    return post(
        site.hes,
        soap(content)
        .replace(b"<m:Verb>create<", f"<m:Verb>{verb}<".encode())
        .replace(b">EndDeviceControls<", f">{noun}<".encode()),
    )


def _schedule_of_strangers(site: Site) -> None:
    """A schedule for five thousand meters that are not known."""
    devices = "".join(f"<EndDevice><mRID>{uuid.UUID(int=number)}</mRID></EndDevice>" for number in range(5_000))
    when = (
        f"<ReadingType><mRID>{_QUARTERS}</mRID></ReadingType><TimeSchedule><recurrencePeriod>86400</recurrencePeriod>"
        "<scheduleInterval><start>2026-01-01T00:00:00Z</start></scheduleInterval></TimeSchedule>"
    )
    profile = "http://iec.ch/TC57/2011/MeterReadSchedule#"
    payload = f'<MeterReadSchedule xmlns="{profile}">{devices}{when}</MeterReadSchedule>'
    _message(site, "create", "MeterReadSchedule", payload)


def _readings_of_a_year(site: Site) -> None:
    """All quarters of a year and a month of two meters; whoever asks does not wait for the answer."""
    devices = "".join(f"<EndDevice><mRID>{meter['mrid']}</mRID></EndDevice>" for meter in site.meters[:2])
    now = datetime.now(UTC)
    start = (now - timedelta(days=399)).isoformat()
    between = f"<Reading><timePeriod><end>{now.isoformat()}</end><start>{start}</start></timePeriod></Reading>"
    profile = "http://iec.ch/TC57/2011/GetMeterReadings#"
    types = f"<ReadingType><mRID>{_QUARTERS}</mRID></ReadingType>"
    query = f'<GetMeterReadings xmlns="{profile}">{devices}{between}{types}</GetMeterReadings>'
    message_id = uuid.uuid4()
    body = (
        f'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><RequestMessage xmlns="{MESSAGE}">'
        f"<Header><Verb>get</Verb><Noun>MeterReadings</Noun><MessageID>{message_id}</MessageID></Header>"
        f"<Request>{query}</Request></RequestMessage></s:Body></s:Envelope>"
    ).encode()
    head = f"POST /cim HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    site.hold(socket.create_connection(site.hes, PATIENCE_S)).sendall(head.encode() + body)


_INTERVALS = "".join(
    f"<IntervalReadings><timeStamp>2026-01-{1 + number // 1000:02d}T{number // 60 % 16:02d}:{number % 60:02d}:00Z</timeStamp>"
    f'<value>{number}.5</value><ReadingQualities><ReadingQualityType ref="1.0.0"/></ReadingQualities></IntervalReadings>'
    for number in range(16_000)
)


def _event_of_readings(site: Site) -> None:
    """Sixteen thousand intervals of a meter of the CIS, which are as many elements as are taken."""
    payload = (
        f'<MeterReadings xmlns="http://iec.ch/TC57/2011/MeterReadings#"><MeterReading><IntervalBlocks>{_INTERVALS}'
        f'<ReadingType ref="{_QUARTERS}"/></IntervalBlocks><Meter><mRID>{site.meters[2]["mrid"]}</mRID></Meter>'
        "</MeterReading></MeterReadings>"
    )
    body = soap(payload, wrapper="EventMessage").replace(b"<m:Verb>create<", b"<m:Verb>created<")
    post(site.cis, body.replace(b">EndDeviceControls<", b">MeterReadings<"))


SENDERS: list[Sender] = [
    Sender("reply-address-with-port-below-zero", 1, lambda site: _asynchronous(site, "http://127.0.0.1:-1/")),
    Sender("reply-address-without-name", 1, lambda site: _asynchronous(site, "http://xn--/")),
    Sender("receiver-redirects-to-nowhere", 1, _to_receiver(_NOWHERE)),
    Sender("receiver-never-answers", 1, _to_receiver(None)),
    *_both("compressed-repeated", 2, _BOMBS),
    *_both("compressed-large", 2, f"<m:Compressed>{_BOMB}</m:Compressed>"),
    *_both("namespaces", 2, '<x:y xmlns:x="urn:x"/>', _DECLARATIONS),
    *_both("devices-of-1.5-megabytes", 3, controls(_DEVICES)),
    Sender("five-thousand-unknown-meters", 3, lambda site: _to("hes", site, controls(_FIVE_THOUSAND))),
    *_both("errors-without-end", 3, controls(_WRONG)),
    *_both("elements-of-4.9-megabytes", 3, controls(_SMALLEST)),
    Sender("name-of-a-megabyte", 4, _name_of_a_megabyte),
    Sender("unencrypted-pushes-over-tcp", 4, _pushes("tcp")),
    Sender("unencrypted-pushes-over-udp", 4, _pushes("udp")),
    Sender("unencrypted-arrays-in-a-row", 4, _arrays_in_a_row),
    Sender("push-in-blocks-without-end", 4, _blocks_without_end),
    *_http("nothing-on-a-connection", 5, _holding(b"")),
    *_http("half-a-head", 5, _holding(_HALF_A_HEAD)),
    *_http("half-a-body", 5, _holding(_HALF_A_HEAD + b"Content-Length: 4000000\r\n\r\n" + bytes(100_000), 4)),
    *_http("answers-that-are-not-read", 5, _holding(_UNREAD, 1)),
    *_http("four-gigabytes", 27, _four_gigabytes),
    *_http("semicolons-in-content-type", 3, _saying(_SEMICOLONS)),
    *_http("chunks-of-one-octet", 3, _saying(_TINY_CHUNKS)),
    Sender("silent-callers", 5, _silent),
    Sender("half-a-frame", 5, _half_a_frame),
    Sender("claimed-name", 5, _claim),
    Sender("rows-of-an-import-that-are-refused", 3, lambda site: _to_api(_IMPORT)(site, site.hes)),
    Sender("lists-and-metrics", 3, _lists),
    Sender("schedule-of-unknown-meters", 3, _schedule_of_strangers),
    Sender("readings-of-a-year", 3, _readings_of_a_year),
    Sender("event-of-readings", 3, _event_of_readings, "cis"),
    *_http("nested-json", 3, _to_api(b"[" * 99_000)),
    *_http("half-of-an-order", 5, _half_of_an_order),
]
"""Every row of every clause; engineers add theirs here."""
