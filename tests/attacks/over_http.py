"""Attacks on the HTTP ports. Each gives what came back, by kind: a status, `fault`, `FAILED` with its code, `hung up`."""

from __future__ import annotations

import gzip
import re
import select
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache

from hostile import Address, controls, exchange, post, soap
from siege import PATIENCE_S, Battlefield, Target

Launch = Callable[[Battlefield, float], Counter[str]]
SECRETS = (b"root:", b"BEGIN ", b"[hes]", b"encryption_key")
"""What no answer may hold: of /etc/passwd, of keys, of the configuration."""


def said(answer: bytes) -> str:
    """What an answer is, in a word."""
    if any(secret in answer for secret in SECRETS):
        return "LEAKED"
    if not answer.startswith(b"HTTP/1.1 "):
        return "hung up"
    status = answer[9:12].decode("ascii", "replace")
    if answer.count(b"HTTP/1.1 ") > 1:
        return f"{status} and more"
    code = re.search(rb"Result>FAILED<.*?code>([0-9.]+)<", answer, re.DOTALL)
    if b"faultcode>" in answer:
        return f"{status} fault"
    return f"{status} FAILED {code[1].decode()}" if code else status


def each(target: Target, octets: Sequence[bytes]) -> Launch:
    """Say each of these over a connection of its own."""

    def launch(site: Battlefield, _: float) -> Counter[str]:
        address = site.address(target)
        return Counter(said(exchange(address, one)) for one in octets)

    return launch


def messages(target: Target, bodies: Sequence[bytes], **headers: str) -> Launch:
    """Post each of these as a SOAP message."""

    def launch(site: Battlefield, _: float) -> Counter[str]:
        return Counter(said(post(site.address(target), body, **headers)) for body in bodies)

    return launch


def request(line: str, *headers: str, body: bytes = b"") -> bytes:
    """One request, its connection closed behind it."""
    return "\r\n".join((line, "Host: 127.0.0.1", *headers, "Connection: close", "", "")).encode() + body


# --- XML

_ENTITIES = "".join(f'<!ENTITY {"abcdefghij"[n]} "{("&" + "abcdefghij"[n - 1] + ";") * 10}">' for n in range(1, 10))
XML_BOMBS = (
    f'<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">{_ENTITIES}]><l>&j;</l>'.encode(),
    b'<!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/passwd">]><l>&x;</l>',
    b'<!DOCTYPE l SYSTEM "http://127.0.0.1:9/l.dtd"><l/>',
    b'<!DOCTYPE l [<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;]><l/>',
    soap('<x xmlns:i="http://www.w3.org/2001/XInclude"><i:include href="file:///etc/passwd" parse="text"/></x>'),
)
DEPTH = (
    b"<a>" * 200_000,
    soap("<a>" * 50_000 + "</a>" * 50_000),
    soap("<a " + " ".join(f'b{number}="c"' for number in range(100_000)) + "/>"),
    soap(f"<{'n' * 1_000_000}/>"),
)

# --- charsets and compression

_LATIN = soap(controls("<c:EndDevices><c:Names><c:name>M\xe4</c:name></c:Names></c:EndDevices>"))
WRONG_CHARSETS = ("utf-7", "ebcdic-cp-us", "utf-16", "x-none", "utf-8'x'y", "utf-32-be")


def wrong_charsets(target: Target) -> Launch:
    """A message whose header names another charset than its octets have, and octets that are none of the charset."""

    def launch(site: Battlefield, _: float) -> Counter[str]:
        address = site.address(target)
        came = [post(address, _LATIN, Content_Type=f"text/xml; charset={name}") for name in WRONG_CHARSETS]
        came.append(post(address, b'<?xml version="1.0" encoding="EBCDIC-CP-US"?>' + _LATIN))
        came.append(post(address, _LATIN.replace("ä".encode(), b"\xe4")))
        came.append(post(address, b"\xff\xfe" + _LATIN))
        return Counter(map(said, came))

    return launch


@cache
def _gzip_bombs() -> tuple[bytes, ...]:
    """100 MB of nothing, the same packed twice, and behind a message that is nearly too large; made when somebody sends them."""
    bomb = gzip.compress(bytes(100_000_000), 9, mtime=0)
    return bomb, gzip.compress(bomb, mtime=0), gzip.compress(soap(" " * 4_990_000), mtime=0) + bomb


def gzip_bombs(target: Target) -> Launch:
    def launch(site: Battlefield, seconds: float) -> Counter[str]:
        return messages(target, _gzip_bombs(), Content_Encoding="gzip")(site, seconds)

    return launch


# --- where a request ends

_SECOND = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Smuggled: 1\r\nConnection: close\r\n\r\n"
_POST = "POST /cim HTTP/1.1"
_XML = "Content-Type: text/xml"


def _ambiguous(*headers: str, version: str = "1.1") -> bytes:
    head = "\r\n".join((f"POST /cim HTTP/{version}", "Host: 127.0.0.1", _XML, *headers, "", "")).encode()
    return head + b"0\r\n\r\n" + _SECOND


