"""Messages of partners that speak another schema set: refused with both namespaces by default, read where a partner is configured so."""

from __future__ import annotations

import base64
import gzip
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from ami_cim import envelope, reading, transfer, wire
from ami_cim.dialects import ABSTRACT, ALIASES
from ami_cim.errors import InvalidMessage
from ami_cim.limits import UNKNOWN_PEER, Limits
from ami_cim.message import EventMessage, RequestMessage
from ami_cim.nouns import ROOTS
from ami_cim.peers import Dialect
from ami_cim.schema import Schemas, schema_directory

SAMPLES = {path.stem: path.read_bytes() for path in (schema_directory() / "samples").glob("*.xml")}
VECTORS = Path(__file__).parents[1] / "vectors/cim"
SCHEMAS = Schemas()
OTHERS = replace(UNKNOWN_PEER, dialect=Dialect(other_namespaces=True))
WRAPPED = replace(UNKNOWN_PEER, dialect=Dialect(operation_wrappers=True))
ALL = replace(UNKNOWN_PEER, dialect=Dialect(other_namespaces=True, operation_wrappers=True))
OURS = "http://iec.ch/TC57/2011/"


def request_of(octets: bytes, limits: Limits = UNKNOWN_PEER) -> RequestMessage:
    return wire.read_request(octets, SCHEMAS, limits).message


def event_of(octets: bytes, limits: Limits = UNKNOWN_PEER) -> EventMessage:
    message = wire.read_delivery(octets, SCHEMAS, limits).message
    assert isinstance(message, EventMessage)
    return message


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("2011/schema/message", "http://www.iec.ch/TC57/2011/schema/message"),
        ("2011/MeterReadingsMessage", "http://iec.ch/TC57/2015/MeterReadingsMessage"),
        ("2011/MeterReadingsMessage", "http://iec.ch/TC57/2017/MeterReadingsMessage"),
        ("2011/MeterReadingsMessage", "http://www.iec.ch/TC57/2011/MeterReadingsMessage"),
        ("2011/MeterReadings#", "http://iec.ch/TC57/2009/MeterReadings#"),
    ],
)
def test_other_namespaces_are_read_where_it_is_said_so(ours: str, theirs: str) -> None:
    octets = SAMPLES["CreatedMeterReadings"]
    other = octets.replace(f'"http://iec.ch/TC57/{ours}"'.encode(), f'"{theirs}"'.encode())
    assert other != octets
    assert event_of(other, OTHERS) == event_of(octets)
    with pytest.raises(InvalidMessage) as caught:
        event_of(other)
    said = f"{caught.value.reason} {caught.value.details}"
    assert caught.value.code == "1.8"
    assert theirs in said and f"http://iec.ch/TC57/{ours}" in said


def test_all_that_differs_at_once() -> None:
    octets = SAMPLES["GetMeterReadings"]
    other = octets.replace(b"http://iec.ch/TC57/2011/", b"http://www.iec.ch/TC57/2017/").replace(
        b"http://www.iec.ch/TC57/2017/schema/message", b"http://www.iec.ch/TC57/2011/schema/message"
    )
    assert request_of(other, OTHERS) == request_of(octets)


def test_text_is_left_alone() -> None:
    octets = SAMPLES["GetMeterReadings"].replace(b"<msg:Source>CIS<", b"<msg:Source>http://iec.ch/TC57/2017/x<")
    other = octets.replace(
        b'="http://iec.ch/TC57/2011/GetMeterReadingsMessage"', b'="http://iec.ch/TC57/2017/GetMeterReadingsMessage"'
    )
    assert request_of(other, OTHERS).header.source == "http://iec.ch/TC57/2017/x"


@pytest.mark.parametrize("year", ["2021", "2022", "2010"])
def test_editions_that_differ_in_more_than_their_name_are_no_spelling(year: str) -> None:
    other = SAMPLES["CreatedMeterReadings"].replace(OURS.encode(), f"http://iec.ch/TC57/{year}/".encode())
    with pytest.raises(InvalidMessage):
        event_of(other, ALL)


