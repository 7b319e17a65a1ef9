"""Every octet of every APDU of a whole fleet, explained: meters of every model over every transport, and each way of securing them.

Head-end and meters are processes, with serial lines between some of them; who asks knows XML and the REST API. What is claimed of an octet is what
`ami trace` and the console show of it: it belongs to exactly one leaf of the tree of its message, and to none that says that its meaning is not known. The capture
of each request has the same APDUs, by our own reader, by tshark, and by our plug-in in it, which says of each of them what our decoder says.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
import relays
from harness import System, system
from patience import PATIENCE_S
from stranger import CONNECT, DISCONNECT, Stranger, by_mrid

sys.path.insert(0, str(Path(__file__).parents[1] / "trace"))
sys.path.insert(0, str(Path(__file__).parents[1] / "dlms/association"))
sys.path.insert(0, str(Path(__file__).parents[1] / "dlms/explain"))

from plugin_bench import differences, said, shown

from ami_cli.decode.captures.files import records
from ami_cli.decode.captures.streams import messages
from ami_dlms.explain import DecodingSession, Node, explain, is_sound, leaves
from ami_dlms.framing.mode_e import Identification
from ami_trace.explained import frame_of, in_wrapper
from ami_trace.form import Outcome, Trace
from ami_trace.pcapng import EXPORTED_PDU, ExportedPdu

IMPORT = "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"
QUARTERS = "0.0.2.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"
READ = """\
<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>
<RequestMessage xmlns="http://iec.ch/TC57/2011/schema/message">
<Header><Verb>get</Verb><Noun>MeterReadings</Noun><Timestamp>2026-01-15T12:00:00Z</Timestamp><Source>stranger</Source>
<MessageID>{message_id}</MessageID><CorrelationID>{message_id}</CorrelationID></Header>
<Request><GetMeterReadings xmlns="http://iec.ch/TC57/2011/GetMeterReadings#">{wanted}</GetMeterReadings></Request>
</RequestMessage></e:Body></e:Envelope>"""
GAS_HOURS = "0.0.7.1.1.7.58.0.0.0.0.0.0.0.0.0.42.0"
UNKNOWN = frozenset({"rest", "unknown"})
KEYS = {"encryption_key": "5A3C" * 16, "authentication_key": "C3A5" * 16}
"""Of suite 2."""
FLEET: dict[str, dict[str, Any]] = {
    "residential": {},
    "single-phase": {"transport": "udp"},
    "three-phase": {"transport": "hdlc"},
    "three-phase-ct": {"ciphering": "service-specific"},
    "prosumer": {"suite": 2, **KEYS},
    "prepayment": {"authentication": "lls", "secret": b"swordfish".hex(), "ciphering": "none"},
    "minimal": {"authentication": "none"},
}
"""By model: what its meter has that others have not."""
MORE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("residential", {"authentication": "hls-sha256", "secret": b"another secret".hex()}),
    ("residential", {"ciphering": "general-ciphering"}),
    ("residential", {"address": "dials-in"}),
    ("single-phase", {"suite": 1}),
    ("residential", {"transport": "hdlc", "authentication": "lls", "secret": b"sesame".hex(), "ciphering": "none"}),
    ("single-phase", {"transport": "hdlc", "physical_address": 17, "ciphering": "service-specific"}),
    ("gas-submeter", {}),
    ("short-names", {}),
    ("three-phase", {"transport": "hdlc", "physical_address": 21}),
    ("minimal", {"transport": "hdlc", "public_client": False}),
)
SERIAL, SIGNED_ON = (
    {"transport": "serial", "baud": 115_200},
    {"transport": "serial", "mode_e": True, "baud": 9600},
)
"""For the head-end the last two are at serial lines, the second of which begins with a sign-on of IEC 62056-21 mode E."""
GAS = {
    "name": "G1001",
    "mrid": "00000000-0000-0000-0000-000000009001",
    "usage_points": ["UP-GAS-1"],
    "channel": 1,
    "identification": "12345678",
    "manufacturer": "AMI",
}
LLS_LINE = f"M{1001 + len(FLEET) + 4}"
CONTROLS = {
    "set normal response mode",
    "unnumbered acknowledge",
    "information",
    "receive ready",
    "disconnect",
}
OF_THE_WIRE = frozenset({"sec.ok", "clear"})
"""Of what was ciphered: it is beside, in the packet before."""
SECRETS = ("secret", "encryption_key", "authentication_key", "master_key")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    kinds = [*FLEET.items(), *MORE]
    with ExitStack() as stack:
        one = stack.enter_context(system(tmp_path_factory.mktemp("fleet"), meters=len(kinds)))
        one.config["hes"]["traces"] = {"keep": "everything"}
        one.config["hes"]["apdu_timeout_s"] = 20.0
        one.config["hes"]["deadline_s"] = 60.0
        for meter, (model, changes) in zip(one.config["meters"], kinds, strict=True):
            meter["simulated"]["model"] = model
            meter |= changes
            if changes.get("address") == "dials-in":
                meter["simulated"]["dial_to"] = f"127.0.0.1:{one.config['hes']['dlms_port']}"
        one.start_meters()
        for meter, (changes, sign_on) in zip(
            one.config["meters"][-2:], ((SERIAL, None), (SIGNED_ON, Identification("AMI", 9600))), strict=True
        ):
            port = int(meter["address"].rpartition(":")[2])
            meter |= changes | {"address": stack.enter_context(relays.serial_line(port, sign_on=sign_on))}
        of_gas = next(one for one in one.config["meters"] if one["simulated"]["model"] == "gas-submeter")
        one.config["meters"].append(GAS | {"behind": of_gas["name"]})
        one.start_hes()
        yield one


def traces(fleet: System) -> list[Trace]:
    with httpx.Client(base_url=fleet.hes_url, trust_env=False, timeout=PATIENCE_S) as client:
        listed = client.get("/api/v1/traces", params={"limit": 200}).json()["traces"]
        return [Trace.model_validate_json(client.get(f"/api/v1/traces/{one['message_id']}").content) for one in listed]


def read(fleet: System, message_id: str, types: str = "", period: str = "") -> None:
    """All meters, for these types (elements) at this time."""
    devices = "".join(f"<EndDevice><mRID>{meter['mrid']}</mRID></EndDevice>" for meter in fleet.config["meters"])
    content = READ.format(message_id=message_id, wanted=devices + period + types)
    headers = {"Content-Type": "text/xml"}
    answer = httpx.post(f"{fleet.hes_url}/cim", content=content, headers=headers, trust_env=False, timeout=PATIENCE_S)
    assert answer.status_code == 200, answer.text


def type_of(code: str) -> str:
    return f"<ReadingType><mRID>{code}</mRID></ReadingType>"


def check(octets: bytes, where: str, session: DecodingSession | None = None) -> Node:
    """The tree of a message, each octet of which is in one leaf that is known."""
    [tree] = explain(octets, session or DecodingSession())
    found = list(leaves(tree))
    assert b"".join(leaf.octets for leaf in found) == octets, where
    assert [leaf.start for leaf in found] == [
        sum(len(one.octets) for one in found[:place]) for place in range(len(found))
    ]
    assert not [leaf for leaf in found if leaf.type == "missing" or leaf.name in UNKNOWN], where
    assert is_sound(tree), where
    return tree


def carried(tree: Node) -> Iterator[str]:
    """The APDUs that are whole with a wrapper PDU or a frame of HDLC."""
    if tree.type == "wrapper":
        yield tree.parts[-1].octets.hex()
        return
    information = tree.part("information")
    if information is not None:
        assembled = (one.tree.parts for one in information.derived if one.tree is not None)
        for part in (*information.parts, *(part for parts in assembled for part in parts)):
            if part.type == "apdu":
                yield part.octets.hex()


def read_again(capture: bytes) -> tuple[Counter[str], Counter[str]]:
    """The APDUs that our own reader finds in a capture, and those in the packets behind."""
    sessions: dict[frozenset[str], DecodingSession] = {}
    found, clear = Counter[str](), Counter[str]()
    for message in messages(BytesIO(capture)):
        session = sessions.setdefault(frozenset((message.source, message.destination)), DecodingSession())
        for tree in explain(message.octets, session):
            found.update(carried(tree))
    for record in records(BytesIO(capture)):
        if record.link == EXPORTED_PDU:
            clear[ExportedPdu.decode(record.octets).octets.hex()] += 1
    return found, clear


def payloads(path: Path) -> Counter[str]:
    """What tshark finds in the packets of the meters' side."""
    program = ["capinfos", str(path)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    assert done.stderr == "", done.stderr
    command = ["tshark", "-r", str(path), "-Y", "frame.interface_id == 0 and not tcp.port == 80"]
    command += ["-T", "fields", "-e", "tcp.payload", "-e", "udp.payload"]
    lines = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=True).stdout.splitlines()
    return Counter(line.replace(":", "").strip() for line in lines)


