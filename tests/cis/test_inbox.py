"""The CIS as a server: what a HES may deliver, what a stranger's SOAP client finds, and what a hostile peer gets."""

from __future__ import annotations

import asyncio
import base64
import gzip
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import zeep
from cis_stand_in import SCHEMAS, Events, environment, post, post_response
from lxml import etree
from patience import PATIENCE_S

from ami_cim import envelope, ns, soap, wire
from ami_cim.limits import Limits
from ami_cim.message import EventMessage, Header, Reply, RequestMessage, ResponseMessage
from ami_cim.payloads.end_device_controls import EndDeviceControl, EndDeviceControls
from ami_cis.inbox import MAX_ID, Inbox
from ami_cis.pending import Pending
from ami_cis.store import SentRequest, Store, StoreUnavailable
from ami_process.health import Health
from ami_process.http_server import serving
from ami_process.sockets import listening
from ami_process.worker import Worker

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PAYLOAD = EndDeviceControls((EndDeviceControl(control_type="3.31.0.23"),))


class ACis:
    def __init__(self, url: str, store: Store, events: Events) -> None:
        self.url = url
        self.store = store
        self.events = events


@pytest.fixture
async def cis(tmp_path: Path) -> AsyncIterator[ACis]:
    events = Events()
    async with Store.opened(tmp_path / "cis.sqlite") as store:
        await store.add_request(
            SentRequest("m-1", "c-1", "create", "EndDeviceControls", "3.31.0.23", ("M1001",), True, NOW)
        )
        given = environment(events)
        pending, worker = Pending(store, given.now), Worker("ami_cim.reading:read")
        inbox = Inbox(pending, store, given, SCHEMAS, worker, Limits(octets=20_000), body_timeout_s=0.2)
        with listening("127.0.0.1", 0, "cis.") as listener:
            async with serving(inbox.application(Health({"store": store.check}, role="cis")), listener):
                yield ACis(f"http://127.0.0.1:{listener.getsockname()[1]}", store, events)


def header(verb: str = "reply", **fields: Any) -> Header:
    made: dict[str, Any] = {"timestamp": NOW, "message_id": "r-1", "correlation_id": "m-1", "noun": "EndDeviceControls"}
    return Header(verb=verb, **(made | fields))


def response(result: Any = "OK", **fields: Any) -> ResponseMessage:
    return ResponseMessage(header=header(**fields), reply=Reply(result=result))


def event(verb: str = "created", **fields: Any) -> bytes:
    message = EventMessage(header=header(verb, **fields), payload=PAYLOAD)
    return wire.write_event(message, envelope.typed_wrapper(verb, "EndDeviceControls"), SCHEMAS)


async def delivered(cis: ACis, octets: bytes, path: str = "/cim") -> ResponseMessage:
    answer = await post(cis.url + path, octets)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/xml; charset=utf-8"
    SCHEMAS.validate(soap.unwrap(answer.content))
    return wire.read_response(answer.content, SCHEMAS)


async def test_a_reply_is_taken_and_answered_with_its_correlation(cis: ACis) -> None:
    answer = await post_response(f"{cis.url}/cim", response("FAILED"))
    assert answer.reply == Reply(result="OK")
    assert (answer.header.verb, answer.header.noun, answer.header.correlation_id) == (
        "reply",
        "EndDeviceControls",
        "m-1",
    )
    assert [reply.result for reply in await cis.store.replies("m-1")] == ["FAILED"]
    assert cis.events.names == ["reply_received"]


async def test_a_typed_reply_is_answered_typed(cis: ACis) -> None:
    wrapper = envelope.typed_wrapper("create", "EndDeviceControls")
    octets = wire.write_response(response(), wrapper, SCHEMAS)
    answer = await post(f"{cis.url}/cim", octets)
    assert etree.QName(soap.unwrap(answer.content)).localname == "EndDeviceControlsResponseMessage"


async def test_an_unknown_reply_is_told_so(cis: ACis) -> None:
    answer = await post_response(f"{cis.url}/cim", response(correlation_id="nobody's"))
    assert answer.reply.result == "FAILED"
    assert answer.reply.errors[0].code == "2.15"
    assert cis.events.told == [
        {"event": "reply_unknown", "correlation_id": "nobody's", "result": "OK", "errors": []},
    ]


async def test_a_contradicting_reply_is_told_so(cis: ACis) -> None:
    await post_response(f"{cis.url}/cim", response("OK"))
    answer = await post_response(f"{cis.url}/cim", response("FAILED"))
    assert answer.reply.result == "FAILED"
    assert cis.events.names == ["reply_received", "reply_contradicting"]


