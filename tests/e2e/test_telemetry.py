"""What a collector of OpenTelemetry is told of a request: by one process, and by a front end and a worker that NATS alone connects."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from harness import Receiver, System, until
from otlp_collector import Collector, collecting
from stranger import DISCONNECT, Stranger, by_mrid
from test_no_key_shown import SECRETS, seen_in

from ami_cim import envelope, soap
from ami_hes.traces.trace_ids import format_traceparent, request_span, trace_id

pytestmark = [pytest.mark.needs("opentelemetry")]

SENDER = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
TOKEN = "of the collector's own"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as one:
        yield one


def keys_of(ami: System) -> dict[str, bytes]:
    return {
        f"{one['name']} {name}": bytes.fromhex(one[name])
        for one in ami.config["meters"]
        for name in SECRETS
        if name in one
    }


@pytest.mark.parametrize("several", [False, pytest.param(True, marks=[pytest.mark.needs("postgresql", "nats")])])
def test_one_trace_from_the_message_to_the_meter_and_back(
    ami: System, collector: Collector, request: pytest.FixtureRequest, several: bool
) -> None:
    """A control of two meters with a late reply, whose MessageID is a UUID: the trace has that id in whatever process its spans were made."""
    (ami.directory / "token").write_text(TOKEN)
    ami.config["hes"] |= {
        "telemetry": {"endpoint": collector.url, "token": f"file:{ami.directory}/token"},
        "reply_hosts": ["127.0.0.1"],
    }
    ami.meter("M1002").update(authentication="lls", ciphering="general-glo", secret=b"a very secret password".hex())
    roles = {"hes"}
    if several:
        postgresql, nats = (request.getfixturevalue(name) for name in ("postgresql", "nats"))
        store, engine = postgresql.url(postgresql.new_schema()), f"{nats.server}/{nats.new_system()}"
        ami.config["hes"] |= {"store": store, "engine": engine}
        roles |= {"worker"}
    ami.start_together()
    if several:
        worker = ami._start("ami_hes", "work", "--config", ami.write("hes.toml"))
        until(lambda: any(one.get("owned") == 64 for one in worker.events), "the worker had its share")
    message_id, receiver = str(uuid.uuid4()), Receiver()
    try:
        reply = {"AsyncReplyFlag": True, "ReplyAddress": receiver.url}
        named = [{"Name": "traceparent", "Value": f"00-{SENDER[0]}-{SENDER[1]}-01"}]
        both = [by_mrid(meter) for meter in ami.config["meters"]]
        answer = Stranger(ami.hes_url).switch(DISCONNECT, both, message_id=message_id, Property=named, **reply)
        (posted,) = receiver.wait()
    finally:
        receiver.close()
    header = envelope.parse_delivery(soap.unwrap(posted)).message.header
    told = format_traceparent(message_id)
    assert [(one.name, one.value) for one in header.properties] == [("traceparent", told)]
    assert [(one.Name, one.Value) for one in answer.header.Property] == [("traceparent", told)]

    wanted = {"request taken", "create EndDeviceControls", "reply"}

    def is_whole(spans: list[dict[str, Any]]) -> bool:
        commands = [one for one in spans if one["name"].startswith("command ")]
        return wanted <= {one["name"] for one in spans} and len(commands) == 2

    spans = collector.wait(is_whole)
    assert {one["trace"] for one in spans} == {message_id.replace("-", "")}
    assert {one["attributes"]["ami.message_id"] for one in spans} == {message_id}
    assert {one["resource"]["ami.role"] for one in spans} == roles
    assert {one["resource"]["service.name"] for one in spans} == {"ami-hes"}
    assert len({one["id"] for one in spans}) == len(spans)
    by_id = {one["id"]: one for one in spans}
    (root,) = [one for one in spans if not one["parent"]]
    assert (root["name"], root["id"]) == ("create EndDeviceControls", f"{request_span(message_id):016x}")
    assert {one["parent"] for one in spans if one is not root} <= by_id.keys()
    assert all(one["is_ok"] and one["began"] <= one["ended"] for one in spans)

    of_name = {one["name"]: one for one in spans}
    taken, posting = of_name["request taken"], of_name["reply"]
    assert (taken["kind"], taken["links"], taken["parent"]) == ("server", [SENDER], root["id"])
    assert (posting["kind"], posting["parent"], posting["attributes"]["ami.result"]) == ("client", root["id"], "OK")
    commands = [one for one in spans if one["name"].startswith("command ")]
    assert {one["attributes"]["ami.meter"] for one in commands} == {"M1001", "M1002"}
    assert {one["parent"] for one in commands} == {root["id"]}
    assert {one["resource"]["ami.role"] for one in commands} == ({"worker"} if several else {"hes"})
    _check_session(spans, by_id, ami.meter("M1001")["address"])

    assert collector.tokens and set(collector.tokens) == {f"Bearer {TOKEN}"}
    assert not list(seen_in("what the collector has", bytes(collector.octets), keys_of(ami)))
    assert b"a very secret password" not in collector.octets
    printed = "\n".join(str(one) for process in ami.processes for one in process.events)
    assert TOKEN not in printed and "telemetry_lost" not in printed


def _check_session(spans: list[dict[str, Any]], by_id: dict[str, dict[str, Any]], address: str) -> None:
    """Connection, association and exchanges of a meter are its command's, and APDUs are theirs, without octets."""
    mine = [one for one in spans if one["attributes"].get("ami.meter") == "M1001"]
    kinds = {one["name"].split()[0] for one in mine}
    assert {"connection", "association", "exchange", "command"} <= kinds, kinds
    connection = next(one for one in mine if one["name"].startswith("connection"))
    at = f"{connection['attributes']['server.address']}:{connection['attributes']['server.port']}"
    assert at == address and connection["attributes"]["ami.transport"] == "wrapper"
    for one in mine:
        above = one
        while not above["name"].startswith("command "):
            above = by_id[above["parent"]]
        assert above["attributes"]["ami.meter"] == "M1001"
    exchanges = [one for one in mine if one["name"].startswith("exchange")]
    directions = [event[1]["ami.direction"] for one in exchanges for event in one["events"]]
    assert directions.count("request") == directions.count("response") >= 2
    assert all(set(event[1]) == {"ami.direction", "ami.octets"} for one in mine for event in one["events"])


def test_who_is_refused_has_a_trace_and_a_collector_that_takes_nothing_stops_no_work(
    ami: System, collector: Collector
) -> None:
    ami.config["hes"]["telemetry"] = {"endpoint": f"{collector.url}/v1/traces", "service": "ours"}
    hes = ami.start_together().hes
    assert hes is not None
    refused = Stranger(ami.hes_url).switch("0.0.0.0", [by_mrid(ami.meter("M1001"))], message_id="no UUID at all")
    assert refused.result == "FAILED"
    (one,) = collector.wait(lambda spans: bool(spans))
    assert (one["trace"], one["parent"], one["is_ok"]) == (f"{trace_id('no UUID at all'):032x}", "", False)
    assert one["resource"]["service.name"] == "ours" and refused.errors[0].code in one["fault"]
    with collector.came:
        collector.status = 400
    assert Stranger(ami.hes_url).switch(DISCONNECT, [by_mrid(ami.meter("M1001"))]).result == "OK"
    lost = hes.wait_for("telemetry_lost")
    assert lost["spans"] >= 1 and collector.url in lost["reason"]
