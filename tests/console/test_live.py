"""The stream of changes: one frame for all, written once; bounded for who does not take it; nothing is made while nobody looks."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from patience import PATIENCE_S

from ami_console import Live, live_response
from ami_console.live import MOST_VIEWERS, PLACES, RESYNC
from ami_process.api import ApiRefused


class Source:
    """Gives one number after the other, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def take(self) -> dict[str, Any] | None:
        self.asked += 1
        return {"number": self.asked}


async def part(stream: Any) -> bytes:
    async with asyncio.timeout(PATIENCE_S):
        return bytes(await anext(stream))


async def test_nothing_is_made_while_nobody_looks() -> None:
    source = Source()
    live = Live(source.take)
    await live.beat()
    assert source.asked == 0
    stream = live.stream()
    assert RESYNC in await part(stream), "whoever comes looks at everything first"
    await live.beat()
    assert (await part(stream)).endswith(b'data: {"number":1}\n\n')
    await stream.aclose()
    assert live.viewers == 0


async def test_what_changed_while_nobody_looked_is_told_to_nobody() -> None:
    forgotten: list[int] = []
    live = Live(Source().take, lambda: forgotten.append(live.viewers))
    first, second = live.stream(), live.stream()
    await part(first)
    await part(second)
    assert forgotten == [0], "whoever comes to another one takes nothing from it"
    await first.aclose()
    await second.aclose()
    await part(live.stream())
    assert forgotten == [0, 0]


async def test_a_frame_that_cannot_be_made_is_reported_and_is_not_the_last_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Faulty(Source):
        async def take(self) -> dict[str, Any] | None:
            found = await super().take()
            if self.asked == 1:
                raise ZeroDivisionError
            return found

    async with Live.opened(Faulty().take) as live:
        stream = live.stream()
        await part(stream)
        assert await part(stream) == RESYNC
        assert b'"number":2' in await part(stream)
    assert [one.exc_info is not None for one in caplog.records if one.name == "ami_console.live"] == [True]


async def test_all_viewers_get_the_same_octets() -> None:
    live = Live(Source().take)
    streams = [live.stream() for _ in range(3)]
    for one in streams:
        await part(one)
    await live.beat()
    first, *others = [await part(one) for one in streams]
    assert all(one is first for one in others), "it is written once"
    assert json.loads(first.partition(b"data: ")[2]) == {"number": 1}


async def test_a_viewer_that_takes_nothing_costs_its_places_and_is_told_to_look_anew() -> None:
    live = Live(Source().take)
    slow, quick = live.stream(), live.stream()
    await part(slow)
    await part(quick)
    for number in range(1, PLACES + 2):
        await live.beat()
        assert f'"number":{number}'.encode() in await part(quick), "nobody waits for somebody else"
    assert await part(slow) == RESYNC
    await live.beat()
    assert f'"number":{PLACES + 2}'.encode() in await part(slow), "and it goes on with what comes then"


async def test_all_are_let_go_at_the_end_full_or_not() -> None:
    live = Live(Source().take)
    idle, full = live.stream(), live.stream()
    await part(idle)
    await part(full)
    for _ in range(PLACES):
        live.send({})
        await part(idle)
    live.close()
    for one in (idle, full):
        async with asyncio.timeout(PATIENCE_S):
            assert [rest async for rest in one] == []
    assert live.viewers == 0


async def test_no_more_than_may_look() -> None:
    live = Live(Source().take)
    streams = [live.stream() for _ in range(MOST_VIEWERS)]
    for one in streams:
        await part(one)
    with pytest.raises(ApiRefused, match="100 look already"):
        live_response(live)
    await streams[0].aclose()
    assert live_response(live).media_type == "text/event-stream"


async def test_it_beats_by_itself() -> None:
    async with Live.opened(Source().take) as live:
        stream = live.stream()
        await part(stream)
        assert b'"number":1' in await part(stream)
