"""All that is fuzzed, by name: the function that takes the octets, and the seeds that the fuzzer starts from."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE), str(HERE.parent / "dlms" / "association")]

import decoders  # noqa: E402
import ends  # noqa: E402
import links  # noqa: E402
import seeds  # noqa: E402

FINDINGS = HERE.parent / "vectors" / "fuzz.json"
WORDS = """Header Verb Noun Revision Context Timestamp Source AsyncReplyFlag ReplyAddress MessageID CorrelationID Payload
Compressed Request ID EndDeviceControls EndDeviceControl EndDeviceControlType EndDevices UsagePoints Names mRID Reply Result
Error <!DOCTYPE <!ENTITY xmlns: <![CDATA[ soap:FastCiphering soap:Body soap:Header mustUnderstand"""

WSSE_WORDS = """wsse:Security wsu:Timestamp wsu:Created wsu:Expires wsu:Id wsse:UsernameToken wsse:Nonce wsse:Password Type= EncodingType=
wsse:BinarySecurityToken ds:Signature ds:SignedInfo ds:Reference URI="# ds:Transform Algorithm= ds:KeyInfo <!-- <? soap:actor"""


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to fuzz; `words` are pieces that the fuzzer may put together, `runs` inputs take about a second."""

    take: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    runs: int
    longest: int = 1024
    words: tuple[str, ...] = ()


def later(module: str, name: str) -> Callable[[bytes], None]:
    """A target that needs what runs a process: imported when it is first used, so that the other targets start at once."""

    def take(octets: bytes) -> None:
        getattr(import_module(module), name)(octets)

    return take


def seeds_later(module: str, name: str) -> Callable[[], Iterable[bytes]]:
    """Its seeds, likewise."""

    def seeds_of() -> Iterable[bytes]:
        found: Iterable[bytes] = getattr(import_module(module), name)()
        return found

    return seeds_of


HTTP_SEEDS = (
    b"GET /healthz HTTP/1.1\r\nHost: hes.example\r\n\r\n",
    b"POST /cim HTTP/1.1\r\nHost: a\r\nContent-Type: text/xml\r\nContent-Length: 4\r\n\r\n<a/>GET /x/ HTTP/1.0\r\n\r\n",
    b"POST http://a/cim/ HTTP/1.1\r\nHost: [::1]:80\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2;x=y\r\n<a\r\n2\r\n/>\r\n0\r\nT: 1\r\n\r\n",
    b"PUT / HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\nSec-Fetch-Site: cross-site\r\nExpect: 100-continue\r\nX: 1\r\n 2\r\n\r\n",
)
HTTP_WORDS = """GET POST PUT DELETE HEAD OPTIONS HTTP/1.1 HTTP/1.0 Host: Origin: Content-Length: Content-Type: Transfer-Encoding: chunked
text/xml application/json Connection: close keep-alive Expect: 100-continue Sec-Fetch-Site: Upgrade: Authorization: Bearer"""
HEADER_SEEDS = (
    b'text/xml; charset="utf-8"\0\0<a/>',
    b"text/xml; charset*=utf-8''x\0gzip\0\x1f\x8b\x08\0\0\0\0\0\0\xff\xb3I\xd4\xb7\x03\0\x8b\xd1\xcc\x1c\x04\0\0\0",
    b"multipart/related; boundary=x\0identity\0",
)
ADDRESS_SEEDS = (
    b"http://cis.example:8080/cim",
    b"https://mdm.example/",
    b"http://[::ffff:127.0.0.1]:1/",
    b"http://u@a/",
)
LATER = {
    "http": "edges",
    "bearer": "edges",
    "reply-address": "edges",
    "datagrams": "at_the_port",
    "greeting": "at_the_port",
}
"""The modules of these targets."""

TARGETS = {
    "apdu": Target(decoders.decode_apdu, seeds.apdus, 20_000),
    "data": Target(decoders.decode_data, seeds.values, 20_000),
    "profile": Target(decoders.decode_profile, seeds.tables, 15_000),
    "table": Target(decoders.decode_table, seeds.tables, 15_000),
    "tree": Target(decoders.explain_octets, seeds.anything, 2_000),
    "capture": Target(decoders.annotate_capture, seeds.captures, 1_000, longest=4096),
    "wrapper": Target(links.wrapper, seeds.wrapped, 15_000),
    "hdlc-stream": Target(links.hdlc_stream, seeds.lines, 1_500),
    "hdlc-server": Target(links.hdlc_server, partial(seeds.frames_from, "C"), 1_500),
    "hdlc-client": Target(links.hdlc_client, partial(seeds.frames_from, "S"), 1_500),
    "mbus": Target(links.mbus_frames, seeds.segments, 10_000),
    "mode-e": Target(links.mode_e, seeds.sign_ons, 12_000, longest=256),
    "server": Target(ends.server, partial(seeds.sessions, "client"), 500, longest=2048),
    "client": Target(ends.client, partial(seeds.sessions, "server"), 500, longest=2048),
    "wsse": Target(decoders.read_security, seeds.sealed, 1_000, longest=8192, words=tuple(WSSE_WORDS.split())),
    "cim": Target(decoders.read_cim, seeds.messages, 12_000, longest=8192, words=tuple(WORDS.split())),
    "http": Target(later("edges", "http"), lambda: HTTP_SEEDS, 2_000, longest=4096, words=tuple(HTTP_WORDS.split())),
    "bearer": Target(later("edges", "bearer"), lambda: (b"Bearer " + b"a" * 40, b"Basic eDp5"), 8_000, longest=256),
    "headers": Target(decoders.headers, lambda: HEADER_SEEDS, 5_000),
    "reply-address": Target(later("edges", "reply_address"), lambda: ADDRESS_SEEDS, 8_000, longest=256),
    "datagrams": Target(later("at_the_port", "datagrams"), seeds_later("at_the_port", "pushes"), 1_000),
    "greeting": Target(later("at_the_port", "greeting"), seeds_later("at_the_port", "calls"), 500),
}


def findings() -> Iterator[tuple[str, str, bytes]]:
    """What the fuzzer has found so far: identifier, target, octets."""
    for finding in json.loads(FINDINGS.read_text("utf-8")):
        yield finding["id"], finding["target"], bytes.fromhex(finding["hex"])
