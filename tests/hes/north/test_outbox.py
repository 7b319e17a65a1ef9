"""Where replies may go, and when a reply counts as taken."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network

import pytest
from an_answer import ANSWER, HERE, response
from north_bench import SCHEMAS, Cis

from ami_cim import envelope, wire
from ami_cim.errors import InvalidMessage
from ami_cim.message import ReplyError
from ami_hes.outbox import Outbox, format_answer, parse_answer
from ami_hes.reply_hosts import NotAllowed, NotTaken, ReplyHosts


@asynccontextmanager
async def outbox(hosts: ReplyHosts = HERE, timeout_s: float = 5.0) -> AsyncIterator[Outbox]:
    async with Outbox.opened(hosts, SCHEMAS, timeout_s=timeout_s) as box:
        yield box


def test_an_answer_survives_being_kept() -> None:
    message = response("FAILED", ReplyError(code="2.4", reason="bad \x00 character"))
    kept = parse_answer(format_answer(message, SCHEMAS))
    assert kept.header == message.header
    assert kept.reply.errors[0].reason == "bad \ufffd character"


async def test_a_name_is_judged_by_where_it_leads() -> None:
    async with Cis().serving() as cis, outbox() as box:
        await box.post(cis.url.replace("127.0.0.1", "localhost"), ANSWER)
        (headers, body), *_ = cis.requests
        assert headers["host"].startswith("localhost:")
        assert body == ANSWER
    async with outbox(ReplyHosts((ip_network("10.0.0.0/8"),), frozenset())) as box:
        with pytest.raises(NotAllowed, match=r"hes\.reply_hosts"):
            await box.post("http://localhost:1/", ANSWER)


async def test_a_name_that_leads_nowhere_may_lead_somewhere_later() -> None:
    async with outbox() as box:
        with pytest.raises(NotTaken, match="can't be found"):
            await box.post("http://cis.invalid/", ANSWER)


async def test_nobody_there() -> None:
    async with Cis().serving() as cis:
        url = cis.url
    async with outbox() as box:
        with pytest.raises(NotTaken, match="ConnectError"):
            await box.post(url, ANSWER)


async def test_taken() -> None:
    async with Cis().serving() as cis, outbox() as box:
        for status, body in ((200, b""), (202, b""), (200, b"thanks"), (200, ANSWER)):
            cis.answers = [(status, body)]
            await box.post(cis.url, ANSWER)
        (headers, body), *_ = cis.requests
        assert headers["content-type"] == "text/xml; charset=utf-8"
        delivered = wire.read_delivery(body, SCHEMAS)
        assert delivered.wrapper == envelope.RESPONSE_MESSAGE
        assert delivered.message.header.correlation_id == "c"


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (503, b"", "503"),
        (404, b"", "404"),
        (307, b"", "307"),
        (200, format_answer(response("FAILED", ReplyError(code="2.15", reason="never asked")), SCHEMAS), "never asked"),
        (200, wire.write_fault(InvalidMessage("1.8", "what is this")), "what is this"),
        (200, b"x" * 100_001, "larger"),
    ],
)
async def test_not_taken(status: int, body: bytes, told: str) -> None:
    async with Cis((status, body)).serving() as cis, outbox() as box:
        with pytest.raises(NotTaken, match=told):
            await box.post(cis.url, ANSWER)
        assert len(cis.requests) == 1


async def test_a_receiver_that_never_answers_is_left() -> None:
    class Silent(Cis):
        async def _serve(self, reader: object, writer: object) -> None:
            self.kept = writer

    async with Silent().serving() as cis, outbox(timeout_s=0.05) as box:
        with pytest.raises(NotTaken, match=r"no answer within 0\.05 s"):
            await box.post(cis.url, ANSWER)
        cis.kept.close()  # type: ignore[attr-defined]