SMUGGLED = (
    _ambiguous("Content-Length: 5", "Transfer-Encoding: chunked"),
    _ambiguous("Transfer-Encoding: chunked", "Content-Length: 5"),
    _ambiguous("Content-Length: 5", "Content-Length: 6"),
    _ambiguous("Content-Length: 5, 6"),
    _ambiguous("Content-Length: +5"),
    _ambiguous("Content-Length: 0x5"),
    _ambiguous("Transfer-Encoding: xchunked"),
    _ambiguous("Transfer-Encoding : chunked"),
    _ambiguous("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
    _ambiguous("Transfer-Encoding: chunked", version="1.0"),
    _ambiguous("Host: other", "Content-Length: 0"),
    _ambiguous("X: a\x00b", "Content-Length: 0"),
    _ambiguous("X: a\rContent-Length: 5"),
    request(_POST, "X: 1", " Content-Length: 0", _XML),
)

TRAVERSALS = tuple(
    request(f"GET {path} HTTP/1.1")
    for path in (
        "/cim?xsd=../../../../../../etc/passwd",
        "/cim?xsd=..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/cim?xsd=%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/cim?xsd=/etc/passwd",
        "/cim?xsd=file:///etc/passwd",
        "/cim?xsd=Message.xsd%00../../etc/passwd",
        "/cim?xsd=....//....//etc/passwd",
        "/cim?xsd=..\\..\\etc\\passwd",
        "/cim/../../../etc/passwd",
        "/static/../../../../../etc/passwd",
        "/static/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/static//etc/passwd",
        "//etc/passwd",
    )
)

# --- addresses that nobody named

ELSEWHERE = (
    "http://169.254.169.254/latest/meta-data",
    "http://10.0.0.1/",
    "http://192.168.1.1:22/",
    "http://[fd00::1]/",
    "http://[::ffff:10.0.0.1]/",
    "http://0.0.0.0:8080/",
    "http://2130706433/",
    "http://0x7f.1/",
    "http://evil.example/",
    "http://127.0.0.1@evil.example/",
    "http://evil.example#@127.0.0.1/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "//127.0.0.1/",
)


def reply_elsewhere(site: Battlefield, _: float) -> Counter[str]:
    """Asynchronous requests whose replies shall go where only the HES can reach."""
    device = f"<c:EndDevices><c:mRID>{site.meters[2]['mrid']}</c:mRID></c:EndDevices>"
    asynchronous = b"<m:AsyncReplyFlag>true</m:AsyncReplyFlag><m:ReplyAddress>%s</m:ReplyAddress><m:MessageID>"
    bodies = (
        soap(controls(device)).replace(b"<m:MessageID>", asynchronous % address.encode(), 1) for address in ELSEWHERE
    )
    return Counter(said(post(site.hes, body)) for body in bodies)


# --- much, and slowly

_HEAD = b"POST /cim HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/xml\r\n"
MEGABYTE = bytes(1_000_000)


def _as_far_as_it_goes(address: Address, head: bytes, piece: bytes, most: int) -> bytes:
    """Send a body piece by piece until nobody takes it, and read what was said."""
    answer = bytearray()
    with suppress(OSError), socket.create_connection(address, PATIENCE_S) as caller:
        caller.sendall(head)
        with suppress(OSError):
            for _ in range(most):
                caller.sendall(piece)
        while chunk := caller.recv(65_536):
            answer += chunk
    return bytes(answer)


def large_bodies(target: Target) -> Launch:
    """100 MB that are announced, and 100 MB in chunks that are not."""

    def launch(site: Battlefield, _: float) -> Counter[str]:
        address = site.address(target)
        announced = _as_far_as_it_goes(address, _HEAD + b"Content-Length: 100000000\r\n\r\n", MEGABYTE, 100)
        chunk = b"%x\r\n" % len(MEGABYTE) + MEGABYTE + b"\r\n"
        in_chunks = _as_far_as_it_goes(address, _HEAD + b"Transfer-Encoding: chunked\r\n\r\n", chunk, 100)
        return Counter(map(said, (announced, in_chunks)))

    return launch


def endless_chunks(target: Target) -> Launch:
    """Chunks without a last one, as long as they are taken."""

    def launch(site: Battlefield, force: float) -> Counter[str]:
        head = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
        pieces = (b"1\r\nx\r\n" * 10_000, b"1000;" + b"e" * 4_000 + b"\r\n" + bytes(4096) + b"\r\n")
        return Counter(
            said(_as_far_as_it_goes(site.address(target), head, one, round(20_000 * force))) for one in pieces
        )

    return launch


def slowly(target: Target, connections: int = 500) -> Launch:
    """So many connections that say an octet of their head now and then (slowloris), until each has had an answer."""

    def launch(site: Battlefield, force: float) -> Counter[str]:
        came: Counter[str] = Counter()
        callers = {_connected(site.address(target)): bytearray() for _ in range(round(connections * force))}
        until = time.monotonic() + PATIENCE_S
        while callers and time.monotonic() < until:
            readable, _, _ = select.select([*callers][:900], [], [], 0.1)
            for caller in [*callers]:
                ended = False
                if caller in readable:
                    try:
                        octets = caller.recv(65_536)
                    except OSError:
                        octets = b""
                    callers[caller] += octets
                    ended = not octets
                if ended:
                    came[said(bytes(callers.pop(caller)))] += 1
                    caller.close()
                elif caller in callers:
                    with suppress(OSError):
                        caller.send(b"x")
        came["held for ever"] += len(callers)
        for caller in callers:
            caller.close()
        return +came

    return launch


def _connected(address: Address) -> socket.socket:
    caller = socket.create_connection(address, PATIENCE_S)
    caller.sendall(b"POST /cim HTTP/1.1\r\nX: ")
    return caller


HEADERS = (
    b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"a: b\r\n" * 100_000 + b"\r\n",
    b"GET /" + b"x" * 1_000_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
)
