"""Taken ports are named before anything starts, with the words to choose others."""

from __future__ import annotations

import socket

import pytest
from free_ports import free_port

from ami_cli import port_check
from ami_cli.configuration import Listener


def listener(port: int, udp: bool = False, host: str = "127.0.0.1") -> Listener:
    return Listener(host, port, "hes.port", "CIM at the HES", "HES_PORT", udp)


@pytest.mark.parametrize("udp", [False, True], ids=["tcp", "udp"])
def test_a_taken_port_is_found_and_a_free_one_is_not(udp: bool) -> None:
    with socket.socket(type=socket.SOCK_DGRAM if udp else socket.SOCK_STREAM) as holder:
        holder.bind(("127.0.0.1", 0))
        if not udp:
            holder.listen()
        port = holder.getsockname()[1]
        ((found, reason),) = port_check.taken([listener(port, udp)])
        assert (found.port, reason) == (port, "is taken")
    assert port_check.taken([listener(port, udp)]) == []


def test_a_port_that_two_of_the_demo_want_is_found() -> None:
    one, other = free_port(), free_port()
    cis = Listener("127.0.0.1", one, "cis.port", "the CIS", "CIS_PORT")
    meters = [
        Listener("127.0.0.1", port, f"the address of meter M{port}", "a simulated meter", "METER_PORT")
        for port in (other, one, one)
    ]
    with_reasons = port_check.taken([cis, *meters])
    assert [reason for _, reason in with_reasons] == ["is wanted by cis.port too"] * 2
    assert port_check.taken(meters) == [], "meters may share an address"


def test_the_advice_leaves_room_for_many_meters() -> None:
    found = [
        (Listener("127.0.0.1", port, setting, "", option), "is taken")
        for setting, port, option in [
            ("cis.port", 8080, "CIS_PORT"),
            *((f"the address of meter M{port}", port, "METER_PORT") for port in range(4061, 4100)),
        ]
    ]
    text = port_check.advice(found, "config/demo.toml")
    assert "make demo CIS_PORT=9080 METER_PORT=10061 " in text


def test_an_address_of_another_machine_is_said_to_be_one() -> None:
    ((_, reason),) = port_check.taken([listener(8081, host="192.0.2.1")])
    assert reason == "is no address of this machine"


def test_the_advice_names_port_setting_and_the_command() -> None:
    text = port_check.advice([(listener(8081), "is taken")], "config/demo.toml")
    assert text.splitlines() == [
        "127.0.0.1:8081 (TCP) is taken: wanted by hes.port, CIM at the HES",
        "To use other ports: make demo HES_PORT=9081   (or: ami demo --hes-port 9081), or change config/demo.toml.",
    ]
