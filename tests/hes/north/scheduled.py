"""What an HES lists of its schedules, and what it reports of them."""

from __future__ import annotations

import asyncio
from typing import Any

from north_bench import North


async def listed(hes: North) -> list[dict[str, Any]]:
    answer = await hes.client.get(f"{hes.url}/api/v1/schedules")
    found: list[dict[str, Any]] = answer.json()["schedules"]
    return found


async def reported(events: list[Any], name: str, count: int = 1) -> list[dict[str, Any]]:
    async with asyncio.timeout(15):
        while len(there := [one for one in events if one["event"] == name]) < count:
            await asyncio.sleep(0.005)
    return there
