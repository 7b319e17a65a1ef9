"""The HES's HTTP side over real sockets: what goes in, what comes out, and what is refused how."""

import asyncio
import base64
import gzip
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from lxml import etree
from north_bench import (
    CONNECT,
    DISCONNECT,
    GENERIC,
    SCHEMAS,
    SWITCHES_MANY,
    TYPED,
    StandIn,
    control,
    mrid,
    north,
    octets,
    request,
    texts,
)

from ami_cim import ns, reading, soap, wire
from ami_cim.limits import for_peer
from ami_hes.commands import Outcome
from ami_hes.settings.partners import PartnerSettings
from ami_process.worker import Worker

XML = {"Content-Type": "text/xml"}
MESSAGE, CONTROLS = f"{{{ns.MESSAGE}}}", f"{{{ns.typed_message('EndDeviceControls')}}}"


async def test_a_control_for_two_meters_at_both_addresses(tmp_path: Path) -> None:
    async with north(tmp_path) as hes:
        for path, wrapper in (
            (TYPED, CONTROLS + "EndDeviceControlsResponseMessage"),
            (GENERIC, MESSAGE + "ResponseMessage"),
        ):
            asked = request(control(DISCONNECT, "M1", "M2"), correlation_id="mine")
            response = await hes.post(octets(asked, path), path)
            assert (response.status_code, response.headers["content-type"]) == (200, "text/xml; charset=utf-8")
            assert soap.unwrap(response.content).tag == wrapper
            answer = wire.read_response(response.content, SCHEMAS)
            assert (answer.reply.result, answer.reply.errors) == ("OK", ())
            head = answer.header
            assert (head.verb, head.noun, head.correlation_id, head.source) == (
                "reply",
                "EndDeviceControls",
                "mine",
                "HES",
            )
            assert head.timestamp and head.message_id
        assert hes.meters.told() == [("M1", DISCONNECT, False), ("M2", DISCONNECT, False)] * 2


async def test_each_meter_that_fails_has_its_error(tmp_path: Path) -> None:
    failed = Outcome(False, "5.3", "FATAL", "M2: the meter accepted the control and did not disconnect", attempted=True)
    async with north(tmp_path, StandIn({"M2": failed})) as hes:
        reply = (await hes.ask(request(control(DISCONNECT, "M1", "M2", "M9", points=["UP-3"])))).reply
        assert reply.result == "PARTIAL"
        told = [(e.code, e.identifier and e.identifier.value, e.related and e.related.value) for e in reply.errors]
        assert told == [("2.4", "M9", None), ("5.3", "M2", mrid(2))]


async def test_ready_for_reconnection_validates_and_is_ok(tmp_path: Path) -> None:
    ready = Outcome(True, "0.0", "INFORM", "M1: ready for reconnection", attempted=True)
    async with north(tmp_path, StandIn({"M1": ready})) as hes:
        reply = (await hes.ask(request(control(CONNECT, "M1")))).reply
        assert (reply.result, [(e.code, e.level) for e in reply.errors]) == ("OK", [("0.0", "INFORM")])


async def test_odd_characters_of_a_meter_do_not_break_the_answer(tmp_path: Path) -> None:
    odd = Outcome(False, "5.3", "FATAL", "M1: says \x00\x1b[31m <&> \ud800", attempted=True)
    async with north(tmp_path, StandIn({"M1": odd})) as hes:
        reply = (await hes.ask(request(control(DISCONNECT, "M1")))).reply
        assert reply.result == "FAILED" and "<&>" in (reply.errors[0].reason or "")


@pytest.mark.parametrize(
    ("verb", "code"), [("change", "5.2"), ("cancel", "2.15"), ("close", "2.15"), ("delete", "2.15")]
)
@pytest.mark.parametrize("path", [TYPED, GENERIC])
async def test_the_other_verbs_are_answered_honestly(tmp_path: Path, verb: str, code: str, path: str) -> None:
    """What is to be cancelled has to be open; what is to be changed is for later."""
    async with north(tmp_path) as hes:
        reply = (await hes.ask(request(control(DISCONNECT, "M1"), verb=verb), path)).reply
        assert (reply.result, [e.code for e in reply.errors]) == ("FAILED", [code])
        assert hes.meters.commands == []


