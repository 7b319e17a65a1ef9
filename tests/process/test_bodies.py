"""Bodies over real sockets: each has its bound, and all of them together have one that small bodies never meet."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from patience import PATIENCE_S
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ami_process.bodies import FREE, Bodies, BodyLate, BodyTooLarge, NoRoom
from ami_process.http_server import serving
from ami_process.sockets import address_of, listening

LARGE = FREE + 80_000
STATUSES = {BodyTooLarge: 413, NoRoom: 503, BodyLate: 408}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """An application that says how long a body was; there is room for one large body, and not for two."""
    bodies = Bodies(octets=200_000, seconds=10.0, room=140_000)

    async def post(request: Request) -> Response:
        try:
            return PlainTextResponse(str(len(await bodies.read(request))))
        except (BodyTooLarge, NoRoom, BodyLate) as problem:
            return Response(status_code=STATUSES[type(problem)])

    application = Starlette(routes=[Route("/", post, methods=["POST"])])
    with listening("127.0.0.1", 0, "") as listener:
        async with (
            serving(application, listener),
            httpx.AsyncClient(base_url=f"http://{address_of(listener)}", trust_env=False, timeout=PATIENCE_S) as one,
        ):
            yield one


async def test_a_body_is_read_whole_or_not_at_all(client: httpx.AsyncClient) -> None:
    for size in (0, 1, FREE, LARGE, 160_000):
        assert (await client.post("/", content=b"x" * size)).text == str(size)
    assert (await client.post("/", content=b"x" * 200_001)).status_code == 413


async def test_slow_large_bodies_take_no_room_from_small_ones_and_give_theirs_back(client: httpx.AsyncClient) -> None:
    sent, end = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"x" * LARGE
        sent.set()
        await end.wait()
        yield b"y"

    holding = asyncio.create_task(client.post("/", content=slow()))
    await sent.wait()
    while (await client.post("/", content=b"x" * LARGE)).status_code != 503:  # until the first one has come so far
        pass
    for _ in range(3):
        assert (await client.post("/", content=b"x" * FREE)).text == str(FREE)
    end.set()
    assert (await holding).text == str(LARGE + 1)
    assert (await client.post("/", content=b"x" * LARGE)).text == str(LARGE)


async def test_who_goes_away_gives_his_room_back(client: httpx.AsyncClient) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * LARGE
        raise ZeroDivisionError

    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await client.post("/", content=broken())
    while (await client.post("/", content=b"x" * LARGE)).status_code == 503:  # until the server has seen them go
        pass
    assert (await client.post("/", content=b"x" * LARGE)).text == str(LARGE)
