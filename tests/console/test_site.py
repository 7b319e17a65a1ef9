"""The frame of a console: pages, files that never change, who is let in, and what a page may load."""

from __future__ import annotations

import re
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import httpx
import pytest
from patience import PATIENCE_S
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ami_console import Assets, Console, Page, Sessions, Site
from ami_console.sessions import LIFE_S, MOST
from ami_process.api import Branch, create_api
from ami_process.doors import FIRST_PAUSE_S, FREE_FAILURES
from ami_process.tokens import Tokens

TOKEN = "T" * 32
SITE = Site(
    process="Test",
    package="ami_console",
    pages=(
        Page(path="/things", title="Things", nav="Things", script="console/api.js"),
        Page(path="/things/{name:path}", title="Thing", under="/things"),
    ),
    api="/api/v1/openapi.json",
)
VENDOR = Path(str(files("ami_console"))) / "static/console/vendor"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def secret(_: Request) -> Response:
    return PlainTextResponse("told")


def counted() -> object:
    numbers = iter(range(1, 10_000))
    return lambda octets: next(numbers).to_bytes(octets, "big")


def sessions(*, asks: bool, clock: Clock | None = None) -> Sessions:
    tokens = Tokens([TOKEN] if asks else [], "x.token_file", open_to_all=not asks)
    return Sessions(tokens, "test", counted(), clock or Clock())  # type: ignore[arg-type]


@asynccontextmanager
async def served(kept: Sessions, *, host: str = "127.0.0.1:8080") -> AsyncIterator[httpx.AsyncClient]:
    """As a process joins them: an API, a console, and something else behind it."""
    console = Console(SITE, kept, names=("x.example",), names_setting="x.names")
    routes = [Route("/api/v1/secret", secret, methods=["GET", "POST"])]
    tokens = kept._tokens
    api = create_api(routes, tokens, names_setting="x.names", admits=kept.principal_of)
    other = Starlette(routes=[Route("/cim", secret, methods=["GET"])])
    application = Branch("/api/v1", api, console.before(other))
    transport = httpx.ASGITransport(app=application)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}", timeout=PATIENCE_S) as client:
        yield client


async def test_the_root_leads_to_the_first_page_and_what_is_not_of_the_console_is_served_as_before() -> None:
    async with served(sessions(asks=False)) as client:
        root = await client.get("/")
        assert (root.status_code, root.headers["location"]) == (303, "/things")
        page = await client.get("/things")
        assert page.status_code == 200 and "Things · Test console" in page.text
        assert (await client.get("/things/a/b")).text.count('aria-current="page"') == 1
        assert (await client.get("/cim")).text == "told"
        assert (await client.get("/elsewhere")).status_code == 404


async def test_a_page_may_load_what_is_served_here_and_runs_nothing_that_is_written_into_it() -> None:
    async with served(sessions(asks=False)) as client:
        for path in ("/", "/things", "/login"):
            policy = (await client.get(path)).headers["content-security-policy"]
            assert "default-src 'self'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        text = (await client.get("/things")).text
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son[a-z]+=|\sstyle=", text)
        assert not re.findall(r"(?:src|href)=\"(?!/|#)[^\"]*\"", text), "every address is ours"


