"""The CIS towards a HES: what goes out on a real socket, and what is made of everything that may come back."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from cis_stand_in import SCHEMAS, StandInHes, answering, saying
from lxml import etree
from starlette.responses import Response

from ami_cim import envelope, soap, wire
from ami_cim.identity import EndDevice, Name
from ami_cim.message import Header, Reply, ReplyError, RequestMessage, ResponseMessage
from ami_cim.payloads.end_device_controls import NOUN, EndDeviceControl, EndDeviceControls
from ami_cis.outbox import (
    HesAnswerError,
    HesUnreachableError,
    Outbox,
    OutboxError,
    UndecidedError,
    UnreadableAnswerError,
)
from ami_process.worker import Worker

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
OPERATIONS = [f"{verb}EndDeviceControls" for verb in ("Cancel", "Change", "Close", "Create", "Delete")]


def request(meters: int = 2, **header: object) -> RequestMessage:
    fields: dict[str, object] = {
        "verb": "create",
        "noun": "EndDeviceControls",
        "timestamp": datetime(2026, 3, 1, 12, 0, tzinfo=UTC),
        "source": "CIS",
        "async_reply_flag": False,
        "message_id": "m-1",
        "correlation_id": "m-1",
    }
    devices = tuple(EndDevice(mrid=f"mrid-{n}", names=(Name(name=f"M{n}"),)) for n in range(meters))
    control = EndDeviceControl(control_type="3.31.0.23", issuer_tracking_id="m-1", end_devices=devices)
    return RequestMessage(header=Header(**(fields | header)), payload=EndDeviceControls((control,)))  # type: ignore[arg-type]


@pytest.fixture
async def outbox(hes: StandInHes) -> AsyncIterator[Outbox]:
    async with Outbox.opened(hes.url, 5.0, SCHEMAS, Worker("ami_cim.reading:read")) as opened:
        yield opened


async def test_the_typed_request_arrives_as_it_was_meant(hes: StandInHes, outbox: Outbox) -> None:
    response = await outbox.send(request())
    assert response.reply == Reply(result="OK")
    assert hes.requests == [request()]
    assert hes.headers[0]["soapaction"] == '"http://iec.ch/TC57/2011/EndDeviceControls/CreateEndDeviceControls"'
    assert hes.headers[0]["content-type"] == "text/xml; charset=utf-8"
    body = soap.unwrap(hes.octets[0])
    assert body.tag == "{http://iec.ch/TC57/2011/EndDeviceControlsMessage}CreateEndDeviceControls"
    assert len(body.findall(".//{*}EndDevices")) == 2


async def test_every_verb_has_its_operation(hes: StandInHes, outbox: Outbox) -> None:
    for verb in ("cancel", "change", "close", "create", "delete"):
        await outbox.send(request(verb=verb))
    assert [etree.QName(soap.unwrap(octets)).localname for octets in hes.octets] == OPERATIONS


async def test_a_thousand_meters_are_one_request(hes: StandInHes, outbox: Outbox) -> None:
    await outbox.send(request(1000))
    assert len(hes.control.end_devices) == 1000


async def test_the_operations_are_those_of_the_hes(hes: StandInHes, outbox: Outbox) -> None:
    def without_cancel(octets: bytes) -> bytes:
        root = etree.fromstring(octets)
        for operation in list(root.iter("{http://schemas.xmlsoap.org/wsdl/}operation")):
            if operation.get("name") == "CancelEndDeviceControls":
                operation.getparent().remove(operation)
        return etree.tostring(root)

    hes.change_wsdl = without_cancel
    with pytest.raises(OutboxError, match="the HES offers no CancelEndDeviceControls"):
        await outbox.send(request(verb="cancel"))
    for verb in ("change", "close", "create", "delete"):
        await outbox.send(request(verb=verb))
    assert [etree.QName(soap.unwrap(octets)).localname for octets in hes.octets] == OPERATIONS[1:]


async def test_a_hes_without_wsdl_is_spoken_to_by_the_packaged_one(hes: StandInHes, outbox: Outbox) -> None:
    hes.serves_wsdl = False
    for verb in ("cancel", "change", "close", "create", "delete"):
        assert (await outbox.send(request(verb=verb))).reply.result == "OK"
    assert [etree.QName(soap.unwrap(octets)).localname for octets in hes.octets] == OPERATIONS


@pytest.mark.parametrize(
    "elsewhere", ["http://127.0.0.1:1/Message.xsd", "file:///etc/passwd", "/etc/passwd", "ftp://x/y"]
)
async def test_a_wsdl_that_points_elsewhere_is_refused(hes: StandInHes, outbox: Outbox, elsewhere: str) -> None:
    def point_elsewhere(octets: bytes) -> bytes:
        root = etree.fromstring(octets)
        for element in root.iter("{http://www.w3.org/2001/XMLSchema}import"):
            element.set("schemaLocation", elsewhere)
        return etree.tostring(root)

    hes.change_wsdl = point_elsewhere
    with pytest.raises(HesAnswerError, match="WSDL of the HES"):
        await outbox.send(request())
    assert hes.requests == []


async def test_a_wsdl_that_is_none_is_refused(hes: StandInHes, outbox: Outbox) -> None:
    for octets in (b"no xml", b"<html/>", b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'):
        hes.change_wsdl = lambda _, octets=octets: octets  # type: ignore[misc]
        with pytest.raises(HesAnswerError):
            await outbox.send(request())


async def test_a_fault_is_the_answer_failed_with_its_code(hes: StandInHes, outbox: Outbox) -> None:
    from ami_cim.errors import InvalidMessage

    hes.behaviour = saying(wire.write_fault(InvalidMessage("2.5", "Invalid Noun")), 500)
    reply = (await outbox.send(request())).reply
    assert reply.result == "FAILED"
    assert reply.errors == (ReplyError(code="2.5", reason="Invalid Noun"),)
    hes.behaviour = saying(soap.fault("Client", "no such operation"), 500)
    reply = (await outbox.send(request())).reply
    assert (reply.result, reply.errors[0].reason) == ("FAILED", "no such operation")


async def test_a_fault_of_the_hes_itself_decides_nothing(hes: StandInHes, outbox: Outbox) -> None:
    """SOAP 1.1, 4.4.1: Server says that the message itself is not to blame, and may be processed later."""
    for code in ("Server", "Server.Busy"):
        hes.behaviour = saying(soap.fault(code, "out of order"), 500)
        with pytest.raises(UndecidedError, match="out of order"):
            await outbox.send(request())


@pytest.mark.parametrize(
    ("status", "decided"),
    [(404, True), (405, True), (415, True), (408, False), (429, False), (500, False), (503, False)],
)
async def test_a_status_without_message_says_whether_the_request_was_taken(
    hes: StandInHes, outbox: Outbox, status: int, decided: bool
) -> None:
    hes.behaviour = saying(b"no", status)
    with pytest.raises(HesAnswerError, match="no valid message") as problem:
        await outbox.send(request())
    assert isinstance(problem.value, UndecidedError) is not decided


WEIRD = b"""<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>
<EndDeviceControlsResponseMessage xmlns="http://iec.ch/TC57/2011/EndDeviceControlsMessage" xmlns:m="http://iec.ch/TC57/2011/schema/message">
<Header><m:Verb>reply</m:Verb><m:Noun>EndDeviceControls</m:Noun></Header><Reply><m:Result>WEIRD</m:Result></Reply>
</EndDeviceControlsResponseMessage></e:Body></e:Envelope>"""


NO_ANSWERS = (
    WEIRD,
    WEIRD.replace(b"WEIRD", b""),
    b"",
    b"It works!",
    b"<html/>",
    b"<a>" * 100_000,
    b'<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>',
    soap.wrap(etree.fromstring("<x xmlns='urn:nothing'/>")),
)


async def test_an_answer_that_is_none_is_not_believed(hes: StandInHes, outbox: Outbox) -> None:
    for octets in NO_ANSWERS:
        hes.behaviour = saying(octets)
        with pytest.raises(HesAnswerError, match="no valid message"):
            await outbox.send(request())


async def test_an_answer_without_end_is_cut(hes: StandInHes, outbox: Outbox) -> None:
    async def bomb(_: object, __: object) -> Response:
        return Response(gzip.compress(b" " * 6_000_000), headers={"Content-Encoding": "gzip"})

    hes.behaviour = bomb
    with pytest.raises(HesAnswerError, match="more than 5000000 octets"):
        await outbox.send(request())


async def test_a_hes_that_is_not_there(hes: StandInHes) -> None:
    async with Outbox.opened("http://127.0.0.1:1", 5.0, SCHEMAS, Worker("ami_cim.reading:read")) as outbox:
        for call in (outbox.knock, lambda: outbox.send(request())):
            with pytest.raises(HesUnreachableError, match=r"http://127\.0\.0\.1:1 cannot be reached"):
                await call()


async def test_a_hes_that_is_not_ready(hes: StandInHes, outbox: Outbox) -> None:
    hes.healthy = False
    with pytest.raises(HesUnreachableError, match="503"):
        await outbox.knock()
    hes.healthy = True
    await outbox.knock()


async def test_a_hes_that_does_not_answer(hes: StandInHes) -> None:
    asked = asyncio.Event()

    async def hang(_: object, __: object) -> Response:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    hes.behaviour = hang
    async with Outbox.opened(hes.url, 0.2, SCHEMAS, Worker("ami_cim.reading:read")) as outbox:
        await outbox.knock()
        with pytest.raises(UndecidedError, match=r"within 0\.2 s"):
            await outbox.send(request())
    assert asked.is_set()


async def test_what_cannot_be_written_is_not_sent(hes: StandInHes, outbox: Outbox) -> None:
    for bad in (request(verb="execute"), request(noun="Nothing"), request(source="\x00")):
        with pytest.raises(OutboxError, match="cannot be written"):
            await outbox.send(bad)
    assert hes.requests == []


async def test_answers_do_not_mix(hes: StandInHes, outbox: Outbox) -> None:
    hes.behaviour = answering(Reply(result="OK"))
    wanted = [f"m-{n}" for n in range(20)]
    responses = await asyncio.gather(*(outbox.send(request(message_id=one, correlation_id=one)) for one in wanted))
    assert [response.header.correlation_id for response in responses] == wanted


def answer(errors: int = 1, reason: str = "Z\u00e4hler") -> bytes:
    told = tuple(ReplyError(code="2.4", reason=reason, details=str(number)) for number in range(errors))
    message = ResponseMessage(
        header=Header(verb="reply", noun=NOUN, timestamp=NOW, message_id="r-1", correlation_id="m-1"),
        reply=Reply(result="FAILED", errors=told),
    )
    return wire.write_response(message, envelope.typed_wrapper("create", NOUN), SCHEMAS)


async def test_a_large_answer_is_read_in_another_process(hes: StandInHes) -> None:
    hes.behaviour = saying(answer(5_000))
    async with Worker("ami_cim.reading:read") as worker, Outbox.opened(hes.url, 30.0, SCHEMAS, worker) as outbox:
        assert len((await outbox.send(request())).reply.errors) == 5_000
        hes.behaviour = saying(answer(5_000)[:-100])
        with pytest.raises(HesAnswerError, match="not well-formed"):
            await outbox.send(request())
        hes.behaviour = saying(answer())
        assert (await outbox.send(request())).reply.errors[0].reason == "Z\u00e4hler"


async def test_a_reading_process_that_answers_nonsense_is_not_believed(hes: StandInHes) -> None:
    hes.behaviour = saying(answer(5_000))
    async with Worker("operator:add") as worker, Outbox.opened(hes.url, 30.0, SCHEMAS, worker) as outbox:
        with pytest.raises(UnreadableAnswerError, match="the reading process answered cannot be used"):
            await outbox.send(request())


@pytest.mark.parametrize(
    ("headers", "octets"),
    [
        ({"Content-Encoding": "gzip", "Content-Type": "text/xml"}, gzip.compress(answer(), mtime=0)),
        (
            {"Content-Type": "text/xml; charset=iso-8859-1"},
            answer().decode().replace("UTF-8", "ISO-8859-1").encode("latin-1"),
        ),
    ],
)
async def test_what_the_http_header_says_of_an_answer_is_honoured(
    hes: StandInHes, outbox: Outbox, headers: dict[str, str], octets: bytes
) -> None:
    async def behave(_: object, __: object) -> Response:
        return Response(octets, headers=headers)

    hes.behaviour = behave
    assert (await outbox.send(request())).reply.errors[0].reason == "Z\u00e4hler"


@pytest.mark.parametrize(
    ("headers", "word"),
    [
        ({"Content-Encoding": "br", "Content-Type": "text/xml"}, "br is not read"),
        ({"Content-Type": "text/xml; charset=koi8-r"}, "koi8-r"),
        ({"Content-Type": "multipart/related; boundary=b"}, "multipart"),
    ],
)
async def test_what_it_says_and_is_not_read_is_named_and_decides_nothing(
    hes: StandInHes, outbox: Outbox, headers: dict[str, str], word: str
) -> None:
    async def behave(_: object, __: object) -> Response:
        return Response(answer(), headers=headers)

    hes.behaviour = behave
    with pytest.raises(UndecidedError, match=word):
        await outbox.send(request())


async def test_a_wsdl_that_wants_to_fill_us_is_refused(hes: StandInHes, outbox: Outbox) -> None:
    declarations = " ".join(f'xmlns:n{number}="urn:n:{number}"' for number in range(201))
    hes.change_wsdl = lambda octets: octets.replace(
        b"<wsdl:definitions ", f"<wsdl:definitions {declarations} ".encode()
    )
    with pytest.raises(HesAnswerError, match="too many namespaces"):
        await outbox.send(request())
