"""The sign-on of mode E: both ends joined, real messages, parity bits, noise, echoes, and meters that offer something else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sizes import examples

from ami_dlms.errors import LocalError, ProtocolError
from ami_dlms.framing.mode_e import (
    BAUD_RATES,
    Identification,
    ModeEClient,
    ModeEServer,
    OtherModeChosen,
    SignOnState,
    Switch,
)

METER = Identification("AMI", 9600, "METER1")
SNRM = bytes.fromhex("7EA0070341935A647E")


def with_parity(octets: bytes) -> bytes:
    """Seven bits and even parity, as a port that runs with eight bits sees them."""
    return bytes(octet | (0x80 if octet.bit_count() % 2 else 0) for octet in octets)


def meter(**more: bool) -> ModeEServer:
    return ModeEServer(METER, "00012345", **more)


@pytest.mark.parametrize("parity", [False, True])
@pytest.mark.parametrize("portion", [1, 3, 100])
def test_both_ends(parity: bool, portion: int) -> None:
    client, server = ModeEClient("12345", max_baud_rate=4800), meter()
    octets, events = client.start(), []
    for end in (server, client, server):
        wire = with_parity(octets) if parity else octets
        for start in range(0, len(wire), portion):
            end.receive_data(wire[start : start + portion])
            if (event := end.next_event()) is not None:
                events.append(event)
        octets = end.data_to_send()
    assert events == [Switch(4800, METER), Switch(4800, METER, confirmation=b"\x06242\r\n")]
    assert client.state is server.state is SignOnState.SWITCHED


def test_the_octets_of_the_standard() -> None:
    client = ModeEClient()
    assert client.start() == bytes.fromhex("2F3F210D0A")
    client.receive_data(b"/APA5\\2NORAX30\r\n")
    assert client.next_event() == Switch(9600, Identification("APA", 9600, "NORAX30"))
    assert client.data_to_send() == bytes.fromhex("06323532 0D0A")
    assert client.data_to_send() == b""
    assert client.next_event() is None


def test_the_octets_of_a_meter() -> None:
    server = meter()
    server.receive_data(b"/?!\r\n")
    assert server.next_event() is None
    assert server.data_to_send() == b"/AMI5\\2METER1\r\n"
    server.receive_data(b"\x06252\r\n")
    assert server.next_event() == Switch(9600, METER, confirmation=b"\x06252\r\n")
    assert server.data_to_send() == b""
    assert server.next_event() is None


def test_a_meter_that_confirms_nothing() -> None:
    server = meter(confirm=False)
    server.receive_data(b"/?!\r\n\x06252\r\n")
    assert server.next_event() == Switch(9600, METER)


def test_octets_behind_the_sign_on_belong_to_hdlc() -> None:
    server = meter()
    server.receive_data(b"/?!\r\n\x06252\r\n" + SNRM)
    event = server.next_event()
    assert isinstance(event, Switch)
    assert event.early == SNRM, "with all eight bits"


@pytest.mark.parametrize(
    "noise", [b"\x00\x00\x00", b"\xff" * 500, b"\x7f/?!", b"\r\n\r\n", b"/?" + b"1" * 100, b"/?9!\r\n"]
)
def test_noise_in_front_of_a_request(noise: bytes) -> None:
    server = meter()
    server.receive_data(noise + b"/?!\r\n")
    assert server.next_event() is None
    assert server.data_to_send() == METER.encode()


def test_noise_and_echo_in_front_of_an_identification() -> None:
    client = ModeEClient()
    client.receive_data(client.start() + b"\x00\xff\r\n\x00" + METER.encode())
    assert client.next_event() == Switch(9600, METER)


@pytest.mark.parametrize(
    ("asked", "own", "meant"),
    [
        ("", "123", True),
        ("123", "123", True),
        ("0123", "123", True),
        ("123", "000123", True),
        ("124", "123", False),
        ("123", "", False),
        ("0", "", True),
        ("0", "00", True),
        ("12", "123", False),
    ],
)
def test_device_addresses(asked: str, own: str, meant: bool) -> None:
    server = ModeEServer(METER, own)
    server.receive_data(f"/?{asked}!\r\n".encode())
    assert server.next_event() is None
    assert bool(server.data_to_send()) is meant


@pytest.mark.parametrize("choice", ["050", "051", "252", "262", "2:2", "250", "052", "2A2"])
def test_choices(choice: str) -> None:
    """HDLC at a rate that was offered, or something else that the meter does not follow here."""
    server = meter()
    server.receive_data(f"/?!\r\n\x06{choice}\r\n".encode())
    event = server.next_event()
    if choice == "252":
        assert isinstance(event, Switch)
    else:
        assert event == OtherModeChosen(*choice)
        assert server.state is SignOnState.IDLE
        server.receive_data(b"\x06252\r\n")
        assert server.next_event() is None, "nobody has been asked"


@pytest.mark.parametrize("offered", BAUD_RATES.values())
@pytest.mark.parametrize("possible", [300, 1000, 9600, 57600, 115200])
def test_the_highest_rate_of_both(offered: int, possible: int) -> None:
    client = ModeEClient(max_baud_rate=possible)
    client.start()
    client.receive_data(Identification("AMI", offered).encode())
    event = client.next_event()
    assert isinstance(event, Switch)
    assert event.baud_rate == max(rate for rate in BAUD_RATES.values() if rate <= min(offered, possible))


@pytest.mark.parametrize(
    "message", ["/AMI5METER\r\n", "/AMI5\\@METER\r\n", "/AMIC\\2METER\r\n", "/AM\r\n", "/AMI5\\2ME!\r\n"]
)
def test_a_meter_without_hdlc(message: str) -> None:
    client = ModeEClient()
    client.start()
    client.receive_data(message.encode())
    with pytest.raises(ProtocolError):
        client.next_event()
    assert client.data_to_send() == b""


def test_other_enhanced_capabilities_do_not_hurt() -> None:
    client = ModeEClient()
    client.start()
    client.receive_data(b"/AMI5\\@\\2METER\r\n")
    assert client.next_event() == Switch(9600, Identification("AMI", 9600, "METER"))


def test_asking_again_after_silence() -> None:
    client, server = ModeEClient(), meter()
    assert client.start() == client.start()
    server.receive_data(b"/?!\r\n/?!\r\n")
    assert server.next_event() is None
    assert server.data_to_send() == METER.encode() * 2
    client.receive_data(METER.encode() * 2)
    event = client.next_event()
    assert isinstance(event, Switch)
    assert event.early == METER.encode(), "HDLC passes over it"
    with pytest.raises(LocalError):
        client.start()


def test_nothing_is_understood_before_it_is_asked_for() -> None:
    client = ModeEClient()
    client.receive_data(METER.encode())
    assert client.next_event() is None
    server = meter()
    server.receive_data(b"\x06252\r\n")
    assert server.next_event() is None


@pytest.mark.parametrize("address", ["!", "1" * 33, "a/b", "é"])
def test_wrong_device_addresses(address: str) -> None:
    with pytest.raises(LocalError):
        ModeEClient(address)


def test_a_port_that_is_too_slow() -> None:
    with pytest.raises(LocalError):
        ModeEClient(max_baud_rate=299)


@pytest.mark.parametrize(
    "wrong", [("AM", 9600, ""), ("AMI", 9601, ""), ("AMI", 9600, "1" * 17), ("AMI", 300, "a!"), ("AMI", 300, "\\2")]
)
def test_wrong_identifications(wrong: tuple[str, int, str]) -> None:
    with pytest.raises(LocalError):
        Identification(*wrong)


@settings(max_examples=examples(300), deadline=None)
@given(
    st.lists(
        st.one_of(st.binary(max_size=80), st.sampled_from([b"/?!\r\n", b"\x06252\r\n", METER.encode()])), max_size=12
    )
)
def test_anything_at_all(stream: list[bytes]) -> None:
    client, server = ModeEClient(), meter()
    client.start()
    for octets in stream:
        server.receive_data(octets)
        server.next_event()
        client.receive_data(octets)
        try:
            client.next_event()
        except ProtocolError as error:
            assert str(error)
    for end in (client, server):
        if end.state is not SignOnState.SWITCHED:
            assert len(end._lines._buffer) <= 64 + 80 * 12
