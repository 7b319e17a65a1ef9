"""A meter that another process has worked meanwhile: our counter goes on above what was used there, and what was accepted there is not accepted again."""

from __future__ import annotations

import pytest

from ami_dlms.security.counters import ReplayError
from ami_hes.meters.counters import InvocationCounters
from ami_hes.meters.faults import MeterFault
from ami_hes.meters.received import FrameOrigin, ReceiveCounters
from ami_hes.meters.registry import Meter, Registry
from ami_hes.store import Database, SqlCounters, SqlReceivedCounters
from ami_process.store.places import Place

KEYED = {
    "name": "M1",
    "mrid": "a",
    "address": "127.0.0.1:4061",
    "logical_device_name": "XYZ1",
    "device_id": "1",
    "authentication": "lls",
    "secret": "text:SWORDFISH",
    "encryption_key": bytes(16).hex(),
    "authentication_key": bytes(16).hex(),
    "system_title": "414D490000000009",
}


def meter() -> Meter:
    (one,) = Registry([KEYED]).meters
    return one


async def test_our_counter_goes_on_above_what_another_process_has_used(place: Place) -> None:
    async with Database(place) as database:
        here, there = (InvocationCounters(SqlCounters(database), 1_000) for _ in range(2))
        before = (await here.source(meter(), 0)).counter
        meanwhile = (await there.source(meter(), 0)).counter
        assert before.limit <= meanwhile.next_value
        here.forget()
        afterwards = (await here.source(meter(), 0)).counter
        assert afterwards.next_value >= meanwhile.limit


async def test_what_another_process_has_accepted_is_a_replay_here(place: Place) -> None:
    async with Database(place) as database:
        here, there = (ReceiveCounters(SqlReceivedCounters(database)) for _ in range(2))
        for one in (here, there):
            await one.load()
        in_hand = here.of(meter(), FrameOrigin.ASSOCIATION)
        in_hand.accept(3)
        there.of(meter(), FrameOrigin.ASSOCIATION).accept(7)
        await there.keep(meter(), FrameOrigin.ASSOCIATION)
        await here.load()
        for known in (in_hand, here.of(meter(), FrameOrigin.ASSOCIATION)):
            with pytest.raises(ReplayError):
                known.check(7)
            known.check(8)
        here.of(meter(), FrameOrigin.ASSOCIATION).accept(20)
        await here.load()
        with pytest.raises(ReplayError):
            here.of(meter(), FrameOrigin.ASSOCIATION).check(20)


async def test_a_push_that_another_process_has_taken_is_a_replay_here_and_a_newer_one_is_not(place: Place) -> None:
    async with Database(place) as database:
        here, there = (ReceiveCounters(SqlReceivedCounters(database)) for _ in range(2))
        for one in (here, there):
            await one.load()
            one.of(meter(), FrameOrigin.PUSH).accept(7)  # the same octets came to both
        await there.keep(meter(), FrameOrigin.PUSH, 8)
        with pytest.raises(MeterFault, match="another process"):
            await here.keep(meter(), FrameOrigin.PUSH, 8)
        await there.keep(meter(), FrameOrigin.PUSH, 12)
        with pytest.raises(MeterFault, match="another process"):
            await here.keep(meter(), FrameOrigin.PUSH, 9)
        await here.keep(meter(), FrameOrigin.PUSH, 13)
        assert list((await SqlReceivedCounters(database).load()).values()) == [13]