async def test_files_have_addresses_that_never_mean_anything_else() -> None:
    async with served(sessions(asks=True)) as client:
        text = (await client.get("/login")).text
        (address,) = re.findall(r'"(/static/[0-9a-f]{16}/console/console\.css)"', text)
        style = await client.get(address)
        assert style.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert style.headers["content-encoding"] == "gzip" and "prefers-reduced-motion" in style.text
        plain = await client.get(address, headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers and plain.text == style.text
        assert (await client.get(re.sub("[0-9a-f]{16}", "0" * 16, address))).status_code == 404
        assert (await client.get(address.replace("console.css", "../../site.py"))).status_code == 404
        assert (await client.get(address.replace("console.css", "vendor/vendor.toml"))).status_code == 404


def test_another_octet_is_another_address(tmp_path: Path) -> None:
    (tmp_path / "one.js").write_text("1")
    before = Assets({"room": tmp_path}).url("room/one.js")
    assert Assets({"room": tmp_path}).url("room/one.js") == before
    (tmp_path / "one.js").write_text("2")
    assert Assets({"room": tmp_path}).url("room/one.js") != before
    with pytest.raises(KeyError, match=r"there is no static file room/two\.js"):
        Assets({"room": tmp_path}).url("room/two.js")


async def test_without_a_session_pages_lead_to_the_login_and_the_api_refuses() -> None:
    async with served(sessions(asks=True)) as client:
        page = await client.get("/things/a?b=c")
        assert (page.status_code, page.headers["location"]) == (303, "/login?next=/things/a%3Fb%3Dc")
        assert (await client.get("/api/v1/secret")).status_code == 401
        assert (await client.get("/session")).json() == {"signed_in": False}
        assert (await client.get("/login")).status_code == 200


async def test_who_has_not_signed_in_is_offered_neither_pages_nor_to_sign_out() -> None:
    async with served(sessions(asks=True)) as client:
        login = (await client.get("/login")).text
        assert "<nav" not in login and "sign-out" not in login
        await client.post("/session", json={"token": TOKEN})
        page = (await client.get("/things")).text
        assert "<nav" in page and "sign-out" in page


async def test_a_token_begins_a_session_that_no_script_sees_and_that_ends() -> None:
    clock = Clock()
    async with served(sessions(asks=True, clock=clock)) as client:
        refused = await client.post("/session", json={"token": "U" * 32})
        assert refused.status_code == 401 and "U" * 32 not in refused.text and "set-cookie" not in refused.headers
        begun = await client.post("/session", json={"token": TOKEN})
        cookie = begun.headers["set-cookie"]
        assert begun.status_code == 204 and "HttpOnly" in cookie and "SameSite=strict" in cookie
        assert TOKEN not in cookie and cookie.startswith("ami_test_8080=")
        assert (await client.get("/things")).status_code == 200
        assert (await client.get("/api/v1/secret")).text == "told"
        assert TOKEN not in (await client.get("/things")).text
        clock.now = LIFE_S
        assert (await client.get("/api/v1/secret")).status_code == 401


async def test_guessing_takes_longer_and_longer_at_the_sign_in_too() -> None:
    clock = Clock()
    async with served(sessions(asks=True, clock=clock)) as client:
        statuses = [(await client.post("/session", json={"token": "U" * 32})).status_code for _ in range(FREE_FAILURES)]
        assert statuses == [401] * FREE_FAILURES
        waits = await client.post("/session", json={"token": "U" * 32})
        assert waits.status_code == 429 and "try again in 1 s" in waits.text
        assert (await client.post("/session", json={"token": TOKEN})).status_code == 204, (
            "who has a token does not wait"
        )
        clock.now = FIRST_PAUSE_S
        assert (await client.post("/session", json={"token": "U" * 32})).status_code == 401


async def test_a_session_is_ended_by_its_owner() -> None:
    async with served(sessions(asks=True)) as client:
        await client.post("/session", json={"token": TOKEN})
        cookie = dict(client.cookies)
        assert (await client.delete("/session")).status_code == 204
        client.cookies = httpx.Cookies(cookie)
        assert (await client.get("/api/v1/secret")).status_code == 401, "keeping the cookie does not help"


async def test_sessions_are_bounded_and_the_oldest_goes() -> None:
    async with served(sessions(asks=True)) as client:
        await client.post("/session", json={"token": TOKEN})
        first = dict(client.cookies)
        for _ in range(MOST):
            client.cookies.clear()
            await client.post("/session", json={"token": TOKEN})
        assert (await client.get("/api/v1/secret")).text == "told"
        client.cookies = httpx.Cookies(first)
        assert (await client.get("/api/v1/secret")).status_code == 401


async def test_consoles_at_two_ports_of_a_host_have_a_cookie_each() -> None:
    """As those of two simulated meters, which a browser keeps beside each other."""
    names = set()
    for port in (8082, 8083):
        async with served(sessions(asks=True), host=f"127.0.0.1:{port}") as client:
            assert (await client.post("/session", json={"token": TOKEN})).status_code == 204
            assert (await client.get("/api/v1/secret")).status_code == 200
            names |= set(client.cookies)
    assert names == {"ami_test_8082", "ami_test_8083"}


@pytest.mark.parametrize(
    "cookie", ["", "ami_test_8080", "ami_test_8080=", "ami_test_8080=" + "0" * 64, '=;"', "x=" * 5_000]
)
async def test_cookies_that_are_none_of_ours_open_nothing(cookie: str) -> None:
    async with served(sessions(asks=True)) as client:
        assert (await client.get("/api/v1/secret", headers={"Cookie": cookie})).status_code == 401


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_pages_of_others_change_nothing_even_with_the_cookie(site: str) -> None:
    async with served(sessions(asks=True)) as client:
        await client.post("/session", json={"token": TOKEN})
        refused = await client.post("/api/v1/secret", json={}, headers={"Sec-Fetch-Site": site})
        assert refused.status_code == 403
        origin = await client.post("/api/v1/secret", json={}, headers={"Origin": "http://127.0.0.1:9999"})
        assert origin.status_code == 403
        own = {"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:8080"}
        assert (await client.post("/api/v1/secret", json={}, headers=own)).text == "told"
        assert (await client.delete("/session", headers={"Sec-Fetch-Site": site})).status_code == 403
        form = await client.post("/session", content=b"token=x", headers={"Content-Type": "text/plain"})
        assert form.status_code == 415


async def test_a_name_that_is_made_to_point_at_us_is_not_served() -> None:
    async with served(sessions(asks=False), host="evil.example") as client:
        assert (await client.get("/things")).status_code == 421
    async with served(sessions(asks=False), host="x.example") as client:
        assert (await client.get("/things")).status_code == 200


def test_every_vendored_file_is_as_its_list_says_with_its_licence() -> None:
    packages = tomllib.loads((VENDOR / "vendor.toml").read_text("utf-8"))["packages"]
    listed = {one["file"]: one["sha256"] for package in packages for one in package["files"]}
    there = {
        path.name: sha256(path.read_bytes()).hexdigest() for path in VENDOR.iterdir() if path.name != "vendor.toml"
    }
    assert there == listed
    for package in packages:
        assert {"name", "version", "licence", "files"} == package.keys()
        assert any(one["file"].endswith(".LICENSE") for one in package["files"]), package["name"]
    assert "://" not in (VENDOR / "vendor.toml").read_text("utf-8")
