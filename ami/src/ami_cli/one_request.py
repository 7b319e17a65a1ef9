"""One disconnect, hop by hop, with the real XML and the real octets: what writes docs/one-request.md.

CIS, HES and one meter run on real sockets as always, with two recording proxies between them. The clock is stopped, and
randomness and identifiers come from seeds, so the same source writes the same page: a test compares the two.
"""

import hashlib
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from lxml import etree

import ami_cis.app
import ami_cis.settings
import ami_hes.app
import ami_hes.settings
import ami_meter_sim.app
import ami_meter_sim.settings
from ami_cis.workflows import Order, OrderOutcome, Target
from ami_cli import configuration
from ami_cli.recording_proxy import Recorder, http_bodies
from ami_dlms.explain import DecodingSession, Keyring, deciphered, explain, headline, inside, items_of
from ami_dlms.framing import wrapper
from ami_meter_sim.events import Switched
from ami_process.clocks import SteppedClock
from ami_process.environment import Environment
from ami_process.events import Event

AT = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
METER = "M1001"
DISCONNECT = "3.31.0.23"
HEX_LINE = 64


@dataclass(frozen=True, slots=True)
class Explained:
    """One frame: its octets on the wire, the clear APDU inside it (None if it was clear already), and what it says."""

    source: int
    destination: int
    frame: bytes
    clear: bytes | None
    summary: str


def seeded(seed: str) -> tuple[Callable[[int], bytes], Callable[[], UUID]]:
    """Octets and identifiers that look random and are the same in every run."""
    count = iter(range(1_000_000))

    def random_bytes(length: int) -> bytes:
        return hashlib.shake_256(f"{seed}/{next(count)}".encode()).digest(length)

    return random_bytes, lambda: UUID(bytes=random_bytes(16), version=4)


async def page(base: Path) -> str:
    """Run one disconnect of M1001 of this configuration and write it down as Markdown."""
    with tempfile.TemporaryDirectory(prefix="ami-one-request-") as directory:
        async with Recorder() as north, Recorder() as south:
            document = _document(base, Path(directory), north, south)
            events: list[Event] = []
            async with _meter(document, Path(directory), south, events), _hes(Path(directory), north):
                outcome = await _send(Path(directory), document, events)
    return _page(document, north, south, events, outcome)


def _document(base: Path, directory: Path, north: Recorder, south: Recorder) -> configuration.Document:
    document = configuration.anchored(configuration.load(base), directory)
    document["cis"] |= {"port": 0, "hes_url": f"http://127.0.0.1:{north.port}"}
    document["hes"] |= {"port": 0, "dlms_port": 0}
    meter = next(one for one in document["meters"] if one["name"] == METER)
    meter["address"] = f"127.0.0.1:{south.port}"
    meter["simulated"] = meter.get("simulated", {}) | {"listen": "127.0.0.1:0"}
    document["meters"] = [meter]
    configuration.write(document, directory / "ami.toml")
    return document


@asynccontextmanager
async def _meter(
    document: configuration.Document, directory: Path, south: Recorder, events: list[Event]
) -> AsyncIterator[None]:
    random_bytes, _ = seeded("meter")
    environment = Environment(emit=events.append, random_bytes=random_bytes).by(SteppedClock(AT))
    settings = ami_meter_sim.settings.Settings.load(directory / "ami.toml")
    chosen = ami_meter_sim.settings.choose_meters(settings, [METER])
    running = await ami_meter_sim.app.start(settings, chosen, environment)
    south.target = running.listening[0]
    try:
        yield
    finally:
        await running.stop()


@asynccontextmanager
async def _hes(directory: Path, north: Recorder) -> AsyncIterator[None]:
    random_bytes, new_uuid = seeded("hes")
    environment = Environment(emit=lambda event: None, random_bytes=random_bytes, new_uuid=new_uuid).by(
        SteppedClock(AT)
    )
    async with ami_hes.app.running(ami_hes.settings.Settings.load(directory / "ami.toml"), environment) as listening:
        north.target = listening[0]
        yield


async def _send(directory: Path, document: configuration.Document, events: list[Event]) -> OrderOutcome:
    _, new_uuid = seeded("cis")

    environment = Environment(emit=events.append, new_uuid=new_uuid).by(SteppedClock(AT))
    settings = ami_cis.settings.Settings.load(directory / "ami.toml")
    target = Target.meter(METER, document["meters"][0]["mrid"])
    async with ami_cis.app.running(settings, environment, 0) as system:
        return await system.controls.run(Order(code=DISCONNECT, targets=(target,)))


