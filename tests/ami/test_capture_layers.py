"""What operators wrap around a meter's packets, frames of HDLC and M-Bus over TCP, and captures that hold nothing for us."""

from __future__ import annotations

import io
import json
import re
import struct
import time
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_capture import FRAMES, PACKET, START, SYN, block, ipv4, ipv6, pcap, pcapng, read, tcp, udp
from typer.testing import CliRunner

from ami_cli.__main__ import app
from ami_cli.decode.captures.files import records
from ami_cli.decode.captures.finding import Finder
from ami_cli.decode.captures.layers import MOST_LAYERS, Unknown, segment_of
from ami_cli.decode.captures.seen import Seen
from ami_cli.decode.captures.streams import messages
from ami_cli.decode.writing import Progress

VECTORS = Path(__file__).parents[1] / "vectors"
FIELD = VECTORS / "field"
HDLC = bytes.fromhex("7EA02A410883130413E6E7000F40000000000101020309060100010700FF060000017002020F00161B5DB77E")
MBUS = [bytes.fromhex(line) for line in (FIELD / "mbus_two_frames_ciphered.hex").read_text().split()]
MACS = bytes(12)
UNHURRIED = settings(deadline=None)


def ethernet(protocol: int, payload: bytes) -> bytes:
    return MACS + struct.pack(">H", protocol) + payload


def vlan(protocol: int, inner: int, payload: bytes) -> bytes:
    return struct.pack(">HHH", protocol, 5, inner) + payload


def to_port(port: int, payload: bytes) -> bytes:
    return ipv4(17, struct.pack(">HHHH", 1024, port, 8 + len(payload), 0) + payload)


def gtp(payload: bytes, flags: int = 0x30, options: bytes = b"") -> bytes:
    return to_port(2152, struct.pack(">BBHI", flags, 0xFF, len(options + payload), 1) + options + payload)


LAYERS = {
    "QinQ": (1, MACS + vlan(0x88A8, 0x8100, struct.pack(">HH", 7, 0x0800)) + PACKET),
    "VLAN, VLAN": (1, MACS + vlan(0x8100, 0x8100, struct.pack(">HH", 7, 0x0800)) + PACKET),
    "PPPoE": (1, ethernet(0x8864, b"\x11\0\0\1" + struct.pack(">H", len(PACKET) + 2) + b"\0\x21" + PACKET)),
    "PPPoE in a VLAN": (1, MACS + vlan(0x8100, 0x8864, b"\x11\0\0\1\0\0\0\x21") + PACKET),
    "PPP": (9, b"\xff\x03\0\x21" + PACKET),
    "PPP, compressed": (9, b"\x21" + PACKET),
    "PPP with IPv6": (50, b"\0\x57" + ipv6(6, PACKET[20:])),
    "MPLS": (1, ethernet(0x8847, b"\0\x01\x00\x40\0\x02\x01\x40" + PACKET)),
    "GRE": (1, ethernet(0x0800, ipv4(47, b"\0\0\x08\0" + PACKET))),
    "GRE with checksum, key and number": (101, ipv4(47, b"\xb0\0\x08\0" + bytes(12) + PACKET)),
    "GRE with Ethernet": (101, ipv4(47, b"\0\0\x65\x58" + ethernet(0x0800, PACKET))),
    "PPTP": (101, ipv4(47, b"\x30\x81\x88\x0b" + bytes(12) + b"\xff\x03\0\x21" + PACKET)),
    "ERSPAN": (101, ipv4(47, b"\x10\0\x88\xbe" + bytes(4) + bytes(8) + ethernet(0x0800, PACKET))),
    "GTP-U": (1, ethernet(0x0800, gtp(PACKET))),
    "GTP-U with a number": (101, gtp(PACKET, 0x32, b"\0\1\0\0")),
    "GTP-U with an extension": (101, gtp(PACKET, 0x34, b"\0\0\0\x85\1\0\0\0")),
    "VXLAN": (101, to_port(4789, b"\x08" + bytes(7) + ethernet(0x0800, PACKET))),
    "IP in IP": (101, ipv4(4, PACKET)),
    "IPv6 in IP": (101, ipv4(41, ipv6(6, PACKET[20:]))),
    "IPv6 with options": (101, ipv6(0, b"\x3c\0" + bytes(6) + b"\x06\1" + bytes(14) + PACKET[20:])),
    "IPv6 with authentication": (101, ipv6(51, b"\x06\4" + bytes(22) + PACKET[20:])),
    "GRE in GTP-U in a VLAN": (1, MACS + vlan(0x8100, 0x0800, gtp(ipv4(47, b"\0\0\x08\0" + PACKET)))),
}


