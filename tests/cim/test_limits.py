"""What one message may hold: counted before a tree is built of it, each thing and all of them together."""

import base64
import gzip
import time
from collections.abc import Callable

import pytest

from ami_cim import media, wire, xml
from ami_cim.errors import CimError, InvalidMessage, UnsupportedMedia
from ami_cim.limits import UNKNOWN_PEER, Limits, check, for_peer, of_sender
from ami_cim.peers import Peer
from ami_cim.schema import Schemas

Build = Callable[..., bytes]
SMALL = Limits(octets=1_000, unpacked=100, nodes=10, depth=4, namespaces=3)


def refused(octets: bytes, limits: Limits) -> tuple[str, str]:
    with pytest.raises(InvalidMessage) as caught:
        check(octets, limits)
    return caught.value.code, caught.value.reason


@pytest.mark.parametrize(
    "octets",
    [
        b"<a>" + b"<b/>" * 9 + b"</a>",
        b'<a b="" c="" d="" e="" f="" g="" h="" i="" j=""/>',
        b"<a><b><c><d/></c></b></a>",
        b'<a xmlns="u:a" xmlns:b="u:b" xmlns:c="u:c"/>',
        b'<a xmlns="u:a"><b xmlns="u:b"><c xmlns="u:c"/></b></a>',
        b'<a><b xmlns:x="u:x"/><b xmlns:x="u:x"/><b xmlns:x="u:x"/><b xmlns:x="u:x"/></a>',
    ],
)
def test_the_most_that_is_allowed(octets: bytes) -> None:
    check(octets, SMALL)


@pytest.mark.parametrize(
    ("octets", "code", "words"),
    [
        (b"<a>" + b"<b/>" * 10 + b"</a>", "3.1", "too many elements"),
        (b'<a b="" c="" d="" e="" f="" g="" h="" i="" j="" k=""/>', "3.1", "too many elements"),
        (b"<a " + b" ".join(b'a%d=""' % number for number in range(11)) + b"/>", "3.1", "too many attributes"),
        (b"<a><b><c><d><e/></d></c></b></a>", "1.8", "nested too deeply"),
        (b'<a xmlns="u:a" xmlns:b="u:b" xmlns:c="u:c" xmlns:d="u:d"/>', "3.1", "too many namespaces"),
        (b'<a xmlns="u:a" xmlns:b="u:b"><c xmlns="u:c" xmlns:d="u:d"/></a>', "3.1", "too many namespaces"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a/>', "1.8", "document type declaration"),
        (b"<a>", "1.8", "not well-formed"),
    ],
)
def test_one_more_is_not(octets: bytes, code: str, words: str) -> None:
    found, reason = refused(octets, SMALL)
    assert found == code
    assert words in reason


def test_namespace_declarations_cost_bounded_time(generic: Build, schemas: Schemas) -> None:
    declarations = " ".join(f'xmlns:n{number}="urn:n:{number}"' for number in range(150_000))
    octets = generic().replace(b"<soap:Envelope ", f"<soap:Envelope {declarations} ".encode(), 1)
    assert len(octets) > 3_900_000
    started = time.process_time()
    with pytest.raises(InvalidMessage, match="too many"):
        wire.read_request(octets, schemas)
    assert time.process_time() - started < 2


def test_many_schema_errors_cost_bounded_time(create: Build, schemas: Schemas) -> None:
    wrong = "<obj:EndDevices><obj:isPan>x</obj:isPan></obj:EndDevices>" * 45_000
    octets = create(control=f'<obj:EndDeviceControlType ref="3.31.0.23"/>{wrong}')
    started = time.process_time()
    with pytest.raises(InvalidMessage, match="Line 1: Element 'isPan': 'x' is not a valid value"):
        wire.read_request(octets, schemas)
    assert time.process_time() - started < 3


def test_the_first_error_is_told_with_its_line_however_much_is_around_it(create: Build, schemas: Schemas) -> None:
    fine, wrong = "<obj:EndDevices/>\n" * 3_000, "<obj:EndDevices><obj:isPan>x</obj:isPan></obj:EndDevices>"
    octets = create(control=f'<obj:EndDeviceControlType ref="3.31.0.23"/>{fine}{wrong}{fine}<obj:Bogus/>')
    with pytest.raises(InvalidMessage, match="Line 3001: Element 'isPan'"):
        wire.read_request(octets, schemas)
    missing = create(
        control=f'<obj:EndDeviceControlType ref="3.31.0.23"/>{fine}<obj:UsagePoints><obj:Names/></obj:UsagePoints>'
    )
    with pytest.raises(
        InvalidMessage, match=r"Line 3001: Element 'Names': Missing child element.*Expected is \( name \)"
    ):
        wire.read_request(missing, schemas)


def test_repeated_compressed_payloads_are_not_unpacked(generic: Build, schemas: Schemas) -> None:
    bomb = base64.b64encode(gzip.compress(b"<a/>" + b" " * 4_900_000, mtime=0)).decode()
    inside = f"<msg:Compressed>{bomb}</msg:Compressed>" * 15
    started = time.process_time()
    with pytest.raises(InvalidMessage, match="One payload a message") as caught:
        wire.read_request(generic(rest=f"<msg:Payload>{inside}</msg:Payload>"), schemas)
    assert (caught.value.code, caught.value.details) == ("3.1", "15 Compressed came")
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("?", "Compressed is not base64"),
        ("", "Compressed is empty"),
        (" \n ", "Compressed is empty"),
        ("H4s", "Compressed is not base64"),
        ("AAAA", "Compressed is not gzip"),
        (base64.b64encode(gzip.compress(b"<a/>", mtime=0)[:-3]).decode(), "Compressed is gzip that is cut short"),
        (base64.b64encode(gzip.compress(b"<a/>", mtime=0) * 2).decode(), "Compressed has more behind its gzip data"),
        (base64.b64encode(gzip.compress(b" " * 101, mtime=0)).decode(), "Compressed is too large"),
    ],
)
def test_each_way_of_not_being_base64_of_gzip_has_its_words(
    generic: Build, schemas: Schemas, text: str, words: str
) -> None:
    octets = generic(rest=f"<msg:Payload><msg:Compressed>{text}</msg:Compressed></msg:Payload>")
    with pytest.raises(InvalidMessage) as caught:
        wire.read_request(octets, schemas, Limits(unpacked=100))
    assert caught.value.reason == words