def _page(
    document: configuration.Document,
    north: Recorder,
    south: Recorder,
    events: list[Event],
    outcome: OrderOutcome,
) -> str:
    (request, reply) = (bodies[-1] for bodies in http_bodies(north.chunks))
    meter = document["meters"][0]
    session = DecodingSession(
        Keyring(bytes.fromhex(meter["encryption_key"]), bytes.fromhex(meter["authentication_key"]))
    )
    frames = [(forward, _explained(pdu, session)) for forward, pdu in _frames(south)]
    switched = next(event for event in events if isinstance(event, Switched))
    return "\n".join(
        [
            HEADING.format(meter=METER, code=DISCONNECT),
            _xml("1. CIS to HES: the request", REQUEST_WORDS, request),
            "## 2. HES to meter and back: " + f"{len(frames)} frames\n",
            FRAMES_WORDS,
            *_table(frames),
            "### The frames\n",
            *(_frame(number, one) for number, (_, one) in enumerate(frames, 1)),
            "## 3. In the meter\n",
            f"`{switched.method}`: output_state {switched.before.output_state} -> "
            f"{switched.after.output_state}, control_state {switched.before.control_state} -> "
            f"{switched.after.control_state} (control mode {switched.after.control_mode}).\n",
            _xml("4. HES to CIS: the reply", REPLY_WORDS, reply),
            f"The CIS reads: **{outcome.result}**.",
            "",
        ]
    )


def _frames(south: Recorder) -> list[tuple[bool, wrapper.WrapperPdu]]:
    """The frames of both directions (True: to the meter) in the order in which they were complete."""
    deframers = {True: wrapper.Deframer(), False: wrapper.Deframer()}
    found = []
    for forward, octets in south.chunks:
        deframers[forward].receive_data(octets)
        while (pdu := deframers[forward].next_pdu()) is not None:
            found.append((forward, pdu))
    return found


def _explained(pdu: wrapper.WrapperPdu, session: DecodingSession) -> Explained:
    [tree] = explain(pdu.apdu, session)
    clear, information = deciphered(tree), inside(tree)
    summary = headline(clear) if clear is tree else f"{headline(tree)}: {headline(clear)}"
    if len(items := items_of(clear)) > 1:
        summary += f" ({'; '.join((item.part('descriptor') or item).text for item in items)})"
    octets = None if clear is tree else clear.octets
    if information is not None:
        opened = deciphered(information)
        summary += f"; user-information {headline(opened)}"
        octets = None if opened is information else opened.octets
    return Explained(pdu.source, pdu.destination, wrapper.encode(pdu), octets, summary)


def _xml(title: str, words: str, body: bytes) -> str:
    element = etree.fromstring(body, etree.XMLParser(resolve_entities=False, no_network=True, remove_blank_text=True))
    text = etree.tostring(element, pretty_print=True, encoding="unicode")
    return f"## {title}\n\n{words}\n\n{len(body)} octets, shown with line breaks:\n\n```xml\n{text}```\n"


def _table(frames: list[tuple[bool, Explained]]) -> list[str]:
    lines = ["| # | who | client | what it says |", "|--:|---|--:|---|"]
    for number, (forward, one) in enumerate(frames, 1):
        who, client = ("HES →", one.source) if forward else ("← meter", one.destination)
        lines.append(f"| {number} | {who} | {client} | {one.summary} |")
    return [*lines, ""]


def _frame(number: int, one: Explained) -> str:
    text = f"**{number}.** {one.summary}\n\n```\n{_hex(one.frame)}\n```\n"
    return text if one.clear is None else f"{text}\ndeciphered:\n\n```\n{_hex(one.clear)}\n```\n"


def _hex(octets: bytes) -> str:
    text = octets.hex().upper()
    return "\n".join(text[start : start + HEX_LINE] for start in range(0, len(text), HEX_LINE))


HEADING = """\
# One request, hop by hop

One disconnect of meter {meter} as it happens in `make demo`: the CIS asks in CIM, the HES does it in DLMS, the meter
switches, the HES reads back and replies to the CIS. Everything below is real: `ami one-request` writes this page from a run
over sockets with a stopped clock and seeded randomness, and `tests/ami/test_one_request.py` compares the page with a run.

The path through the files:

    cis/workflows -> cis/outbox  =HTTP=>  hes/inbox -> hes/jobs -> hes/nouns/end_device_controls (plan)
      -> hes/operations/contactor -> hes/meters/session -> dlms/association/client -> hes/meters/link  =TCP=>
      meter_sim/lines/listener -> dlms/association/server -> meter_sim/meter -> meter_sim/objects/disconnect_control
    back by return to hes/jobs -> hes/nouns/end_device_controls (report) -> hes/inbox  =HTTP=>  cis/outbox -> cis/store
"""
REQUEST_WORDS = (
    "A SOAP 1.1 envelope; the wrapper and its Header and Payload are in the namespace of the typed messages, what is inside "
    "the Header in that of IEC 61968-100, the payload in that of the noun. `3.31.0.23` is disconnect."
)
REPLY_WORDS = (
    "Result OK: the meter's action-result was success, and output_state and control_state were read back and agree."
)
FRAMES_WORDS = (
    "This is the first session with the meter, so the public client (wrapper port 16, no security) asks who this is and which "
    "invocation counter comes next; the sessions after it leave that out. Then "
    "the management client proves itself (HLS-GMAC), compares the device id, reads the state, acts, and reads again. Each "
    "frame begins with the wrapper: version 0001, source, destination, length.\n"
)