@pytest.mark.parametrize("name", LAYERS)
def test_what_is_wrapped_around_a_packet(name: str) -> None:
    link, packet = LAYERS[name]
    assert [one.octets for one in read(pcap([packet], link))] == [FRAMES[0]]
    for length in range(len(packet)):
        read(pcap([packet[:length]], link))


def test_layers_without_end_are_refused() -> None:
    packet = PACKET
    for _ in range(MOST_LAYERS + 1):
        packet = ipv4(4, packet)
    with pytest.raises(Unknown, match="layers"):
        segment_of(101, packet)
    assert not read(pcap([packet]))


def test_a_serial_line_under_a_link_type_of_ones_own() -> None:
    assert [one.octets for one in read(pcap([HDLC, MBUS[0], FRAMES[1]], 147))] == [HDLC, MBUS[0], FRAMES[1]]


@UNHURRIED
@given(st.lists(st.integers(1, 400), max_size=12))
def test_hdlc_and_mbus_over_tcp_however_they_are_cut(cuts: list[int]) -> None:
    for frames in ([HDLC, HDLC, HDLC], [*MBUS, *MBUS], [HDLC, MBUS[0], HDLC]):
        stream = b"\x00" + b"".join(frames)
        places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
        parts = [tcp(START + one, stream[one:other]) for one, other in pairwise(places)]
        assert [one.octets for one in read(pcap(parts))] == frames


def test_a_wrapper_pdu_behind_what_seemed_to_begin() -> None:
    for junk in (b"\x7e\xa7\xff", b"\x7e\xa7", b"\x68\xff\xff\x68"):
        finder = Finder()
        found = [frame for part in (junk, FRAMES[0], FRAMES[1], FRAMES[2] * 60) for frame in finder.take(part)]
        assert found == [FRAMES[0], FRAMES[1], *[FRAMES[2]] * 60]


def test_frames_that_share_a_flag_and_a_frame_with_a_wrong_check() -> None:
    wrong = HDLC[:20] + b"\0" + HDLC[21:]
    finder = Finder()
    assert list(finder.take(HDLC + HDLC[1:] + wrong + HDLC)) == [HDLC, HDLC, wrong, HDLC]
    assert not list(Finder().take(wrong))


@UNHURRIED
@given(st.lists(st.binary(max_size=80) | st.sampled_from([b"\x7e\xa7", b"\x68\xff\xff\x68", b"\x00\x01"]), max_size=8))
def test_any_stream_holds_no_more_than_a_frame(parts: list[bytes]) -> None:
    finder = Finder()
    for part in parts:
        list(finder.take(part))
        assert finder.held <= 0x10007


