"""The ReplyAddress of the customers: takes late replies, tells the ledger, and acknowledges them."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress

from lxml import etree

from ami_cim import envelope, soap
from ami_cim.message import Header, Reply, ResponseMessage
from chaos.customers import texts
from chaos.ledger import Final, Ledger


class Receiver:
    """An HTTP server that is always there, since a customer that is not would keep its reply waiting."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._server: asyncio.Server | None = None

    async def open(self, port: int) -> str:
        """Its address."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        return f"http://127.0.0.1:{port}/cim"

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                (length,) = (line[15:] for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
                body = await reader.readexactly(int(length))
                answer = self._take(body)
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: text/xml; charset=utf-8\r\n"
                    b"Content-Length: %d\r\n\r\n%s" % (len(answer), answer)
                )
                await writer.drain()
        writer.close()

    def _take(self, body: bytes) -> bytes:
        (message_id,), (correlation_id,) = texts(body, "MessageID"), texts(body, "CorrelationID")
        self._ledger.reply(correlation_id, Final.of(message_id, texts(body, "Result")[0], body))
        return acknowledgement(body)


def acknowledgement(body: bytes) -> bytes:
    """The answer to a late reply: it was taken."""
    root = soap.unwrap(body)
    got = envelope.parse_delivery(root).message
    header = Header(
        verb="reply",
        noun=got.header.noun,
        message_id=str(uuid.uuid4()),
        correlation_id=got.header.correlation_id,
        timestamp=got.header.timestamp,
    )
    answer = ResponseMessage(header=header, reply=Reply(result="OK"))
    return soap.wrap(envelope.format_response(answer, etree.QName(root)))
