"""`/api/v1/clock` over a real socket: with a token, in JSON, and only where the clock can be moved."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from patience import PATIENCE_S
from starlette.responses import PlainTextResponse

from ami_process.api import Branch, create_api
from ami_process.clock_api import PATH, clock_routes
from ami_process.clocks import Clock, RealClock, SteppedClock
from ami_process.http_server import serving
from ami_process.sockets import listening
from ami_process.tokens import Tokens

AT = datetime(2026, 1, 1, tzinfo=UTC)


@asynccontextmanager
async def api(clock: Clock, token_file: Path | None = None) -> AsyncIterator[httpx.AsyncClient]:
    tokens = Tokens.of(token_file, "x.token_file", bound_to="127.0.0.1")
    application = Branch(
        PATH, create_api(clock_routes(clock), tokens, names_setting="x.host_names"), PlainTextResponse("elsewhere")
    )
    with listening("127.0.0.1", 0, "x.") as listener:
        async with serving(application, listener):
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=PATIENCE_S) as client:
                yield client


async def test_a_stepped_clock_is_moved_by_so_much_or_to_a_moment() -> None:
    clock = SteppedClock(AT)
    async with api(clock) as client:
        found = (await client.get(PATH)).json()
        assert found == {"mode": "stepped", "now": "2026-01-01T00:00:00+00:00", "next_due_at": None}
        moved = await client.post(PATH, json={"advance_s": 900})
        assert (moved.status_code, moved.json()["now"]) == (200, "2026-01-01T00:15:00+00:00")
        moved = await client.post(PATH, json={"to": "2026-01-01T13:00:00+01:00"})
        assert (moved.status_code, moved.json()["now"]) == (200, "2026-01-01T12:00:00+00:00")
    assert clock.now() == datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{}", 422),
        (b"[]", 422),
        (b'{"advance_s": 1, "to": "2026-01-02T00:00:00Z"}', 422),
        (b'{"advance_s": -1}', 422),
        (b'{"advance_s": "1"}', 422),
        (b'{"advance_s": 1e400}', 422),
        (b'{"advance_s": 1, "more": 1}', 422),
        (b'{"to": "2026-01-02T00:00:00"}', 422),
        (b'{"to": "9999-12-31T23:59:59Z"}', 409),
        (b'{"to": "9999-12-31T23:59:59-12:00"}', 409),
        (b'{"to": "2025-12-31T00:00:00Z"}', 409),
        (b'{"advance_s": 9999999}', 409),
        (b"[" * 50_000, 422),
        (b" " * 100_001, 413),
    ],
)
async def test_what_moves_no_clock_is_refused_with_a_reason(body: bytes, status: int) -> None:
    clock = SteppedClock(AT)
    async with api(clock) as client:
        answer = await client.post(PATH, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == status and answer.json()["error"]
    assert clock.now() == AT


async def test_a_clock_that_moves_by_itself_is_only_looked_at() -> None:
    async with api(RealClock()) as client:
        assert (await client.get(PATH)).json().keys() == {"mode", "now"}
        answer = await client.post(PATH, json={"advance_s": 1})
        assert answer.status_code == 409 and "clock.mode" in answer.json()["error"]


async def test_nothing_is_reached_without_a_token(tmp_path: Path) -> None:
    clock = SteppedClock(AT)
    async with api(clock, tmp_path / "tokens") as client:
        token = (tmp_path / "tokens").read_text().strip()
        for headers in ({}, {"Authorization": "Bearer " + "x" * 43}):
            for path in (PATH, f"{PATH}/nowhere"):
                answer = await client.post(path, json={"advance_s": 1}, headers=headers)
                assert answer.status_code == 401 and answer.headers["WWW-Authenticate"] == "Bearer"
                assert token not in answer.text
        assert clock.now() == AT
        answer = await client.post(PATH, json={"advance_s": 1}, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200


async def test_foreign_pages_forms_and_other_paths_do_not_move_it() -> None:
    clock = SteppedClock(AT)
    async with api(clock) as client:
        foreign = await client.post(PATH, json={"advance_s": 1}, headers={"Origin": "http://foreign.example"})
        rebound = await client.post(PATH, json={"advance_s": 1}, headers={"Host": "foreign.example"})
        form = await client.post(PATH, content=b'{"advance_s": 1}', headers={"Content-Type": "text/plain"})
        assert [one.status_code for one in (foreign, rebound, form)] == [403, 421, 415]
        assert (await client.delete(PATH)).status_code == 405
        assert (await client.get(f"{PATH}/nowhere")).status_code == 404
        assert (await client.get("/api/v1/clocks")).text == "elsewhere"
    assert clock.now() == AT
