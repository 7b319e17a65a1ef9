"""Captures that are written: every block in order, read again by our own reader and by Wireshark's programs with the same octets."""

from __future__ import annotations

import ssl
import struct
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from io import BytesIO
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from patience import PATIENCE_S

from ami_cli.decode.captures.files import Record, records
from ami_cli.decode.captures.layers import segment_of
from ami_cli.decode.captures.streams import messages
from ami_trace.pcapng import (
    EXPORTED_PDU,
    Capture,
    CaptureError,
    Companion,
    Direction,
    Dissector,
    Endpoint,
    ExportedPdu,
    Message,
    Transport,
    comment_of,
    http,
)

AT = datetime(2026, 11, 30, 1, 2, 3, 456789, tzinfo=UTC)
HES, METER = Endpoint("10.0.0.1", 40000), Endpoint("10.0.0.5", 4059, "M1001")
APDU = bytes.fromhex("c001c100030100010800ff0200")
WRAPPED = bytes.fromhex("0001000100010010") + bytes(range(16))
SOAP = b"<?xml version='1.0'?><Request><MessageID>4711</MessageID></Request>"

endpoints = st.builds(
    Endpoint,
    st.one_of(st.ip_addresses().map(str), st.sampled_from(["/dev/ttyUSB0", "meter.example", "fe80::1%eth0"])),
    st.integers(0, 0xFFFF),
    st.text(max_size=20),
)
sent = st.builds(
    Message,
    st.datetimes(datetime(1960, 1, 1), datetime(2500, 1, 1), timezones=st.just(UTC)),
    endpoints,
    endpoints,
    st.binary(min_size=1, max_size=200),
    st.lists(st.text(max_size=50), max_size=3),
    st.sampled_from(Direction),
    st.sampled_from(Transport),
)
clear = st.builds(Companion, st.binary(max_size=100), st.text(max_size=50), st.lists(st.text(max_size=20), max_size=2))


def blocks_of(content: bytes) -> list[tuple[int, bytes]]:
    """Kinds and bodies; every length is repeated, aligned, and leads to the next block."""
    found, place = [], 0
    while place < len(content):
        kind, length = struct.unpack_from("<II", content, place)
        assert length % 4 == 0 and length >= 12
        assert struct.unpack_from("<I", content, place + length - 4) == (length,)
        found.append((kind, content[place + 8 : place + length - 4]))
        place += length
    assert place == len(content)
    return found


def read(content: bytes) -> list[Record]:
    return list(records(BytesIO(content)))


def run(*command: str | Path) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def story(capture: Capture) -> bytes:
    """One request of the CIS, what it causes on the line, and the reply."""
    cis, hes = Endpoint("127.0.0.1", 51000, "CIS"), Endpoint("127.0.0.1", 8081, "HES")
    of_request, of_meter = (comment_of(msg="4711"),), (comment_of(msg="4711", meter="M1001", req=None),)
    after = [AT + timedelta(milliseconds=number) for number in range(4)]
    return b"".join(
        (
            capture.begin(),
            capture.message(
                Message(after[0], cis, hes, http.request("hes:8081", "/ami", SOAP), of_request, Direction.INBOUND)
            ),
            capture.message(
                Message(after[1], HES, METER, WRAPPED, of_meter, Direction.OUTBOUND),
                [Companion(APDU, "get-request: 1-0:1.8.0*255")],
            ),
            capture.message(
                Message(after[2], METER, HES, WRAPPED[:7] + b"\x01\x0e", of_meter, Direction.INBOUND, Transport.UDP)
            ),
            capture.message(Message(after[3], hes, cis, http.response(200, b"<a/>"), of_request, Direction.OUTBOUND)),
        )
    )


