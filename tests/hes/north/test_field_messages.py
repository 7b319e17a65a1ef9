"""Messages as other products post them, over real sockets: what is read of them, and what the refusal of the rest names."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from north_bench import CONNECT, DISCONNECT, GENERIC, TYPED, StandIn, control, entries, octets, request, texts
from patience import PATIENCE_S
from reported import ignore

from ami_cim import ns, soap
from ami_hes.app import running
from ami_hes.settings import Settings
from ami_process.environment import Environment

VECTORS = Path(__file__).parents[2] / "vectors/field/xml"
XML = "text/xml; charset=utf-8"
MRID = "42932298-b7b6-415e-a2d2-c34197bed259"
MESSAGE = ns.MESSAGE


@dataclass
class Hes:
    url: str
    client: httpx.AsyncClient
    meters: StandIn

    async def post(
        self, body: bytes, path: str = TYPED, content_type: str = XML, content_encoding: str | None = None
    ) -> httpx.Response:
        headers = {"Content-Type": content_type}
        if content_encoding is not None:
            headers["Content-Encoding"] = content_encoding
        return await self.client.post(self.url + path, content=body, headers=headers)


@pytest.fixture
async def hes(tmp_path: Path) -> AsyncIterator[Hes]:
    """A HES that knows the one meter of the vectors."""
    meter = entries(1)[0] | {"name": "M1001", "mrid": MRID, "usage_points": ["UP-1001", MRID.upper()]}
    values = {"port": 0, "dlms_port": 0, "store": tmp_path / "hes.sqlite", "deadline_s": 20.0}
    meters = StandIn()
    async with (
        running(Settings(hes=values, meters=[meter]), Environment(emit=ignore), meters) as listening,
        httpx.AsyncClient(timeout=PATIENCE_S, trust_env=False) as client,
    ):
        yield Hes(f"http://{listening[0]}", client, meters)


def vector(name: str) -> bytes:
    return (VECTORS / name).read_bytes()


@pytest.mark.parametrize("name", ["mrid_without_hyphens.xml", "mrid_urn_uuid.xml", "mrid_underscore.xml"])
async def test_an_mrid_is_128_bits_however_it_is_spelled(hes: Hes, name: str) -> None:
    response = await hes.post(vector(name))
    assert (response.status_code, texts(response.content, "Result")) == (200, ["OK"])
    assert hes.meters.told() == [("M1001", DISCONNECT, False)]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "payload_namespace_without_hash.xml",
            [
                "'http://iec.ch/TC57/2011/EndDeviceControls'",
                "'http://iec.ch/TC57/2011/EndDeviceControls#'",
                "ends with #",
            ],
        ),
        ("header_namespace_www.xml", ["'http://www.iec.ch/TC57/2011/schema/message'", f"'{MESSAGE}'", "no www."]),
        ("header_namespace_2021.xml", ["'http://iec.ch/TC57/2021/schema/message'", "edition 2", "not spoken"]),
        ("verb_post.xml", ["'post'", "'create'", "'canceled'", "'execute'"]),
    ],
)
async def test_the_explanation_names_namespaces_and_sets(hes: Hes, name: str, words: list[str]) -> None:
    response = await hes.post(vector(name))
    assert (response.status_code, texts(response.content, "code")) == (500, ["1.8"])
    (reason,) = texts(response.content, "reason")
    assert [word for word in words if word not in reason] == []
    assert texts(response.content, "faultstring") == [reason]


async def test_the_charset_of_the_header_is_honoured(hes: Hes) -> None:
    body = vector("latin1_said_by_the_header_alone.xml")
    response = await hes.post(body, content_type="text/xml; charset=ISO-8859-1")
    assert (response.status_code, texts(response.content, "code")) == (200, ["2.4"])
    assert "Zähler-1001" in texts(response.content, "reason")[0]
    response = await hes.post(body.decode("latin-1").encode(), content_type='text/xml; charset="UTF-8"')
    assert texts(response.content, "Result") == ["FAILED"]  # the same request: its stored answer, and nothing new
    assert "Zähler-1001" in texts(response.content, "reason")[0]


async def test_a_soap_action_that_contradicts_the_body_is_not_looked_at(hes: Hes) -> None:
    """What is in the body is done, whatever the header calls it."""
    action = '"http://iec.ch/TC57/2011/MeterReadings/GetMeterReadings"'
    headers = {"Content-Type": XML, "SOAPAction": action}
    response = await hes.client.post(hes.url + TYPED, content=vector("mrid_urn_uuid.xml"), headers=headers)
    assert (response.status_code, texts(response.content, "Noun")) == (200, ["EndDeviceControls"])
    assert hes.meters.told() == [("M1001", DISCONNECT, False)]


async def test_a_body_in_gzip_is_unpacked(hes: Hes) -> None:
    for coding in ("gzip", "X-GZIP"):
        response = await hes.post(vector("gzip.xml.gz"), content_encoding=coding)
        assert (response.status_code, texts(response.content, "Result")) == (200, ["OK"])


@pytest.mark.parametrize(
    ("content_type", "content_encoding", "name", "word"),
    [
        ('multipart/related; type="text/xml"; start="<r>"; boundary="B"', None, "multipart_related.txt", "multipart"),
        ("text/xml; charset=koi8-r", None, "verb_post.xml", "koi8-r"),
        ("text/xml; charset*=utf-8''utf-8", None, "verb_post.xml", "charset"),
        (XML, "deflate", "verb_post.xml", "deflate"),
        (XML, "gzip, gzip", "gzip.xml.gz", "gzip, gzip"),
    ],
)
async def test_what_a_header_says_and_is_not_read_is_named(
    hes: Hes, content_type: str, content_encoding: str | None, name: str, word: str
) -> None:
    response = await hes.post(vector(name), content_type=content_type, content_encoding=content_encoding)
    assert response.status_code == 415
    assert soap.parse_fault(soap.unwrap(response.content)).code == "Client"
    assert word in response.text


@pytest.mark.parametrize(
    ("body", "code", "word"),
    [
        (b"not gzip", "1.8", "not gzip"),
        (gzip.compress(b"<a/>", mtime=0)[:-4], "1.8", "cut short"),
        (gzip.compress(b"<a/>", mtime=0) * 2, "1.8", "behind its gzip data"),
        (gzip.compress(b" " * 5_000_001, mtime=0), "3.1", "more than 5000000 octets"),
    ],
    ids=["nothing", "half", "two members", "bomb"],
)
async def test_what_is_no_gzip_is_said(hes: Hes, body: bytes, code: str, word: str) -> None:
    response = await hes.post(body, content_encoding="gzip")
    assert (response.status_code, texts(response.content, "code")) == (500, [code])
    assert word in response.text


TYPED_OF_OTHERS = """<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>
<e:{wrapper} xmlns:e="http://iec.ch/TC57/2011/{noun}Message" xmlns:m="http://iec.ch/TC57/2011/schema/message">
 <e:Header><m:Verb>{verb}</m:Verb><m:Noun>{noun}</m:Noun><m:MessageID>{noun}-1</m:MessageID></e:Header>{rest}