async def test_many_at_once_are_one(cis: ACis) -> None:
    answers = await asyncio.gather(*(post_response(f"{cis.url}/cim", response()) for _ in range(20)))
    assert {answer.reply.result for answer in answers} == {"OK"}
    assert len(await cis.store.replies("m-1")) == 1
    assert cis.events.names.count("reply_received") == 1


@pytest.mark.parametrize("path", ["/cim", "/cim/ReplyEndDeviceControls"])
async def test_events_are_kept_once_and_answered(cis: ACis, path: str) -> None:
    verbs = ["created", "changed", "canceled", "closed", "deleted"]
    for verb in verbs:
        for _ in range(2):
            answer = await delivered(cis, event(verb, message_id=f"e-{verb}"), path)
            assert answer.reply == Reply(result="OK")
            assert answer.header.correlation_id == "m-1"
    assert cis.events.names == ["event_received", "event_repeated"] * 5
    assert [told["verb"] for told in cis.events.named("event_received")] == verbs


async def test_an_event_without_message_id_is_kept(cis: ACis) -> None:
    octets = event().replace(b"<msg:MessageID>r-1</msg:MessageID>", b"")
    assert (await delivered(cis, octets)).reply.result == "OK"
    assert cis.events.told[0]["message_id"].startswith("sha256:")


async def test_an_event_whose_message_id_has_no_end_is_refused(cis: ACis) -> None:
    assert (await delivered(cis, event(message_id="x" * MAX_ID))).reply.result == "OK"
    answer = await delivered(cis, event(message_id="x" * (MAX_ID + 1)))
    assert (answer.reply.result, answer.reply.errors[0].code) == ("FAILED", "1.5")
    assert cis.events.names == ["event_received"]


async def test_events_that_nobody_here_understands_are_refused(cis: ACis) -> None:
    generic = wire.write_event(EventMessage(header=header("created"), payload=PAYLOAD), envelope.EVENT_MESSAGE, SCHEMAS)
    assert (await delivered(cis, generic)).reply.result == "OK"
    for old, new, code in (
        (b"EndDeviceControls</msg:Noun>", b"Weather</msg:Noun>", "2.5"),
        (b">created<", b">get<", "2.9"),
    ):
        reply = (await delivered(cis, generic.replace(old, new))).reply
        assert (reply.result, reply.errors[0].code) == ("FAILED", code)
    assert cis.events.names == ["event_received"]


def a_request() -> bytes:
    message = RequestMessage(header=header("create"), payload=PAYLOAD)
    return wire.write_request(message, envelope.typed_wrapper("create", "EndDeviceControls"), SCHEMAS)


BOMB = (
    b'<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx">'
    + b"".join(b'<!ENTITY x%d "%s">' % (n, (b"&x%d;" % (n - 1) if n else b"&x;") * 10) for n in range(9))
    + b"]><a>&x8;</a>"
)
OK = wire.write_response(response(), envelope.RESPONSE_MESSAGE, SCHEMAS)