def check_capture(fleet: System, trace: Trace, path: Path) -> None:
    """The capture of a request has its APDUs, and the frames that carried them."""
    with httpx.Client(base_url=fleet.hes_url, trust_env=False, timeout=PATIENCE_S) as client:
        path.write_bytes(client.get(f"/api/v1/traces/{trace.message_id}", params={"as": "pcapng"}).content)
    found, clear = read_again(path.read_bytes())
    assert found == Counter(record.octets for _, record in trace.apdus() if record.octets), trace.noun
    wanted = Counter(record.clear for _, record in trace.apdus() if record.clear is not None)
    assert wanted <= clear and set(clear - wanted) <= {record.octets for _, record in trace.apdus()}, trace.noun
    sent = Counter(record.octets for _, record in trace.frames() if record.octets)
    in_frames = {(span.meter, record.connection) for span, record in trace.frames()}
    left = [record for _, record in trace.frames() if record.left_out]
    wrapped = Counter(
        in_wrapper(record).hex() for span, record in trace.apdus() if (span.meter, record.connection) not in in_frames
    )
    seen = payloads(path)
    assert wrapped + sent <= seen, trace.noun
    assert sum((seen - wrapped - sent).values()) <= len(left), "only APDUs whose frames are left out stand beside that"


def check_by_plugin(fleet: System, trace: Trace, path: Path) -> int:
    """Every clear APDU of the capture, as the plug-in reads it: field by field what our decoder says; how many there are."""
    with httpx.Client(base_url=fleet.hes_url, trust_env=False, timeout=PATIENCE_S) as client:
        wanted = {"as": "pcapng", "companion": "plugin"}
        path.write_bytes(client.get(f"/api/v1/traces/{trace.message_id}", params=wanted).content)
    expected, apdus = {}, Counter[str]()
    for record in records(BytesIO(path.read_bytes())):
        if record.link == EXPORTED_PDU:
            pdu = ExportedPdu.decode(record.octets)
            assert pdu.dissector == "amidlms", trace.noun
            expected[record.number] = said(explain(pdu.octets, DecodingSession()))
            apdus[pdu.octets.hex()] += 1
    assert Counter(record.clear for _, record in trace.apdus() if record.clear is not None) <= apdus, trace.noun
    found = shown(path)
    assert not [one for one in differences(expected, found) if one[1] not in OF_THE_WIRE], trace.noun
    assert not (expected.keys() - found.keys()), "each of them is seen"
    return len(expected)


