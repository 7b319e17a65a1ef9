"""What the fuzzer feeds to decoders: only the errors of our packages may come out, and what was understood must keep its meaning.

Every function here takes random octets and returns nothing. An AssertionError, or any error that is not DlmsError or
CimError, is a finding.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from typing import Any

from ami_cim import media, wire
from ami_cim.errors import CimError, InvalidMessage
from ami_cim.limits import UNKNOWN_PEER
from ami_cim.schema import Schemas, schema_directory
from ami_cim.wsse import reading as wsse_reading
from ami_cli.decode.captures.files import records
from ami_cli.decode.captures.streams import packets
from ami_dlms import apdu, data
from ami_dlms.cosem.profile import decode_rows
from ami_dlms.cosem.selection import CaptureObject, EntryDescriptor, RangeDescriptor, SelectiveAccess
from ami_dlms.data.columns import decode_columns
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.errors import DecodeError, DlmsError, LocalError
from ami_dlms.explain import (
    FRAMING,
    DecodingSession,
    Document,
    Keyring,
    document,
    explain,
    is_sound,
    octets_of,
    part_of,
)
from ami_dlms.obis import Obis
from ami_trace.pcapng import Capture, Dissector, Endpoint, ExportedPdu, Transport, companions

SCHEMAS = Schemas(schema_directory())
CLOCK = CaptureObject(8, Obis.parse("0-0:1.0.0*255"), 2)
REGISTER = CaptureObject(3, Obis.parse("1-0:1.8.0*255"), 2)
KEYRING = Keyring(bytes(range(16)), bytes(range(0xD0, 0xE0)), title=b"MMM\0\0\xbc\x61\x4e", title_peer=b"MMM\0\0\0\0\1")
WITHOUT_MEANING = (FRAMING, "")
DEFAULTS = (("sender_acse_requirements", False), ("responder_acse_requirements", False))
"""Elements that say no more than their absence does, and are left out when they are written anew."""
COLUMNS = (CLOCK, REGISTER, REGISTER)


def decode_apdu(octets: bytes) -> None:
    """`ami_dlms.apdu.decode`; what it reads is written and read again with the same meaning."""
    try:
        message = apdu.decode(octets)
    except DecodeError:
        return
    with unknown_names():
        written = apdu.encode(message)
        assert apdu.encode(apdu.decode(written)) == written


@contextmanager
def unknown_names() -> Iterator[None]:
    """Names that nobody knows are read, for whoever refuses them has to, but they are not written."""
    try:
        yield
    except LocalError as error:
        assert "unknown" in str(error)


def decode_data(octets: bytes) -> None:
    """`ami_dlms.data.decode`, and what is made of a value: python, selectors, date-times."""
    try:
        value = data.decode(octets)
    except DecodeError:
        return
    written = data.encode(value)
    assert data.encode(data.decode(written)) == written
    with suppress(DecodeError):
        data.to_python(value)  # a compact array is taken apart only here
    for selector, descriptor in ((1, RangeDescriptor), (2, EntryDescriptor)):
        try:
            descriptor.decode(SelectiveAccess(selector, value))
        except DecodeError:
            continue
    if isinstance(value.value, bytes):
        _date_time(value.value)


def _date_time(octets: bytes) -> None:
    try:
        moment = CosemDateTime.decode(octets)
    except DecodeError:
        return
    assert CosemDateTime.decode(moment.encode()) == moment
    try:
        moment.to_datetime()
    except LocalError:
        return


def decode_profile(octets: bytes) -> None:
    """Rows of a profile; the fast road over columns says the same as the general one."""
    try:
        buffer = data.decode(octets)
    except DecodeError:
        return
    for width in range(1, len(COLUMNS) + 1):
        try:
            decode_rows(buffer, COLUMNS[:width], 900)
        except DlmsError:
            continue


def decode_table(octets: bytes) -> None:
    """`decode_columns`, which takes a fast road where it can, against the general decoder."""
    try:
        columns = decode_columns(octets)
    except DecodeError:
        return
    rows = data.to_python(data.decode(octets))
    assert repr(list(map(list, zip(*columns, strict=True)))) == repr([list(row) for row in rows])


def explain_octets(octets: bytes) -> None:
    """`ami decode` of anything never fails and covers every octet; what `ami encode` makes of it says the same."""
    trees = explain(octets, DecodingSession(KEYRING))
    assert b"".join(tree.octets for tree in trees) == octets
    if not all(map(is_sound, trees)):
        return
    with unknown_names():
        again = b"".join(octets_of(part_of(document(tree))) for tree in trees)
        normal = explain(again, DecodingSession(KEYRING))
        assert all(map(is_sound, normal))
        assert [said(document(tree)) for tree in normal] == [said(document(tree)) for tree in trees]
        assert b"".join(octets_of(part_of(document(tree))) for tree in normal) == again


def said(shown: Document) -> list[Any]:
    """What a part of a document says, without how it was written: forms of lengths and tags, what has no meaning here."""
    parts = shown.get("parts", ())
    meaningful = (
        part
        for part in parts
        if part["type"] not in WITHOUT_MEANING
        and part["name"] != "length"
        and (part["name"], part.get("value")) not in DEFAULTS
    )
    return [shown["name"], shown["type"], shown.get("value"), *map(said, meaningful)]


def read_cim(octets: bytes) -> None:
    """`ami_cim.wire` on what a client posts, and on what a server answers."""
    for read in (wire.read_request, wire.read_delivery, wire.read_response):
        try:
            read(octets, SCHEMAS)
        except CimError:
            continue


def headers(octets: bytes) -> None:
    """Content-Type and Content-Encoding of a message, and its octets: understood or refused."""
    kind, coding, body = [*octets.split(b"\0", 2), b"", b""][:3]
    given = {"content-type": kind.decode("latin-1"), "content-encoding": coding.decode("latin-1")}
    with suppress(CimError):
        assert len(media.content(body, given, UNKNOWN_PEER)[0]) <= UNKNOWN_PEER.octets


def read_security(octets: bytes) -> None:
    """What a message proves, or why it does not."""
    with suppress(InvalidMessage):
        wsse_reading.read(octets, UNKNOWN_PEER, None)


def annotate_capture(octets: bytes) -> None:
    """What `ami decode --pcapng` does with a file: packets, frames, trees, clear APDUs; each of them can be read again."""
    capture, session = Capture("fuzz", dissector=Dissector.PLUGIN), DecodingSession(KEYRING)
    written, clear = [capture.begin()], dict[int, bytes]()
    for record, found in packets(BytesIO(octets)):
        if record is not None:
            written.append(capture.original(record.link, record.nanoseconds or 0, record.octets, record.length))
        for tree in (tree for message in found for tree in explain(message.octets, session)):
            behind = companions(tree)
            clear |= {capture.frames + number: one.apdu for number, one in enumerate(behind, 1)}
            written.append(capture.behind(behind, 0, Endpoint("one end", 1), Endpoint("::1", 2), Transport.TCP))
    again = list(records(BytesIO(b"".join(written))))
    assert len(again) == capture.frames
    assert {number: ExportedPdu.decode(again[number - 1].octets).octets for number in clear} == clear