</e:{wrapper}></s:Body></s:Envelope>"""


@pytest.mark.parametrize(
    ("verb", "noun", "rest"),
    [
        (
            "get",
            "CustomerConfig",
            '<e:Request><x:GetCustomerConfig xmlns:x="http://iec.ch/TC57/2011/GetCustomerConfig#"/></e:Request>',
        ),
        (
            "create",
            "UsagePointLocationConfig",
            '<e:Payload><x:UsagePointLocationConfig xmlns:x="http://iec.ch/TC57/2011/UsagePointLocationConfig#"/></e:Payload>',
        ),
        ("execute", "EndDeviceFirmware", ""),
        ("create", "PricingStructureConfig", ""),
        ("change", "ComModuleConfig", "<e:Payload/>"),
    ],
)
async def test_a_typed_message_of_a_noun_that_is_not_served_is_answered(
    hes: Hes, verb: str, noun: str, rest: str
) -> None:
    body = TYPED_OF_OTHERS.format(wrapper=verb.capitalize() + noun, verb=verb, noun=noun, rest=rest).encode()
    response = await hes.post(body)
    assert (response.status_code, texts(response.content, "Result"), texts(response.content, "code")) == (
        200,
        ["FAILED"],
        ["2.5"],
    )
    assert soap.unwrap(response.content).tag == f"{{http://iec.ch/TC57/2011/{noun}Message}}{noun}ResponseMessage"
    assert texts(response.content, "CorrelationID") == [f"{noun}-1"]
    generic = await hes.post(octets(request(control(DISCONNECT, "M1001"), verb=verb, noun=noun), GENERIC), GENERIC)
    assert (generic.status_code, texts(generic.content, "code")) == (200, ["2.5"])


@pytest.mark.parametrize(
    ("wrapper", "verb", "noun", "status", "code"),
    [
        ("CreateCustomerConfig", "get", "CustomerConfig", 500, "2.9"),
        ("CustomerConfigResponseMessage", "reply", "CustomerConfig", 500, "1.8"),
        ("Meter", "get", "CustomerConfig", 500, "1.8"),
        ("GetCustomerConfig", "got", "CustomerConfig", 500, "1.8"),
    ],
)
async def test_a_typed_message_of_others_that_makes_no_sense_is_a_fault(
    hes: Hes, wrapper: str, verb: str, noun: str, status: int, code: str
) -> None:
    rest = "<e:Reply><m:Result>OK</m:Result></e:Reply>" if wrapper.endswith("ResponseMessage") else ""
    body = TYPED_OF_OTHERS.format(wrapper=wrapper, verb=verb, noun=noun, rest=rest).encode()
    response = await hes.post(body)
    assert (response.status_code, texts(response.content, "code")) == (status, [code])
    detail = soap.parse_fault(soap.unwrap(response.content)).detail
    assert detail is not None and detail.tag == f"{{http://iec.ch/TC57/2011/{noun}Message}}{noun}FaultMessage"


@pytest.mark.parametrize("space", ["\u00a0", "\u2003", "\u0085", "\u3000", "\u2028"])
async def test_only_white_space_of_xml_is_stripped(hes: Hes, space: str) -> None:
    body = octets(request(control(CONNECT, f"M1001{space}")))
    response = await hes.post(body)
    assert (texts(response.content, "Result"), texts(response.content, "code")) == (["FAILED"], ["2.4"])
    assert hes.meters.commands == []
    trimmed = octets(request(control(CONNECT, " M1001\t")))
    assert texts((await hes.post(trimmed)).content, "Result") == ["OK"]


@pytest.mark.parametrize("moment", ["10000-01-01T00:00:00Z", "-0044-03-15T12:00:00Z", "123456-02-29T00:00:00+14:00"])
async def test_a_timestamp_beyond_the_calendar_costs_nothing(hes: Hes, moment: str) -> None:
    body = vector("mrid_urn_uuid.xml").replace(b"2026-11-28T12:00:00Z", moment.encode())
    response = await hes.post(body)
    assert (response.status_code, texts(response.content, "Result")) == (200, ["OK"])


async def test_a_start_beyond_the_calendar_is_later(hes: Hes) -> None:
    body = octets(request(control(DISCONNECT, "M1001")))
    head, tail = body.split(b"</EndDevices>")
    timing = b"<primaryDeviceTiming><interval><start>12345-01-01T00:00:00Z</start></interval></primaryDeviceTiming>"
    response = await hes.post(head + b"</EndDevices>" + timing + tail)
    assert (texts(response.content, "Result"), texts(response.content, "code")) == (["FAILED"], ["5.2"])
    assert hes.meters.commands == []


def with_header(block: str) -> bytes:
    body = octets(request(control(DISCONNECT, "M1001"))).decode()
    return body.replace("<soap:Body>", f"<soap:Header>{block}</soap:Header><soap:Body>", 1).encode()


@pytest.mark.parametrize("actor", ["http://example.org/some/intermediary", "urn:audit"])
async def test_a_header_for_somebody_else_is_none_of_our_affair(hes: Hes, actor: str) -> None:
    block = f'<x:Route xmlns:x="urn:x" soap:mustUnderstand="1" soap:actor="{actor}"/>'
    assert texts((await hes.post(with_header(block))).content, "Result") == ["OK"]


@pytest.mark.parametrize("actor", ["", ' soap:actor=""', ' soap:actor="http://schemas.xmlsoap.org/soap/actor/next"'])
async def test_a_header_for_us_that_is_not_understood_is_a_fault_without_detail(hes: Hes, actor: str) -> None:
    block = f'<x:Route xmlns:x="urn:x" soap:mustUnderstand="1"{actor}/>'
    response = await hes.post(with_header(block))
    fault = soap.parse_fault(soap.unwrap(response.content))
    assert (response.status_code, fault.code, fault.detail) == (500, "MustUnderstand", None)
    assert "Route" in fault.text
    assert "detail" not in response.text
    assert hes.meters.commands == []


async def test_usage_points_are_found_by_any_spelling_of_their_mrid(hes: Hes) -> None:
    body = octets(request(control(DISCONNECT, points=["UP-1001"]))).decode()
    point = f"<UsagePoints><mRID>urn:uuid:{{{MRID.replace('-', '')}}}</mRID></UsagePoints>"
    named = "<UsagePoints><Names><name>UP-1001</name></Names></UsagePoints>"
    assert named in body
    response = await hes.post(body.replace(named, point).encode())
    assert texts(response.content, "Result") == ["OK"]
