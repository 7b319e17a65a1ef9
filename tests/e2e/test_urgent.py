"""One urgent control amid a bulk read: hundreds of simulated meters are read several times over few sessions, and a control goes before them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from free_ports import free_port
from harness import Process, Receiver, system
from lxml import etree
from patience import PATIENCE_S
from stranger import CONNECT, DISCONNECT, Stranger
from test_population import ship_and_start, shipment, town

COUNT, SESSIONS, BULKS = 400, 4, 4
BESIDE = 8 * SESSIONS
"""Reads that may end while a control is carried out: one of each session until one of them is free, and then those of the other
sessions, each of which is shorter than a control's. Behind the reads it would wait for more than a thousand."""
ENVELOPE = """\
<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>
<RequestMessage xmlns="http://iec.ch/TC57/2011/schema/message">
<Header><Verb>get</Verb><Noun>MeterReadings</Noun><Source>stranger</Source><AsyncReplyFlag>true</AsyncReplyFlag>
<ReplyAddress>{reply_address}</ReplyAddress><MessageID>{message_id}</MessageID></Header>
<Request><GetMeterReadings xmlns="http://iec.ch/TC57/2011/GetMeterReadings#">{devices}</GetMeterReadings></Request>
</RequestMessage></e:Body></e:Envelope>"""


def read_all(hes_url: str, meters: list[dict[str, Any]], reply_address: str) -> str:
    """Ask for all that these meters have, to be answered later; the MessageID."""
    message_id = str(uuid.uuid4())
    devices = "".join(f"<EndDevice><mRID>{one['mrid']}</mRID></EndDevice>" for one in meters)
    body = ENVELOPE.format(reply_address=reply_address, message_id=message_id, devices=devices)
    answer = httpx.post(
        f"{hes_url}/cim", content=body, headers={"Content-Type": "text/xml"}, trust_env=False, timeout=PATIENCE_S
    )
    codes = [one.text for one in etree.fromstring(answer.content).iter("{*}code")]
    assert (answer.status_code, codes) == (200, ["0.3"]), answer.text
    return message_id


def reads(events: Sequence[dict[str, Any]], messages: Collection[str]) -> list[dict[str, Any]]:
    """What has been read for these requests."""
    return [event for event in events if event["event"] == "meter_done" and event["message_id"] in messages]


def while_it_was_carried_out(hes: Process, message_id: str) -> list[dict[str, Any]]:
    """What the HES says from taking a control to its meter's end, in its own order: how fast this process is does not count."""
    hes.wait_for("meter_done", message_id=message_id)
    events = list(hes.events)
    own = [place for place, event in enumerate(events) if event.get("message_id") == message_id]
    return events[own[0] : own[-1]]


@pytest.mark.ci
def test_a_control_is_answered_while_hundreds_of_reads_go_on(tmp_path: Path) -> None:
    receiver = Receiver()
    with system(tmp_path) as ami:
        ami.config["hes"]["max_sessions"] = SESSIONS
        ship_and_start(ami, "json", town(free_port(), count=COUNT, model="single-phase"))
        hes, meters = ami.hes, json.loads(shipment(ami.path, "--for", "cis").stdout)["meters"]
        assert hes is not None and len(meters) == COUNT
        messages = {read_all(ami.hes_url, meters, receiver.url) for _ in range(BULKS)}
        hes.wait_for_some("meter_done", 8)
        stranger = Stranger(ami.hes_url)
        for meter, code in ((meters[-1], DISCONNECT), (meters[-1], CONNECT), (meters[COUNT // 2], DISCONNECT)):
            message_id = str(uuid.uuid4())
            answer = stranger.switch(code, [{"mRID": meter["mrid"]}], message_id=message_id)
            assert (answer.result, answer.failures) == ("OK", []), answer.reasons
            meanwhile = len(reads(while_it_was_carried_out(hes, message_id), messages))
            assert meanwhile <= BESIDE, f"the control waited for {meanwhile} reads"
        done = reads(hes.events, messages)
        assert len(done) < BULKS * COUNT - SESSIONS and not receiver.bodies, "the reads are still under way"
        assert {event["ok"] for event in done} == {True}
    receiver.close()
