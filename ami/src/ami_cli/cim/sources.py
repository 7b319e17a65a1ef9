"""What `ami cim lint` is given: a file, an address of the Web, or standard input; no more of it is read than a message may have.

A message is met in more forms than in a body of HTTP: with the head of its HTTP request or response before it, as one part of a multipart body, in
gzip. What these say is taken as HTTP's headers would be, so that a head-end's answer to the same body can be predicted."""

from __future__ import annotations

import email.parser
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import httpx

from ami_cim.limits import UNKNOWN_PEER
from ami_cli.cim.findings import NotReadable

STANDARD_INPUT = "-"
MOST = UNKNOWN_PEER.octets
"""Octets of a message, and of what is fetched."""
FETCH_S = 20.0
"""How long an address may take to answer, in all."""
_WHITE_SPACE = b" \t\r\n\xef\xbb\xbf"
"""With the mark of UTF-8, which an editor may have left alone in a file."""
_MOST_HEAD = 16_384
_HTTP = re.compile(rb"(?:[A-Z]{3,10} \S{1,2000} HTTP/1\.[01]|HTTP/1\.[01] \d{3}[^\r\n]{0,200})\r?\n")
_BOUNDARY = re.compile(rb"\s{0,100}--([!-~]{1,70})\r?\n")
_BLANK = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True, slots=True)
class Source:
    """The octets of a message, and what came with them; `headers` have names in lower case, as HTTP has them."""

    name: str
    octets: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    part: str = ""
    """The media type of the multipart body that it was a part of."""


def take(given: str, standard_input: BinaryIO, content_type: str | None = None) -> Source:
    """The one message of a file, an address or standard input. Raises NotReadable."""
    if given == STANDARD_INPUT:
        source = Source("standard input", _bounded(standard_input.read(MOST + 1)))
    elif given.startswith(("http://", "https://")):
        source = fetch(given)
    else:
        source = Source(given, _read(Path(given)))
    source = _unpacked(source)
    if not source.octets.strip(_WHITE_SPACE):
        behind = "" if source.part or not source.headers else " behind the header fields"
        raise NotReadable(f"there is no message{behind}: it {'has white space alone' if source.octets else 'is empty'}")
    return source if content_type is None else replace(source, headers={**source.headers, "content-type": content_type})


def fetch(address: str, within_s: float = FETCH_S) -> Source:
    """What is at an address: one GET, no redirects, no proxy, and an end by time and by size. Raises NotReadable."""
    until = time.monotonic() + within_s
    try:
        with (
            httpx.Client(trust_env=False, follow_redirects=False, timeout=within_s) as client,
            client.stream("GET", address, headers={"Accept-Encoding": "gzip, identity"}) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise NotReadable(f"the answer has the HTTP status {response.status_code}")
            octets = bytearray()
            for piece in response.iter_raw():
                octets += piece
                _bounded(octets)
                if time.monotonic() > until:
                    raise NotReadable(f"it took more than {within_s:g} s")
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as problem:
        raise NotReadable(f"it can't be read: {problem or type(problem).__name__}") from None
    kept = ("content-type", "content-encoding")
    return Source(address, bytes(octets), {name: response.headers[name] for name in kept if name in response.headers})


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return _bounded(file.read(MOST + 1))
    except (OSError, ValueError) as problem:
        why = problem.strerror if isinstance(problem, OSError) else str(problem)
        raise NotReadable(f"it can't be read: {why}") from None


def _bounded(octets: bytes | bytearray) -> bytes:
    if len(octets) > MOST:
        raise NotReadable(f"more than {MOST:,} octets, which is the most that a message may have")
    return bytes(octets)


def _unpacked(source: Source) -> Source:
    """Without the head of an HTTP message, and without what is around one part; gzip is said to be that."""
    found = _HTTP.match(source.octets)
    if found is not None:
        source = _with_head(source, found.end())
    found = _BOUNDARY.match(source.octets)
    if found is not None:
        source = _first_part(source, found)
    if source.octets.startswith(b"\x1f\x8b") and "content-encoding" not in source.headers:
        source = replace(source, headers={**source.headers, "content-encoding": "gzip"})
    return source


def _with_head(source: Source, begin: int) -> Source:
    headers, body = _headed(source.octets[begin:])
    kept = ("content-type", "content-encoding")
    return replace(source, octets=body, headers={name: headers[name] for name in kept if name in headers})


def _first_part(source: Source, boundary: re.Match[bytes]) -> Source:
    """The first part: in SOAP with Attachments it is the message."""
    headers, body = _headed(source.octets[boundary.end() :])
    end = body.find(b"\n--" + boundary[1])
    media = source.headers.get("content-type") or f'multipart/related; boundary="{boundary[1].decode("ascii")}"'
    kept = {"content-type": headers["content-type"]} if "content-type" in headers else {}
    return Source(source.name, body if end < 0 else body[:end], kept, part=media)


def _headed(octets: bytes) -> tuple[dict[str, str], bytes]:
    """Header fields and what comes after the blank line behind them."""
    blank = _BLANK.search(octets, 0, _MOST_HEAD)
    if blank is None:
        raise NotReadable("there are header fields, and no blank line behind them")
    parsed = email.parser.BytesParser().parsebytes(octets[: blank.end()], headersonly=True)
    return {name.lower(): str(value) for name, value in parsed.items()}, octets[blank.end() :]
