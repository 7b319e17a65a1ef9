"""What came and was not believed: counted each time, told within bounds, and an event of the meter in whose name it came."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
from small_meter import SmallMeter, South, eventually
from test_confirming import framed, pushed

from ami_hes.meters import Meters, Registry, refusals
from ami_hes.meters.faults import MeterFault
from ami_hes.meters.refusals import Refusals, Suspicion, suspicion_of
from ami_hes.store import EventQuery
from ami_process.events import Event


def send(meters: Meters, *datagrams: bytes) -> None:
    assert meters.listening is not None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        for octets in datagrams:
            one.sendto(octets, meters.listening)


async def kept(ami: South) -> list[tuple[str, dict[str, Any]]]:
    """Code and details of the events of meters."""
    return [(one.code, dict(json.loads(one.details))) for one in await ami.happened.find(EventQuery())]


async def test_what_came_in_the_name_of_a_meter_is_its_event_once_an_hour(ami: South) -> None:
    small = await ami.meter()
    meters = await ami.start()
    forged = framed(pushed(SmallMeter(number=1001), 7, counter=9))
    send(meters, *[forged] * 5)
    await eventually(lambda: meters.refused["protection"] == 5)
    genuine = framed(pushed(small, 7, counter=3))
    send(meters, genuine, genuine)
    await eventually(lambda: meters.refused["replay"] == 1)
    assert [(one["kind"], one["meter"], one["number"]) for one in ami.told("security_refused")] == [
        ("protection", "M1001", 1),
        ("replay", "M1001", 1),
    ]
    assert len(ami.told("dropped")) == 6
    await meters.stop()
    ((code, details),) = await kept(ami)
    assert (code, details["seenBy"], details["address"]) == ("0.12.36.85", "head-end", "127.0.0.1")


async def test_who_does_not_prove_the_keys_of_a_meter_that_dials_in_is_its_event(ami: South) -> None:
    """An answer under other keys than those of the entry."""
    meter = await ami.meter(listen=False)
    meters = await ami.start(meter.entry(authentication_key="00" * 16))
    assert meters.listening is not None
    await meter.dial(meters.listening)
    await eventually(lambda: ami.told("not_proved"))
    assert sum(meters.refused.values()) == 1
    assert [one["meter"] for one in ami.told("security_refused")] == ["M1001"]


async def test_a_meter_that_is_called_and_answers_under_other_keys_is_told_as_well(ami: South) -> None:
    meter = await ami.meter()
    meters = await ami.start(meter.entry(authentication_key="00" * 16))
    assert not (await ami.switch()).ok
    assert sum(meters.refused.values()) >= 1
    assert len(ami.told("security_refused")) == 1


async def test_what_is_thrown_away_is_told_one_by_one_as_long_as_it_is_little(ami: South) -> None:
    meters = await ami.start()
    sent = refusals.PER_HOST + 30
    send(meters, *[b"\xff" * 40] * sent)
    await eventually(lambda: meters.datagrams.worked == sent)
    await meters.stop()
    (more,) = ami.told("dropped_more")
    assert (len(ami.told("dropped")), more["number"], more["hosts"]) == (refusals.PER_HOST, 30, 1)
    assert more["transport"] == "udp"


async def test_the_number_of_the_others_is_told_at_the_end_of_the_window(
    ami: South, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "WINDOW_S", 0.05)
    monkeypatch.setattr(refusals, "PER_HOST", 0)
    meters = await ami.start()
    send(meters, *[b"\xff" * 40] * 30)
    await eventually(lambda: sum(one["number"] for one in ami.told("dropped_more")) == 30)
    assert not ami.told("dropped")


async def test_claims_in_the_name_of_all_meters_are_few_events() -> None:
    told: list[Event] = []
    one, fault = Refusals(told.append), MeterFault("security", "unprotected")
    registry = Registry([SmallMeter(number=1000 + number).entry() for number in range(refusals.MOST_SUSPICIONS + 50)])
    for number in range(refusals.MOST_SUSPICIONS + 50):
        meter = registry.find_by_name(f"M{1000 + number}")
        assert meter is not None
        for _ in range(3):
            one.suspect(meter, fault, "127.0.0.1:9", "udp")
    assert len(told) == refusals.MOST_SUSPICIONS
    assert one.counts["protection"] == 3 * (refusals.MOST_SUSPICIONS + 50)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (MeterFault("security", "not-proved"), Suspicion.AUTHENTICATION),
        (MeterFault("security", "foreign-title"), Suspicion.IDENTITY),
        (MeterFault("transport", "lost"), None),
        (MeterFault("exception", "other"), None),
        (ValueError(), None),
    ],
)
def test_what_speaks_of_somebody_else(fault: Exception, kind: Suspicion | None) -> None:
    assert suspicion_of(fault) is kind
