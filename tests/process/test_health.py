"""What `/healthz` says, and what it costs to ask it often."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from ami_process.health import Check, Health, room_beside


async def well() -> None:
    """Nothing is wrong."""


async def ill() -> None:
    raise OSError("database is locked")


async def told(health: Health) -> tuple[int, dict[str, Any]]:
    response = await health.response()
    return response.status_code, json.loads(bytes(response.body))


async def test_well() -> None:
    assert await told(Health({"store": well}, role="cis")) == (200, {"status": "ok", "role": "cis"})


async def test_what_has_failed_is_said_and_no_more() -> None:
    assert await told(Health({"store": ill, "disk": well})) == (
        503,
        {"status": "failing", "failed": {"store": "database is locked"}},
    )


async def test_a_check_that_does_not_come_back_is_waited_for_so_long_and_not_begun_again() -> None:
    begun, go_on = 0, asyncio.Event()

    async def slow() -> None:
        nonlocal begun
        begun += 1
        await go_on.wait()

    health = Health({"store": slow}, within_s=0.02, fresh_s=0.0)
    for _ in range(3):
        assert await told(health) == (503, {"status": "failing", "failed": {"store": "no answer within 0.02 s"}})
    assert begun == 1
    go_on.set()
    assert (await told(health))[0] == 200


async def test_many_who_ask_cost_one_check() -> None:
    begun = 0

    async def check() -> None:
        nonlocal begun
        begun += 1
        await asyncio.sleep(0)

    health = Health({"store": check}, fresh_s=60.0)
    assert await asyncio.gather(*(health.failed() for _ in range(100))) == [{}] * 100
    assert (await health.failed(), begun) == ({}, 1)


async def test_who_stops_waiting_does_not_end_the_check_for_others() -> None:
    go_on = asyncio.Event()

    async def check() -> None:
        await go_on.wait()

    health = Health({"store": check})
    first = asyncio.create_task(health.failed())
    second = asyncio.create_task(health.failed())
    await asyncio.sleep(0)
    first.cancel()
    go_on.set()
    assert await second == {}


@pytest.mark.parametrize(("octets", "well"), [(1, True), (2**62, False)])
async def test_room_on_the_disk(tmp_path: Path, octets: int, well: bool) -> None:
    check: Check = room_beside(tmp_path / "store.sqlite", octets)
    if well:
        await check()
    else:
        with pytest.raises(OSError, match=r"\d+ MB left on the disk"):
            await check()


async def test_a_disk_that_is_gone(tmp_path: Path) -> None:
    status, said = await told(Health({"disk": room_beside(tmp_path / "gone" / "store.sqlite")}))
    assert (status, "No such file" in said["failed"]["disk"]) == (503, True)