def test_what_is_unpacked_is_counted_too(generic: Build, schemas: Schemas) -> None:
    deep = base64.b64encode(gzip.compress(b"<a>" * 41 + b"</a>" * 41, mtime=0)).decode()
    octets = generic(rest=f"<msg:Payload><msg:Compressed>{deep}</msg:Compressed></msg:Payload>")
    with pytest.raises(InvalidMessage, match="nested too deeply"):
        wire.read_request(octets, schemas)


def test_a_lawful_request_for_five_thousand_meters_is_inside_the_limits(create: Build, schemas: Schemas) -> None:
    authority = "<obj:NameTypeAuthority><obj:name>utility</obj:name></obj:NameTypeAuthority>"
    device = (
        "<obj:EndDevices><obj:mRID>42932298-b7b6-415e-a2d2-c34197bed259</obj:mRID><obj:Names><obj:name>M1</obj:name>"
        f"<obj:NameType><obj:name>MeterNumber</obj:name>{authority}</obj:NameType></obj:Names></obj:EndDevices>"
    )
    octets = create(control=f'<obj:EndDeviceControlType ref="3.31.0.23"/>{device * 5_000}')
    assert wire.read_request(octets, schemas).message.header.message_id == "m-1"


def test_limits_belong_to_the_call() -> None:
    octets = b"<a>" + b"<b/>" * UNKNOWN_PEER.nodes + b"</a>"
    with pytest.raises(CimError):
        xml.parse(octets)
    assert len(xml.parse(octets, Limits(nodes=2 * UNKNOWN_PEER.nodes))) == UNKNOWN_PEER.nodes


def test_a_content_type_has_an_end() -> None:
    content_type = 'text/xml; charset="utf-8"'
    longest = content_type + " " * (media.MAX_CONTENT_TYPE - len(content_type))
    assert media.content(b"<a/>", {"content-type": longest}, UNKNOWN_PEER) == (b"<a/>", "utf-8")
    with pytest.raises(UnsupportedMedia, match="longer than"):
        media.content(b"<a/>", {"content-type": longest + " "}, UNKNOWN_PEER)


LARGE = Limits(octets=1_000, peers=(Peer(source="MDM", octets=10_000), Peer(source="CIS")))
ZIPPED = {"content-encoding": "gzip"}
PADDING = b"<p>" + b" " * 1_000 + b"</p>"


def message(head: bytes, *, soap_header: bytes = b"", prefix: bytes = b"") -> bytes:
    header = b"<%sHeader>%s</%sHeader>" % (prefix, head, prefix)
    declared = b' xmlns:h="u:h"' if prefix else b""
    return b"<E%s>%s<B><M>%s%s</M></B></E>" % (declared, soap_header, header, PADDING)


@pytest.mark.parametrize(
    "octets",
    [
        message(b"<Source>MDM</Source>"),
        message(b"<h:Verb>get</h:Verb><h:Source>\n M&#68;M </h:Source>", prefix=b"h:"),
        message(b"<Source>MDM</Source>", soap_header=b"<Header><Source>CIS</Source></Header>"),
        '<?xml version="1.0" encoding="utf-16"?>'.encode("utf-16")
        + message(b"<Source>MDM</Source>").decode().encode("utf-16")[2:],
    ],
)
def test_a_sender_that_is_configured_so_may_send_more(octets: bytes) -> None:
    limits = of_sender(octets, LARGE)
    assert (limits.octets, limits.unpacked, limits.nodes) == (10_000, 10_000, for_peer(10_000).nodes)
    assert limits.peers == LARGE.peers
    assert of_sender(octets[:900], LARGE) is LARGE, "one that is small is read like any other's"
    assert media.content(gzip.compress(octets), ZIPPED, LARGE) == (octets, None)
    with pytest.raises(InvalidMessage, match="more than 10000 octets"):
        media.content(gzip.compress(octets + b" " * 10_000), ZIPPED, LARGE)


@pytest.mark.parametrize(
    "octets",
    [
        message(b"<Source>CIS</Source>"),
        message(b"<Source>Mdm</Source>"),
        message(b"<User><Source>MDM</Source></User>"),
        message(b"", soap_header=b"<Header><Source>MDM</Source></Header>"),
        message(b"</Header><Header><Source>MDM</Source>"),
        message(b"<!-- <Source>MDM</Source> -->"),
        b"<!DOCTYPE E [<!ENTITY s 'MDM'>]>" + message(b"<Source>&s;</Source>"),
        message(b"<Verb>" + b"x" * 70_000 + b"</Verb><Source>MDM</Source>"),
        b"\x00" * 2_000,
    ],
)
def test_any_other_sender_may_not(octets: bytes) -> None:
    assert of_sender(octets, LARGE) is LARGE
    with pytest.raises(InvalidMessage, match="more than 1000 octets"):
        media.content(gzip.compress(octets), ZIPPED, LARGE)