@given(st.lists(st.tuples(sent, st.lists(clear, max_size=2)), max_size=5), st.sampled_from(Dissector), st.booleans())
def test_every_block_is_whole_and_every_message_comes_back(
    said: Sequence[tuple[Message, Sequence[Companion]]], dissector: Dissector, handshake: bool
) -> None:
    capture = Capture("ami", dissector=dissector, handshake=handshake)
    content = capture.begin() + b"".join(capture.message(message, companions) for message, companions in said)
    assert {kind for kind, _ in blocks_of(content)} <= {0x0A0D0D0A, 1, 4, 6}
    found = read(content)
    assert [record.number for record in found] == list(range(1, capture.frames + 1))
    assert [record.nanoseconds for record in found] == sorted(record.nanoseconds or 0 for record in found)
    for number, (message, companions) in enumerate(said, 1):
        mine = [record for record in found if record.packet_id == number]
        packets = [record for record in mine if record.link != EXPORTED_PDU]
        head = 8 if message.transport is Transport.UDP else 20
        assert b"".join(segment_of(one.link, one.octets).octets[head:] for one in packets) == message.octets
        pdus = [ExportedPdu.decode(record.octets) for record in mine if record.link == EXPORTED_PDU]
        assert [pdu.octets for pdu in pdus] == [companion.apdu for companion in companions]
        assert {pdu.dissector for pdu in pdus} <= {dissector.value}
        assert all(found[pdu.original_frame - 1] in packets or companions[0] for pdu in pdus)


def test_a_companion_names_the_frame_and_the_packet_it_belongs_to() -> None:
    found = read(story(Capture("ami", handshake=True)))
    (companion,) = [record for record in found if record.link == EXPORTED_PDU]
    pdu = ExportedPdu.decode(companion.octets)
    original = found[pdu.original_frame - 1]
    assert original.number == companion.number - 1
    assert original.packet_id == companion.packet_id
    assert original.nanoseconds is not None and companion.nanoseconds == original.nanoseconds + 1
    assert original.octets.endswith(WRAPPED)
    assert original.comments == ("ami: msg=4711 meter=M1001",)
    assert companion.comments == ("ami: msg=4711 meter=M1001", "ami: clear: get-request: 1-0:1.8.0*255")
    assert (pdu.source, pdu.destination) == (HES, Endpoint("10.0.0.5", 4059))
    assert (pdu.protocol, pdu.information) == ("DLMS", "get-request: 1-0:1.8.0*255")


def test_a_message_that_is_larger_than_a_packet_is_segments_in_order() -> None:
    large = bytes(range(256)) * 1000
    capture = Capture("ami")
    content = capture.begin() + capture.message(Message(AT, METER, HES, large))
    found = read(content)
    assert b"".join(segment_of(one.link, one.octets).octets[20:] for one in found) == large
    assert [len(one.octets) for one in found] == [60_040] * 4 + [len(large) - 240_000 + 40]
    assert {one.packet_id for one in found} == {1}


def test_frames_of_both_directions_are_found_by_the_reader_of_captures() -> None:
    capture = Capture("ami")
    content = capture.begin()
    content += b"".join(capture.message(Message(AT, *ends, WRAPPED)) for ends in ((HES, METER), (METER, HES)) * 3)
    assert [message.octets for message in messages(BytesIO(content))] == [WRAPPED] * 6


def test_a_companion_beyond_what_wireshark_reads_is_cut_and_says_so() -> None:
    capture = Capture("ami")
    content = capture.begin() + capture.message(Message(AT, HES, METER, WRAPPED), [Companion(bytes(300_000))])
    companion = read(content)[1]
    assert len(companion.octets) == 262_144
    assert companion.is_cut and companion.length > 300_000
    assert companion.comments == ("ami: cut",)


def test_a_capture_without_clear_text_takes_neither_companions_nor_keys() -> None:
    capture = Capture("ami", clear_text=False)
    assert b"contains clear text: no" in capture.begin()
    with pytest.raises(CaptureError, match="no companions"):
        capture.message(Message(AT, HES, METER, WRAPPED), [Companion(APDU)])
    with pytest.raises(CaptureError, match="no keys"):
        capture.tls_keys(b"CLIENT_RANDOM 00 00\n")


def test_a_time_that_no_capture_holds_is_the_last_one_that_it_does() -> None:
    capture = Capture("ami")
    late = AT.replace(year=3000)
    content = (
        capture.begin() + capture.message(Message(late, HES, METER, WRAPPED)) + capture.original(1, 1 << 70, b"a", 1)
    )
    assert [record.nanoseconds for record in read(content)] == [(1 << 64) - 1] * 2


def test_a_file_has_a_limit() -> None:
    capture = Capture("ami", most_octets=500)
    capture.begin()
    with pytest.raises(CaptureError, match="more than 500 octets"):
        capture.message(Message(AT, HES, METER, bytes(500)))


def test_a_datagram_has_a_limit() -> None:
    capture = Capture("ami")
    with pytest.raises(CaptureError, match="no room for 65,508 octets"):
        capture.message(Message(AT, HES, METER, bytes(65_508), transport=Transport.UDP))


