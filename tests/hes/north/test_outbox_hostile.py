"""Whatever a reply address is and whatever answers there ends one delivery, with a reason, in bounded time and memory."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from an_answer import ANSWER, HERE
from hostile_receivers import Behaviour, Receiver, deaf, hanging_up, repeating, saying
from hypothesis import example, given, settings
from hypothesis import strategies as st
from north_bench import SCHEMAS
from sizes import examples

from ami_cim import wire
from ami_cim.errors import InvalidMessage, LocalError
from ami_hes.outbox import NotServed, NotTaken, Outbox
from ami_hes.reply_hosts import NotAllowed

OK = b"HTTP/1.1 200 OK\r\n"


@asynccontextmanager
async def outbox(timeout_s: float = 5.0) -> AsyncIterator[Outbox]:
    async with Outbox.opened(HERE, SCHEMAS, timeout_s=timeout_s) as box:
        yield box


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:-1/",
        "http://127.0.0.1:0/",
        "http://127.0.0.1:65536/",
        "http://127.0.0.1:99999999999999999999/",
        "http://127.0.0.1:1e3/",
        "http://127.0.0.1:80:80/",
        "http://xn--/",
        "http://xn--zzzzzzzz--/",
        "http://xn--a-ecp.example/",
        "http://exa mple/",
        "http://127.0.0.1%00.example/",
        "http://a..example/",
        "http://.example/",
        "http://" + "a" * 64 + ".example/",
        "http://" + "a." * 200 + "example/",
        "http://[::1%25lo]/",
        "http://[fe80::1%lo]/",
        "http://[v1.x]/",
        "http://127.0.0.1/\n",
        "http://\ud800/",
        "http://user@127.0.0.1/",
        "http://:@127.0.0.1/",
        "http://127.0.0.1\\@x y/",
        "//127.0.0.1/",
    ],
)
async def test_an_address_that_cannot_be_one_is_refused_by_name(address: str) -> None:
    with pytest.raises(NotAllowed, match="the reply address"):
        HERE.check(address)
    async with outbox() as box:
        with pytest.raises(NotAllowed, match="the reply address"):
            await box.post(address, ANSWER)


@pytest.mark.parametrize(
    ("octets", "told"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: http://xn--/\r\nContent-Length: 0\r\n\r\n", "302"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:-1/\r\nContent-Length: 0\r\n\r\n", "302"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://[/\r\nContent-Length: 0\r\n\r\n", "302"),
        (b"HTTP/1.1 307 X\r\nLocation: \xff\xfe\r\nContent-Length: 0\r\n\r\n", "307"),
        (b"HTTP/1.1 401 X\r\nWWW-Authenticate: Digest \xff\r\nContent-Length: 0\r\n\r\n", "401"),
        (b"HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n", "999"),
        (b"HTTP/1.1 503 \xff\xfe\r\nContent-Length: 0\r\n\r\n", "503|RemoteProtocolError"),
        (b"HTTP/1.1 -20 X\r\n\r\n", "RemoteProtocolError"),
        (OK + b"Content-Length: -1\r\n\r\n", "RemoteProtocolError"),
        (OK + b"Content-Length: 9\r\n\r\nshort", "RemoteProtocolError"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n", "RemoteProtocolError"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFFFF\r\n", "RemoteProtocolError"),
        (OK + b"No colon here\r\n\r\n", "RemoteProtocolError"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01", "RemoteProtocolError"),
        (b"", "RemoteProtocolError"),
        (OK + b"X: " + b"a" * 200_000 + b"\r\n\r\n", "RemoteProtocolError|ReadError"),
        (OK + b"Content-Length: 200000\r\n\r\n" + b"a" * 200_000, "larger than 100000 octets"),
    ],
)
async def test_an_answer_that_is_none_ends_one_delivery(octets: bytes, told: str) -> None:
    async with Receiver(saying(octets)).serving() as receiver, outbox() as box:
        with pytest.raises(NotTaken, match=told):
            await box.post(receiver.url, ANSWER)
        assert receiver.came == 1


@pytest.mark.parametrize(
    ("behaviour", "timeout_s", "told"),
    [
        (deaf, 0.2, "no answer within 0.2 s"),
        (hanging_up, 10, "RemoteProtocolError|ReadError|WriteError"),
        (repeating(b"", b"H", 0.02), 0.2, "no answer within 0.2 s"),
        (repeating(OK + b"Content-Length: 90000\r\n\r\n", b"a", 0.02), 0.2, "no answer within 0.2 s"),
        (repeating(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.001), 0.2, "no answer within 0.2 s"),
        (repeating(OK + b"\r\n", b"a" * 65_536), 10, "larger than 100000 octets"),
        (repeating(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n", 0.02), 0.2, "no answer within 0.2 s"),
        (repeating(OK, b"X: y\r\n" * 1_000), 10, "RemoteProtocolError|ReadError"),
    ],
)
async def test_an_answer_without_end_is_cut(behaviour: Behaviour, timeout_s: float, told: str) -> None:
    async with Receiver(behaviour).serving() as receiver, outbox(timeout_s) as box:
        with pytest.raises(NotTaken, match=told):
            await box.post(receiver.url, ANSWER)


async def test_a_compressed_answer_is_not_unpacked() -> None:
    """We ask for none; what comes all the same says nothing beside its status."""
    bomb = gzip.compress(b" " * 50_000_000)
    assert len(bomb) < 100_000
    head = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    async with Receiver(saying(head + bomb)).serving() as receiver, outbox() as box:
        await box.post(receiver.url, ANSWER)


async def test_a_receiver_leaves_nothing_with_us_for_the_next_delivery() -> None:
    seen: list[bytes] = []

    async def setting_a_cookie(reader: object, writer: object) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))  # type: ignore[attr-defined]
        writer.write(OK + b"Set-Cookie: a=b\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")  # type: ignore[attr-defined]

    async with Receiver(setting_a_cookie).serving() as receiver, outbox() as box:
        for _ in range(2):
            await box.post(receiver.url, ANSWER)
    assert len(seen) == 2 and not any(b"cookie" in head.lower() for head in seen)


def fault(text: str) -> bytes:
    return (
        b'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><e:Fault><faultcode>e:Client</faultcode>'
        b"<faultstring>" + text.encode() + b"</faultstring></e:Fault></e:Body></e:Envelope>"
    )


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (501, b""),
        (404, b"<html>no such page</html>"),
        (405, b""),
        (410, b""),
        (500, fault("Method 'msg:ResponseMessage' not implemented: method name or namespace not recognized")),
        (200, fault("Method not implemented")),
        (500, fault("Cannot find dispatch method for ResponseMessage")),
        (500, fault("Server did not recognize the value of HTTP Header SOAPAction: .")),
        (500, fault("The endpoint reference (EPR) for the Operation not found is http://x/cim")),
        (500, fault("Message part ResponseMessage was not recognized.  (Does it exist in service WSDL?)")),
        (500, wire.write_fault(InvalidMessage("2.5", "Invalid Noun"))),
    ],
)
async def test_not_implemented_is_told_apart_from_not_now(status: int, body: bytes) -> None:
    answer = b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body
    async with Receiver(saying(answer)).serving() as receiver, outbox() as box:
        with pytest.raises(NotServed):
            await box.post(receiver.url, ANSWER)


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, b""), (503, b""), (429, b""), (500, fault("out of order")), (500, wire.write_fault(LocalError("full")))],
)
async def test_not_now_is_no_refusal_for_ever(status: int, body: bytes) -> None:
    answer = b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body
    async with Receiver(saying(answer)).serving() as receiver, outbox() as box:
        with pytest.raises(NotTaken) as problem:
            await box.post(receiver.url, ANSWER)
    assert not isinstance(problem.value, NotServed)


AUTHORITIES = st.text(st.sampled_from("0123456789.:-[]@%xn/\\abcü。\u200d \x00#?"), max_size=30)


@given(AUTHORITIES)
@example("127.0.0.1:-1")
@example("xn--")
def test_any_address_is_an_address_or_is_refused(authority: str) -> None:
    try:
        url = HERE.check(f"http://{authority}/")
    except NotAllowed:
        return
    assert url.host and (url.port is None or 1 <= url.port <= 65535)


HEADS = st.sampled_from([b"", OK, b"HTTP/1.1 302 X\r\nLocation: ", OK + b"Transfer-Encoding: chunked\r\n\r\n"])


@settings(max_examples=examples(15), deadline=None)
@given(st.lists(st.tuples(HEADS, st.binary(max_size=200)), min_size=1, max_size=10))
async def test_any_octets_are_an_answer_or_end_one_delivery(answers: list[tuple[bytes, bytes]]) -> None:
    async with Receiver(deaf).serving() as receiver, outbox() as box:
        for head, octets in answers:
            receiver.behaviour = saying(head + octets)
            try:
                await box.post(receiver.url, ANSWER)
            except NotTaken:
                continue
            assert b"HTTP/1" in head + octets
