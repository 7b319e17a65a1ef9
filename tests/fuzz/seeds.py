"""What the fuzzer starts from: vectors, our own sessions as recorded in memory, messages of our own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import ends
from chunks import joined

from ami_cim import wire
from ami_cim.envelope import REQUEST_MESSAGE, typed_wrapper
from ami_cim.errors import InvalidMessage
from ami_cim.identity import EndDevice, Identifier, Name
from ami_cim.message import Header, Reply, ReplyError, RequestMessage, ResponseMessage
from ami_cim.payloads.end_device_controls import EndDeviceControl, EndDeviceControls
from ami_cim.schema import Schemas
from ami_dlms.association import Open, Release
from ami_dlms.errors import LocalError
from ami_dlms.framing import mbus
from ami_dlms.framing.hdlc import FrameReader
from ami_dlms.framing.wrapper import Deframer
from ami_trace.pcapng import Capture, Companion, Endpoint, Message, Transport

VECTORS = Path(__file__).resolve().parents[1] / "vectors"
SEGMENTED = 2
VALUES = """00 0301 040AAAC0 05FFFFFFFF 0600000001 0906010203040506 0A03414243 0C02C3A9 0D12 0FFF 10FFFF 11FF 12FFFF
140000000000000001 15FFFFFFFFFFFFFFFF 1605 173F800000 183FF0000000000000 1907EA010501000000FF800000 1A07EA010501
1B00000000 1C01 1D01 1E0001 1F01 2001 210001 FF 0100 0200 13110401020304 1302021112060102000003000004
130112000306000100020003 020409060000010000FF0F021200000101
0204020412000809060000010000FF0F02120000090C07EA010501000000FF800000090C07EA010502000000FF8000000100
0204060000000106000000021200011200000100"""
ROW = bytes.fromhex("0203090C07EA010501000000FF80000006000000010600000002")
ROW_WITHOUT_CLOCK = bytes.fromhex("0203000600000003 0600000004")
MEMBERS = ("0600000001", "09020102", "00", "0F01")


def recorded(name: str) -> Any:
    return json.loads((VECTORS / name).read_text("utf-8"))


def apdus() -> Iterator[bytes]:
    for vector in recorded("apdus.json"):
        yield bytes.fromhex(vector["hex"])


def values() -> Iterator[bytes]:
    """One of each type, and the selectors of profiles."""
    for text in VALUES.split():
        yield bytes.fromhex(text)
    members = [bytes.fromhex(member) for member in MEMBERS]
    yield bytes((1, len(members))) + b"".join(members)


def tables() -> Iterator[bytes]:
    """Profile buffers: like rows, rows that leave out what the row above says, none."""
    for count in (0, 1, 2, 40):
        yield bytes((1, count)) + ROW * count
    yield bytes((1, 3)) + ROW + ROW_WITHOUT_CLOCK * 2


def wrapped() -> Iterator[bytes]:
    for octets in apdus():
        yield bytes.fromhex("000100010010") + len(octets).to_bytes(2, "big") + octets


def lines() -> Iterator[bytes]:
    """Frames as they came from a line, and whole sessions."""
    found = recorded("hdlc.json")
    for frame in (*found["frames"], *found["refused"]):
        yield bytes.fromhex(frame["hex"])
    for session in found["sessions"]:
        yield b"".join(bytes.fromhex(octets) for _, octets in session["exchange"])


def field() -> Iterator[bytes]:
    """What meters and their readers in the field really have."""
    for path in sorted((VECTORS / "field").glob("*.hex")):
        yield bytes.fromhex(path.read_text("utf-8"))


def segments() -> Iterator[bytes]:
    """An APDU in frames of M-Bus, long and short."""
    for apdu in apdus():
        yield joined(mbus.encode(frame) for frame in mbus.frames_of(apdu, 1, 103, length=40))
    yield joined([mbus.encode(mbus.MbusFrame(0x40, 1))])


def anything() -> Iterator[bytes]:
    yield from apdus()
    yield from wrapped()
    yield from lines()
    yield from field()


def frames_from(sender: str) -> Iterator[bytes]:
    """The frames of one end of each session, as control field and information."""
    for session in recorded("hdlc.json")["sessions"]:
        reader = FrameReader()
        for end, octets in session["exchange"]:
            if end == sender:
                reader.receive_data(bytes.fromhex(octets))
        frames = []
        while (frame := reader.next_frame()) is not None:
            frames.append(bytes((SEGMENTED if frame.segmented else 0, frame.control)) + frame.information)
        yield joined(frames)


def sign_ons() -> Iterator[bytes]:
    yield b"/?!\r\n\x06252\r\n"
    yield b"/AMI5\\2meter\r\n"
    yield b"\x00\xffnoise/?00012!\r\n/ISK5\\2MT382-1003\r\n\x06252\r\n"


def sessions(sender: str) -> Iterator[bytes]:
    """What one end says with every request, for every agreement; a server at each stage, a client when it has asked that."""
    for kind, agreement in enumerate(ends.AGREED):
        for number, request in enumerate(ends.REQUESTS):
            spoken = tuple(plain_apdus(request, sender, named="named" in agreement))
            stages = (number,) if sender == "server" else range(len(ends.SERVER_STAGES))
            for stage, way in product(stages, ends.ways(kind)):
                yield bytes((kind + stage * len(ends.AGREED),)) + joined(bytes((way,)) + octets for octets in spoken)


@cache
def plain_apdus(request: Any, sender: str, named: bool) -> tuple[bytes, ...]:
    """The APDUs of one end of an unencrypted session with one request: the target protects them as it has to."""
    pair = ends.agreed(ends.AGREED.index({"named": True}) if named else 0)
    for one in dict.fromkeys((Open(), request, Release())):
        with suppress(LocalError):  # what there is no short name for
            pair.ask(one)
    deframer = Deframer()
    for end, octets in pair.wire:
        if end == sender:
            deframer.receive_data(octets)
    found = []
    while (pdu := deframer.next_pdu()) is not None:
        found.append(pdu.apdu)
    return tuple(found)


def messages() -> Iterator[bytes]:
    """CIM messages in SOAP, one of each kind."""
    schemas, typed = Schemas(), typed_wrapper("create", "EndDeviceControls")
    at = datetime(2026, 1, 1, tzinfo=UTC)
    header = Header(verb="create", noun="EndDeviceControls", timestamp=at, message_id="m-1", correlation_id="c-1")
    devices = (EndDevice(mrid="id-1"), EndDevice(names=(Name(name="M1002"),)))
    payload = EndDeviceControls((EndDeviceControl(control_type="3.31.0.23", end_devices=devices),))
    request = RequestMessage(header=header, payload=payload)
    unknown = ReplyError(code="2.4", reason="No", identifier=Identifier(value="M9", object_type="EndDevice"))
    response = ResponseMessage(header=header, reply=Reply(result="PARTIAL", errors=(unknown,)))
    for wrapper in (typed, REQUEST_MESSAGE):
        yield wire.write_request(request, wrapper, schemas)
        yield wire.write_response(response, wrapper, schemas)
    yield wire.write_fault(InvalidMessage("1.8", "no", wrapper=typed.text))


def sealed() -> Iterator[bytes]:
    """Messages with Security headers, kept since signatures by ECDSA differ each time: signed, with a digest, with both."""
    for name in ("signed", "digest", "both"):
        yield (VECTORS / "wsse" / f"{name}.xml").read_bytes()


def captures() -> Iterator[bytes]:
    """Each message as a segment and as a datagram, and files whose packets hold clear APDUs already."""
    meter, client = Endpoint("10.0.0.5", 4059), Endpoint("10.0.0.1", 40000)
    for octets in (*wrapped(), *lines()):
        for transport in Transport:
            capture = Capture("fuzz")
            message = Message(
                datetime(2026, 11, 30, tzinfo=UTC), meter, client, octets, ("a comment",), transport=transport
            )
            yield capture.begin() + capture.message(message, [Companion(octets, "clear")])
