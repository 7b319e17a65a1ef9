"""Connections that do not do what they should, over real sockets: each has an end, and keeps nobody else out."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from patience import PATIENCE_S
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from ami_process.http_connections import HttpLimits
from ami_process.http_protocol import FREE_CHUNKS, SMALLEST_CHUNK
from ami_process.http_server import serving
from ami_process.sockets import listening

GET = b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"


@dataclass
class Application:
    """Answers what came (/echo), at once (/early), when it is told to (/wait), or with a lot (/much)."""

    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    disconnected: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._answer(Request(scope, receive))
        except ClientDisconnect:
            self.disconnected.set()
            return
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path = request.url.path
        if path == "/early":
            return PlainTextResponse("early", 413)
        body = await request.body()
        if path == "/much":
            return PlainTextResponse("much" * 5_000_000)
        if path == "/wait":
            self.waiting.release()
            await self.go_on.wait()
        return PlainTextResponse(f"{len(body)} octets")


@dataclass
class Site:
    application: Application
    port: int

    @asynccontextmanager
    async def connected(
        self, octets: bytes = b"", source: str = "127.0.0.1"
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        async with asyncio.timeout(PATIENCE_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(source, 0))
            try:
                writer.write(octets)
                await writer.drain()
                yield reader, writer
            finally:
                writer.close()

    async def whole(self, octets: bytes, *, half_close: bool = False) -> bytes:
        """All that is answered until the server closes the connection."""
        async with self.connected(octets) as (reader, writer):
            if half_close:
                writer.write_eof()
            return await reader.read()


@asynccontextmanager
async def served(**limits: Any) -> AsyncIterator[Site]:
    application = Application()
    with listening("127.0.0.1", 0, "x.") as listener:
        async with serving(application, listener, HttpLimits(**limits)):
            yield Site(application, listener.getsockname()[1])


async def one_answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    return head + await reader.readexactly(length)


@pytest.mark.parametrize("octets", [b"G", GET[:-2], GET + GET[:-2], POST[:10]])
async def test_half_a_head_is_answered_with_408(octets: bytes) -> None:
    async with served(head_s=0.1) as site:
        answers = await site.whole(octets)
        assert answers.count(b"HTTP/1.1 200 ") == octets.count(b"\r\n\r\n")
        assert b"HTTP/1.1 408 " in answers and b"within 0.1 s" in answers


async def test_the_second_head_of_a_connection_is_waited_for_as_long_as_the_first() -> None:
    async with served(head_s=0.1) as site, site.connected(GET) as (reader, writer):
        assert b"0 octets" in await one_answer(reader)
        writer.write(GET[:-2])
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")


async def test_a_head_that_comes_octet_by_octet_gets_no_more_time() -> None:
    async with served(head_s=0.2) as site, site.connected() as (reader, writer):
        answer = b""
        for octet in GET[:-4] + b"\r\nX: " + b"x" * 1_000:
            writer.write(bytes([octet]))
            try:
                answer = await asyncio.wait_for(reader.read(65_536), 0.02)
                break
            except TimeoutError:
                continue
        assert answer.startswith(b"HTTP/1.1 408 ")


async def test_who_says_nothing_is_left_without_a_word() -> None:
    async with served(head_s=0.1) as site:
        assert await site.whole(b"") == b""


async def test_half_a_body_is_waited_for_so_long() -> None:
    async with served(body_s=0.1) as site, site.connected(POST % (b"echo", 10) + b"12345") as (reader, _):
        assert await reader.read() == b""
        await site.application.disconnected.wait()


async def test_who_asks_nothing_more_is_left_after_a_while() -> None:
    async with served(idle_s=1) as site:
        assert (await site.whole(GET)).endswith(b"0 octets")


async def test_the_rest_of_a_refused_body_is_let_pass_and_the_connection_goes_on() -> None:
    async with served(linger_s=PATIENCE_S) as site, site.connected(POST % (b"early", 1_000_000)) as (reader, writer):
        assert (await one_answer(reader)).endswith(b"early")
        writer.write(b" " * 1_000_000 + POST % (b"echo", 2) + b"ab")
        assert (await one_answer(reader)).endswith(b"2 octets")


CLOSING = b"POST /early HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 20000000\r\n\r\n"


@pytest.mark.parametrize("head", [CLOSING, CLOSING.replace(b"1.1", b"1.0")])
async def test_a_refusal_reaches_who_wants_to_close_and_is_still_sending(head: bytes) -> None:
    async with served(linger_s=PATIENCE_S) as site, site.connected(head) as (reader, writer):
        assert b" 413 " in await reader.readuntil(b"early")
        for _ in range(200):
            writer.write(bytes(100_000))
            await writer.drain()
        writer.write_eof()
        assert await reader.read() == b""
        async with site.connected(GET) as (other, _):
            assert b"0 octets" in await one_answer(other)


@pytest.mark.parametrize("limits", [{"linger_s": 0.1}, {"linger_octets": 100_000, "linger_s": PATIENCE_S}])
async def test_the_rest_of_a_refused_body_is_let_pass_so_far(limits: dict[str, Any]) -> None:
    async with served(**limits) as site, site.connected(POST % (b"early", 10**9)) as (reader, writer):
        assert (await one_answer(reader)).endswith(b"early")
        with pytest.raises(ConnectionError):
            while True:
                writer.write(b" " * 65_536)
                await writer.drain()


async def test_an_answer_that_is_not_read_is_given_up() -> None:
    async with served(unread_s=0.1, head_s=0.5) as site, site.connected(POST % (b"much", 0)) as (reader, _):
        assert b" 408 " in await site.whole(GET[:-2]), "which takes longer"
        came = 0
        with suppress(ConnectionError):
            while octets := await reader.read(1_000_000):
                came += len(octets)
        assert came < len("much") * 5_000_000


@pytest.mark.needs("loopback-block")
async def test_the_oldest_silent_connection_of_an_address_gives_way_to_its_next() -> None:
    async with (
        served(connections_per_address=2) as site,
        site.connected(source="127.0.0.2") as (elsewhere, at_elsewhere),
        site.connected() as (first, _),
        site.connected() as (second, at_second),
        site.connected(GET) as (third, _),
    ):
        assert b"0 octets" in await one_answer(third)
        assert await first.read() == b"", "the first one is closed"
        for reader, writer in ((second, at_second), (elsewhere, at_elsewhere)):
            writer.write(GET)
            assert b"0 octets" in await one_answer(reader)


@pytest.mark.needs("loopback-block")
async def test_the_address_with_most_connections_gives_way_when_all_is_full() -> None:
    async with (
        served(connections=3) as site,
        site.connected(source="127.0.0.2") as (lonely, at_lonely),
        site.connected() as (first, _),
        site.connected() as (second, at_second),
        site.connected(GET, source="127.0.0.3") as (new, _),
    ):
        assert b"0 octets" in await one_answer(new)
        assert await first.read() == b""
        for reader, writer in ((lonely, at_lonely), (second, at_second)):
            writer.write(GET)
            assert b"0 octets" in await one_answer(reader)


async def test_who_is_being_answered_does_not_give_way() -> None:
    wait = POST % (b"wait", 0)
    async with (
        served(connections_per_address=2) as site,
        site.connected(wait) as (first, _),
        site.connected(wait) as (second, _),
    ):
        for _ in range(2):
            await site.application.waiting.acquire()
        assert (await site.whole(GET)).startswith(b"HTTP/1.1 503 ")
        site.application.go_on.set()
        for reader in (first, second):
            assert (await one_answer(reader)).endswith(b"0 octets")
        async with site.connected(GET) as (reader, _):
            assert b"0 octets" in await one_answer(reader)


async def test_a_client_may_close_its_side_once_it_has_said_everything() -> None:
    async with served() as site:
        assert (await site.whole(POST % (b"echo", 3) + b"abc", half_close=True)).endswith(b"3 octets")
        several = await site.whole(GET + POST % (b"echo", 3) + b"abc" + POST % (b"echo", 1) + b"a", half_close=True)
        assert [several.count(b" %d octets" % n) + several.count(b"\n%d octets" % n) for n in (0, 3, 1)] == [1, 1, 1]


@pytest.mark.parametrize("octets", [b"", GET[:-2], POST % (b"echo", 10) + b"12345"])
async def test_a_client_that_closes_its_side_before_that_is_left_at_once(octets: bytes) -> None:
    async with served() as site:
        assert await site.whole(octets, half_close=True) == b""


async def test_a_long_answer_reaches_a_client_that_has_closed_its_side() -> None:
    async with served() as site:
        assert (await site.whole(POST % (b"much", 0), half_close=True)).count(b"much") == 5_000_000


CHUNKED = b"POST /%s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "octets",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 100_000,
        CHUNKED % b"echo" + b"no size\r\n",
    ],
)
async def test_what_is_no_http_is_answered_with_400(octets: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with served(linger_s=0.1) as site:
        assert (await site.whole(octets)).startswith(b"HTTP/1.1 400 ")
        assert (await site.whole(GET, half_close=True)).endswith(b"0 octets")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_head_has_an_end() -> None:
    async with served(linger_s=0.1) as site:
        few, many = (b"".join(b"X-%d: 1\r\n" % number for number in range(count)) for count in (1_000, 4_000))
        head = b"GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        assert b" 200 " in await site.whole(head + few + b"\r\n")
        assert b" 400 " in await site.whole(head + many)


async def test_nonsense_behind_an_answer_ends_the_connection_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    async with served() as site, site.connected(CHUNKED % b"early") as (reader, writer):
        assert (await one_answer(reader)).endswith(b"early")
        writer.write(b"no size\r\n")
        assert await reader.read() == b""
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_clients_that_do_nothing_do_not_hold_up_the_end() -> None:
    async with asyncio.timeout(PATIENCE_S):
        async with served() as site:
            held = [socket.create_connection(("127.0.0.1", site.port)) for _ in range(4)]
            for one, octets in zip(held, (b"", GET[:-2], POST % (b"echo", 10), POST % (b"much", 0)), strict=True):
                one.sendall(octets)
            async with site.connected(GET) as (reader, _):
                assert b"0 octets" in await one_answer(reader)
    for one in held:
        one.close()


IN_CHUNKS = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"


def chunks(count: int, octets: int) -> bytes:
    return (b"%x\r\n" % octets + b"x" * octets + b"\r\n") * count


@pytest.mark.parametrize("octets", [1, SMALLEST_CHUNK - 1])
async def test_a_body_in_very_many_very_small_chunks_is_refused(octets: int) -> None:
    async with served() as site:
        answer = await site.whole(IN_CHUNKS + chunks(100 * FREE_CHUNKS, octets))
        assert answer.startswith(b"HTTP/1.1 400 ") and b"chunks" in answer
        await asyncio.wait_for(site.application.disconnected.wait(), PATIENCE_S)


@pytest.mark.parametrize(("count", "octets"), [(FREE_CHUNKS, 1), (10 * FREE_CHUNKS, SMALLEST_CHUNK)])
async def test_a_body_in_many_chunks_is_taken(count: int, octets: int) -> None:
    async with served() as site:
        again = IN_CHUNKS.replace(b"Connection: close\r\n", b"") + chunks(count, octets) + b"0\r\n\r\n"
        answers = await site.whole(again + IN_CHUNKS + chunks(count, octets) + b"0\r\n\r\n")
        assert answers.count(b"%d octets" % (count * octets)) == 2


SMUGGLED = b"GET /echo HTTP/1.1\r\nHost: x\r\nX-Smuggled: 1\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 6\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n",
        b"POST /echo HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nHost: y\r\nContent-Length: 0\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n",
    ],
)
async def test_a_request_whose_end_could_be_read_in_two_ways_is_refused_and_nothing_behind_it_is_read(
    head: bytes,
) -> None:
    async with served() as site:
        answer = await site.whole(head + b"0\r\n\r\n" + SMUGGLED)
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 ")), answer[:80]
    assert answer.count(b"HTTP/1.1 ") == 1, "what comes behind it is nobody's request"


async def test_a_folded_header_is_one_header() -> None:
    """RFC 9112, 5.2: its lines are joined, so that what is folded is no header of its own."""
    folded = b"POST /echo HTTP/1.1\r\nHost: x\r\nX: 1\r\n Content-Length: 5\r\nConnection: close\r\n\r\nabcde"
    async with served() as site:
        answer = await site.whole(folded)
    assert answer.startswith(b"HTTP/1.1 200 ") and b"0 octets" in answer, "the five octets are no body"
