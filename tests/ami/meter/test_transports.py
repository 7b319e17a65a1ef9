"""The same session over UDP, HDLC over TCP and a serial line, with simulated meters; and what goes wrong there."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest
import relays
from meter_bench import Ami

from ami_cli.meter import link as links
from ami_dlms.framing import mode_e
from ami_dlms.framing.mode_e import Identification

LDN = "0-0:42.0.0"


def named(ami: Ami, kind: str, *where: object) -> str:
    [found] = ami.on(kind, "read", LDN, 2, "--json", *where).ok().json
    return str(found["text"])


@pytest.mark.parametrize("kind", ["GMAC", "LLS", "CLEAR"])
def test_udp(ami: Ami, kind: str) -> None:
    assert named(ami, f"{kind}-UDP").startswith("AMI")
    where = ("--host", "127.0.0.1", "--port", ami.fleet.port("CLEAR-UDP"))
    assert ami.run("clock", "--transport", "udp", *where).ok()


def test_udp_nobody_listens_and_nothing_comes(ami: Ami) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        result = ami.run("clock", "--host", "127.0.0.1", "--port", port, "--transport", "udp", "--timeout", 0.1)
    assert result.code == 4 and "no answer in time" in result.err
    gone = ami.run("clock", "--host", "127.0.0.1", "--port", port, "--transport", "udp", "--timeout", 0.1)
    assert gone.code == 4 and "refused" in gone.err


def test_a_datagram_that_is_cut_short_is_not_waited_for(ami: Ami) -> None:
    with relays.cuts_datagrams(ami.fleet.port("CLEAR-UDP")) as port:
        result = ami.run("clock", "--host", "127.0.0.1", "--port", port, "--transport", "udp")
    assert result.code == 7 and "octets of APDU" in result.err


@pytest.mark.parametrize("kind", ["GMAC", "LLS-CIPHERED", "CLEAR"])
def test_hdlc_over_tcp(ami: Ami, kind: str) -> None:
    assert named(ami, f"{kind}-HDLC").startswith("AMI")
    shown = ami.on(f"{kind}-HDLC", "scan", "--transport", "hdlc").ok().out
    assert "Logical device 1: 18 objects, 70 values" in shown


def test_hdlc_shows_its_frames(ami: Ami) -> None:
    where = ("--transport", "hdlc", "--port", ami.fleet.port("GMAC-HDLC"), "--physical", 17, "--host", "127.0.0.1")
    traced = ami.run("read", LDN, 2, "-v", *where).ok().err
    assert (
        "sent     7EA0" in traced and "received 7EA0" in traced and "get-request-normal: data 0-0:42.0.0*255" in traced
    )


def test_hdlc_asks_again_when_frames_are_lost(ami: Ami) -> None:
    with relays.loses_first(ami.fleet.port("CLEAR-HDLC"), 2) as port:
        assert named(ami, "CLEAR-HDLC", "--port", port, "--timeout", 0.8) == "AMI0000000001021"


def test_hdlc_gives_up_on_a_silent_line(ami: Ami) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = ("--host", "127.0.0.1", "--port", silent.getsockname()[1], "--transport", "hdlc")
        result = ami.run("clock", *where, "--timeout", 0.2)
    assert result.code == 4 and "no answer in time" in result.err


def test_hdlc_addresses_that_do_not_fit(ami: Ami) -> None:
    result = ami.at("CLEAR", "clock", "--transport", "hdlc", "--client", 300)
    assert result.code == 2 and "--client" in result.err


def test_the_wrong_transport_is_told(ami: Ami) -> None:
    port = ami.fleet.port("CLEAR-HDLC")
    result = ami.run("clock", "--host", "127.0.0.1", "--port", port, "--timeout", 0.2)
    assert result.code == 4 and "no answer in time" in result.err


@pytest.mark.parametrize("kind", ["GMAC", "CLEAR"])
def test_a_serial_line(ami: Ami, kind: str) -> None:
    with relays.serial_line(ami.fleet.port(f"{kind}-HDLC")) as device:
        assert named(ami, f"{kind}-HDLC", "--device", device).startswith("AMI")


def test_a_serial_line_after_a_sign_on(ami: Ami, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mode_e, "CHANGE_S", 0.0)
    port = ami.fleet.port("GMAC-HDLC")
    with relays.serial_line(port, sign_on=Identification("AMI", 9600)) as device:
        assert named(ami, "GMAC-HDLC", "--device", device, "--mode-e") == "AMI0000000001019"


def test_nobody_signs_on(ami: Ami) -> None:
    with relays.serial_line(ami.fleet.port("GMAC-HDLC")) as device:
        result = ami.run("clock", "--device", device, "--mode-e", "--timeout", 0.1)
        assert result.code == 4 and "does not name itself" in result.err and "optical head" in result.err
        slow = ami.run("clock", "--device", device, "--mode-e", "--baud", 110)
        assert slow.code == 2 and "--baud" in slow.err


def test_serial_lines_that_are_not_there(ami: Ami, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = ami.run("clock", "--device", tmp_path / "ttyUSB9")
    assert missing.code == 3 and "ttyUSB9" in missing.err
    assert ami.run("clock", "--transport", "serial").code == 2
    monkeypatch.setitem(sys.modules, "serial", None)
    without = ami.run("clock", "--device", tmp_path / "ttyUSB9")
    assert without.code == 2 and "ami-reference[serial]" in without.err


def test_a_meter_that_takes_the_call_and_hangs_up(ami: Ami) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        door.settimeout(5)
        port = door.getsockname()[1]

        def answer(self: links.TcpLink, octets: bytes) -> None:
            door.accept()[0].close()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(links.TcpLink, "write", answer)
            result = ami.run("clock", "--host", "127.0.0.1", "--port", port)
    assert result.code == 4 and "closed the connection" in result.err and "one client only" in result.err


def test_a_meter_that_hangs_up_after_a_release_is_called_again(ami: Ami) -> None:
    with relays.hangs_up_after_release(ami.fleet.port("GMAC")) as port:
        assert named(ami, "GMAC", "--port", port) == "AMI0000000001001"


def ends_after(reads: int, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many reads of a TCP link go well."""
    left = iter(range(reads))
    whole = links.TcpLink.read

    def read(self: links.TcpLink, timeout_s: float) -> bytes:
        if next(left, None) is None:
            raise error
        return whole(self, timeout_s)

    monkeypatch.setattr(links.TcpLink, "read", read)


def test_a_scan_that_is_ended_by_hand_keeps_what_it_has(ami: Ami, monkeypatch: pytest.MonkeyPatch) -> None:
    ends_after(8, KeyboardInterrupt(), monkeypatch)
    result = ami.on("FIRST", "scan", "--one-by-one", "--all-devices", "--json")
    assert result.code == 130 and "interrupted" in result.err
    [device] = result.json["devices"]
    assert len(device["objects"]) == 18 and device["objects"][0]["attributes"][0]["text"] == "0-0:42.0.0*255"
    ends_after(1, KeyboardInterrupt(), monkeypatch)
    assert ami.on("FIRST", "scan").out == ""


def test_a_scan_that_breaks_off_keeps_what_it_has(ami: Ami, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ends_after(8, ConnectionResetError("the meter closed the connection"), monkeypatch)
    result = ami.on("CLEAR", "scan", "--json", "--save-model", tmp_path / "half.toml")
    [device] = result.json["devices"]
    assert result.code == 4 and "closed the connection" in result.err and "closed" in device["error"]
    values = [one for each in device["objects"] for one in each["attributes"]]
    assert 10 < len(values) < 30 and not (tmp_path / "half.toml").exists()