@pytest.mark.parametrize("host", ["a\r\nb", ""])
def test_a_header_of_http_is_one_line(host: str) -> None:
    with pytest.raises(ValueError, match="one line"):
        http.request(host, "/", b"")


@given(st.binary(max_size=200))
def test_tags_of_an_exported_pdu_may_be_anything(octets: bytes) -> None:
    try:
        pdu = ExportedPdu.decode(octets)
    except ValueError:
        return
    assert ExportedPdu.decode(pdu.encode()).octets == pdu.octets


@pytest.mark.needs("tshark", "capinfos")
def test_wireshark_reads_the_same_and_finds_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "one.clear.pcapng"
    capture = Capture("ami 1.0", handshake=True)
    content = story(capture)
    path.write_bytes(content)
    said = run("capinfos", path)
    assert "Strict time order:   True" in said
    assert "Capture comment:     contains clear text: yes" in said
    assert "Number of packets:   11" in said
    rows = run(
        "tshark", "-r", path, "-Y", 'frame.comment contains "msg=4711"', "-N", "n",
        "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-T", "fields", "-E", "separator=|",
        *(part for name in (
            "frame.number", "ip.src_host", "ip.dst_host", "tcp.checksum.status", "udp.checksum.status",
            "exported_pdu.prot_name", "exported_pdu.orig_fno", "exported_pdu.exported_pdu", "xml.cdata", "tcp.payload",
        ) for part in ("-e", name)),
    ).splitlines()  # fmt: skip
    assert len(rows) == capture.frames
    assert rows[3].startswith("4|CIS|HES|1||||") and "|4711|" in rows[3]
    assert rows[7] == f"8|10.0.0.1|M1001|1||||||{WRAPPED.hex()}"
    assert rows[8] == f"9|||||dlms|8|{APDU.hex()}||"
    assert rows[9].startswith("10|M1001|10.0.0.1||1|")


def handshake(folder: Path) -> tuple[list[tuple[bool, bytes]], bytes]:
    """The flights of a TLS connection in which the client posts SOAP, and the key log of the server."""
    certificate = self_signed(folder / "hes.pem")
    server_side, client_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=certificate)
    server_side.load_cert_chain(certificate)
    server_side.keylog_filename = str(folder / "keys.log")
    (to_client, to_server) = (ssl.MemoryBIO(), ssl.MemoryBIO())
    client = client_side.wrap_bio(to_client, to_server, server_hostname="hes.example")
    server = server_side.wrap_bio(to_server, to_client, server_side=True)
    flights = list[tuple[bool, bytes]]()

    def step(end: ssl.SSLObject, action: Callable[[], object], outgoing: ssl.MemoryBIO) -> None:
        with suppress(ssl.SSLWantReadError):
            action()
        octets = outgoing.read()
        if octets:
            flights.append((end is client, octets))
            outgoing.write(octets)

    for _ in range(3):
        step(client, client.do_handshake, to_server)
        step(server, server.do_handshake, to_client)
    step(client, partial(client.write, http.request("hes.example", "/ami", SOAP)), to_server)
    return flights, (folder / "keys.log").read_bytes()


def self_signed(path: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hes.example")])
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), 1, AT - timedelta(days=10_000), AT + timedelta(days=36_500)
    )
    alternative = x509.SubjectAlternativeName([x509.DNSName("hes.example")])
    certificate = builder.add_extension(alternative, critical=False).sign(key, hashes.SHA256())
    plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(certificate.public_bytes(Encoding.PEM) + plain)
    return path


@pytest.mark.needs("tshark", "capinfos")
def test_wireshark_opens_tls_with_the_key_log_in_the_file(tmp_path: Path) -> None:
    flights, key_log = handshake(tmp_path)
    client, server = Endpoint("192.0.2.1", 51000), Endpoint("192.0.2.2", 443)
    capture = Capture("ami", handshake=True)
    content = capture.begin() + capture.tls_keys(key_log)
    for from_client, octets in flights:
        ends = (client, server) if from_client else (server, client)
        content += capture.message(Message(AT, *ends, octets))
    assert 10 in {kind for kind, _ in blocks_of(content)}
    (tmp_path / "tls.clear.pcapng").write_bytes(content)
    said = run("tshark", "-r", tmp_path / "tls.clear.pcapng", "-Y", "tls && http", "-T", "fields", "-e", "xml.cdata")
    assert said == "4711\n"
