"""Asking a process and following its server-sent events (WHATWG HTML, 9.2) without holding up the event loop, and within bounds.

The process is not trusted with our memory: answers, events and lines have a largest size. A stream that says nothing for longer than its
comments come has been lost, whatever TCP says. A token of an issuer is kept until it ends or is refused. Errors are those of `ami_process.rest_client`.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from ami_process.http_sending import SendingTransport
from ami_process.oidc_documents import IssuerAway
from ami_process.rest_client import (
    AnswerLost,
    NotReached,
    ProcessRefused,
    TokenUnusable,
    authorization,
    credentials_of_environment,
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
        self._credentials = None if token_file is not None else credentials_of_environment()
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
        headers = await self._authorization()
        with problems_of(self.url):
            async with self._client.stream("GET", path, headers=headers) as response:
                answer = await _read(response)
        self._check(response, answer)
        return await parsed(answer, model)

    async def events(self, path: str) -> AsyncIterator[ServerEvent]:
        """Those of a stream, until it ends. Raises NotReached, AnswerLost and ProcessRefused."""
        silence, headers = httpx.Timeout(SILENCE_S, connect=CONNECT_S), await self._authorization()
        with problems_of(self.url):
            async with self._client.stream("GET", path, headers=headers, timeout=silence) as response:
                if response.status_code != httpx.codes.OK:
                    self._check(response, await _read(response))
                async for event in _events(response.aiter_bytes()):
                    yield event

    async def _authorization(self) -> dict[str, str]:
        """As `rest_client.authorization`; an issuer is asked beside the event loop, and only where its last token can't be used any more."""
        if self._credentials is None:
            return {} if self._token_file is None else authorization(self._token_file)
        try:
            return {"Authorization": f"Bearer {await self._credentials.token()}"}
        except IssuerAway as problem:
            raise TokenUnusable(str(problem)) from None

    def _check(self, response: httpx.Response, answer: bytes) -> None:
        """Raises ProcessRefused for what is not OK."""
        if response.status_code == httpx.codes.UNAUTHORIZED and self._credentials is not None:
            self._credentials.forget()
        if response.status_code != httpx.codes.OK:
            raise ProcessRefused(refusal(response.status_code, answer)[0])


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
            size += len(value) + 1  # an empty one takes memory too
            if size > MOST_EVENT:
                raise AnswerLost(f"an event is larger than {MOST_EVENT} octets")
            data.append(value)


async def _lines(parts: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """Without their ends (LF or CRLF). What is not at its end yet is not looked at again with each part."""
    begun = bytearray()
    async for part in parts:
        *ends, rest = part.split(b"\n")
        for end in ends:
            begun += end
            yield begun.removesuffix(b"\r").decode(errors="replace")
            begun.clear()
        begun += rest
        if len(begun) > MOST_EVENT:
            raise AnswerLost(f"a line is longer than {MOST_EVENT} octets")
