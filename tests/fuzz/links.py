"""What the fuzzer feeds to framings and links: streams cut anywhere, and frames with right check sequences and any content."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from chunks import chunks

from ami_dlms.errors import DecodeError, DlmsError
from ami_dlms.framing import mbus
from ami_dlms.framing.framing import WrapperPdu
from ami_dlms.framing.hdlc import Frame, FrameReader, encode
from ami_dlms.framing.hdlc_address import HdlcAddress
from ami_dlms.framing.hdlc_framing import HdlcClientFraming, HdlcPushReader, HdlcServerFraming
from ami_dlms.framing.mbus import MbusAssembler
from ami_dlms.framing.mode_e import Identification, ModeEClient, ModeEServer
from ami_dlms.framing.wrapper import Deframer, decode_datagram
from ami_dlms.framing.wrapper import encode as encode_wrapper

CLIENT, SERVER = HdlcAddress(16), HdlcAddress(1)
MOST = 1 << 20
"""Octets that one small input may make an end say at most."""


def wrapper(octets: bytes) -> None:
    """The stream of the wrapper: the same PDUs however it is cut; and as a datagram."""
    whole, cut = Deframer(), Deframer()
    whole.receive_data(octets)
    found: list[WrapperPdu | str] = []
    for start in range(0, len(octets), 3):
        cut.receive_data(octets[start : start + 3])
        found += _pdus(cut)
        if found and isinstance(found[-1], str):
            break
    assert _pdus(whole) == found
    with suppress(DecodeError):
        assert encode_wrapper(decode_datagram(octets)) == octets


def _pdus(deframer: Deframer) -> list[WrapperPdu | str]:
    found: list[WrapperPdu | str] = []
    try:
        while (pdu := deframer.next_pdu()) is not None:
            found.append(pdu)
    except DecodeError as error:
        found.append(str(error))
    return found


def mbus_frames(octets: bytes) -> None:
    """Frames of M-Bus in chunks: a good one is written as it came; their segments are put together or refused."""
    assembler = MbusAssembler()
    for chunk in chunks(octets):
        with suppress(DecodeError):
            frame = mbus.decode(chunk)
            assert mbus.encode(frame) == chunk
            segment = mbus.segment_of(frame)
            whole = None if segment is None else assembler.take(segment)
            assert whole is None or len(whole) <= mbus.MAX_APDU


def hdlc_stream(octets: bytes) -> None:
    """Any octets as a stream of HDLC: damaged frames are dropped, nothing raises; the same frames however it is cut."""
    whole, cut = FrameReader(), FrameReader()
    whole.receive_data(octets)
    found = []
    for start in range(0, len(octets), 3):
        cut.receive_data(octets[start : start + 3])
        found += _frames(cut)
    assert _frames(whole) == found
    reader = HdlcPushReader()
    reader.receive_data(octets)
    while reader.next_pdu() is not None:
        pass


def _frames(reader: FrameReader) -> list[Frame]:
    found = []
    while (frame := reader.next_frame()) is not None:
        found.append(frame)
    return found


def frame_of(chunk: bytes, destination: HdlcAddress, source: HdlcAddress) -> bytes:
    """Octets for the line: a frame with this control field and information, or with an odd first octet the rest as it is."""
    if len(chunk) < 2 or chunk[0] & 1:
        return chunk[1:]
    return encode(Frame(destination, source, chunk[1], chunk[2:], segmented=bool(chunk[0] & 2)))


def hdlc_server(octets: bytes) -> None:
    """A server's links: nothing that a client sends raises."""
    framing = HdlcServerFraming([SERVER.upper], max_apdu=4096)
    said = 0
    for chunk in chunks(octets):
        framing.receive_data(frame_of(chunk, SERVER, CLIENT))
        while (pdu := framing.next_pdu()) is not None:
            if isinstance(pdu, WrapperPdu):
                said += len(framing.encode(pdu.destination, pdu.source, pdu.apdu * 2))
        said += len(framing.data_to_send())
        if chunk[:1] == b"\xfe":
            framing.timeout()
    assert said < MOST


def hdlc_client(octets: bytes) -> None:
    """A client's link: only DlmsError comes out, and with it the link is down or goes on."""
    framing = HdlcClientFraming(CLIENT.upper, SERVER, max_apdu=4096)
    said = len(framing.encode(CLIENT.upper, SERVER.upper, bytes(300)))
    for chunk in chunks(octets):
        framing.receive_data(frame_of(chunk, CLIENT, SERVER))
        with suppress(DlmsError):
            while framing.next_pdu() is not None:
                pass
            if chunk[:1] == b"\xfe":
                said += len(framing.timeout())
        said += len(framing.data_to_send())
    assert said < MOST


def mode_e(octets: bytes) -> None:
    """The sign-on of an optical port, both ends."""
    client, server = ModeEClient(), ModeEServer(Identification("AMI", 9600, "meter"))
    client.start()
    for end in (client, server):
        _sign_on(end, octets)


def _sign_on(end: Any, octets: bytes) -> None:
    for start in range(0, len(octets), 7):
        end.receive_data(octets[start : start + 7])
        with suppress(DlmsError):
            end.next_event()
        assert len(end.data_to_send()) < MOST
