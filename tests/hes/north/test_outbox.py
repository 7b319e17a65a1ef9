"""Where replies may go, and when a reply counts as taken."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from an_answer import ANSWER, HERE, response
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
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


@asynccontextmanager
async def stranger_over_tls(directory: Path) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A receiver whose certificate is its own; its URL, and what has come through."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")]), datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    file = directory / "own.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(secret + made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    shown.load_cert_chain(file)
    came: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(await reader.read(1_000))
        writer.close()

    async with await asyncio.start_server(take, "127.0.0.1", 0, ssl=shown) as server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/cim", came


async def test_over_https_nothing_is_said_to_whom_no_authority_knows(tmp_path: Path) -> None:
    async with stranger_over_tls(tmp_path) as (url, came), Cis().serving() as cis, outbox() as box:
        await box.post(cis.url, ANSWER)
        for _ in range(2):
            with pytest.raises(NotTaken, match="the certificate is not taken: self-signed certificate"):
                await box.post(url, ANSWER)
        await box.post(cis.url, ANSWER)
    assert len(cis.requests) == 2 and came == []


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
