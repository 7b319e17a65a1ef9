"""Captures: TCP put together whatever the network did to it, every link type, and files that are cut or made of anything."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from io import BytesIO
from ipaddress import ip_address
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from ami_cli.__main__ import app
from ami_cli.decode.captures.files import is_capture
from ami_cli.decode.captures.streams import Message, messages
from ami_dlms import apdu
from ami_dlms.apdu.ciphered import GeneralGloCiphering
from ami_dlms.framing.wrapper import WrapperPdu, encode
from ami_dlms.security import AUTHENTICATED, ENCRYPTED, GlobalKeys, protect

METER, CLIENT = ("10.0.0.2", 4059), ("10.0.0.1", 50000)
SYN, ACK = 0x02, 0x10
START = 0xFFFFFFF0  # the numbers wrap around after a few octets
FRAMES = [encode(WrapperPdu(1, 16, bytes((0xC4, 1, 0xC1, 0, 9, length)) + bytes(length))) for length in (1, 90, 40, 7)]
STREAM = b"".join(FRAMES)
Segment = tuple[int, bytes]


def read(content: bytes) -> list[Message]:
    return list(messages(BytesIO(content)))


def tcp(number: int, payload: bytes, flags: int = ACK, source: tuple[str, int] = METER) -> bytes:
    destination = CLIENT if source == METER else METER
    head = struct.pack(">HHIIBBHHH", source[1], destination[1], number % 2**32, 0, 5 << 4, flags, 0, 0, 0)
    return ipv4(6, head + payload, source[0], destination[0])


def ipv4(protocol: int, payload: bytes, source: str = METER[0], destination: str = CLIENT[0], flags: int = 0) -> bytes:
    total = 20 + len(payload)
    head = struct.pack(">BBHHHBBH", 0x45, 0, total, 0, flags, 64, protocol, 0)
    return head + ip_address(source).packed + ip_address(destination).packed + payload


def ipv6(protocol: int, payload: bytes) -> bytes:
    ends = ip_address("2001:db8::2").packed + ip_address("2001:db8::1").packed
    return struct.pack(">IHBB", 6 << 28, len(payload), protocol, 64) + ends + payload


def udp(payload: bytes) -> bytes:
    return struct.pack(">HHHH", METER[1], CLIENT[1], 8 + len(payload), 0) + payload


def pcap(packets: Iterable[bytes], link: int = 101, order: str = "<") -> bytes:
    head = struct.pack(f"{order}IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 0xFFFF, link)
    return head + b"".join(struct.pack(f"{order}IIII", 0, 0, len(one), len(one)) + one for one in packets)


def block(kind: int, body: bytes, order: str) -> bytes:
    body += bytes(-len(body) % 4)
    return struct.pack(f"{order}II", kind, 12 + len(body)) + body + struct.pack(f"{order}I", 12 + len(body))


def pcapng(packets: Iterable[bytes], link: int = 101, order: str = "<") -> bytes:
    section = struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1)
    found = block(0x0A0D0D0A, section, order) + block(1, struct.pack(f"{order}HHI", link, 0, 0), order)
    for one in packets:
        found += block(6, struct.pack(f"{order}IIIII", 0, 0, 0, len(one), len(one)) + one, order) + block(5, b"", order)
    return found


def segments(cuts: Iterable[int]) -> list[Segment]:
    """The stream cut at these places."""
    places = sorted({0, len(STREAM), *cuts})
    return [(START + 1 + one, STREAM[one:other]) for one, other in pairwise(places)]


def found(parts: Iterable[Segment], *, opened: bool = True) -> list[bytes]:
    packets = [tcp(START, b"", SYN | ACK)] if opened else []
    packets += [tcp(number, payload) for number, payload in parts]
    return [one.octets for one in read(pcap(packets))]


@given(cuts=st.lists(st.integers(1, len(STREAM) - 1), max_size=12), data=st.data())
def test_any_order_and_any_repetition(cuts: list[int], data: st.DataObject) -> None:
    parts = segments(cuts)
    again = data.draw(st.lists(st.sampled_from(parts), max_size=5))
    assert found(data.draw(st.permutations(parts + again))) == FRAMES


@given(st.lists(st.tuples(st.integers(0, len(STREAM) - 1), st.integers(1, 60)), max_size=8))
def test_repetitions_that_overlap(pieces: list[tuple[int, int]]) -> None:
    overlapping = [(START + 1 + start, STREAM[start : start + length]) for start, length in pieces]
    assert found([*overlapping, *segments([50, 100])]) == FRAMES
    assert found([*segments([50, 100]), *overlapping]) == FRAMES


def test_a_segment_that_is_missing_costs_its_frames_alone() -> None:
    places = [len(FRAMES[0]), len(FRAMES[0]) + 30, len(FRAMES[0] + FRAMES[1])]
    parts = segments(places)
    assert found([parts[0], *parts[2:]]) == [FRAMES[0], *FRAMES[2:]]
    assert found([parts[0], parts[1], parts[3]]) == [FRAMES[0], *FRAMES[2:]]


def test_a_gap_is_not_waited_for_without_end() -> None:
    late = [(START + 1000 + len(FRAMES[3]) * number, FRAMES[3]) for number in range(600)]
    assert found([(START + 1, FRAMES[0]), *late]) == [FRAMES[0], *[FRAMES[3]] * 600]


def test_a_capture_that_begins_in_the_middle() -> None:
    parts = segments([10, len(FRAMES[0])])
    assert found(parts[1:], opened=False) == FRAMES[1:]


def test_openings_that_come_twice_and_ports_that_are_used_again() -> None:
    opening, first, second = tcp(START, b"", SYN), tcp(START + 1, FRAMES[0]), tcp(9, b"", SYN)
    packets = [opening, opening, first, opening, second, tcp(10, FRAMES[1])]
    assert [one.octets for one in read(pcap(packets))] == FRAMES[:2]


def test_who_speaks_to_whom_in_the_order_of_the_wire() -> None:
    packets = [
        tcp(5, FRAMES[0][:9], source=CLIENT),
        tcp(7, FRAMES[1]),
        tcp(14, FRAMES[0][9:], source=CLIENT),
        ipv4(17, udp(FRAMES[2])),
        tcp(5000, b"POST /cim HTTP/1.1\r\n", source=CLIENT),
    ]
    seen = read(pcap(packets))
    assert [one.octets for one in seen] == [FRAMES[1], FRAMES[0], FRAMES[2]]
    assert [one.source for one in seen] == ["10.0.0.2:4059", "10.0.0.1:50000", "10.0.0.2:4059"]
    assert seen[0].destination == "10.0.0.1:50000"


ETHERNET, PACKET = bytes(12), tcp(1, FRAMES[0])
LINKS = {
    "Ethernet": (1, ETHERNET + b"\x08\x00" + PACKET + bytes(9)),
    "VLAN": (1, ETHERNET + b"\x81\x00\x00\x05\x08\x00" + PACKET),
    "raw": (101, PACKET),
    "loopback": (0, b"\x02\0\0\0" + PACKET),
    "cooked": (113, bytes(14) + b"\x08\x00" + PACKET),
    "cooked, version 2": (276, b"\x08\x00" + bytes(18) + PACKET),
    "IPv6": (1, ETHERNET + b"\x86\xdd" + ipv6(6, PACKET[20:])),
    "UDP over IPv6": (101, ipv6(17, udp(FRAMES[0]))),
}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("form", [pcap, pcapng])
@pytest.mark.parametrize("name", LINKS)
def test_every_link_type_and_file(name: str, form: object, order: str) -> None:
    link, packet = LINKS[name]
    content = (pcap if form is pcap else pcapng)([packet], link, order)
    assert is_capture(content) and [one.octets for one in read(content)] == [FRAMES[0]]


@pytest.mark.parametrize(
    "packet",
    [
        ipv4(6, PACKET[20:], flags=0x2000),
        ipv4(6, PACKET[20:], flags=0x0001),
        ipv4(1, FRAMES[0]),
        ipv4(17, udp(b"\0\1")),
        b"",
        b"\x45",
        ETHERNET,
    ],
)
def test_what_holds_no_frame(packet: bytes) -> None:
    assert [one.octets for one in read(pcap([packet, PACKET]))] == [one.octets for one in read(pcap([PACKET]))]


@pytest.mark.parametrize("whole", [pcap([PACKET] * 2), pcapng([PACKET] * 2, order=">")])
def test_files_cut_short(whole: bytes) -> None:
    for length in range(4, len(whole)):
        assert [one.octets for one in read(whole[:length])] in ([], [FRAMES[0]])


@given(st.sampled_from([pcap([]), pcapng([])]), st.sampled_from([0, 1, 101, 113, 276]), st.binary(max_size=120))
def test_anything_ends_without_an_error(head: bytes, link: int, rest: bytes) -> None:
    read(head + rest)
    read(pcap([rest, rest[:30]], link))


def test_the_keys_of_a_registry(tmp_path: Path) -> None:
    """Two meters with keys of their own in one capture; a third one is not registered."""
    entries, packets = "", []
    for number in range(3):
        title, key = b"METER\0\0" + bytes((number,)), bytes((number,)) * 16
        content = protect(AUTHENTICATED | ENCRYPTED, GlobalKeys(key, key), title, 1, FRAMES[0][8:])
        frame = encode(WrapperPdu(1, 16, apdu.encode(GeneralGloCiphering(title, content))))
        packets.append(ipv4(17, udp(frame), source=f"10.0.0.{number}"))
        if number < 2:
            entries += f'[[meters]]\nname = "{number}"\nsystem_title = "{title.hex()}"\n'
            entries += f'encryption_key = "{key.hex()}"\nauthentication_key = "{key.hex()}"\n'
    (tmp_path / "my.toml").write_text(entries + '[[meters]]\nname = "clear"\n')
    (tmp_path / "two.pcap").write_bytes(pcap(packets))
    shown = CliRunner().invoke(app, ["decode", str(tmp_path / "two.pcap"), "--registry", str(tmp_path / "my.toml")])
    assert shown.exit_code == 0 and shown.stdout.count("the tag holds; deciphered") == 2
    assert shown.stdout.count("no encryption key, give --ek") == 1
    missing = CliRunner().invoke(app, ["decode", "C0", "--registry", str(tmp_path / "none.toml")])
    assert missing.exit_code == 2 and "can't be read" in missing.stderr


def test_on_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "meter.pcap"
    path.write_bytes(pcap([tcp(1, FRAMES[0]), tcp(1, FRAMES[0])]))
    shown = CliRunner().invoke(app, ["decode", str(path)])
    assert shown.exit_code == 0 and shown.stdout.startswith(
        "1  1970-01-01 00:00:00.000  10.0.0.2:4059 → 10.0.0.1:50000\n● wrapper  1 → 16"
    )
    assert shown.stdout.count("● wrapper") == 1
    piped = CliRunner().invoke(app, ["decode", "-", "--format", "json"], input=path.read_bytes())
    assert piped.exit_code == 0 and '"get_response_normal"' in piped.stdout
    path.write_bytes(pcap([]))
    empty = CliRunner().invoke(app, ["decode", str(path)])
    assert empty.exit_code == 1 and "meter.pcap: no frame of the wrapper, HDLC or M-Bus in 0 packets" in empty.stderr


@pytest.mark.parametrize("whole", [pcap([tcp(1, FRAMES[0])] * 2), pcapng([tcp(1, FRAMES[0])] * 2)])
@pytest.mark.parametrize("missing", [1, 10])
def test_a_file_that_is_cut_off_is_not_taken_for_a_whole_one(tmp_path: Path, whole: bytes, missing: int) -> None:
    path = tmp_path / "cut.pcap"
    path.write_bytes(whole)
    assert CliRunner().invoke(app, ["decode", str(path)]).stderr == ""
    path.write_bytes(whole[:-missing])
    for more in ([], ["--pcapng", str(tmp_path / "with.cleartext.pcapng")]):
        shown = CliRunner().invoke(app, ["decode", str(path), *more])
        assert shown.exit_code == 1
        assert re.search(r"cut\.pcap: the file is cut off, or damaged, behind packet [12]: what was", shown.stderr)
