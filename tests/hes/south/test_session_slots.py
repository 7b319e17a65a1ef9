"""Slots: whoever comes while a meter passes from one holder to the next waits behind that one, and no longer than it may."""

from __future__ import annotations

import asyncio

import pytest
from patience import PATIENCE_S

from ami_hes.meters.faults import MeterFault
from ami_hes.meters.registry import Meter
from ami_hes.meters.session_slots import SessionSlots
from ami_process.environment import real_time

MINUTE_S = 60.0


async def held(slots: SessionSlots, meter: Meter, until: float, leave: asyncio.Event) -> None:
    async with slots.slot(meter, until):
        await leave.wait()


@pytest.mark.parametrize("room", [1, 5])
async def test_who_comes_while_a_meter_changes_hands_waits_no_longer_than_it_may(room: int) -> None:
    slots, meter = SessionSlots(room), Meter(name="M1", mrid="M1", address=("127.0.0.1", 4059))
    leaves, stays = asyncio.Event(), asyncio.Event()
    until = real_time() + MINUTE_S
    first = asyncio.create_task(held(slots, meter, until, leaves))
    await asyncio.sleep(0)
    second = asyncio.create_task(held(slots, meter, until, stays))
    await asyncio.sleep(0)
    leaves.set()  # the first one leaves in the next round, and before the second one is there the third one comes
    third = asyncio.create_task(held(slots, meter, real_time() + 0.01, stays))
    with pytest.raises(MeterFault, match="this meter's turn"):
        await asyncio.wait_for(asyncio.shield(third), PATIENCE_S)
    stays.set()
    await asyncio.gather(first, second)
    assert slots.taken == 0
    async with slots.slot(meter, real_time() + MINUTE_S):
        assert slots.taken == 1