async def test_what_is_understood_and_not_served_is_a_response(tmp_path: Path) -> None:
    async with north(tmp_path) as hes:
        for message, code in (
            (request(control(DISCONNECT, "M1"), noun="CustomerConfig"), "2.5"),
            (request(control(DISCONNECT, "M1"), verb="execute"), "2.9"),
            (request(control(DISCONNECT, "M1"), verb="created"), "2.9"),
            (request(control("3.31.0.99", "M1")), "5.2"),
            (request(control(DISCONNECT, "M1"), async_reply_flag=True), "1.5"),
            (request(control(DISCONNECT, "M1"), async_reply_flag=True, reply_address="http://8.8.8.8/"), "7.7"),
            (request(control(DISCONNECT, "M1"), async_reply_flag=True, reply_address="a queue"), "1.5"),
            (request(control(DISCONNECT, "M1"), message_id="x" * 201), "1.5"),
            (request(), "1.7"),
            (request(control(DISCONNECT, "M9")), "2.4"),
        ):
            reply = (await hes.ask(message, GENERIC)).reply
            assert (reply.result, [e.code for e in reply.errors]) == ("FAILED", [code])
            assert reply.errors[0].reason
        assert hes.meters.commands == []


async def test_a_request_without_message_id_is_refused(tmp_path: Path) -> None:
    body = octets(request(control(DISCONNECT, "M1")))
    root = etree.fromstring(body)
    (element,) = root.iter(f"{MESSAGE}MessageID")
    element.getparent().remove(element)
    async with north(tmp_path) as hes:
        response = await hes.post(etree.tostring(root))
        assert response.status_code == 200
        assert (texts(response.content, "Result"), texts(response.content, "code")) == (["FAILED"], ["1.5"])
        assert hes.meters.commands == []


async def test_too_many_meters_are_refused(tmp_path: Path) -> None:
    async with north(tmp_path, max_meters_per_request=2) as hes:
        assert (await hes.ask(request(control(DISCONNECT, "M1", "M2")))).reply.result == "OK"
        for names in (("M1", "M2", "M3"), ("M8", "M9", "M10")):
            reply = (await hes.ask(request(control(DISCONNECT, *names)))).reply
            assert (reply.result, [e.code for e in reply.errors]) == ("FAILED", ["3.1"])
        assert len(hes.meters.commands) == 2


VALID = octets(request(control(DISCONNECT, "M1")))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "1.8"),
        (b"nonsense", "1.8"),
        (b"\xff\xfe\x00", "1.8"),
        (b'<!DOCTYPE l [<!ENTITY a "aaa">]><l>&a;</l>', "1.8"),
        (b"<a>" * 5000, "1.8"),
        (b"<a/>", "1.8"),
        (VALID.replace(b"schemas.xmlsoap.org/soap/envelope/", b"www.w3.org/2003/05/soap-envelope"), "1.8"),
        (
            VALID.replace(
                b"iec.ch/TC57/2011/EndDeviceControlsMessage", b"www.iec.ch/TC57/2011/EndDeviceControlsMessage"
            ),
            "1.8",
        ),
        (VALID.replace(b"Verb>", b"Berb>"), "1.8"),
        (VALID.replace(b"EndDevices>", b"Devices>"), "1.8"),
        (VALID.replace(b">create<", b">explode<"), "1.8"),
        (VALID.replace(b">create<", b">cancel<"), "2.9"),
    ],
)
async def test_what_cannot_be_used_is_a_fault_with_a_fault_message(tmp_path: Path, body: bytes, code: str) -> None:
    async with north(tmp_path) as hes:
        for path in (TYPED, GENERIC):
            response = await hes.post(body, path)
            assert (response.status_code, response.headers["content-type"]) == (500, "text/xml; charset=utf-8")
            fault = soap.parse_fault(soap.unwrap(response.content))
            assert fault.detail is not None and fault.text
            SCHEMAS.validate(fault.detail)
            assert fault.detail.tag.endswith("FaultMessage")
            assert (texts(response.content, "Result"), texts(response.content, "code")) == (["FAILED"], [code])
            assert texts(response.content, "reason")[0]
        assert hes.meters.commands == []


