"""Following a process over real sockets: an issuer of tokens that takes its time holds nobody up, and no stream takes more memory than it may."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oidc_issuer import CLIENT, SECRET, OidcIssuer
from pydantic import BaseModel

from ami_process import rest_stream
from ami_process.rest_client import AnswerLost, ProcessRefused, TokenUnusable
from ami_process.rest_stream import RestStream, ServerEvent

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
Said = list[str]


class Nothing(BaseModel):
    """Whatever it is."""


@asynccontextmanager
async def serving(answer: Callable[[asyncio.StreamWriter], Awaitable[None]], asked: Said) -> AsyncIterator[str]:
    """A process that notes the tokens of requests, and says this to each."""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        asked.extend(line.partition(": ")[2] for line in head.splitlines() if line.lower().startswith("authorization"))
        try:
            await answer(writer)
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def saying(octets: bytes) -> Callable[[asyncio.StreamWriter], Awaitable[None]]:
    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(octets)

    return say


OBJECT = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
REFUSED = saying(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")


def use(issuer: OidcIssuer, directory: Path, environment: pytest.MonkeyPatch) -> None:
    (directory / "secret").write_text(SECRET)
    given = {"ISSUER": issuer.url, "CLIENT_ID": CLIENT, "CLIENT_SECRET": f"file:{directory / 'secret'}"}
    for name, value in given.items():
        environment.setenv(f"AMI_OIDC_{name}", value)


async def test_a_token_of_an_issuer_is_kept_and_waited_for_beside_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, loop_goes_on = list[str](), threading.Event()

    class Slow(OidcIssuer):
        def answer(self, path: str, form: dict[str, list[str]], authorization: str) -> tuple[int, Any]:
            if path == "/token" and not loop_goes_on.wait(rest_stream.ANSWER_S):
                return 503, {}
            return super().answer(path, form, authorization)

    with Slow().serving() as issuer:
        use(issuer, tmp_path, monkeypatch)
        async with serving(OBJECT, said) as url, RestStream(url) as process:
            first = asyncio.create_task(process.get("/", Nothing))
            await asyncio.sleep(0)  # it has begun to ask
            loop_goes_on.set()
            await first
            await process.get("/", Nothing)
        assert issuer.asked.count("/token") == 1 and len(said) == 2 and said[0] == said[1]


async def test_a_token_that_is_not_taken_is_not_shown_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = list[str]()
    with OidcIssuer().serving() as issuer:
        use(issuer, tmp_path, monkeypatch)
        async with serving(REFUSED, said) as url, RestStream(url) as process:
            for _ in range(2):
                with pytest.raises(ProcessRefused):
                    await process.get("/", Nothing)
            with pytest.raises(ProcessRefused):
                await anext(process.events("/"))
        assert issuer.asked.count("/token") == len(said) == 3
        issuer.away = True
        async with RestStream(url) as process:
            with pytest.raises(TokenUnusable, match="503"):
                await process.get("/", Nothing)


@pytest.mark.parametrize(
    "line", [b"data:\n", b"data: x\n", b"x", b"event: x\n"], ids=["empty", "data", "endless", "name"]
)
async def test_a_stream_without_end_takes_bounded_memory(line: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest_stream, "MOST_EVENT", 10_000)
    sent = 0

    async def flood(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(HEAD)
        while sent < 2_000_000:
            sent += len(line * 1_000)
            writer.write(line * 1_000)
            await writer.drain()
        writer.write(b"\n\n")

    async with serving(flood, []) as url, RestStream(url) as process:
        if line == b"event: x\n":  # which is one name, however often it is said
            assert [event async for event in process.events("/")] == []
            return
        with pytest.raises(AnswerLost, match=r"larger|longer"):
            await anext(process.events("/"))


EVENTS = st.lists(
    st.tuples(st.sampled_from(["frame", "resync"]), st.lists(st.text("aé \u2028", max_size=9), min_size=1, max_size=3))
)


@given(EVENTS, st.sampled_from(["\n", "\r\n"]), st.lists(st.integers(1, 7), min_size=1))
def test_events_are_the_same_in_whatever_pieces_they_come(
    events: list[tuple[str, list[str]]], end: str, sizes: list[int]
) -> None:
    written = "".join(
        f": a comment{end}event: {name}{end}" + "".join(f"data: {one}{end}" for one in data) + end
        for name, data in events
    ).encode()

    async def pieces() -> AsyncIterator[bytes]:
        place = number = 0
        while place < len(written):
            size = sizes[number % len(sizes)]
            yield written[place : place + size]
            place, number = place + size, number + 1

    async def read() -> list[ServerEvent]:
        return [event async for event in rest_stream._events(pieces())]

    assert asyncio.run(read()) == [ServerEvent(name, "\n".join(data)) for name, data in events]
