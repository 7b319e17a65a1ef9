"""`fast_path = false` under [hes]: no request takes the fast path, and the meter sees no difference."""

from __future__ import annotations

import pytest
from small_meter import DISCONNECT, South

from ami_dlms.association import Get
from ami_dlms.association.client.exchange import Exchange
from ami_dlms.association.client.fast_path import FastPath
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.obis import Obis
from ami_process.environment import real_time


@pytest.mark.parametrize("fast_path", [True, False])
async def test_the_fast_path_is_taken_unless_the_settings_turn_it_off(
    ami: South, monkeypatch: pytest.MonkeyPatch, fast_path: bool
) -> None:
    taken = []
    get = FastPath.get

    def counted(path: FastPath, request: Get, number: int) -> Exchange | None:
        taken.append(request)
        return get(path, request, number)

    monkeypatch.setattr(FastPath, "get", counted)
    await ami.meter()
    meters = await ami.start(fast_path=fast_path)
    assert (await ami.switch(DISCONNECT)).ok
    async with meters.hold(meters.registry.meters[0], until=real_time() + 5.0) as session:
        await session.get(AttributeDescriptor(1, Obis.parse("0-0:96.1.0"), 2))
    assert bool(taken) is fast_path