@pytest.mark.parametrize("content_type", ["text/xml", "Application/XML", "application/soap+xml; charset=utf-8"])
async def test_a_message_may_come_as_any_type_of_xml(tmp_path: Path, content_type: str) -> None:
    async with north(tmp_path) as hes:
        body = octets(request(control(DISCONNECT, "M1")))
        response = await hes.client.post(hes.url + TYPED, content=body, headers={"Content-Type": content_type})
        assert texts(response.content, "Result") == ["OK"]


async def test_a_body_is_not_read_further_than_allowed(tmp_path: Path) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 200_000_000:
            sent += 65_536
            yield b" " * 65_536

    async with north(tmp_path, max_request_octets=100_000) as hes:
        try:
            response = await hes.client.post(hes.url + TYPED, content=endless(), headers=XML)
        except httpx.TransportError:
            pass  # the connection was closed while we were still writing
        else:
            assert (response.status_code, texts(response.content, "code")) == (413, ["3.1"])
        assert sent < 50_000_000
        for size in (100_001, 20_000_000):  # who sends not much more hears why
            large = await hes.post(b" " * size)
            assert (large.status_code, texts(large.content, "code")) == (413, ["3.1"])
        assert (await hes.ask(request(control(DISCONNECT, "M1")))).reply.result == "OK"


async def test_a_partner_may_send_more_than_others_where_it_is_configured_so(tmp_path: Path) -> None:
    """Its Source lets a message in, and its own bound keeps one out."""
    partner = PartnerSettings(source="MDM", max_request_octets=400_000)
    devices = [f"X{number}" for number in range(4_000)]
    async with north(tmp_path, max_request_octets=100_000, partners=(partner,)) as hes:
        body = octets(request(control(DISCONNECT, "M1", *devices), source="MDM"))
        assert 200_000 < len(body) < 400_000
        answer = wire.read_response((await hes.post(body)).content, SCHEMAS, for_peer(2_000_000))
        assert (answer.reply.result, len(answer.reply.errors)) == ("PARTIAL", 4_000)
        for wrong, status in (
            (body.replace(b">MDM<", b">CIS<"), 500),
            (body.replace(b"</Header>", b"</Header>" + b" " * 200_000), 413),
        ):
            refused = await hes.post(wrong)
            assert (refused.status_code, texts(refused.content, "code")) == (status, ["3.1"])
        assert len(hes.meters.commands) == 1


async def test_who_sends_too_slowly_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ami_hes.inbox.BODY_S", 0.05)
    async with north(tmp_path) as hes:
        host, port = hes.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /cim HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: 1000\r\n\r\n<soap")
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 408") and b"FaultMessage" in answer
        assert b"code>1.8<" in answer and b"within 0.05 s" in answer
        writer.close()


async def test_who_hangs_up_in_the_middle_does_no_harm(tmp_path: Path) -> None:
    async with north(tmp_path) as hes:
        host, port = hes.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as caller:
            caller.sendall(
                b"POST /cim HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: 1000\r\n\r\n<soap"
            )
        assert (await hes.ask(request(control(DISCONNECT, "M1")))).reply.result == "OK"


async def test_a_fault_of_ours_is_a_soap_fault_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("ami_hes.jobs.Intake.handle", broken)
    async with north(tmp_path) as hes:
        response = await hes.post(VALID)
        assert response.status_code == 500
        assert soap.parse_fault(soap.unwrap(response.content)).code == "Server"
        assert "ZeroDivisionError" in response.text and "Traceback" not in response.text


