"""A push of a meter that is a row at the moment has the octets that the meter itself would have sent, and uses the same counters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from bench import START
from free_ports import free_port
from served import load, table

from ami_dlms import data
from ami_dlms.security import ProtectionFlags
from ami_meter_sim.faults.pushes import POWER_DOWN
from ami_meter_sim.fleet import Fleet
from ami_meter_sim.lines.meter_pushes import frames_at_rest
from ami_meter_sim.meter.pushes import SETUPS
from ami_meter_sim.meter.pushing import push_frames
from ami_meter_sim.objects.push_setup import OperationMethod, PushPlan
from ami_meter_sim.populating import prepare
from ami_meter_sim.population.store import Store
from ami_process.environment import Environment
from ami_process.events import Event

OTHER, ASKED = 0, 3
BODY = data.structure(data.octet_string(bytes(12)), data.octet_string(bytes(16)))
COUNTERS = ("send_next", "send_reserved", "receive_lowest", "receive_reserved")


def plan(protection: ProtectionFlags | None = None, max_pdu_size: int = 0) -> PushPlan:
    retry = OperationMethod.UNCONFIRMED_RETRY_ON_FAILURE
    return PushPlan(SETUPS[POWER_DOWN], BODY, None, None, 0, retry, protection=protection, max_pdu_size=max_pdu_size)


def unread(_event: Event) -> None:
    """Nobody reads events here."""


@contextmanager
def town(directory: Path, made: Sequence[int] = (OTHER, ASKED), **more: object) -> Iterator[Fleet]:
    """Meters at rest, some of which were made before."""
    directory.mkdir()
    settings = load(directory, table(port=free_port(), count=5, **more))
    (prepared,) = prepare(settings.populations)
    store = Store.open(directory / "state", [prepared.wanted])
    fleet = Fleet((), Environment(emit=unread, now=lambda: START), store=store)
    fleet.add(prepared.population, 0)
    for index in made:
        fleet.live(index)
    try:
        yield fleet
    finally:
        store.abandon()


def counters(fleet: Fleet) -> list[int]:
    assert fleet.store is not None
    row = fleet.store.row(ASKED)
    return [getattr(row, name) for name in COUNTERS]


@pytest.mark.parametrize("model", ["residential", "single-phase", "prosumer"])
@pytest.mark.parametrize(
    "wanted",
    [
        plan(),
        plan(ProtectionFlags.NOTHING),
        plan(ProtectionFlags.AUTHENTICATED),
        plan(max_pdu_size=40),
    ],
)
def test_a_row_sends_what_its_meter_would_send(tmp_path: Path, model: str, wanted: PushPlan) -> None:
    with town(tmp_path / "live", model=model) as awake, town(tmp_path / "rows", model=model) as at_rest:
        meter = awake.live(ASKED)
        for number in range(3):
            assert awake.at_rest(ASKED) is None
            assert at_rest.at_rest(ASKED) is not None
            sent = push_frames(meter, wanted, START)
            frames = list(frames_at_rest(at_rest, ASKED, wanted, START))
            assert at_rest.alive == 0
            if number == 0:  # a meter that stays alive counts its invoke ids; one that was made anew begins again
                assert frames == list(sent)
            assert counters(at_rest)[0] == counters(awake)[0]
        assert at_rest.store is not None
        assert wanted.protection is ProtectionFlags.NOTHING or counters(at_rest)[0] < counters(at_rest)[1]


def test_a_meter_that_was_not_made_in_this_process_is_made(tmp_path: Path) -> None:
    """Its time zone is in its settings alone, and whether its clock has lost its time follows from how long it was off."""
    zone = {"time_zone_minutes": -60}
    with town(tmp_path / "live", **zone) as awake, town(tmp_path / "rows", made=(OTHER,), **zone) as at_rest:
        meter = awake.live(ASKED)
        assert list(frames_at_rest(at_rest, ASKED, plan(), START)) == list(push_frames(meter, plan(), START))
        assert at_rest.store is not None
        assert at_rest.store.row(ASKED).alive_since


def test_the_time_zone_is_that_of_the_meter(tmp_path: Path) -> None:
    zone = {"time_zone_minutes": -60}
    with town(tmp_path / "live", **zone) as awake, town(tmp_path / "rows", **zone) as at_rest:
        sent = push_frames(awake.live(ASKED), plan(), START)
        assert list(frames_at_rest(at_rest, ASKED, plan(), START)) == list(sent)
        assert at_rest.alive == 0


def test_what_a_row_uses_is_reserved_on_disk_before_it_leaves(tmp_path: Path) -> None:
    with town(tmp_path / "rows") as fleet:
        assert fleet.store is not None
        row = fleet.store.row(ASKED)
        row.send_reserved = row.send_next = 700
        fleet.write()
        frames_at_rest(fleet, ASKED, plan(), START)
        assert fleet.store.journal.pending
        assert row.send_next == 701
        assert row.send_reserved > row.send_next
        meter = fleet.live(ASKED)
        assert meter.counters.send.next_value == 701


def test_a_meter_in_which_keys_or_clock_were_changed_is_made(tmp_path: Path) -> None:
    with town(tmp_path / "rows") as fleet:
        assert fleet.store is not None
        fleet.store.keep(ASKED, (64, bytes((0, 0, 43, 0, 0, 255)), 2), data.encode(data.enum(0)))
        resting = fleet.at_rest(ASKED)
        assert resting is not None
        assert resting.changed_classes == {64}
        made: list[str] = []
        fleet.when_live = lambda meter: made.append(meter.name)
        frames_at_rest(fleet, ASKED, plan(), START)
        assert len(made) == 1


def test_a_row_without_power_is_one_without_power(tmp_path: Path) -> None:
    with town(tmp_path / "rows") as fleet:
        meter = fleet.live(ASKED)
        meter.lose_power(START)
        del meter
        resting = fleet.at_rest(ASKED)
        assert resting is not None
        assert not resting.row.powered
        made: list[str] = []
        fleet.when_live = lambda one: made.append(one.name)
        assert frames_at_rest(fleet, ASKED, plan(), START)
        assert not made
