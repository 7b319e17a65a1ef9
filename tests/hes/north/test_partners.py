"""Partners that read the standard otherwise, of which epri-dev/dlms-cim is one: its messages, and a stand-in for its server.

Its CIS (a gSOAP client) sends no Source and no AsyncReplyFlag, always a ReplyAddress, a MessageID and another CorrelationID,
and writes all meters of a request as Names of one EndDevice. Its server knows the five operations of the typed WSDL.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from north_bench import (
    DISCONNECT,
    GENERIC,
    SCHEMAS,
    TYPED,
    Cis,
    by_name,
    control,
    mrid,
    north,
    octets,
    registry,
    request,
    texts,
)

from ami_cim import wire
from ami_cim.identity import EndDevice, Name
from ami_cim.message import Header
from ami_cim.payloads.end_device_controls import EndDeviceControl
from ami_hes.nouns import Partner, RequestContext, partner_of
from ami_hes.nouns.end_device_controls import plan, size
from ami_hes.settings import Settings
from ami_hes.settings.partners import PartnerSettings
from ami_process.settings import SettingsError

NOUN_MESSAGE = "http://iec.ch/TC57/2011/EndDeviceControlsMessage"
OPERATIONS = {f"{verb}EndDeviceControls" for verb in ("Create", "Change", "Cancel", "Close", "Delete")}
SEVERAL = Partner(source="CIS", several_names=True)
CONTEXT = RequestContext(request_id="r1", verb="create", accepted_at=datetime.now(UTC), partner=SEVERAL)


def from_dlms_cim(*names: str, reply_address: str = "http://127.0.0.1:9090", code: str = DISCONNECT) -> bytes:
    """A request in its shape: gSOAP's prefixes, indentation, and attributes for encodings that nobody needs."""
    meters = "".join(
        f"\n       <ns4:Names>\n        <ns4:name>{name}</ns4:name>\n       </ns4:Names>" for name in names
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"
 xmlns:SOAP-ENC="http://schemas.xmlsoap.org/soap/encoding/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
 xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:ns2="{NOUN_MESSAGE}"
 xmlns:ns3="http://iec.ch/TC57/2011/schema/message" xmlns:ns4="http://iec.ch/TC57/2011/EndDeviceControls#">
 <SOAP-ENV:Body>
  <ns2:CreateEndDeviceControls>
   <ns2:Header>
    <ns3:Verb>create</ns3:Verb>
    <ns3:Noun>EndDeviceControls</ns3:Noun>
    <ns3:Timestamp>2026-11-20T12:00:00Z</ns3:Timestamp>
    <ns3:ReplyAddress>{reply_address}</ns3:ReplyAddress>
    <ns3:MessageID>{uuid.uuid4()}</ns3:MessageID>
    <ns3:CorrelationID>{uuid.uuid4()}</ns3:CorrelationID>
   </ns2:Header>
   <ns2:Payload>
    <ns4:EndDeviceControls>
     <ns4:EndDeviceControl>
      <ns4:EndDeviceControlType ref="{code}"></ns4:EndDeviceControlType>
      <ns4:EndDevices>{meters}
      </ns4:EndDevices>
     </ns4:EndDeviceControl>
    </ns4:EndDeviceControls>
   </ns2:Payload>
  </ns2:CreateEndDeviceControls>
 </SOAP-ENV:Body>
</SOAP-ENV:Envelope>
""".encode()


def named(*names: str, mrid: str | None = None) -> EndDeviceControl:
    return EndDeviceControl(
        control_type=DISCONNECT, end_devices=(EndDevice(mrid=mrid, names=tuple(Name(name=n) for n in names)),)
    )


# several meters as several Names


async def test_each_name_is_a_meter_for_a_partner_that_means_it_so(tmp_path: Path) -> None:
    partner = PartnerSettings(reply_address="http://127.0.0.1:9090", several_names="several-meters")
    async with north(tmp_path, partners=(partner,)) as hes:
        answer = await hes.post(from_dlms_cim("M1", "M2"))
        assert texts(answer.content, "Result") == ["OK"]
        assert hes.meters.told() == [("M1", DISCONNECT, False), ("M2", DISCONNECT, False)]
        answer = await hes.post(from_dlms_cim("M3", "M9"))
        assert (texts(answer.content, "Result"), texts(answer.content, "code")) == (["PARTIAL"], ["2.4"])
        assert texts(answer.content, "ID") == ["M9"]
        assert len(hes.meters.commands) == 3


async def test_everybody_else_is_refused_and_told_of_the_setting(tmp_path: Path) -> None:
    partner = PartnerSettings(reply_address="http://127.0.0.1:9090", several_names="several-meters")
    async with north(tmp_path, partners=(partner,)) as hes:
        answer = await hes.post(from_dlms_cim("M1", "M2", reply_address="http://127.0.0.1:9091"))
        assert (texts(answer.content, "Result"), texts(answer.content, "code")) == (["FAILED"], ["2.4"])
        assert 'several_names = "several-meters" in [[hes.partners]]' in texts(answer.content, "reason")[0]
        assert hes.meters.commands == []


def test_how_names_are_read_for_such_a_partner() -> None:
    def planned(*controls: EndDeviceControl) -> tuple[list[str], list[tuple[str, str]]]:
        message = request(*controls)
        made = plan(CONTEXT, message, registry())
        missing = [(error.code, error.identifier.value if error.identifier else "") for error in made.errors]
        return [command.meter.name for command in made.commands], missing

    assert planned(named("M1", "M2", "M3")) == (["M1", "M2", "M3"], [])
    assert planned(named("M1", "M1")) == (["M1"], [])
    assert planned(named("M1"), control(DISCONNECT, "M1", "M2")) == (["M1", "M2"], [])
    assert planned(named("M1", "M2", mrid=mrid(1))) == ([], [("2.4", mrid(1))]), "an mRID means one meter"
    assert planned(named("Kitchen", "M1", mrid=mrid(1))) == (["M1"], [])
    assert planned(EndDeviceControl(control_type=DISCONNECT, end_devices=(EndDevice(), *by_name("M1"))))[0] == ["M1"]


def test_each_name_counts_towards_the_size_of_a_request() -> None:
    message = request(named("M1", "M2", "M3"))
    assert (size(message), size(message, SEVERAL)) == (1, 3)


def test_a_device_without_any_name_is_not_lost() -> None:
    message = request(EndDeviceControl(control_type=DISCONNECT, end_devices=(EndDevice(), *by_name("M1"))))
    made = plan(CONTEXT, message, registry())
    assert [error.code for error in made.errors] == ["2.4"]


# who is who


@pytest.mark.parametrize(
    ("partner", "fits"),
    [
        (Partner(source="CIS"), True),
        (Partner(source="cis"), False),
        (Partner(reply_address="http://CIS.example:9090/other?x"), True),
        (Partner(reply_address="https://cis.example:9090/"), False),
        (Partner(reply_address="http://cis.example:9091/"), False),
        (Partner(source="CIS", reply_address="http://cis.example:9090"), True),
        (Partner(source="another", reply_address="http://cis.example:9090"), False),
        (Partner(reply_address="no address"), False),
    ],
)
def test_a_partner_is_known_by_what_it_says(partner: Partner, fits: bool) -> None:
    header = Header(verb="create", noun="EndDeviceControls", source="CIS", reply_address="http://cis.example:9090/cim")
    assert (partner_of(header, [partner]) is partner) is fits
    assert partner_of(Header(verb="create", noun="x", reply_address="no address"), [partner]) != partner


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[hes.partners]]\nseveral_names = "several-meters"\n', "needs source or reply_address"),
        ('[[hes.partners]]\nsource = "x"\nseveral_names = "many"\n', "several_names"),
        ('[[hes.partners]]\nsource = ""\n', "source"),
        ('[[hes.partners]]\nsource = "x"\nlate = "typed"\n', "late"),
    ],
)
def test_a_partner_that_cannot_be_known_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "ami.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=told):
        Settings.load(path)


# the form of a late reply


class TypedServer(Cis):
    """Takes elements that it has an operation for; for others it has gSOAP's fault."""

    def __init__(self, *operations: str) -> None:
        super().__init__()
        self.operations = operations
        self.came: asyncio.Queue[str] = asyncio.Queue()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        body = await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r\n")[0]))
        message = etree.fromstring(body)[0][0]
        name = etree.QName(message)
        known = name.namespace == NOUN_MESSAGE and name.localname in self.operations
        answer = self.answer() if known else self.fault(name.localname)
        writer.write(b"HTTP/1.1 %d X\r\n" % (200 if known else 500))
        writer.write(b"Content-Type: text/xml; charset=utf-8\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
        await writer.drain()
        writer.close()
        self.requests.append(({}, body))
        self.came.put_nowait(name.localname)

    @staticmethod
    def answer() -> bytes:
        return (
            f'<E:Envelope xmlns:E="http://schemas.xmlsoap.org/soap/envelope/" xmlns:n="{NOUN_MESSAGE}" '
            'xmlns:m="http://iec.ch/TC57/2011/schema/message"><E:Body><n:EndDeviceControlsResponseMessage><n:Header>'
            "<m:Verb>reply</m:Verb><m:Noun>EndDeviceControls</m:Noun></n:Header><n:Reply><m:Result>OK</m:Result>"
            "<m:Error><m:code>0.0</m:code></m:Error></n:Reply></n:EndDeviceControlsResponseMessage></E:Body></E:Envelope>"
        ).encode()

    @staticmethod
    def fault(method: str) -> bytes:
        return (
            '<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"><SOAP-ENV:Body><SOAP-ENV:Fault>'
            f"<faultcode>SOAP-ENV:Client</faultcode><faultstring>Method '{method}' not implemented: method name or "
            "namespace not recognized</faultstring></SOAP-ENV:Fault></SOAP-ENV:Body></SOAP-ENV:Envelope>"
        ).encode()


@asynccontextmanager
async def asked_late(
    directory: Path, server: TypedServer, late_reply: Any, path: str = TYPED, *, events: list[Any]
) -> AsyncIterator[Any]:
    """A request of this server's side, answered later in this form."""
    async with server.serving():
        partner = PartnerSettings(reply_address=server.url, late_reply=late_reply)
        message = request(control(DISCONNECT, "M1", "M9"), async_reply_flag=True, reply_address=server.url)
        async with north(directory, partners=(partner,), events=events) as hes:
            assert texts((await hes.post(octets(message, path), path)).content, "code") == ["0.3"]
            yield message


@pytest.mark.parametrize("path", [TYPED, GENERIC])
async def test_a_late_reply_goes_out_in_the_form_that_the_partner_takes(
    tmp_path: Path, events: list[Any], path: str
) -> None:
    server = TypedServer("EndDeviceControlsResponseMessage")
    async with asked_late(tmp_path, server, "typed", path, events=events) as message:
        assert await server.came.get() == "EndDeviceControlsResponseMessage"
        delivered = wire.read_delivery(server.requests[0][1], SCHEMAS).message
        assert delivered.header.correlation_id == message.header.message_id
        assert delivered.reply.result == "PARTIAL"  # type: ignore[union-attr]
        while not [event for event in events if event["event"] == "reply_sent"]:
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("late_reply", ["generic", "typed"])
async def test_a_server_without_an_operation_for_it_is_asked_once_and_that_is_told(
    tmp_path: Path, events: list[Any], late_reply: str
) -> None:
    """As the server of dlms-cim, which knows requests alone."""
    server = TypedServer(*OPERATIONS)
    async with asked_late(tmp_path, server, late_reply, events=events) as message:
        while not (letters := [event for event in events if event["event"] == "reply_dead_letter"]):
            await asyncio.sleep(0.005)
    assert "not implemented" in letters[0]["reason"] and letters[0]["message_id"] == message.header.message_id
    async with north(tmp_path, events=events) as hes:
        again = await hes.ask(message)
        assert (again.reply.result, [error.code for error in again.reply.errors]) == ("PARTIAL", ["2.4"])
    assert len(server.requests) == 1
