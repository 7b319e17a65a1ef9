"""What comes in at an HTTP port and what does not, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from socket import gethostname

import httpx
import pytest
from patience import PATIENCE_S
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ami_process.http_entrance import Entrance, Rules, own_url
from ami_process.http_server import serving
from ami_process.sockets import listening

RULES = Rules(
    names=("hes.example", "Other.Example."),
    names_setting="x.host_names",
    media_types=("text/xml", "application/xml"),
    max_octets=1_000,
)


async def echo(request: Request) -> Response:
    body = await request.body()
    return PlainTextResponse(f"{request.method} {own_url(request, None)} {request.headers['host']} {len(body)}")


def refuse(status: HTTPStatus, reason: str) -> Response:
    return PlainTextResponse(f"refused: {reason}", status)


@asynccontextmanager
async def entrance() -> AsyncIterator[httpx.AsyncClient]:
    application = Starlette(routes=[Route("/cim", echo, methods=["GET", "POST"])])
    application.router.redirect_slashes = False
    with listening("127.0.0.1", 0, "x.") as listener:
        async with serving(Entrance(application, RULES, refuse), listener):
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            async with httpx.AsyncClient(trust_env=False, base_url=url, timeout=PATIENCE_S) as client:
                yield client


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:1234",
        "10.1.2.3:80",
        "[::1]:8081",
        "localhost:8081",
        "hes:8081",
        "HES.example",
        "hes.example.:8081",
        "other.example",
        gethostname(),
    ],
)
async def test_our_own_names_and_addresses_are_taken(host: str) -> None:
    async with entrance() as client:
        answer = await client.get("/cim?wsdl", headers={"Host": host})
        assert answer.status_code == 200
        assert answer.text.startswith(f"GET http://{host}/cim {host}"), "and said again in the WSDL"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "hes.example.evil.example:8081",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "hes.example:80:80",
        "a/b.example",
        "user@hes.example",
        "h" * 400,
        "[::1].example",
        "",
    ],
)
async def test_no_other_host_is_served_or_repeated_but_in_words(host: str) -> None:
    async with entrance() as client:
        answer = await client.get("/cim?wsdl", headers={"Host": host})
        assert answer.status_code in (421, 400)
        assert "x.host_names" in answer.text or not host


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1", "", "http://127.0.0.1.evil.example"]
)
async def test_a_page_of_somebody_else_may_not_ask(origin: str) -> None:
    async with entrance() as client:
        for method in ("GET", "POST"):
            answer = await client.request(method, "/cim", headers={"Origin": origin, "Content-Type": "text/xml"})
            assert answer.status_code == 403, "the port is part of an origin"


async def test_our_own_page_may_ask() -> None:
    async with entrance() as client:
        headers = {"Origin": "https://hes.example:8443", "Host": "HES.example:8443", "Content-Type": "text/xml"}
        assert (await client.post("/cim", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "given", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
async def test_what_a_browser_may_send_without_asking_is_not_taken(given: str) -> None:
    async with entrance() as client:
        answer = await client.post("/cim", content=b"<a/>", headers={"Content-Type": given})
        assert answer.status_code == 415
        assert (given.partition(";")[0] or "without content type") in answer.text and "text/xml" in answer.text


async def test_a_message_without_content_type_is_not_taken() -> None:
    async with entrance() as client:
        answer = await client.post("/cim", content=b"<a/>")
        assert (answer.status_code, "without content type" in answer.text) == (415, True)


@pytest.mark.parametrize("given", ["text/xml", 'Text/XML; charset="utf-8"', "application/xml"])
async def test_xml_is_taken(given: str) -> None:
    async with entrance() as client:
        assert (await client.post("/cim", content=b"<a/>", headers={"Content-Type": given})).text.endswith(" 4")


async def test_a_size_that_is_announced_is_judged_at_once_and_the_connection_goes_on() -> None:
    async with entrance() as client:
        xml = {"Content-Type": "text/xml"}
        assert (await client.post("/cim", content=b" " * 1_000, headers=xml)).status_code == 200
        for octets in (1_001, 5_000_000):
            answer = await client.post("/cim", content=b" " * octets, headers=xml)
            assert (answer.status_code, "at most 1000 octets" in answer.text) == (413, True)
        assert (await client.post("/cim", content=b" ", headers=xml)).status_code == 200


@pytest.mark.parametrize("path", ["/cim/", "/cim//"])
async def test_a_slash_at_the_end_is_the_same_address(path: str) -> None:
    async with entrance() as client:
        answer = await client.get(path)
        assert (answer.status_code, "location" in answer.headers) == (200, False)
        assert (await client.get("/other/")).status_code == 404


async def test_the_host_of_an_absolute_target_counts() -> None:
    async with entrance() as client:
        for target, status in ((b"http://hes.example/cim", 200), (b"http://evil.example/cim", 421)):
            request = client.build_request("GET", "/cim", extensions={"target": target})
            answer = await client.send(request)
            assert answer.status_code == status
            if status == 200:
                assert answer.text.startswith("GET http://hes.example/cim hes.example")


async def test_the_public_url_goes_before_the_host() -> None:
    scope = {"type": "http", "method": "GET", "path": "/cim", "query_string": b"wsdl", "headers": [(b"host", b"a")]}
    assert own_url(Request(scope), "https://ami.example/hes/") == "https://ami.example/hes/cim"


OURS, THEIRS = ("Origin", "http://127.0.0.1:1"), ("Origin", "http://evil.example")


@pytest.mark.parametrize(("ours_first", "status"), [(True, 403), (False, 403), (None, 200)])
async def test_every_origin_counts(ours_first: bool | None, status: int) -> None:
    origins = {True: [OURS, THEIRS], False: [THEIRS, OURS], None: [OURS, OURS]}[ours_first]
    async with entrance() as client:
        headers = [("Host", "127.0.0.1:1"), ("Content-Type", "text/xml"), *origins]
        assert (await client.post("/cim", headers=headers, content=b"x")).status_code == status


@pytest.mark.parametrize("origin", ["null", "http://evil.example", ""])
async def test_no_origin_fits_a_request_without_host(origin: str) -> None:
    request = f"GET /cim HTTP/1.0\r\nOrigin: {origin}\r\n\r\n".encode()
    async with entrance() as client:
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        writer.write(request)
        assert b" 403 " in (await asyncio.wait_for(reader.read(), PATIENCE_S)).split(b"\r\n")[0]
        writer.close()


async def test_two_content_types_are_not_taken() -> None:
    async with entrance() as client:
        headers = [("Content-Type", "text/xml"), ("Content-Type", "text/plain")]
        answer = await client.post("/cim", headers=headers, content=b"x")
        assert answer.status_code == 415
        assert "one content type" in answer.text
