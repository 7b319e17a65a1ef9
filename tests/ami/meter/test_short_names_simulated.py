"""Simulated meters with short names over the wrapper and HDLC: read, written, switched and refused, with what protects an association."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from meter_bench import PASSWORD, Ami, Fleet, free_port, meter

MODEL = {"simulated": {"model": "short-names"}}
LLS = {"authentication": "lls", "secret": PASSWORD.encode().hex()}
NAMES = ("CLEAR", "GMAC", "SPECIFIC-UDP", "GMAC-HDLC", "LLS-HDLC")


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    entries = [
        meter("CLEAR", 2401, free_port(), authentication="none", **MODEL),
        meter("GMAC", 2402, free_port(), **MODEL),
        meter("SPECIFIC-UDP", 2403, free_port(), ciphering="service-specific", transport="udp", **MODEL),
        meter("GMAC-HDLC", 2404, free_port(), transport="hdlc", physical_address=17, **MODEL),
        meter("LLS-HDLC", 2405, free_port(), transport="hdlc", ciphering="none", **LLS, **MODEL),
    ]
    with Fleet(tmp_path_factory.mktemp("named"), entries) as served:
        yield served


@pytest.mark.parametrize("name", NAMES)
def test_what_is_read_switched_and_read_again(named: Fleet, name: str) -> None:
    ami = Ami(named)
    [before] = ami.on(name, "read", "0-0:96.3.10", 3, "--class", 70, "--short-names", "--json").ok().json
    ami.on(name, "invoke", "0-0:96.3.10", "remote_disconnect", "--yes", "--short-names").ok()
    [after] = ami.on(name, "read", "0-0:96.3.10", 3, "--class", 70, "--short-names", "--json").ok().json
    assert (before["value"], after["value"]) == (1, 0)
    [energy] = ami.on(name, "read", "1-0:1.8.0", 2, "--class", 3, "--short-names", "--json").ok().json
    assert energy["value"] > 0


def test_a_profile_by_range_a_clock_and_a_mode_that_is_written(named: Fleet) -> None:
    ami = Ami(named)
    rows = ami.on("GMAC", "profile", "1-0:99.1.0", "--last", 5, "--short-names", "--json").ok().json["rows"]
    assert len(rows) == 5
    written = ami.on("GMAC", "write", "0-0:96.3.10", 4, 2, "--class", 70, "--short-names", "--json").ok().json
    assert (written["before"], written["after"]) != (None, None) and written["after"].startswith("2")
    assert "this machine" in ami.on("GMAC", "clock", "--short-names").ok().out


def test_each_association_lists_what_it_sees(named: Fleet) -> None:
    seen = {
        client: {
            one["obis"]
            for one in Ami(named)
            .on("CLEAR", "scan", "--short-names", "--skip-buffers", "--json", *options)
            .ok()
            .json["devices"][0]["objects"]
        }
        for client, options in {"management": (), "public": ("--client", 16)}.items()
    }
    assert "0-0:96.3.10*255" in seen["management"] - seen["public"]
    assert seen["public"] == {
        "0-0:1.0.0*255",
        "0-0:40.0.0*255",
        "0-0:41.0.0*255",
        "0-0:42.0.0*255",
        "0-0:43.1.0*255",
        "0-0:43.1.1*255",
    }


def test_logical_names_are_refused(named: Fleet) -> None:
    refused = Ami(named).on("CLEAR", "read", "1-0:1.8.0", 2, "--class", 3)
    assert refused.code != 0 and "application-context-name-not-supported" in refused.err