def test_a_spelling_stands_for_one_namespace_and_ours_for_themselves() -> None:
    assert all(ALIASES[ours] == ours for ours in set(ALIASES.values()))
    assert {root.namespace for root in ROOTS} <= set(ALIASES.values())


def wrapped(octets: bytes, operation: str, message: str, namespace: str) -> bytes:
    """The generic message of a sample in an element of its operation."""
    root = etree.fromstring(octets)
    body = root[-1]
    inner = body[0]
    inner.tag = message
    outer = etree.SubElement(body, f"{{{namespace}}}{operation}")
    outer.append(inner)
    return etree.tostring(root)


@pytest.mark.parametrize("message", [f"{{{ABSTRACT}}}message", "{http://iec.ch/TC57/2011/schema/message}message"])
@pytest.mark.parametrize("namespace", [ABSTRACT, "http://iec.ch/TC57/2011/schema/message"])
def test_a_message_in_its_operation(message: str, namespace: str) -> None:
    get, created = SAMPLES["GetMeterReadings-intervals"], SAMPLES["CreatedMeterReadings-generic"]
    request, event = wrapped(get, "Request", message, namespace), wrapped(created, "PublishEvent", message, namespace)
    received = wire.read_request(request, SCHEMAS, WRAPPED)
    assert received == envelope.Received(request_of(get), envelope.REQUEST_MESSAGE)
    assert event_of(event, WRAPPED) == event_of(created)
    for octets, read in ((request, request_of), (event, event_of)):
        with pytest.raises(InvalidMessage) as caught:
            read(octets)
        assert caught.value.code == "1.8"
    if namespace == ABSTRACT:
        with pytest.raises(InvalidMessage, match="configured so") as caught:
            request_of(request)
        assert ABSTRACT in caught.value.reason and "schema/message" in (caught.value.details or "")


def test_a_request_in_a_request() -> None:
    octets = (VECTORS / "request_in_request.xml").read_bytes()
    with pytest.raises(InvalidMessage):
        request_of(octets)
    assert request_of(octets, ALL).header.message_id


@pytest.mark.parametrize("operation", ["Request", "Response", "PublishEvent", "Other"])
def test_what_is_in_it_still_has_to_be_a_message(operation: str) -> None:
    octets = wrapped(SAMPLES["CreatedMeterReadings-generic"], operation, f"{{{ABSTRACT}}}parcel", ABSTRACT)
    with pytest.raises(InvalidMessage):
        event_of(octets, ALL)


def packed(octets: bytes, theirs: bytes, ours: bytes) -> bytes:
    """A message of ours whose payload is compressed, and has theirs in place of ours."""
    root = etree.fromstring(octets)
    (payload,) = root.iter("{*}Payload")
    inside = etree.tostring(payload[0]).replace(ours, theirs)
    payload[:] = []
    text = base64.b64encode(gzip.compress(inside, mtime=0)).decode()
    etree.SubElement(payload, "{http://iec.ch/TC57/2011/schema/message}Compressed").text = text
    return etree.tostring(root)


def test_what_is_packed_may_have_another_namespace_too() -> None:
    octets = SAMPLES["CreatedMeterReadings-generic"]
    theirs = packed(octets, b"/2009/MeterReadings#", b"/2011/MeterReadings#")
    assert event_of(theirs, OTHERS) == event_of(octets)


def test_what_is_packed_may_have_an_element_more_too() -> None:
    octets = SAMPLES["CreatedMeterReadings-generic"]
    more = packed(octets, b"<batch>7</batch></MeterReading>", b"</MeterReading>")
    limits = replace(UNKNOWN_PEER, dialect=Dialect(extra_elements=("batch",)))
    assert event_of(more, limits) == event_of(octets)
    with pytest.raises(InvalidMessage, match="batch"):
        event_of(more)


def test_the_process_that_reads_knows_the_dialect() -> None:
    octets = SAMPLES["CreatedMeterReadings"]
    other = octets.replace(b"/2011/MeterReadingsMessage", b"/2017/MeterReadingsMessage")
    order = transfer.write_order(transfer.TransferOrder(kind="delivery", limits=OTHERS))
    assert transfer.read_delivery(reading.read(order, other)).message == event_of(octets)
