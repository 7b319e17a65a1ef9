"""An endpoint for messages that are words: what is taken, what is refused how, and what is said about it; over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest
from patience import PATIENCE_S

from ami_process.health import Health
from ami_process.http_server import serving
from ami_process.message_endpoint import Endpoint, Site, Why
from ami_process.principals import Principal
from ami_process.sockets import listening
from ami_process.worker import Worker

LIGHT, MOST = 100, 100_000
LARGE = b"a" * LIGHT + b"b"
TEXT = {"Content-Type": "text/words"}
SHELL = "pieces:shell"


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker's process finds `pieces`."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


class NoWord(Exception):
    """Cannot be used; `status` is what the words say about it."""

    def __init__(self, reason: str, status: HTTPStatus = HTTPStatus.INTERNAL_SERVER_ERROR) -> None:
        super().__init__(reason)
        self.code = status


class Words:
    """Messages are words in lower case; the worker's answer is the word itself, with which it says that it has read it."""

    error = NoWord
    media_types = ("text/words",)
    content_type = "text/words"
    codings = "identity"
    max_octets = MOST

    def is_light(self, octets: bytes) -> bool:
        return len(octets) <= LIGHT

    def read(self, octets: bytes, charset: str | None) -> str:
        word = octets.decode(charset or "ascii", "replace")
        if not word.islower():
            raise NoWord(f"{word[:10]} is no word")
        return word

    def order(self, octets: bytes, charset: str | None) -> tuple[bytes, int]:
        return b"cat", len(octets) + 10_000

    def read_answer(self, answer: bytes) -> str:
        return self.read(answer, None)

    def content(self, octets: bytes, headers: Mapping[str, str]) -> tuple[bytes, str | None]:
        if "content-encoding" in headers:
            raise NoWord("packed", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        return octets, headers.get("x-charset")

    def refusal(self, status: HTTPStatus, reason: str, details: str | None = None) -> NoWord:
        return NoWord(f"{reason} ({details})" if details else reason, status)

    def status(self, problem: NoWord) -> HTTPStatus:
        return problem.code

    def fault(self, problem: NoWord, message: str | None) -> bytes:
        return f"no: {problem} [{message}]".encode()

    def description(self, name: str, location: str) -> bytes | None:
        return f"{name} at {location}".encode() if name in ("Words", "words.xsd") else None


@dataclass
class Served:
    client: httpx.AsyncClient
    address: tuple[str, int]
    reported: list[tuple[Why, int, str]] = field(default_factory=list)

    async def say(self, word: bytes, **headers: str) -> httpx.Response:
        return await self.client.post("/words", content=word, headers=TEXT | headers)


async def answer(word: str, octets: bytes, _: Principal) -> bytes:
    if word == "unwelcome":
        raise NoWord("not here")
    if word == "broken":
        raise ZeroDivisionError
    assert octets.decode() == word
    return word.upper().encode()


@asynccontextmanager
async def served(worker: Worker | None = None, body_s: float = 20.0) -> AsyncIterator[Served]:
    site = Site(
        addresses={"/words": "Words", "/cim/words": "Other"},
        names=(),
        names_setting="x.host_names",
        public_url=None,
        owner="The dictionary",
        body_s=body_s,
    )
    reported: list[tuple[Why, int, str]] = []
    async with worker or Worker(SHELL) as reads:
        endpoint = Endpoint(Words(), reads, answer, lambda *refusal: reported.append(_shown(*refusal)), site)
        with listening("127.0.0.1", 0, "x.") as listener:
            address = listener.getsockname()
            async with (
                serving(endpoint.application(Health({}, role="words")), listener),
                httpx.AsyncClient(
                    trust_env=False, base_url=f"http://127.0.0.1:{address[1]}", timeout=PATIENCE_S
                ) as client,
            ):
                yield Served(client, address, reported)


def _shown(why: Why, status: HTTPStatus, problem: NoWord) -> tuple[Why, int, str]:
    return why, int(status), str(problem)


async def test_a_message_is_answered_at_every_address() -> None:
    async with served() as words:
        for path in ("/words", "/cim/words", "/words/"):
            response = await words.client.post(path, content=b"hello", headers=TEXT)
            assert (response.status_code, response.content) == (200, b"HELLO")
            assert response.headers["content-type"].startswith("text/words")
        assert words.reported == []
        assert (await words.client.get("/healthz")).json() == {"status": "ok", "role": "words"}


@pytest.mark.parametrize(
    ("word", "headers", "status", "words"),
    [
        (b"HELLO", {}, 500, "no: HELLO is no word [None]"),
        (b"hello", {"Content-Encoding": "br"}, 415, "no: packed [None]"),
    ],
)
async def test_what_cannot_be_used_is_a_fault_and_reported(
    word: bytes, headers: dict[str, str], status: int, words: str
) -> None:
    async with served() as one:
        response = await one.say(word, **headers)
        assert (response.status_code, response.text) == (status, words)
        assert response.headers.get("accept-encoding") == ("identity" if status == 415 else None)
        assert [(why, code) for why, code, _ in one.reported] == [(Why.UNUSABLE, status)]


async def test_a_refusal_of_the_handler_is_in_the_form_of_the_message_and_its_own_affair() -> None:
    async with served() as one:
        response = await one.say(b"unwelcome")
        assert (response.status_code, response.text) == (500, "no: not here [unwelcome]")
        assert one.reported == []


async def test_a_failure_of_ours_is_a_fault_too() -> None:
    async with served() as one:
        response = await one.say(b"broken")
        assert (response.status_code, response.text) == (
            500,
            "no: The dictionary failed itself (ZeroDivisionError) [None]",
        )
        assert (await one.say(b"hello")).content == b"HELLO"


async def test_what_is_not_let_in_is_a_fault_and_reported() -> None:
    async def without_end() -> AsyncIterator[bytes]:
        while True:
            yield b"a" * 65_536

    async with served() as one:
        for content, headers, status in (
            (b"a" * (MOST + 1), TEXT, 413),
            (b"hello", {"Content-Type": "text/plain"}, 415),
            (b"hello", TEXT | {"Origin": "http://evil.example"}, 403),
        ):
            response = await one.client.post("/words", content=content, headers=headers)
            assert (response.status_code, response.text[:4]) == (status, "no: ")
        try:
            endless = await one.client.post("/words", content=without_end(), headers=TEXT)
        except httpx.TransportError:
            pass  # the connection was closed while we were still writing
        else:
            assert endless.status_code == 413
        assert [(why, status) for why, status, _ in one.reported] == [
            (Why.NOT_LET_IN, status) for status in (413, 415, 403, 413)
        ]
        assert one.reported[3][2] == f"The message is too large: at most {MOST} octets are read"


async def test_a_body_that_comes_too_late_is_given_up() -> None:
    async with served(body_s=0.05) as one:
        reader, writer = await asyncio.open_connection(*one.address)
        writer.write(b"POST /words HTTP/1.1\r\nHost: x\r\nContent-Type: text/words\r\nContent-Length: 10\r\n\r\nhel")
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
        writer.close()
        assert one.reported == [(Why.NOT_LET_IN, 408, "The message did not come in whole within 0.05 s")]


async def test_a_large_message_is_read_by_the_worker() -> None:
    async with served() as one:
        assert (await one.say(LARGE)).content == LARGE.upper()
        assert (await one.say(LARGE.upper())).text == "no: AAAAAAAAAA is no word [None]"


async def test_who_comes_while_others_are_read_may_come_again() -> None:
    async with served(Worker(SHELL, waiting=0)) as one:
        answers = await asyncio.gather(*(one.say(LARGE) for _ in range(4)))
        assert sorted(answer.status_code for answer in answers) == [200, 503, 503, 503]
        assert [(why, status) for why, status, _ in one.reported] == [(Why.NOT_LET_IN, 503)] * 3
        assert (await one.say(LARGE)).status_code == 200


async def test_what_takes_too_much_to_read_is_given_up() -> None:
    async with served(Worker(SHELL, seconds=0.001)) as one:
        response = await one.say(LARGE)
        assert (response.status_code, response.text) == (
            413,
            "no: The message takes too much to read (it took longer than 0.001 s) [None]",
        )
        assert [(why, status) for why, status, _ in one.reported] == [(Why.TOO_COSTLY, 413)]
        assert (await one.say(b"hello")).status_code == 200


async def test_a_reading_process_that_fails_is_a_failure_of_ours() -> None:
    async with served(Worker("pieces:fail")) as one:
        response = await one.say(LARGE)
        assert (response.status_code, response.text) == (500, "no: The dictionary failed itself (WorkerFailed) [None]")


async def test_a_get_is_for_descriptions() -> None:
    async with served() as one:
        bare = await one.client.get("/words")
        assert (bare.status_code, bare.headers["allow"]) == (405, "POST")
        assert "/words?wsdl" in bare.text
        where = f"at {one.client.base_url}/words".replace("//words", "/words")
        for query, text in (
            ("wsdl", f"Words {where}"),
            ("WSDL", f"Words {where}"),
            ("xsd=words.xsd", f"words.xsd {where}"),
        ):
            found = await one.client.get(f"/words?{query}")
            assert (found.status_code, found.text) == (200, text)
        assert (await one.client.get("/cim/words?wsdl")).status_code == 404  # no description is called Other
        for query in ("xsd=", "xsd=../words.xsd", "xsd=Other"):
            assert (await one.client.get(f"/words?{query}")).status_code == 404
        assert (await one.client.get("/words?wsdl", headers={"Host": "evil.example"})).status_code == 421
        assert (await one.client.put("/words")).status_code == 405
        assert (await one.client.get("/")).status_code == 404
