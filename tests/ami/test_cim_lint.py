"""`ami cim lint`: what a message of anyone is, what it breaks, what it means; each kind of finding once, and no input that hurts."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from ami_cim.dialects import ALIASES
from ami_cli.__main__ import app
from ami_cli.cim import sources
from ami_cli.cim.findings import NotReadable
from ami_cli.cim.tables import namespace_of
from ami_mapping.reading_types import ReadingType

ROOT = Path(__file__).parents[2]
CIM, FIELD = ROOT / "tests/vectors/cim", ROOT / "tests/vectors/field/xml"
SOURCES = ROOT / "ami/src/ami_cli/cim"
LATIN_1 = "latin1_said_by_the_header_alone.xml"
IMPORT_KWH = "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"


def lint(*arguments: str, octets: bytes | None = None) -> Result:
    return CliRunner().invoke(app, ["cim", "lint", *arguments], input=octets, env={"COLUMNS": "120"})


def found(octets: bytes, *arguments: str) -> dict[str, Any]:
    result = lint("--json", "-", *arguments, octets=octets)
    assert result.exit_code in (0, 1), result.output
    document: dict[str, Any] = json.loads(result.stdout)
    assert document["clean"] == (result.exit_code == 0)
    return document


def rules(document: dict[str, Any]) -> set[str]:
    return {finding["rule"] for finding in document["findings"]}


EXPECTED: dict[str, tuple[set[str], str, str]] = {
    "device_event.xml": ({"verb-wrapper", "verb-spelling", "verb-message"}, "typed, event", "2.9"),
    "draft_www.xml": ({"namespace-other-set"}, "typed, request", "1.8"),
    "edition_2.xml": ({"namespace-other-set"}, "generic, request", "1.8"),
    "fault.xml": (set(), "generic, fault", ""),
    "generic_operation.xml": (set(), "operation, request", "1.8"),
    "oracle_adk_intervals.xml": ({"schema"}, "payload", "1.8"),
    "partial_reply.xml": ({"error-object"}, "generic, response", ""),
    "podis_get.xml": ({"namespace-other-set"}, "generic, request", "1.6"),
    "readings_2009_event.xml": ({"namespace-other-set", "verb-spelling"}, "generic, event", ""),
    "request_in_request.xml": (set(), "operation, request", "1.8"),
    "sap_operation_set.xml": ({"schema", "namespace-product"}, "generic, request", "1.8"),
    "typed_2017.xml": ({"namespace-other-set"}, "typed, request", "1.8"),
    "gzip.xml.gz": (set(), "typed, request", ""),
    "header_namespace_2021.xml": ({"namespace-other-set"}, "typed, request", "1.8"),
    "header_namespace_www.xml": ({"namespace-other-set"}, "typed, request", "1.8"),
    "mrid_underscore.xml": (set(), "typed, request", ""),
    "mrid_urn_uuid.xml": (set(), "typed, request", ""),
    "mrid_without_hyphens.xml": (set(), "typed, request", ""),
    "multipart_related.txt": ({"multipart"}, "typed, request", "1.8"),
    "payload_namespace_without_hash.xml": ({"namespace-other-set"}, "typed, request", "1.8"),
    "verb_post.xml": ({"verb-unknown", "schema"}, "typed, request", "1.8"),
    LATIN_1: (set(), "typed, request", ""),
}
"""Of each message: what is wrong with it, what it is, and the code of our own answer."""
FILES = sorted([*CIM.iterdir(), *FIELD.iterdir()])


def test_nothing_of_the_vectors_is_left_out() -> None:
    assert {path.name for path in FILES} == set(EXPECTED)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_message_of_the_field(path: Path) -> None:
    wrong, what, code = EXPECTED[path.name]
    charset = ["--content-type", "text/xml; charset=ISO-8859-1"] if path.name == LATIN_1 else []
    document = found(path.read_bytes(), *charset)
    assert (rules(document), document["what"]["message"]) == (wrong, what)
    assert document["answer"]["code"] == code
    assert document["answer"]["accepted"] == (not code)


@pytest.mark.parametrize("path", sorted((ROOT / "schemas/samples").glob("*.xml")), ids=lambda path: path.stem)
def test_our_own_samples_are_clean(path: Path) -> None:
    assert found(path.read_bytes())["findings"] == []


def test_what_ami_sample_writes_is_clean_and_would_be_planned() -> None:
    sample = CliRunner().invoke(app, ["sample", "connect", "M1001", "M1002"])
    document = found(sample.stdout_bytes)
    assert document["findings"] == []
    assert document["answer"]["accepted"] and document["answer"]["meters"] == ["name M1001", "name M1002"]


@pytest.mark.parametrize("name", ["connect.xml", "disconnect.xml"])
def test_the_samples_of_the_docs_lack_what_would_be_old(name: str) -> None:
    document = found((ROOT / "docs/samples" / name).read_bytes())
    assert rules(document) == {"header-field-missing"} and document["answer"]["accepted"]


@pytest.mark.parametrize(
    ("name", "set_"),
    [
        ("draft_www.xml", "a draft of IEC 61968-100 edition 1 (www.)"),
        ("edition_2.xml", "IEC 61968-100:2022 (edition 2)"),
        ("typed_2017.xml", "typed messages of 2017"),
        ("readings_2009_event.xml", "payloads with the year 2009"),
        ("sap_operation_set.xml", "SAP Cloud for Energy"),
        ("generic_operation.xml", "generic operations in wrappers of their own (Generic.wsdl)"),
        ("podis_get.xml", "payloads of a weakly typed head-end (podis15)"),
    ],
)
def test_the_set_of_a_namespace_is_named_with_its_source(name: str, set_: str) -> None:
    known = {one.get("set"): one for one in found((CIM / name).read_bytes())["namespaces"]}
    assert known[set_]["source"] and known[set_]["line"]


@pytest.mark.parametrize(
    ("name", "product"),
    [
        ("oracle_adk_intervals.xml", "Oracle MDM"),
        ("sap_operation_set.xml", "SAP Cloud for Energy"),
        ("typed_2017.xml", ""),
    ],
)
def test_a_product_is_known_by_what_it_writes(name: str, product: str) -> None:
    written_by = found((CIM / name).read_bytes())["what"].get("as written by", "")
    assert written_by.startswith(product) and bool(written_by) == bool(product)


@pytest.mark.parametrize("name", ["edition_2.xml", "generic_operation.xml", "typed_2017.xml"])
def test_what_the_answer_would_be_in_our_set_is_said_too(name: str) -> None:
    document = found((CIM / name).read_bytes())
    assert not document["answer"]["accepted"]
    assert document["rewritten"]["accepted"] and document["rewritten"]["count"] == 1


@pytest.mark.parametrize(
    ("name", "dialect", "accepted"),
    [
        ("generic_operation.xml", "generic-operations", True),
        ("request_in_request.xml", "generic-operations", True),
        ("typed_2017.xml", "other-namespaces", True),
        ("draft_www.xml", "other-namespaces", True),
        ("sap_operation_set.xml", "sap-c4e", False),
    ],
)
def test_the_setting_that_would_let_a_message_in_is_named(name: str, dialect: str, accepted: bool) -> None:
    """A set of master data would be understood, and still be refused."""
    found_of = found((CIM / name).read_bytes())["to_partner"]
    assert (found_of["dialect"], found_of["accepted"]) == (dialect, accepted)
    assert found_of["form"] == "reply FAILED" or accepted


def test_what_no_setting_helps_names_none() -> None:
    assert found((CIM / "edition_2.xml").read_bytes())["to_partner"] is None
    assert found(control())["to_partner"] is None
    assert found(control(payload="<c:Strange/>"))["to_partner"] is None


def control(
    *, header: str = "", payload: str = "", wrapper: str = "CreateEndDeviceControls", verb: str = "create"
) -> bytes:
    """A message that nothing is wrong with, on lines of their own, unless something is put into it."""
    payload = (
        payload
        or """<c:EndDeviceControl>
