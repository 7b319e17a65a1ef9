"""The HES on a PostgreSQL server: requests, their answers, and the end of a HES whose store another one has taken."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest
from north_bench import DISCONNECT, control, north, octets, request, texts
from patience import PATIENCE_S
from postgresql_server import Cluster, location, rows

from ami_hes.store import SCHEMA
from ami_process.store.errors import StoreUnusable
from ami_process.store.holding import hold_store

pytestmark = pytest.mark.needs("postgresql")


async def test_a_request_is_answered_and_the_same_again_from_the_store(tmp_path: Path, postgresql: Cluster) -> None:
    place, body = postgresql.new_place(), octets(request(control(DISCONNECT, "M1", "M2")))
    answers = []
    for _ in range(2):
        async with north(tmp_path, store=location(place)) as hes:
            answers.append((await hes.post(body)).content)
            health = (await hes.client.get(f"{hes.url}/healthz")).json()
            assert health["status"] == "ok"
    assert texts(answers[0], "Result") == ["OK"] and answers[0] == answers[1]
    assert rows(place, "SELECT meter_name, ok FROM commands ORDER BY meter_name") == [("M1", True), ("M2", True)]


async def test_a_hes_whose_store_was_taken_by_another_ends(tmp_path: Path, postgresql: Cluster) -> None:
    place = postgresql.new_place()

    async def serve() -> None:
        async with north(tmp_path, store=location(place)) as hes:
            taken = False
            while not taken:  # the one that was cut off may be back first
                postgresql.cut(place)
                with suppress(StoreUnusable), hold_store(place, SCHEMA):
                    taken = True
                await asyncio.sleep(0)
            refused = await hes.post(octets(request(control(DISCONNECT, "M1"))))
            assert refused.status_code == 500
            assert hes.meters.told() == []
            await asyncio.Event().wait()

    with pytest.raises(StoreUnusable, match="another head-end system has taken the store"):
        async with asyncio.timeout(PATIENCE_S):
            await serve()
    assert rows(place, "SELECT count(*) FROM requests") == [(0,)]
