"""How a command asks the process that it belongs to: JSON over HTTP, with the bearer token of a file.

A command says what became of its request: `NotReached` when the process has certainly taken nothing, `AnswerLost` when it may have,
`ProcessRefused` with the process's own reason. What it takes to ask over https is in the environment: `AMI_TLS_AUTHORITIES` (a file, instead of
the usual authorities), `AMI_TLS_CERTIFICATE` and `AMI_TLS_KEY` (what a process with mutual TLS wants to see). In place of a file with a token, `AMI_OIDC_ISSUER` and
others name an issuer that gives one (`ami_process.oidc_client`).
"""

import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from pydantic import ValidationError

from ami_process.oidc_client import ClientCredentials, of_environment
from ami_process.oidc_documents import IssuerAway
from ami_process.settings import SettingsError
from ami_process.tls import ADVICE, TlsSettings, client_context, describe, tls_problem

VARIABLES = "AMI_TLS_"
CONNECT_S = 10.0
MAX_ANSWER = 64_000_000
MAX_TOKEN_FILE = 65_536
_BROKE_OFF = frozenset((httpx.codes.INTERNAL_SERVER_ERROR, httpx.codes.BAD_GATEWAY, httpx.codes.GATEWAY_TIMEOUT))
"""A process that fails or is stopped in the middle answers so: what was asked may have been done."""


class NotReached(Exception):
    """Nothing was asked; the text says why."""


class TokenUnusable(NotReached):
    """The same, for the file with the token."""


class AnswerLost(Exception):
    """The request may have been taken, and there is no answer to it; the text says why."""


class ProcessRefused(Exception):
    """The process answers that it will not; the text is its reason."""


@contextmanager
def streamed(
    url: str, path: str, token_file: Path | None = None, more: Mapping[str, str] | None = None
) -> Iterator[Iterator[bytes]]:
    """A GET whose answer may be of any size, part by part; `more` are further headers. Raises NotReached, ProcessRefused, and AnswerLost where it breaks off."""
    with (
        _client(url) as client,
        problems_of(url),
        client.stream("GET", path, headers=authorization(token_file) | dict(more or {})) as response,
    ):
        if response.status_code != httpx.codes.OK:
            raise ProcessRefused(refusal(response.status_code, _read(response))[0])
        yield response.iter_bytes()


def ask(url: str, method: str, path: str, content: str | None = None, token_file: Path | None = None) -> bytes:
    """The answer of the process at `url`, however long that takes; `content` is JSON. Raises NotReached, AnswerLost, ProcessRefused."""
    headers = authorization(token_file)
    if content is not None:
        headers["Content-Type"] = "application/json"
    with _client(url) as client:
        body = None if content is None else content.encode()
        with problems_of(url), client.stream(method, path, content=body, headers=headers) as response:
            answer = _read(response)
    if response.status_code != httpx.codes.OK:
        reason, undecided = refusal(response.status_code, answer)
        raise AnswerLost(reason) if undecided or response.status_code in _BROKE_OFF else ProcessRefused(reason)
    return answer


@contextmanager
def problems_of(url: str) -> Iterator[None]:
    """What goes wrong inside is NotReached or AnswerLost."""
    try:
        yield
    except httpx.UnsupportedProtocol:
        raise NotReached(f"{url} is no URL: write http://HOST:PORT") from None
    except (httpx.ConnectError, httpx.ConnectTimeout) as problem:
        raise NotReached(f"{url} cannot be reached: {_why(problem)}") from None
    except httpx.HTTPError as problem:
        tls = tls_problem(problem)
        if tls is not None and "ALERT" in (tls.reason or ""):
            raise NotReached(f"{url} does not let us in: {_why(problem)}") from None
        raise AnswerLost(f"{url} gave no answer: {problem or type(problem).__name__}") from None


def _client(url: str) -> httpx.Client:
    try:
        timeout = httpx.Timeout(None, connect=CONNECT_S)
        return httpx.Client(
            base_url=url, timeout=timeout, verify=trusted(url), trust_env=False
        )  # the token is for no proxy
    except httpx.InvalidURL as problem:
        raise NotReached(f"{url} is no URL: {problem}") from None


def trusted(url: str, given: Mapping[str, Any] | None = None) -> ssl.SSLContext:
    """What a connection trusts and shows; `given` are files by the ends of the variables' names, and count before them. Raises NotReached."""
    if not url.startswith("https:"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # the usual authorities take 40 ms to load
    files = {name: os.environ.get(f"{VARIABLES}{name.upper()}") for name in ("authorities", "certificate", "key")}
    files |= {name: value for name, value in (given or {}).items() if value is not None}
    try:
        return client_context(TlsSettings.model_validate(files), VARIABLES.rstrip("_"), lambda _: None)
    except ValidationError:
        raise NotReached(f"{VARIABLES}CERTIFICATE and {VARIABLES}KEY go together") from None
    except SettingsError as problem:
        raise NotReached(str(problem)) from None


def _why(problem: httpx.HTTPError) -> str:
    tls = tls_problem(problem)
    if tls is None:
        return str(problem)
    hint = f"; {VARIABLES}AUTHORITIES names who signs it" if isinstance(tls, ssl.SSLCertVerificationError) else ""
    hint = f"; {VARIABLES}CERTIFICATE and {VARIABLES}KEY name ours" if "ALERT" in (tls.reason or "") else hint
    return f"{describe(tls)}{hint}"


def authorization(token_file: Path | None) -> dict[str, str]:
    """The header with the first token of a file, or without one a token of the issuer that the environment names; raises TokenUnusable."""
    if token_file is None:
        return _of_issuer()
    try:
        with token_file.open("rb") as opened:
            lines = [line.strip() for line in opened.read(MAX_TOKEN_FILE).decode("ascii").splitlines()]
    except OSError as problem:
        raise TokenUnusable(f"the token file {token_file} cannot be read: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise TokenUnusable(f"the token file {token_file} is no text") from None
    tokens = [line for line in lines if line and not line.startswith("#")]
    if not tokens:
        raise TokenUnusable(f"the token file {token_file} holds no token")
    return {"Authorization": f"Bearer {tokens[0]}"}


def credentials_of_environment() -> ClientCredentials | None:
    """Those of the issuer that the environment names, for who asks more than once; None where it names none. Raises TokenUnusable."""
    try:
        return of_environment(trusted)
    except SettingsError as problem:
        raise TokenUnusable(str(problem)) from None


def _of_issuer() -> dict[str, str]:
    credentials = credentials_of_environment()
    try:
        return {} if credentials is None else {"Authorization": f"Bearer {credentials.fetch()[0]}"}
    except IssuerAway as problem:
        raise TokenUnusable(str(problem)) from None


def _read(response: httpx.Response) -> bytes:
    answer = bytearray()
    for chunk in response.iter_bytes():
        answer += chunk
        if len(answer) > MAX_ANSWER:
            raise AnswerLost(f"the answer is larger than {MAX_ANSWER} octets")
    return bytes(answer)


def refusal(status: int, answer: bytes) -> tuple[str, bool]:
    """What an answer that is not OK says: why, and whether what was asked may have been done all the same."""
    try:
        said = httpx.Response(status, content=answer).json()
        reason, undecided = said["error"], said.get("undecided") is True
    except (ValueError, KeyError, TypeError, AttributeError):
        reason, undecided = None, False
    if status == httpx.codes.BAD_REQUEST and answer == ADVICE:
        reason = answer.decode().strip()
    return (reason if isinstance(reason, str) else f"the process answers with the HTTP status {status}"), undecided
