"""Asking a process and following its server-sent events (WHATWG HTML, 9.2) without holding up the event loop, and within bounds.

The process is not trusted with our memory: answers, events and lines have a largest size. A stream that says nothing for longer than its
comments come has been lost, whatever TCP says. Errors are those of `ami_process.rest_client`.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from ami_process.http_sending import SendingTransport
from ami_process.rest_client import (
    AnswerLost,
    NotReached,
    ProcessRefused,
    authorization,
    problems_of,
    refusal,
    trusted,
)

CONNECT_S = 10.0
ANSWER_S = 60.0
SILENCE_S = 30.0
"""Streams of ours say at least every ten seconds that there is still somebody."""
MOST_ANSWER = 16_000_000
MOST_EVENT = 16_000_000
"""Octets."""
LIGHT = 100_000
"""Octets of JSON that are read on the event loop."""
NOT_UNDERSTOOD = "the answer is not understood: is this a process of the same version?"
Answer = TypeVar("Answer", bound=BaseModel)


class ServerEvent(NamedTuple):
    """One event: its name and its data."""

    name: str
    data: str


class RestStream:
    """A process at a URL; entered, it has connections."""

    def __init__(self, url: str, token_file: Path | None = None, tls: Mapping[str, Any] | None = None) -> None:
        """`tls`: files by `authorities`, `certificate`, `key`. Raises NotReached for what can't be used."""
        self.url = url
        self._token_file = token_file
        timeout = httpx.Timeout(ANSWER_S, connect=CONNECT_S)
        try:
            # no proxy is told the token
            sending = SendingTransport(verify=trusted(url, tls), trust_env=False)
            self._client = httpx.AsyncClient(base_url=url, timeout=timeout, transport=sending, trust_env=False)
        except httpx.InvalidURL as problem:
            raise NotReached(f"{url} is no URL: {problem}") from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def get(self, path: str, model: type[Answer]) -> Answer:
        """The answer to a GET. Raises NotReached, AnswerLost and ProcessRefused."""
        with problems_of(self.url):
            async with self._client.stream("GET", path, headers=authorization(self._token_file)) as response:
                answer = await _read(response)
        if response.status_code != httpx.codes.OK:
            raise ProcessRefused(refusal(response.status_code, answer)[0])
        return await parsed(answer, model)

    async def events(self, path: str) -> AsyncIterator[ServerEvent]:
        """Those of a stream, until it ends. Raises NotReached, AnswerLost and ProcessRefused."""
        silence = httpx.Timeout(SILENCE_S, connect=CONNECT_S)
        with problems_of(self.url):
            async with self._client.stream(
                "GET", path, headers=authorization(self._token_file), timeout=silence
            ) as response:
                if response.status_code != httpx.codes.OK:
                    raise ProcessRefused(refusal(response.status_code, await _read(response))[0])
                async for event in _events(response.aiter_bytes()):
                    yield event


async def parsed(answer: bytes | str, model: type[Answer]) -> Answer:
    """As the model says; what is large is read beside the event loop. Raises AnswerLost."""
    try:
        if len(answer) <= LIGHT:
            return model.model_validate_json(answer)
        return await asyncio.to_thread(model.model_validate_json, answer)
    except ValidationError:
        raise AnswerLost(NOT_UNDERSTOOD) from None


async def _read(response: httpx.Response) -> bytes:
    answer = bytearray()
    async for part in response.aiter_bytes():
        answer += part
        if len(answer) > MOST_ANSWER:
            raise AnswerLost(f"the answer is larger than {MOST_ANSWER} octets")
    return bytes(answer)


async def _events(parts: AsyncIterator[bytes]) -> AsyncIterator[ServerEvent]:
    name, data, size = "message", list[str](), 0
    async for line in _lines(parts):
        if not line:
            if data:
                yield ServerEvent(name, "\n".join(data))
            name, data, size = "message", [], 0
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            size += len(value)
            if size > MOST_EVENT:
                raise AnswerLost(f"an event is larger than {MOST_EVENT} octets")
            data.append(value)


async def _lines(parts: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """Without their ends (LF or CRLF)."""
    rest = bytearray()
    async for part in parts:
        rest += part
        *whole, last = rest.split(b"\n")
        for one in whole:
            yield one.removesuffix(b"\r").decode(errors="replace")
        rest = bytearray(last)
        if len(rest) > MOST_EVENT:
            raise AnswerLost(f"a line is longer than {MOST_EVENT} octets")
