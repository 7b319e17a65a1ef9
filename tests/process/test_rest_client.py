"""What a command is told of the process that it asks: reached or not, refused or broken off, and the token that it shows."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from one_answer import answering, response

from ami_process import rest_client
from ami_process.rest_client import AnswerLost, NotReached, ProcessRefused


async def ask(url: str, token_file: Path | None = None) -> bytes:
    return await asyncio.to_thread(rest_client.ask, url, "POST", "/api/v1/things", "{}", token_file)


async def test_the_answer_comes_back_and_the_token_goes_along(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("# of the CIS\n\nsecret-token\nanother\n")
    async with answering(response("200 OK", b'{"a": 1}')) as (url, heard):
        assert await ask(url, tokens) == b'{"a": 1}'
        assert await ask(url) == b'{"a": 1}'
    assert heard[0].startswith(b"POST /api/v1/things HTTP/1.1\r\n")
    assert b"Authorization: Bearer secret-token\r\n" in heard[0]
    assert b"authorization" not in heard[1].lower()


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        ("403 Forbidden", b'{"error": "not you"}', "not you"),
        ("422 Unprocessable Content", b'{"error": [1]}', "HTTP status 422"),
        ("503 Later", b'{"error": "the store is closed"}', "the store is closed"),
        ("302 Found", b"[]", "HTTP status 302"),
    ],
)
async def test_a_refusal_has_the_reason_of_the_process(status: str, body: bytes, reason: str) -> None:
    async with answering(response(status, body)) as (url, _):
        with pytest.raises(ProcessRefused, match=reason):
            await ask(url)


@pytest.mark.parametrize("status", ["500 Oops", "502 Bad Gateway", "504 Gateway Timeout"])
async def test_of_what_failed_in_the_middle_it_is_not_known_what_became(status: str) -> None:
    async with answering(response(status, b"<html>")) as (url, _):
        with pytest.raises(AnswerLost, match=f"HTTP status {status[:3]}"):
            await ask(url)


async def test_a_process_that_stops_says_that_it_is_undecided() -> None:
    said = b'{"error": "it stops; ask again", "undecided": true}'
    async with answering(response("503 Later", said)) as (url, _):
        with pytest.raises(AnswerLost, match="it stops; ask again"):
            await ask(url)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", b"no HTTP at all\r\n\r\n"])
async def test_an_answer_that_breaks_off_may_mean_anything(answer: bytes) -> None:
    async with answering(answer) as (url, _):
        with pytest.raises(AnswerLost, match="gave no answer"):
            await ask(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "127.0.0.1:8080", "ftp://127.0.0.1", "http://[::"])
async def test_where_nobody_is_nothing_was_asked(url: str) -> None:
    with pytest.raises(NotReached):
        await ask(url)


async def test_an_answer_without_end_is_not_read_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest_client, "MAX_ANSWER", 1000)
    async with answering(response("200 OK", b" " * 1001)) as (url, _):
        with pytest.raises(AnswerLost, match="larger than 1000"):
            await ask(url)


@pytest.mark.parametrize(("content", "reason"), [(None, "No such file"), (b"#\n", "no token"), (b"\xff", "no text")])
async def test_a_token_file_that_cannot_be_used_is_said(tmp_path: Path, content: bytes | None, reason: str) -> None:
    tokens = tmp_path / "tokens"
    if content is not None:
        tokens.write_bytes(content)
    with pytest.raises(NotReached, match=reason):
        await ask("http://127.0.0.1:1", tokens)
