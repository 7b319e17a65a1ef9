"""Wrapper framing: any cut of a TCP stream, several PDUs in one segment, datagrams, and streams gone wrong."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sizes import examples

from ami_dlms.errors import DecodeError, LocalError
from ami_dlms.framing.wrapper import Deframer, WrapperPdu, decode_datagram, encode

ports = st.integers(0, 0xFFFF)
pdus = st.builds(WrapperPdu, ports, ports, st.binary(min_size=1, max_size=200))


def drain(deframer: Deframer) -> list[WrapperPdu]:
    return list(iter(deframer.next_pdu, None))


def test_octets() -> None:
    pdu = WrapperPdu(16, 1, bytes.fromhex("C001C100080000010000FF0200"))
    octets = bytes.fromhex("0001 0010 0001 000D C001C100080000010000FF0200")
    assert encode(pdu) == octets
    assert decode_datagram(octets) == pdu


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(pdus, max_size=6), st.data())
def test_any_cut_gives_the_same_pdus(sent: list[WrapperPdu], draw: st.DataObject) -> None:
    stream = b"".join(encode(pdu) for pdu in sent)
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    deframer, received = Deframer(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        deframer.receive_data(stream[start:end])
        received += drain(deframer)
    assert received == sent
    assert deframer.pending == 0


def test_octet_by_octet() -> None:
    deframer = Deframer()
    stream = encode(WrapperPdu(1, 16, b"first")) + encode(WrapperPdu(1, 1, b"second"))
    received = []
    for octet in stream:
        deframer.receive_data(bytes((octet,)))
        received += drain(deframer)
    assert [pdu.apdu for pdu in received] == [b"first", b"second"]


def test_the_largest_apdu() -> None:
    pdu = WrapperPdu(1, 2, bytes(65535))
    deframer = Deframer()
    deframer.receive_data(encode(pdu))
    assert deframer.next_pdu() == pdu
    with pytest.raises(LocalError):
        encode(WrapperPdu(1, 2, bytes(65536)))


@pytest.mark.parametrize("pdu", [WrapperPdu(1, 2, b""), WrapperPdu(-1, 2, b"x"), WrapperPdu(1, 65536, b"x")])
def test_what_does_not_fit_cannot_be_encoded(pdu: WrapperPdu) -> None:
    with pytest.raises(LocalError):
        encode(pdu)


@pytest.mark.parametrize(
    ("octets", "field"),
    [("0002 0001 0001 0001 00", "version"), ("0001 0001 0001 0000", "length"), ("FFFF FFFF FFFF FFFF", "version")],
)
def test_a_wrong_header_ends_the_stream_for_good(octets: str, field: str) -> None:
    deframer = Deframer()
    good = encode(WrapperPdu(1, 2, b"good"))
    deframer.receive_data(good + bytes.fromhex(octets) + good)
    assert deframer.next_pdu() == WrapperPdu(1, 2, b"good")
    for _ in range(2):
        with pytest.raises(DecodeError) as caught:
            deframer.next_pdu()
        assert caught.value.field == field
        deframer.receive_data(good)


def test_an_apdu_larger_than_agreed_is_refused_by_its_header() -> None:
    deframer = Deframer(max_apdu=100)
    deframer.receive_data(encode(WrapperPdu(1, 2, bytes(101)))[:8])
    with pytest.raises(DecodeError, match="1 to 100"):
        deframer.next_pdu()


@settings(max_examples=examples(300), deadline=None)
@given(st.binary(max_size=40))
def test_any_datagram_decodes_or_is_refused(octets: bytes) -> None:
    try:
        pdu = decode_datagram(octets)
    except DecodeError:
        return
    assert encode(pdu) == octets


def test_a_datagram_cut_short_or_with_more_is_refused() -> None:
    octets = encode(WrapperPdu(1, 2, b"apdu"))
    for length in range(len(octets)):
        with pytest.raises(DecodeError):
            decode_datagram(octets[:length])
    with pytest.raises(DecodeError):
        decode_datagram(octets + b"\x00")


def test_the_apdu_is_not_shown() -> None:
    assert "secret" not in repr(WrapperPdu(1, 2, b"secret"))