async def test_the_description_is_there_with_every_import(tmp_path: Path) -> None:
    async with north(tmp_path) as hes:
        for path, name in ((TYPED, "ExecuteEndDeviceControls"), (GENERIC, "Generic")):
            url = hes.url + path
            root = etree.fromstring((await hes.client.get(url + "?wsdl")).content)
            assert root.get("name", name) == name
            assert [a.get("location") for a in root.iter("{*}address") if a.get("location")] == [url]
            todo = [i.get("schemaLocation") for i in root.iter(f"{{{ns.XSD}}}import")]
            seen: set[str] = set()
            while todo:
                location = todo.pop() or ""
                if location in seen:
                    continue
                seen.add(location)
                response = await hes.client.get(location)
                assert response.status_code == 200, location
                todo += [
                    i.get("schemaLocation") for i in etree.fromstring(response.content).iter(f"{{{ns.XSD}}}import")
                ]
            assert any(location.endswith("?xsd=Message.xsd") for location in seen)


@pytest.mark.parametrize("query", ["xsd=../../../../etc/passwd", "xsd=", "xsd=No.xsd"])
async def test_no_other_file_is_given_out(tmp_path: Path, query: str) -> None:
    async with north(tmp_path) as hes:
        assert (await hes.client.get(f"{hes.url}{TYPED}?{query}")).status_code == 404