def test_times_and_numbers(tmp_path: Path) -> None:
    at = datetime(2026, 11, 28, 12, 0, 0, 250000, UTC)
    seconds = int(at.timestamp())
    micro = struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 0xFFFF, 101)
    nano = struct.pack("<IHHIIII", 0xA1B23C4D, 2, 4, 0, 0, 0xFFFF, 101)
    for head, fraction in ((micro, 250000), (nano, 250000000)):
        record = struct.pack("<IIII", seconds, fraction, len(PACKET), len(PACKET)) + PACKET
        (message,) = read(head + record)
        assert (message.number, message.at) == (1, at)
    ticks = seconds * 1000 + 250
    options = struct.pack("<HHB3x", 9, 1, 3) + struct.pack("<HH", 0, 0)
    section = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1), "<")
    interface = block(1, struct.pack("<HHI", 101, 0, 0) + options, "<")
    body = struct.pack("<IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, len(PACKET), len(PACKET)) + PACKET
    simple = struct.pack("<I", len(PACKET)) + PACKET
    found = list(records(io.BytesIO(section + interface + block(6, body, "<") + block(3, simple, "<"))))
    assert [(one.number, one.at, one.octets) for one in found] == [(1, at, PACKET), (2, None, PACKET)]


class Endless(io.RawIOBase):
    """A capture without an end."""

    def __init__(self) -> None:
        self._head = pcap([])
        self._packet = pcap([PACKET])[24:]
        self._place = 0

    def read(self, size: int = -1) -> bytes:
        assert size >= 0, "a capture is never read as a whole"
        place, self._place = self._place, self._place + size
        end = place + size
        if end <= len(self._head):
            return self._head[place:end]
        first = (place - len(self._head)) % len(self._packet)
        return (self._packet * 2)[first : first + size]


def test_a_capture_is_read_as_it_comes() -> None:
    first = next(messages(Endless()))  # type: ignore[arg-type]
    assert first.octets == FRAMES[0]


def test_connections_without_number_are_not_remembered() -> None:
    packets = [
        tcp(START, FRAMES[1][:20], source=(f"10.{number >> 8}.{number & 255}.1", 4059)) for number in range(6000)
    ]
    began = time.process_time()
    assert not read(pcap(packets))
    assert time.process_time() - began < 20


def test_what_waits_behind_gaps_is_bounded() -> None:
    late = [tcp(START + 100_000 * number, bytes(60_000)) for number in range(1, 1500)]
    assert [one.octets for one in read(pcap([*late, tcp(5, b"", SYN), tcp(6, FRAMES[0])]))] == [FRAMES[0]]


class TestNothingFound:
    def said(self, content: bytes, tmp_path: Path) -> str:
        (tmp_path / "one.pcap").write_bytes(content)
        result = CliRunner().invoke(app, ["decode", str(tmp_path / "one.pcap")])
        assert result.exit_code == 1
        assert not result.stdout
        return str(result.stderr)

    def test_who_spoke_and_how_it_began(self, tmp_path: Path) -> None:
        packets = [
            tcp(START, b"GET /x HTTP/1.1\r\n"),
            tcp(9, b"\x16\x03\x01\x02\x00", source=("10.0.0.9", 443)),
            ipv4(17, udp(b"\xc0\x01\xc1\x00")),
            ipv4(17, udp(b"\x7e\xa0\x07\x03")),
            ipv4(1, b"ping"),
            ipv4(6, PACKET[20:], flags=0x2000),
        ]
        said = self.said(pcap(packets), tmp_path)
        assert "no frame of the wrapper, HDLC or M-Bus in 6 packets" in said
        assert "TCP 10.0.0.2:4059 → 10.0.0.1:50000: 17 octets, begins 47 45 54 20 2F 78 20 48, text" in said
        assert "begins 16 03 01 02 00, TLS" in said
        assert "begins C0 01 C1 00, perhaps an APDU without a frame" in said
        assert "1 packets of IP protocol 1" in said and "1 fragments of IP" in said

    def test_other_packets_and_cut_ones(self, tmp_path: Path) -> None:
        head = struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 30, 1)
        packet = ethernet(0x88B9, bytes(16))
        said = self.said(head + struct.pack("<IIII", 0, 0, len(packet), 900) + packet, tmp_path)
        assert "1 packets of ethertype 88B9" in said
        assert "1 packet cut by the capture itself" in said

    def test_the_list_is_bounded(self) -> None:
        seen = Seen()
        for number in range(5000):
            seen.segment("TCP", (f"a:{number}", "b:1"), b"x" * (number + 1))
            seen.unknown(f"packets of kind {number}")
        assert len(list(seen.lines())) < 30


class TestSummary:
    def run(self, *arguments: str) -> str:
        result = CliRunner().invoke(app, ["decode", "--summary", *arguments])
        assert isinstance(result.exception, SystemExit | None)
        return str(result.stdout)

    def test_a_session_over_hdlc(self, tmp_path: Path) -> None:
        (session,) = [
            one
            for one in json.loads((VECTORS / "hdlc.json").read_text("utf-8"))["sessions"]
            if one["id"] == "gurux_gmac_200"
        ]
        numbers, packets = {"C": 100, "S": 500}, []
        for end, octets in session["exchange"]:
            payload = bytes.fromhex(octets)
            source = ("10.0.0.1", 50000) if end == "C" else ("10.0.0.2", 4059)
            packets.append(tcp(numbers[end], payload, source=source))
            numbers[end] += len(payload)
        (tmp_path / "hdlc.pcap").write_bytes(pcapng(packets))
        keys = ("--ek", bytes(range(16)).hex(), "--ak", bytes(range(0xD0, 0xE0)).hex())
        lines = self.run(str(tmp_path / "hdlc.pcap"), *keys).splitlines()
        assert len(lines) == len(packets)
        assert lines[0].startswith(
            "     1  1970-01-01 00:00:00.000  10.0.0.1:50000 → 10.0.0.2:4059  1 → 1  ● set normal response mode"
        )
        assert lines[6].endswith("● get-request-normal: data 0-0:42.0.0*255 value (class 1, attribute 2)")
        assert "● information, segment 1" in lines[9]
        assert lines[17].endswith("● get-response-normal: array of 96")

    def test_readings_ciphered_and_broken(self) -> None:
        shown = self.run(*(str(path) for path in sorted(FIELD.glob("*.hex"))))
        assert (
            "gbt_over_hdlc_llc_only_once.hex       3  1 → 103/127  ● general-block-transfer: block 3 = data-notif"
            in shown
        )
        assert "1-0:1.8.0 12937 Wh" in shown and "1-0:1.7.0 368 W" in shown
        assert 'general-glo-ciphering, "KFM" 0000000001, not deciphered' in shown
        assert "▲ unnumbered information, not verified; expected the check sequence" in shown
        assert "▲ initiate-request; expected" in shown
        assert "0-8:25.9.0 2" not in shown, "a list of objects is no reading"

    def test_it_is_text_alone(self) -> None:
        result = CliRunner().invoke(app, ["decode", "-s", "--format", "json", HDLC.hex()])
        assert result.exit_code == 2 and not result.stdout

    def test_a_tag_that_does_not_hold(self) -> None:
        ciphered = "C81E3001234567411312FF935A47566827C467BC7D825C3BE4A77C3FCC056B6B"
        keys = ("--ek", "00" * 16, "--ak", "00" * 16, "--title", "4D4D4D0000BC614E")
        assert "▲ glo-get-request, not deciphered; the authentication tag does not hold" in self.run(ciphered, *keys)


