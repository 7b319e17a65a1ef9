"""disconnect and connect: exit code 0 only when the meter accepted and shows it; the truth about every other end."""

from __future__ import annotations

import pytest
from meter_bench import Ami


@pytest.mark.parametrize("kind", ["GMAC", "LLS"])
def test_done_means_accepted_and_seen(ami: Ami, kind: str) -> None:
    off = ami.on(kind, "disconnect", "--yes", "--json").ok().json
    assert off["done"] and off["action_result"] == "success"
    assert off["before"]["output_state"] is True and off["after"] == {
        "output_state": False,
        "control_state": 0,
        "control_mode": 4,
    }
    on = ami.on(kind, "connect", "--yes").ok().out.splitlines()
    assert on[0].startswith("before  disconnected") and on[1] == "action  success"
    assert on[2].startswith("after   connected") and on[3].startswith("done: connected")


def test_what_is_so_already_is_done_again(ami: Ami) -> None:
    assert "as it was before" in ami.on("CLEAR", "connect", "--yes").ok().out


def test_a_meter_that_says_yes_and_does_nothing(ami: Ami) -> None:
    lied = ami.on("LIES", "disconnect", "--yes")
    assert lied.code == 1 and "action  success" in lied.out and "after   connected" in lied.out
    assert "NOT DONE" in lied.out


def test_a_meter_that_hangs_up_after_the_action(ami: Ami) -> None:
    lost = ami.on("DIES", "disconnect", "--yes", "--json")
    told = lost.json
    assert lost.code == 1 and not told["done"] and told["action_result"] is None
    assert "closed the connection" in told["lost"] and told["after"]["output_state"] is False
    again = ami.on("DIES", "connect", "--yes")
    assert again.code == 1 and "action  no answer" in again.out and "after   connected" in again.out


def test_ready_for_reconnection_is_said_and_done(ami: Ami) -> None:
    ami.on("ARMS", "disconnect", "--yes").ok()
    armed = ami.on("ARMS", "connect", "--yes").ok()
    assert "ready_for_reconnection" in armed.out and "done" in armed.out


def test_a_mode_in_which_nothing_can_be_switched(ami: Ami) -> None:
    fixed = ami.on("FIXED", "disconnect", "--yes")
    assert fixed.code == 1 and "action  none, nothing was sent" in fixed.out
    assert "after" not in fixed.out.split("NOT DONE")[0]


def test_only_the_meter_that_the_registry_means_is_switched(ami: Ami) -> None:
    changed = ami.fleet.config.with_name("changed.toml")
    changed.write_text(ami.fleet.config.read_text().replace('device_id = "1001"', 'device_id = "9999"'))
    refused = ami.run("disconnect", "--yes", "--registry", changed, "--meter", "GMAC")
    assert refused.code == 6 and "9999" in refused.err and "nothing was sent" in refused.err
    assert ami.on("GMAC", "read", "0-0:96.3.10", 2, "--class", 70, "--json").json[0]["value"] is True


def test_without_the_right_to_it(ami: Ami) -> None:
    public = ami.at("GMAC", "disconnect", "--yes")
    assert public.code == 1 and "object-undefined" in public.err
    other = ami.on("CLEAR", "disconnect", "--yes", "--obis", "0-0:96.3.11")
    assert other.code == 1 and "object-undefined" in other.err