async def test_the_rest_of_the_addresses(tmp_path: Path) -> None:
    async with north(tmp_path) as hes:
        assert (await hes.client.get(hes.url + "/healthz")).json() == {"status": "ok"}
        for path in (TYPED, GENERIC):
            bare = await hes.client.get(hes.url + path)
            assert (bare.status_code, bare.headers["allow"], f"{path}?wsdl" in bare.text) == (405, "POST", True)
        for path in ("/docs", "/redoc", "/openapi.json", "/cim/Other"):
            assert (await hes.client.get(hes.url + path)).status_code == 404
        console = await hes.client.get(hes.url + "/")
        assert (console.status_code, console.headers["location"]) == (303, "/requests")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "text/xml", "Origin": "http://evil.example"}, 403),
        ({"Content-Type": "text/xml", "Host": "evil.example"}, 421),
        ({"Content-Type": "text/plain", "Origin": "http://evil.example", "Host": "evil.example"}, 421),
    ],
)
async def test_what_a_page_in_a_browser_can_send_switches_nothing(
    tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    async with north(tmp_path) as hes:
        response = await hes.client.post(hes.url + TYPED, content=VALID, headers=headers)
        assert (response.status_code, texts(response.content, "code")) == (status, ["1.8"])
        assert soap.parse_fault(soap.unwrap(response.content)).code == "Client"
        assert hes.meters.commands == []


async def test_the_description_gives_the_public_url_or_no_strange_host(tmp_path: Path) -> None:
    async with north(tmp_path, public_url="https://ami.example/hes/") as hes:
        assert b'location="https://ami.example/hes/cim"' in (await hes.client.get(hes.url + "/cim?wsdl")).content
        asked = await hes.client.get(hes.url + "/cim?wsdl", headers={"Host": "ami.example"})
        assert b'location="https://ami.example/hes/cim"' in asked.content
        strange = await hes.client.get(hes.url + "/cim?wsdl", headers={"Host": "evil.example"})
        assert strange.status_code == 421 and b"location=" not in strange.content


async def test_the_api_is_reached_by_the_same_names_as_the_messages(tmp_path: Path) -> None:
    async with north(tmp_path, public_url="https://ami.example/hes/") as hes:
        known, strange = [
            await hes.client.get(hes.url + "/api/v1/clock", headers={"Host": host})
            for host in ("ami.example", "evil.example")
        ]
        assert (known.status_code, strange.status_code) == (200, 421)


MANY = octets(request(control(DISCONNECT, *(f"X{number}" for number in range(2_000)))))


async def test_a_large_message_is_read_like_a_small_one(tmp_path: Path) -> None:
    async with north(tmp_path, meters=500, guard=SWITCHES_MANY) as hes:
        names = [f"M{number}" for number in range(1, 501)]
        unknown = [f"X{number}" for number in range(200)]
        body = octets(request(control(DISCONNECT, *names, *unknown)))
        assert not reading.is_light(body)
        answer = wire.read_response((await hes.post(body)).content, SCHEMAS)
        assert (answer.reply.result, [e.code for e in answer.reply.errors]) == ("PARTIAL", ["2.4"] * 200)
        assert len(hes.meters.commands) == 500
        for wrong, code in (
            (body.replace(b"3.31.0.23", b"3.31.0.99"), "2.15"),
            (body.replace(b"Names>", b"Nomes>"), "1.8"),
            (body[:-9], "1.8"),
        ):
            assert texts((await hes.post(wrong)).content, "code") == [code]
        bomb = base64.b64encode(gzip.compress(b" " * 5_000_001, mtime=0)).decode()
        packed = VALID.replace(b"<EndDeviceControls ", f"<Compressed>{bomb}</Compressed><EndDeviceControls ".encode())
        assert texts((await hes.post(packed)).content, "code") == ["3.1"]


async def test_who_comes_while_others_are_read_may_come_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ami_hes.app.northbound.Worker", lambda function: Worker(function, waiting=0))
    async with north(tmp_path) as hes:
        answers = await asyncio.gather(*(hes.post(MANY) for _ in range(4)))
        assert sorted(answer.status_code for answer in answers) == [200, 503, 503, 503]
        refused = next(answer for answer in answers if answer.status_code == 503)
        assert texts(refused.content, "code") == ["5.1"]
        assert soap.parse_fault(soap.unwrap(refused.content)).code == "Server"
        assert (await hes.ask(request(control(DISCONNECT, "M1")))).reply.result == "OK"
        assert (await hes.post(MANY)).status_code == 200


async def test_what_takes_too_much_to_read_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ami_hes.app.northbound.Worker", lambda function: Worker(function, seconds=0.01))
    async with north(tmp_path) as hes:
        given_up = await hes.post(MANY)
        assert (given_up.status_code, texts(given_up.content, "code")) == (413, ["3.1"])
        assert "longer than 0.01 s" in given_up.text
        assert (await hes.ask(request(control(DISCONNECT, "M1")))).reply.result == "OK"


@pytest.mark.parametrize(
    ("function", "code", "words"),
    [
        ("operator:add", "5.2", "What the reading process answered cannot be used"),
        ("operator:sub", "5.2", "The head-end system failed itself"),
    ],
)
async def test_a_reading_process_that_answers_nonsense_or_fails_switches_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, code: str, words: str
) -> None:
    monkeypatch.setattr("ami_hes.app.northbound.Worker", lambda _: Worker(function))
    async with north(tmp_path) as hes:
        response = await hes.post(MANY)
        assert (response.status_code, texts(response.content, "code")) == (500, [code])
        assert soap.parse_fault(soap.unwrap(response.content)).code == "Server"
        assert words in response.text
        assert "Traceback" not in response.text
        assert hes.meters.commands == []
        assert (await hes.ask(request(control(DISCONNECT, "M1")))).reply.result == "OK"


async def test_meters_are_counted_before_they_are_looked_up(tmp_path: Path) -> None:
    async with north(tmp_path, max_meters_per_request=2) as hes:
        for code in ("3.31.0.99", DISCONNECT):
            reply = (await hes.ask(request(control(code, "M1", "M1", points=["UP-1"])))).reply
            assert [e.code for e in reply.errors] == ["3.1"]
            assert "names 3 meters" in (reply.errors[0].reason or "")