class TestTerminal:
    def test_a_line_is_cut_at_the_edge_of_a_terminal(self) -> None:
        terminal = {"FORCE_COLOR": "1", "COLUMNS": "60", "TERM": "xterm-256color"}
        shown = CliRunner().invoke(app, ["decode", "-s", HDLC[:-3].hex() + "00007E", HDLC.hex()], env=terminal).stdout
        plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
        assert shown != plain
        assert [len(line) for line in plain.splitlines()] == [60, 60]
        assert plain.splitlines()[0].endswith("…") and "▲" in plain.splitlines()[0]
        tree = CliRunner().invoke(app, ["decode", HDLC.hex()], env=terminal).stdout
        assert "octet-string 1-0:1.7.0*255, active power import, instantaneous value" in tree, "a tree is not cut"

    def test_how_far_a_capture_is_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        class Terminal(io.StringIO):
            def isatty(self) -> bool:
                return True

        (tmp_path / "one.pcap").write_bytes(pcap([PACKET] * 3))
        for output, says in ((io.StringIO(), True), (Terminal(), False)):
            errors = Terminal()
            monkeypatch.setattr("sys.stderr", errors)
            monkeypatch.setattr("sys.stdout", output)
            monkeypatch.setattr("ami_cli.decode.writing.PERIOD", 0.0)
            progress = Progress("captures/one.pcap", 3 << 20)
            with (tmp_path / "one.pcap").open("rb") as capture:
                progress(capture)
            progress.end()
            assert ("one.pcap: 0 of 3 MB read" in errors.getvalue()) is says


class TestSeveralFiles:
    def test_each_under_its_name(self) -> None:
        files = [str(FIELD / name) for name in ("bare_data.hex", "mbus_short_frame_then_hdlc.hex")]
        result = CliRunner().invoke(app, ["decode", *files])
        assert result.exit_code == 0
        assert result.stdout.count("bare_data.hex\n● data") == 1
        assert result.stdout.count("mbus_short_frame_then_hdlc.hex\n● mbus_frame") == 1
        shown = json.loads(CliRunner().invoke(app, ["decode", *files, "--format", "json"]).stdout)
        assert [one["name"] for one in shown["messages"]] == ["data", "mbus_frame", "hdlc_frame"]

    def test_one_that_is_not_there(self) -> None:
        result = CliRunner().invoke(app, ["decode", str(FIELD / "bare_data.hex"), "gone.hex"])
        assert result.exit_code == 2
        assert "no file 'gone.hex'" in result.stderr

    def test_captures_as_documents(self, tmp_path: Path) -> None:
        (tmp_path / "one.pcap").write_bytes(pcap([PACKET]))
        (tmp_path / "two.pcap").write_bytes(pcap([PACKET]))
        files = [str(tmp_path / name) for name in ("one.pcap", "two.pcap")]
        shown = json.loads(CliRunner().invoke(app, ["decode", *files, "--format", "json"]).stdout)["messages"]
        assert [(one["frame"], one["from"], one["to"]) for one in shown] == [(1, "10.0.0.2:4059", "10.0.0.1:50000")] * 2
        written = CliRunner().invoke(app, ["decode", *files, "--format", "xml"]).stdout
        assert CliRunner().invoke(app, ["encode"], input=written).stdout == f"{FRAMES[0].hex().upper()}\n" * 2

    def test_too_large_a_file_of_octets(self, tmp_path: Path) -> None:
        with (tmp_path / "large.bin").open("wb") as file:
            file.truncate(1 << 25)
        result = CliRunner().invoke(app, ["decode", str(tmp_path / "large.bin")])
        assert result.exit_code == 2
        assert "more than 16,777,216 octets and is no capture" in result.stderr
