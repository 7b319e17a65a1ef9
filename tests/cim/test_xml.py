"""The parser refuses what is hostile, within bounded time and memory, with CimError and nothing else."""

import contextlib
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest

from ami_cim import xml
from ami_cim.errors import CimError, InvalidMessage
from ami_cim.limits import UNKNOWN_PEER, Limits

BOMB = (
    b'<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;&x;&x;&x;&x;&x;"><!ENTITY z "&y;&y;&y;&y;&y;&y;&y;&y;">]>'
    b'<a b="&z;">&z;</a>'
)
REFUSED = {
    "empty": b"",
    "white space": b" \n ",
    "text": b"hello",
    "truncated": b"<a><b></a",
    "two roots": b"<a/><b/>",
    "no end of the prolog": b"<?xml ",
    "no end of a comment": b"<!-- <a/>",
    "nul": b"<a>\x00</a>",
    "not utf-8": b"<a>\xff</a>",
    "entity bomb": BOMB,
    "entity bomb after a comment": b"<?xml version='1.0'?><!-- x --><?pi?>\n" + BOMB,
    "entity bomb in utf-16": BOMB.decode().encode("utf-16"),
    "entity bomb in utf-16le without mark": BOMB.decode().encode("utf-16-le"),
    "entity bomb in utf-16be without mark": BOMB.decode().encode("utf-16-be"),
    "entity bomb in utf-7": b'<?xml version="1.0" encoding="utf-7"?>+ADwAIQ-DOCTYPE a []><a/>',
    "external subset": b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/x.dtd"><a/>',
    "external entity": b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    "parameter entity": b'<!DOCTYPE a [<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;]><a/>',
    "lower case doctype": b"<!doctype a><a/>",
    "undeclared entity": b"<a>&x;</a>",
    "undeclared prefix": b"<a:b/>",
    "undeclared prefix behind a warning": b'<a:b><c xmlns="relative"/></a:b>',
    "one attribute twice behind a warning": b'<a xmlns:b="u:u" xmlns:c="u:u" b:d="" c:d=""><e xmlns="relative"/></a>',
    "unknown encoding": b'<?xml version="1.0" encoding="klingon"?><a/>',
    "ebcdic": b'<?xml version="1.0" encoding="cp037"?><a/>',
    "utf-16 declared and not meant": b'<?xml version="1.0" encoding="utf-16"?><a/>',
    "utf-32": "<a/>".encode("utf-32"),
    "half a character of utf-16": b"\xff\xfe<\x00a",
    "deep": b"<a>" * 41 + b"</a>" * 41,
    "very deep": b"<a>" * 200_000,
    "unbound prefix": b"<p:a/>",
    "too many elements": b"<a>" + b"<b/>" * (UNKNOWN_PEER.nodes + 1) + b"</a>",
}


@pytest.mark.parametrize("octets", REFUSED.values(), ids=REFUSED)
def test_hostile_documents_are_refused(octets: bytes) -> None:
    with pytest.raises(CimError) as caught:
        xml.parse(octets)
    assert caught.value.code in ("1.8", "3.1")
    assert "root:" not in str(caught.value)


def test_too_large_is_refused_before_parsing() -> None:
    with pytest.raises(InvalidMessage) as caught:
        xml.parse(b"<" * (UNKNOWN_PEER.octets + 1))
    assert caught.value.code == "3.1"  # and not 1.8, which a parser would have said of it
    with pytest.raises(InvalidMessage):
        xml.parse(b"<a>12345</a>", Limits(octets=11))
    assert xml.parse(b"<a>12345</a>", Limits(octets=12)).text == "12345"


def test_many_attributes_cost_bounded_time() -> None:
    octets = b"<a " + b" ".join(b'a%d=""' % number for number in range(300_000)) + b"/>"
    started = time.process_time()
    with contextlib.suppress(CimError):
        xml.parse(octets)
    assert time.process_time() - started < 10


def test_the_deepest_allowed() -> None:
    assert xml.parse(b"<a>" * UNKNOWN_PEER.depth + b"</a>" * UNKNOWN_PEER.depth).tag == "a"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_unicode_in_every_form(encoding: str) -> None:
    assert xml.parse("<a>Zähler</a>".encode(encoding)).text == "Zähler"


def test_latin_1_as_declared() -> None:
    document = '<?xml version="1.0" encoding="ISO-8859-1"?><a>Zähler</a>'
    assert xml.parse(document.encode("latin-1")).text == "Zähler"


def test_comments_and_processing_instructions_vanish() -> None:
    root = xml.parse(b"<?x?><!-- 1 --><a>M1<!-- <!DOCTYPE a> -->00<?php x?>1<![CDATA[<!DOCTYPE]]></a><!-- 2 -->")
    assert root.text == "M1001<!DOCTYPE"
    assert len(root) == 0


def test_xinclude_is_only_an_element() -> None:
    root = xml.parse(
        b'<a xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="file:///etc/passwd" parse="text"/></a>'
    )
    assert b"root" not in xml.serialize(root).split(b"include", 1)[1].split(b"href")[0]
    assert root[0].tag == "{http://www.w3.org/2001/XInclude}include"
    assert root[0].text is None


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (" 2026-01-02T03:04:05+04:30\n", datetime(2026, 1, 1, 22, 34, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05-14:00", datetime(2026, 1, 2, 17, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05.1234567890Z", datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)),
        ("2026-01-02T03:04:05.5", datetime(2026, 1, 2, 3, 4, 5, 500000, tzinfo=UTC)),
        ("2026-02-28T24:00:00Z", datetime(2026, 3, 1, tzinfo=UTC)),
    ],
)
def test_date_times(text: str, moment: datetime) -> None:
    assert xml.parse_datetime(text) == moment
    assert xml.parse_datetime(xml.format_datetime(moment)) == moment


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("10000-01-01T00:00:00Z", datetime.max),
        ("9999-12-31T23:59:59-14:00", datetime.max),
        ("9999-12-31T24:00:00Z", datetime.max),
        ("123456789-02-28T00:00:00+02:00", datetime.max),
        ("0001-01-01T00:00:00+01:00", datetime.min),
        ("-0044-03-15T12:00:00Z", datetime.min),
        ("-12000-02-29T12:00:00", datetime.min),
    ],
)
def test_moments_that_only_xml_has_become_the_last_or_the_first(text: str, moment: datetime) -> None:
    assert xml.parse_datetime(text) == moment.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-01-02",
        "2026-13-02T00:00:00Z",
        "2026-01-02T24:00:01Z",
        "2026-01-02T00:00:00+99:00",
        "20260102T000000Z",
        "99999-02-29T00:00:00Z",
        "02026-01-02T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "٢٠٢٦-01-02T00:00:00Z",
        "2026-01-02T00:00:60Z",
    ],
)
def test_no_date_times(text: str) -> None:
    with pytest.raises(CimError):
        xml.parse_datetime(text)


def test_moments_are_written_in_utc() -> None:
    local = datetime(2026, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=1, minutes=30)))
    assert xml.format_datetime(local) == "2026-01-01T00:00:00Z"
    with pytest.raises(ValueError, match="offset"):
        xml.format_datetime(datetime(2026, 1, 1))


def test_booleans() -> None:
    assert [xml.parse_boolean(text) for text in ("true", "1", " false ", "0")] == [True, True, False, False]
    with pytest.raises(CimError):
        xml.parse_boolean("TRUE")