<c:EndDeviceControlType ref="3.31.0.23"/>
<c:EndDevices><c:Names><c:name>M1001</c:name></c:Names></c:EndDevices>
</c:EndDeviceControl>"""
    )
    return f"""<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>
<e:{wrapper} xmlns:e="http://iec.ch/TC57/2011/EndDeviceControlsMessage" xmlns:m="http://iec.ch/TC57/2011/schema/message" xmlns:c="http://iec.ch/TC57/2011/EndDeviceControls#">
<e:Header><m:Verb>{verb}</m:Verb><m:Noun>EndDeviceControls</m:Noun><m:Timestamp>2026-11-28T12:00:00Z</m:Timestamp>{header}
<m:MessageID>lint-1</m:MessageID><m:CorrelationID>lint-1</m:CorrelationID></e:Header>
<e:Payload><c:EndDeviceControls>{payload}</c:EndDeviceControls></e:Payload>
</e:{wrapper}></s:Body></s:Envelope>""".encode()


def generic(kind: str, inside: str, *, verb: str, noun: str = "MeterReadings") -> bytes:
    return f"""<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>
<{kind} xmlns="http://iec.ch/TC57/2011/schema/message">
<Header><Verb>{verb}</Verb><Noun>{noun}</Noun><Timestamp>2026-11-28T12:00:00Z</Timestamp>
<MessageID>lint-2</MessageID><CorrelationID>lint-2</CorrelationID></Header>
{inside}
</{kind}></s:Body></s:Envelope>""".encode()


def reply(result: str, *errors: str) -> bytes:
    return generic("ResponseMessage", f"<Reply><Result>{result}</Result>{''.join(errors)}</Reply>", verb="reply")


def readings(inside: str) -> bytes:
    reading = f'<MeterReadings xmlns="http://iec.ch/TC57/2011/MeterReadings#"><MeterReading>{inside}</MeterReading></MeterReadings>'
    return generic("EventMessage", f"<Payload>{reading}</Payload>", verb="created")


def interval(at: str, value: str) -> str:
    return f"<IntervalReadings><timeStamp>{at}</timeStamp><value>{value}</value></IntervalReadings>"


def operations(*each: str) -> bytes:
    return generic(
        "RequestMessage",
        f"<Payload><OperationSet>{''.join(each)}</OperationSet></Payload>",
        verb="execute",
        noun="OperationSet",
    )


FIRST = "<Operation><operationId>1</operationId><noun>MeterConfig</noun><verb>create</verb></Operation>"
TYPE = f'<ReadingType ref="{IMPORT_KWH}"/>'
AT = "2026-11-28T00:15:00Z"
SOAP_12 = b"http://www.w3.org/2003/05/soap-envelope"
BROKEN: dict[str, tuple[bytes, str, int | None]] = {
    "soap-version": (control().replace(b"http://schemas.xmlsoap.org/soap/envelope/", SOAP_12), "SOAP 1.2", 1),
    "soap-body": (control().replace(b"<s:Body>", b"<s:Body/><s:Body>"), "1 messages in 2 bodies", 1),
    "must-understand": (
        control().replace(
            b"<s:Body>", b'<s:Header><x:Security xmlns:x="urn:x" s:mustUnderstand="1"/></s:Header><s:Body>'
        ),
        "Security has mustUnderstand",
        1,
    ),
    "namespace-missing": (
        control().replace(b"<c:Names>", b"<Names>").replace(b"</c:Names>", b"</Names>"),
        "Names is in no",
        7,
    ),
    "namespace-other-set": (control().replace(b"2011/schema/message", b"2021/schema/message"), "edition 2", 3),
    "namespace-product": (
        control().replace(b"http://iec.ch/TC57/2011/EndDeviceControls#", b"http://iec.ch/TC57/CIM-c4e#"),
        "SAP",
        5,
    ),
    "namespace-unknown": (control().replace(b"2011/schema/message", b"2011/schema/mesage"), "no set that is known", 3),
    "multipart": (b"--B\r\nContent-Type: text/xml\r\n\r\n" + control() + b"\r\n--B--\r\n", "attachments", None),
    "verb-unknown": (control(verb="cancelled", wrapper="CancelEndDeviceControls"), "no verb 'cancelled'", 3),
    "verb-spelling": (control(verb="CREATE"), "written 'CREATE'", 3),
    "verb-message": (generic("EventMessage", "", verb="create"), "(event)", 3),
    "verb-wrapper": (control(wrapper="CancelEndDeviceControls"), "says cancel, and the Header create", 2),
    "noun-unknown": (generic("EventMessage", "", verb="created", noun="MeterThings"), "MeterThings", 3),
    "noun-payload": (
        readings(TYPE).replace(b"<Noun>MeterReadings", b"<Noun>EndDeviceEvents"),
        "payload is MeterReadings",
        None,
    ),
    "noun-wrapper": (control().replace(b"<m:Noun>EndDeviceControls", b"<m:Noun>EndDeviceEvents"), "EndDeviceEvents", 2),
    "header-field-missing": (control().replace(b"<m:MessageID>lint-1</m:MessageID>", b""), "no MessageID", 3),
    "reply-address-missing": (control(header="<m:AsyncReplyFlag>true</m:AsyncReplyFlag>"), "no ReplyAddress", 3),
    "payloads-several": (
        generic("EventMessage", '<Payload><x xmlns="urn:x"/><y xmlns="urn:y"/></Payload>', verb="created"),
        "x, y",
        5,
    ),
    "payload-and-ids": (
        generic("EventMessage", '<Payload><x xmlns="urn:x"/><ID>1</ID></Payload>', verb="created"),
        "one or the",
        5,
    ),
    "payload-missing": (generic("RequestMessage", "", verb="create"), "no payload", 2),
    "query-missing": (generic("RequestMessage", "<Request/>", verb="get"), "nothing is asked for", 2),
    "result-contradicts": (reply("OK", "<Error><code>5.3</code></Error>"), "has the code 5.3", 5),
    "result-unexplained": (reply("FAILED"), "no Error says why", 5),
    "reply-code-unknown": (reply("PARTIAL", "<Error><code>CIM7001</code></Error>"), "CIM7001", 5),
    "error-object": (
        reply("PARTIAL", "<Error><code>2.4</code><object><mRID>1</mRID></object></Error>"),
        "deprecated",
        5,
    ),
    "code-malformed": (control().replace(b"3.31.0.23", b"3.31.23"), "3.31.23 is not four numbers", 6),
    "code-unknown": (control().replace(b"3.31.0.23", b"3.99.0.23"), "domain 99", 6),
    "code-missing": (control().replace(b' ref="3.31.0.23"', b""), "has no ref", 6),
    "offset-missing": (control().replace(b"12:00:00Z", b"12:00:00"), "has no offset", 3),
    "interval-reversed": (
        readings(f"<valuesInterval><end>{AT}</end><start>2026-11-29T00:00:00Z</start></valuesInterval>"),
        "ends before it starts",
        5,
    ),
    "value-not-decimal": (readings(f"<Readings><value>1,5</value>{TYPE}</Readings>"), "1,5 is no number", 5),
    "value-contradicts": (
        readings(f"<IntervalBlocks>{interval(AT, '1')}{interval(AT, '2')}{TYPE}</IntervalBlocks>"),
        "the value 1 and the value 2",
        5,
    ),
    "operation-id": (operations(FIRST, FIRST), "operationId 1 of another", 5),
    "operation-incomplete": (
        operations("<Operation><operationId>1</operationId><noun>MeterConfig</noun></Operation>"),
        "no verb",
        5,
    ),
    "schema": (control(header="<m:Verb>create</m:Verb>"), "Verb", 3),
    "compressed": (
        control().replace(b"<e:Payload>", b"<e:Payload><e:Compressed>?</e:Compressed>"),
        "not base64",
        5,
    ),
}
"""Each kind of finding: a message that has it, words of its reason, and its line."""


def test_every_kind_of_finding_is_broken_once() -> None:
    text = "".join(path.read_text("utf-8") for path in SOURCES.glob("*.py"))
    made = set(re.findall(r'\b(?:error|warning|make|Finding)\(\s*"([a-z-]+)"', text)) | {
        "code-unknown",
        "code-malformed",
    }
    assert made == set(BROKEN)


def test_the_message_that_the_broken_ones_are_made_of_is_clean() -> None:
    assert found(control())["findings"] == []


@pytest.mark.parametrize("rule", BROKEN)
def test_a_kind_of_finding(rule: str) -> None:
    octets, words, line = BROKEN[rule]
    document = found(octets)
    mine = [one for one in document["findings"] if one["rule"] == rule]
    assert mine and words in " ".join(one["reason"] for one in mine), document["findings"]
    assert line is None or line in [one["line"] for one in mine]
    assert all(one["breaks"] and one["level"] in ("error", "warning") for one in mine)


def test_every_error_of_a_small_message_is_found_and_not_the_first_alone() -> None:
    twice = """<c:EndDeviceControl><c:reason>x</c:reason><c:mRID>1</c:mRID></c:EndDeviceControl>"""
    document = found(control(payload=f"\n{twice}\n{twice}\n"))
    assert [one["line"] for one in document["findings"] if one["rule"] == "schema"] == [6, 7]


def test_many_findings_of_a_kind_are_counted() -> None:
    each = "".join(f"<Readings><value>x{number}</value>{TYPE}</Readings>" for number in range(50))
    mine = [one["reason"] for one in found(readings(each))["findings"] if one["rule"] == "value-not-decimal"]
    assert len(mine) == 11 and mine[-1] == "and 40 more of this kind"


def test_what_would_be_reported_whichever_meters_there_are() -> None:
    meters = "<EndDevice><Names><name>M1001</name></Names></EndDevice><EndDevice/>"
    unknown = IMPORT_KWH.replace(".12.", ".13.")
    types = "".join(f"<ReadingType><mRID>{one}</mRID></ReadingType>" for one in (IMPORT_KWH, unknown))
    query = f'<GetMeterReadings xmlns="http://iec.ch/TC57/2011/GetMeterReadings#">{meters}{types}</GetMeterReadings>'
    document = found(generic("RequestMessage", f"<Request>{query}</Request>", verb="get"))
    assert document["findings"] == []
    answer = document["answer"]
    assert (answer["accepted"], answer["meters"], answer["asks_for"]) == (True, ["name M1001"], IMPORT_KWH)
    assert [error.split()[0] for error in answer["errors"]] == ["2.10", "2.4"]
    (served, not_served) = document["meanings"]
    assert served["served"] and not not_served["served"] and "near: " in not_served["note"]


def test_a_reading_type_is_said_by_all_its_fields_and_its_attributes() -> None:
    document = found(readings(f"<Readings><value>1.5</value>{TYPE}</Readings>"))
    (meaning,) = document["meanings"]
    assert [field[0] for field in meaning["fields"]] == list(ReadingType._fields)
    assert ["unit", "72", "Wh"] in meaning["fields"] and ["multiplier", "3", "kilo"] in meaning["fields"]
    assert "1-0:1.8.0*255" in meaning["rows"][0]["place"] and meaning["rows"][0]["decision"] == "M-103"
    text = lint("-", octets=readings(TYPE)).stdout
    assert all(name in text for name in ReadingType._fields) and "RT0001 M-103" in text


@pytest.mark.parametrize(
    ("inside", "kind", "words"),
    [
        ('<EndDeviceEventType ref="3.26.38.85"/>', "EndDeviceEventType", "power down"),
        ('<EndDeviceEventType ref="3.31.0.84"/>', "EndDeviceEventType", "disconnect failed"),
        ('<ReadingQualityType ref="2.5.259"/>', "ReadingQualityType", "known missing read"),
        ('<ReadingQualityType ref="5.4.1260"/>', "ReadingQualityType", "of a maker"),
        ('<EndDeviceControlType ref="3.8.0.214"/>', "EndDeviceControlType", "demand reset"),
        (f"<ReadingType><Names><name>{IMPORT_KWH}</name></Names></ReadingType>", "ReadingType", "forward"),
        (f"<ReadingType><mRID>{IMPORT_KWH}</mRID></ReadingType>", "ReadingType", "energy"),
    ],
)
def test_other_codes_in_words(inside: str, kind: str, words: str) -> None:
    (meaning,) = found(readings(inside))["meanings"]
    assert meaning["kind"] == kind and words in meaning["words"]


def test_a_reply_is_said_in_words() -> None:
    document = found(reply("PARTIAL", '<Error><code>2.4</code><level>FATAL</level><ID kind="name">M9</ID></Error>'))
    assert document["replies"] == [
        {"code": "2.4", "meaning": "Parameter invalid: Invalid Meter(s)", "level": "FATAL", "reason": "", "about": "M9"}
    ]


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (b"\x00\x01\x02 not a text", "not well-formed"),
        (b'{"header": {"verb": "created"}}', "JSON"),
        (b"<html><body>404</body></html>", "no message of CIM: its outermost element is html, in no namespace"),
        (b'<a xmlns="urn:x"/>', "no message of CIM: its outermost element is a, in the namespace urn:x"),
        (b"", "standard input: there is no message: it is empty"),
        (b" \r\n\t", "standard input: there is no message: it has white space alone"),
        (b"\xef\xbb\xbf\n", "there is no message: it has white space alone"),
        (
            b"POST /cim HTTP/1.1\r\nContent-Type: text/xml\r\n\r\n",
            "there is no message behind the header fields: it is empty",
        ),
        (b'<!DOCTYPE x [<!ENTITY e "e">]><x>&e;</x>', "document type"),
        (b"<a>" * 41 + b"</a>" * 41, "nested too deeply"),
        (b"<a" + b' b="1"' * 100_001 + b"/>", "too many attributes"),
        (b"<a>" + b"<b/>" * 100_001 + b"</a>", "too many elements"),
        (b" " * 5_000_001, "more than 5,000,000 octets"),
        (gzip.compress(b" " * 5_000_001), "more than 5000000 octets"),
        (
            b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body/></s:Envelope>',
            "no message in its Body",
        ),
        (b"POST /cim HTTP/1.1\r\nHost: x\r\n", "no blank line"),
        ("<a>Zähler</a>".encode("latin-1"), "not utf-8"),
    ],
    ids=[
        "octets",
        "JSON",
        "a page",
        "another document",
        "nothing",
        "blanks",
        "a mark of UTF-8",
        "no body behind a head",
        "entities",
        "depth",
        "attributes",
        "elements",
        "size",
        "bomb",
        "no body",
        "cut",
        "Latin-1",
    ],
)
def test_what_can_not_be_read_is_exit_code_2_and_a_sentence(octets: bytes, words: str) -> None:
    result = lint("-", octets=octets)
    assert result.exit_code == 2 and words in result.stderr and result.stdout == ""


def test_a_message_with_the_head_of_its_request() -> None:
    head = b"POST /cim HTTP/1.1\r\nHost: hes\r\nContent-Type: text/xml; charset=ISO-8859-1\r\n\r\n"
    document = found(head + (FIELD / LATIN_1).read_bytes())
    assert document["findings"] == [] and document["answer"]["meters"] == ["name Zähler-1001"]


@pytest.mark.ci
@pytest.mark.ci
def test_a_message_of_many_errors_is_looked_at_in_bounded_time() -> None:
    document = found(readings("<b/>" * 20_000).replace(b"EventMessage", b"RequestMessage"))
    assert len([one for one in document["findings"] if one["rule"] == "schema"]) <= 1
    document = found(
        control().replace(
            b"<c:EndDeviceControl>", b"<c:EndDeviceControl" + b"".join(b' a%d="1"' % n for n in range(20_000)) + b">"
        )
    )
    assert 1 <= len(document["findings"]) <= 11


def test_text_of_a_stranger_is_no_markup_and_moves_no_cursor() -> None:
    octets = control().replace(b"M1001", "[red]\u009b31m\u202e".encode())
    result = lint("-", octets=octets)
    assert result.exit_code == 0 and "name [red]\ufffd31m\ufffd" in result.stdout


class Web(BaseHTTPRequestHandler):
    """Messages at addresses."""

    def do_GET(self) -> None:
        pieces = {
            "/good": [control()],
            "/gzip": [gzip.compress(control())],
            "/latin": [(FIELD / LATIN_1).read_bytes()],
            "/large": [b" " * 1_000_000] * 6,
        }.get(self.path)
        self.send_response(302 if self.path == "/elsewhere" else 404 if pieces is None else 200)
        self.send_header("Location", "/good")
        self.send_header("Content-Type", "text/xml; charset=ISO-8859-1" if self.path == "/latin" else "text/xml")
        if self.path == "/gzip":
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        with suppress(ConnectionError):
            for piece in pieces or []:
                self.wfile.write(piece)

    def log_message(self, *_: object) -> None:
        """Not on standard error."""


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Web) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("path", ["/good", "/gzip", "/latin"])
def test_a_message_at_an_address(web: str, path: str) -> None:
    result = lint("--json", web + path)
    assert result.exit_code == 0 and json.loads(result.stdout)["answer"]["accepted"], result.output


@pytest.mark.parametrize(
    ("path", "words"),
    [("/missing", "status 404"), ("/elsewhere", "status 302"), ("/large", "more than 5,000,000 octets")],
)
def test_what_an_address_does_not_give(web: str, path: str, words: str) -> None:
    result = lint(web + path)
    assert result.exit_code == 2 and words in result.stderr


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/", "http://[::1", "https://\x00/"])
def test_an_address_that_nothing_is_at(address: str) -> None:
    result = lint(address)
    assert result.exit_code == 2 and "can't be read" in result.stderr


def test_an_address_that_never_ends_is_left() -> None:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                writer.write(b" ")
                await writer.drain()

    async def left() -> None:
        async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(NotReadable, match=r"more than (0\.2 s|5,000,000)"):
                await asyncio.to_thread(sources.fetch, f"http://127.0.0.1:{port}/", 0.2)

    asyncio.run(left())


def test_several_messages_have_the_worst_exit_code(tmp_path: Path) -> None:
    clean, wrong = tmp_path / "clean.xml", tmp_path / "wrong.xml"
    clean.write_bytes(control())
    wrong.write_bytes(control(verb="CREATE"))
    assert lint(str(clean)).exit_code == 0
    assert lint(str(clean), str(wrong)).exit_code == 1
    result = lint(str(wrong), str(tmp_path / "missing.xml"), str(clean))
    assert result.exit_code == 2 and "missing.xml: it can't be read: No such file" in result.stderr
    assert "wrong.xml" in result.stdout and "clean.xml" in result.stdout


@pytest.mark.parametrize("text", ALIASES)
def test_the_lint_and_the_head_end_take_a_namespace_for_the_same_one(text: str) -> None:
    known = namespace_of(text)
    assert known is not None and known.canonical == ALIASES[text] and known.is_foreign == (text != ALIASES[text])
    ours = namespace_of(ALIASES[text])
    assert ours is not None and (known.kind, ours.is_foreign) == (ours.kind, False) and known.set and known.source


def test_a_spelling_of_two_sets_at_once_is_named_and_not_called_unknown() -> None:
    octets = (CIM / "draft_www.xml").read_bytes()
    other = octets.replace(b"www.iec.ch/TC57/2011/MeterReadingsMessage", b"www.iec.ch/TC57/2017/MeterReadingsMessage")
    assert other != octets and "namespace-unknown" not in rules(found(other))
    said = [one["reason"] for one in found(other)["findings"] if one["rule"] == "namespace-other-set"]
    assert any("/2017/MeterReadingsMessage" in one for one in said)