@pytest.fixture(scope="module")
def found(fleet: System) -> list[Trace]:
    """The traces of six requests for all of its meters."""
    assert fleet.hes is not None
    fleet.hes.wait_for("dialled_in")
    stranger = Stranger(fleet.hes_url)
    meters = fleet.config["meters"]
    for code in (DISCONNECT, CONNECT):
        stranger.switch(code, [by_mrid(meter) for meter in meters if "behind" not in meter])
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    start, end = (now - timedelta(hours=6)).isoformat(), now.isoformat()
    read(fleet, "registers", type_of(IMPORT))
    period = f"<Reading><timePeriod><end>{end}</end><start>{start}</start></timePeriod></Reading>"
    read(fleet, "profile", type_of(QUARTERS), period)
    read(fleet, "gas", type_of(GAS_HOURS), period)
    read(fleet, "all")
    kept = traces(fleet)
    assert len(kept) == 6
    return kept


@pytest.mark.ci
@pytest.mark.needs("tshark-lua")
def test_the_plug_in_says_of_each_apdu_what_our_decoder_says(fleet: System, found: list[Trace], tmp_path: Path) -> None:
    read = sum(check_by_plugin(fleet, trace, tmp_path / f"{number}.pcapng") for number, trace in enumerate(found))
    assert read > 20 * len(FLEET)


@pytest.mark.ci
@pytest.mark.needs("tshark", "capinfos")
def test_each_octet_of_each_apdu_of_the_fleet_belongs_to_exactly_one_leaf(
    fleet: System, found: list[Trace], tmp_path: Path
) -> None:
    meters = fleet.config["meters"]
    seen = check_octets(fleet, found)
    for trace in found:
        check_capture(fleet, trace, tmp_path / f"{trace.noun}.clear.pcapng")
    least = {meter["name"]: 20 if meter.get("simulated", {}).get("model") != "short-names" else 4 for meter in meters}
    least[GAS["name"]] = 5
    assert not {name: seen[name] for name in least if seen[name] < least[name]}, seen
    assert {trace.outcome for trace in found} <= {Outcome.OK, Outcome.PARTIAL}


def check_octets(fleet: System, found: list[Trace]) -> Counter[str]:
    """Each octet of each APDU and frame is in one leaf; how many APDUs of each meter there are."""
    seen, transports, secured, controls = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for trace in found:
        lines: dict[tuple[str | None, int], DecodingSession] = {}
        transports.update(span.transport for span in trace.spans if span.transport)
        for span, record in trace.apdus():
            where = f"{trace.noun} {span.meter} {span.name} {record.octets} {record.clear}"
            check(frame_of(record), where)
            if record.clear is not None:
                check(bytes.fromhex(record.clear), where)
                secured[record.octets[:2]] += 1
            seen[span.meter or ""] += 1
        for span, frame in trace.frames():
            if frame.left_out:
                assert span.meter == LLS_LINE, "a password in clear is left out"
                continue
            session = lines.setdefault((span.meter, frame.connection), DecodingSession())
            tree = check(bytes.fromhex(frame.octets), f"{trace.noun} {span.meter} {frame.octets}", session)
            controls[(tree.part("control") or tree).text.partition(",")[0]] += 1
        written = trace.model_dump_json().lower()
        for meter in fleet.config["meters"]:
            assert not [name for name in SECRETS if name in meter and meter[name].lower() in written]
    assert set(transports) >= {"wrapper", "udp", "hdlc", "serial", "tcp"}
    assert set(secured) >= {"60", "61", "db", "dd", "c8", "cc"}, secured
    assert set(controls) >= CONTROLS, controls
    return seen