NO_MESSAGES = (
    b"",
    b"hello",
    b"\x00\x01\x02",
    b"\xff\xfe<",
    b"<a/>",
    b"<a>",
    OK[: len(OK) // 2],
    OK.replace(b">OK<", b">MAYBE<"),
    OK.replace(b"msg:Noun", b"msg:Nown"),
    OK.replace(b"schemas.xmlsoap.org/soap/envelope/", b"www.w3.org/2003/05/soap-envelope"),
    OK.replace(b"iec.ch/TC57", b"www.iec.ch/TC57"),
    OK.replace(b"<?xml", b"<?xml?><?xml"),
    b'<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x.dtd"><a/>',
    b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    BOMB,
    b"<a>" * 2_000 + b"</a>" * 2_000,
    a_request(),
)


async def test_what_cannot_be_used_gets_a_fault(cis: ACis) -> None:
    for number, octets in enumerate(NO_MESSAGES, start=1):
        answer = await post(f"{cis.url}/cim", octets)
        assert answer.status_code == 500, octets[:200]
        fault = soap.parse_fault(soap.unwrap(answer.content))
        assert fault.text and fault.detail is not None
        reply = envelope.parse_fault(fault.detail).reply
        assert reply.result == "FAILED" and reply.errors[0].code
        assert b"root:" not in answer.content
        assert cis.events.names == ["message_refused"] * number
    assert await cis.store.replies("m-1") == []
    assert (await delivered(cis, OK)).reply.result == "OK"


async def test_too_large_is_cut_off_whether_announced_or_not(cis: ACis) -> None:
    async def in_chunks() -> AsyncIterator[bytes]:
        for _ in range(1_000):
            yield b"<a>" * 100

    for content in (b" " * 30_000, in_chunks()):
        answer = await post(f"{cis.url}/cim", content)  # type: ignore[arg-type]
        assert answer.status_code == 413
        assert "too large" in soap.parse_fault(soap.unwrap(answer.content)).text


async def test_a_body_that_does_not_end_is_given_up(cis: ACis) -> None:
    host, port = cis.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /cim HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: 1000\r\n\r\n<a")
    assert b" 408 " in await reader.readline()
    answer = await reader.read()
    assert b"code>1.8<" in answer and b"within 0.2 s" in answer
    writer.close()
    await writer.wait_closed()


async def test_a_store_that_takes_nothing_is_told_in_a_fault_of_the_messages_own_type(
    cis: ACis, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None:
        raise StoreUnavailable("the disk is full")

    typed = wire.write_response(response(), envelope.typed_wrapper("create", "EndDeviceControls"), SCHEMAS)
    for name in ("find_request", "add_event"):
        monkeypatch.setattr(cis.store, name, full)
    for octets, detail in (
        (OK, "FaultMessage"),
        (typed, "EndDeviceControlsFaultMessage"),
        (event(), "EndDeviceControlsFaultMessage"),
    ):
        answer = await post(f"{cis.url}/cim", octets)
        fault = soap.parse_fault(soap.unwrap(answer.content))
        assert fault.detail is not None
        assert (answer.status_code, fault.code, etree.QName(fault.detail).localname) == (500, "Server", detail)
        (problem,) = envelope.parse_fault(fault.detail).reply.errors
        assert (problem.code, problem.reason) == ("5.1", "Nothing was kept: the disk is full. Send it again later")
    assert cis.events.names == ["message_refused"] * 3


async def test_a_fault_of_ours_is_a_soap_fault_too(cis: ACis, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cis.store, "find_request", broken)
    answer = await post(f"{cis.url}/cim", OK)
    fault = soap.parse_fault(soap.unwrap(answer.content))
    assert (answer.status_code, fault.code) == (500, "Server")
    assert "The customer information system failed itself" in answer.text
    assert "ZeroDivisionError" in answer.text and "Traceback" not in answer.text


async def test_an_event_without_any_id_is_answered_with_one_of_ours(cis: ACis) -> None:
    octets = event()
    for element in (b"<msg:MessageID>r-1</msg:MessageID>", b"<msg:CorrelationID>m-1</msg:CorrelationID>"):
        assert element in octets
        octets = octets.replace(element, b"")
    answer = await delivered(cis, octets)
    assert answer.reply.result == "OK"
    assert answer.header.correlation_id == answer.header.message_id


async def test_a_peer_that_goes_away_harms_nothing(cis: ACis) -> None:
    host, port = cis.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /cim HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: 1000\r\n\r\n<a")
    await writer.drain()
    writer.transport.abort()
    assert (await delivered(cis, OK)).reply.result == "OK"


async def test_health_and_no_pages_to_play_with(cis: ACis) -> None:
    async with httpx.AsyncClient(base_url=cis.url, trust_env=False, verify=False, timeout=PATIENCE_S) as client:
        assert (await client.get("/healthz")).json() == {"status": "ok", "role": "cis"}
        for path in ("/docs", "/redoc", "/openapi.json", "/cim?xsd=../message.py", "/cim?xsd=nothing", "/"):
            assert (await client.get(path)).status_code == 404
        for path in ("/cim", "/cim/ReplyEndDeviceControls"):
            bare = await client.get(path)
            assert (bare.status_code, bare.headers["allow"], f"{path}?wsdl" in bare.text) == (405, "POST", True)
        assert (await client.put("/cim")).status_code == 405


@pytest.mark.parametrize(
    ("path", "operations"),
    [
        ("/cim", ["PublishEvent", "Request", "Response"]),
        (
            "/cim/ReplyEndDeviceControls",
            [f"{verb}EndDeviceControls" for verb in ("Canceled", "Changed", "Closed", "Created", "Deleted")],
        ),
    ],
)
async def test_a_stranger_finds_every_operation(cis: ACis, path: str, operations: list[str]) -> None:
    client = await asyncio.to_thread(zeep.Client, f"{cis.url}{path}?wsdl", settings=zeep.Settings(strict=True))
    (service,) = client.wsdl.services.values()
    (port,) = service.ports.values()
    assert sorted(port.binding.all()) == operations
    assert port.binding_options["address"] == f"{cis.url}{path}"
    client.transport.session.close()


def _as_a_stranger(url: str) -> Any:
    client = zeep.Client(f"{url}/cim?wsdl", settings=zeep.Settings(strict=True))
    head = {
        "Verb": "reply",
        "Noun": "EndDeviceControls",
        "CorrelationID": "c-1",
        "MessageID": str(uuid.uuid4()),
        "Timestamp": NOW,
    }
    try:
        return client.service.Response(Header=head, Reply={"Result": "OK"})
    finally:
        client.transport.session.close()


async def test_a_stranger_delivers_by_zeep(cis: ACis) -> None:
    answer = await asyncio.to_thread(_as_a_stranger, cis.url)
    assert answer.Reply.Result == "OK"
    assert answer.Header.CorrelationID == "c-1"
    assert len(await cis.store.replies("m-1")) == 1


async def test_no_message_is_replaced_by_its_look(cis: ACis) -> None:
    """Two requests with the same content and different MessageIDs are two."""
    await cis.store.add_request(
        replace(SentRequest("m-2", "c-2", "create", "EndDeviceControls", "3.31.0.23", ("M1001",), True, NOW))
    )
    await post_response(f"{cis.url}/cim", response(correlation_id="c-1"))
    await post_response(f"{cis.url}/cim", response(correlation_id="c-2"))
    assert len(await cis.store.replies("m-1")) == len(await cis.store.replies("m-2")) == 1


async def test_what_the_http_header_says_of_the_body_is_honoured_or_named(cis: ACis) -> None:
    for content_type, coding, body, status, word in (
        ("text/xml; charset=utf-8", "gzip", gzip.compress(OK, mtime=0), 200, ">OK<"),
        ("text/xml; charset=utf-16", "identity", OK.decode().encode("utf-16"), 200, ">OK<"),
        ("text/xml; charset=koi8-r", "identity", OK, 415, "koi8-r"),
        ("text/xml", "br", OK, 415, "br is not read"),
        ("multipart/related; boundary=b", "identity", OK, 415, "multipart"),
        ("text/xml", "gzip", gzip.compress(b" " * 30_000, mtime=0), 500, "more than 20000 octets"),
    ):
        headers = {"Content-Type": content_type, "Content-Encoding": coding}
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S) as client:
            answer = await client.post(f"{cis.url}/cim", content=body, headers=headers)
        assert (answer.status_code, word in answer.text) == (status, True), answer.text


async def test_a_typed_event_of_a_noun_that_is_not_taken_is_answered(cis: ACis) -> None:
    typed = "http://iec.ch/TC57/2011/CustomerConfigMessage"
    event = (
        f'<s:Envelope xmlns:s="{ns.SOAP}"><s:Body><e:CreatedCustomerConfig xmlns:e="{typed}" xmlns:m="{ns.MESSAGE}">'
        "<e:Header><m:Verb>created</m:Verb><m:Noun>CustomerConfig</m:Noun><m:MessageID>e-1</m:MessageID></e:Header>"
        '<e:Payload><r:CustomerConfig xmlns:r="http://iec.ch/TC57/2011/CustomerConfig#"/></e:Payload>'
        "</e:CreatedCustomerConfig></s:Body></s:Envelope>"
    )
    answer = await post(f"{cis.url}/cim", event.encode())
    assert answer.status_code == 200
    body = soap.unwrap(answer.content)
    assert body.tag == f"{{{typed}}}CustomerConfigResponseMessage"
    assert [code.text for code in body.iter(f"{{{ns.MESSAGE}}}code")] == ["2.5"]


async def test_repeated_compressed_payloads_are_refused_unread(cis: ACis) -> None:
    bomb = base64.b64encode(gzip.compress(b"<a/>" + b" " * 400_000, mtime=0)).decode()
    octets = OK.decode()
    inside = f"<msg:Payload>{f'<msg:Compressed>{bomb}</msg:Compressed>' * 5}</msg:Payload></msg:ResponseMessage>"
    answer = await post(f"{cis.url}/cim", octets.replace("</msg:ResponseMessage>", inside).encode())
    assert (answer.status_code, "5 Compressed came" in answer.text) == (500, True)
