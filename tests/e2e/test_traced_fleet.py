"""Every octet of every APDU of a whole fleet, explained: meters of every model over every transport, and each way of securing them.

Head-end and meters are processes; who asks knows XML and the REST API. What is claimed of an octet is what `ami trace` and the console show
of it: it belongs to exactly one leaf of the tree of its message, and to none that says that its meaning is not known.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from harness import System, system
from patience import PATIENCE_S
from stranger import CONNECT, DISCONNECT, Stranger, by_mrid

from ami_dlms.explain import DecodingSession, Node, explain, is_sound, leaves
from ami_trace.explained import frame_of
from ami_trace.form import Kind, Outcome, Trace

IMPORT = "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"
QUARTERS = "0.0.2.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"
READ = """\
<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>
<RequestMessage xmlns="http://iec.ch/TC57/2011/schema/message">
<Header><Verb>get</Verb><Noun>MeterReadings</Noun><Timestamp>2026-01-15T12:00:00Z</Timestamp><Source>stranger</Source>
<MessageID>{message_id}</MessageID><CorrelationID>{message_id}</CorrelationID></Header>
<Request><GetMeterReadings xmlns="http://iec.ch/TC57/2011/GetMeterReadings#">{wanted}</GetMeterReadings></Request>
</RequestMessage></e:Body></e:Envelope>"""
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
)
SECRETS = ("secret", "encryption_key", "authentication_key", "master_key")


@pytest.fixture
def fleet(tmp_path: Any) -> Any:
    kinds = [*FLEET.items(), *MORE]
    with system(tmp_path, meters=len(kinds)) as one:
        one.config["hes"]["traces"] = {"keep": "everything"}
        one.config["hes"]["apdu_timeout_s"] = 20.0
        one.config["hes"]["deadline_s"] = 60.0
        for meter, (model, changes) in zip(one.config["meters"], kinds, strict=True):
            meter["simulated"]["model"] = model
            meter |= changes
            if changes.get("address") == "dials-in":
                meter["simulated"]["dial_to"] = f"127.0.0.1:{one.config['hes']['dlms_port']}"
        yield one.start_together()


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


def check(octets: bytes, where: str) -> Node:
    """The tree of a message, each octet of which is in one leaf that is known."""
    [tree] = explain(octets, DecodingSession())
    found = list(leaves(tree))
    assert b"".join(leaf.octets for leaf in found) == octets, where
    assert [leaf.start for leaf in found] == [
        sum(len(one.octets) for one in found[:place]) for place in range(len(found))
    ]
    assert not [leaf for leaf in found if leaf.type == "missing" or leaf.name in UNKNOWN], where
    assert is_sound(tree), where
    return tree


@pytest.mark.ci
def test_each_octet_of_each_apdu_of_the_fleet_belongs_to_exactly_one_leaf(fleet: System) -> None:
    assert fleet.hes is not None
    fleet.hes.wait_for("dialled_in")
    stranger = Stranger(fleet.hes_url)
    for code in (DISCONNECT, CONNECT):
        stranger.switch(code, [by_mrid(meter) for meter in fleet.config["meters"]])
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    start, end = (now - timedelta(hours=6)).isoformat(), now.isoformat()
    read(fleet, "registers", type_of(IMPORT))
    period = f"<Reading><timePeriod><end>{end}</end><start>{start}</start></timePeriod></Reading>"
    read(fleet, "profile", type_of(QUARTERS), period)
    read(fleet, "all")
    seen, kinds, secured = Counter[str](), Counter[str](), Counter[str]()
    found = traces(fleet)
    assert len(found) == 5
    for trace in found:
        recorded = {span.meter for span in trace.spans if span.kind is Kind.ATTEMPT}
        assert recorded == {meter["name"] for meter in fleet.config["meters"]}, "no meter is missing"
        kinds.update(span.transport for span in trace.spans if span.transport)
        for span, record in trace.apdus():
            where = f"{trace.noun} {span.meter} {span.name} {record.octets} {record.clear}"
            check(frame_of(record), where)
            if record.clear is not None:
                check(bytes.fromhex(record.clear), where)
                secured[record.octets[:2]] += 1
            seen[span.meter or ""] += 1
        written = trace.model_dump_json().lower()
        for meter in fleet.config["meters"]:
            assert not [name for name in SECRETS if name in meter and meter[name].lower() in written]
    assert set(kinds) >= {"wrapper", "udp", "hdlc", "tcp"}
    assert set(secured) >= {"60", "61", "db", "dd", "c8", "cc"}, secured
    assert all(seen[meter["name"]] > 20 for meter in fleet.config["meters"]), seen
    ended = {trace.outcome for trace in found}
    assert ended <= {Outcome.OK, Outcome.PARTIAL}, ended
