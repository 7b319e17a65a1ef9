"""What the HES sends to a CIS: answers as octets, and asynchronous replies posted to a ReplyAddress.

Where replies may go says `hes.reply_hosts`; redirects are not followed, since they would lead elsewhere.
"""

import asyncio

import httpx

from cim import edge, envelope, soap, xml
from cim.errors import CimError, PeerFault
from cim.message import ResponseMessage
from cim.schema import Schemas
from hes.reply_hosts import NotTaken, ReplyHosts

MAX_ANSWER_OCTETS = 1_000_000

_HEADERS = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": '""', "Accept-Encoding": "identity"}


def format_answer(message: ResponseMessage, schemas: Schemas) -> bytes:
    """The generic ResponseMessage in SOAP, as it is kept and posted; raises CimError if it would not be valid."""
    return edge.write_response(message, envelope.REQUEST_MESSAGE, schemas)


def parse_answer(octets: bytes) -> ResponseMessage:
    """A message that `format_answer` made."""
    return envelope.parse_response(soap.unwrap(xml.parse(octets, max_octets=len(octets))))


class Outbox:
    """Posts replies."""

    def __init__(self, client: httpx.AsyncClient, hosts: ReplyHosts, schemas: Schemas, *, timeout_s: float) -> None:
        self._client = client
        self._hosts = hosts
        self._schemas = schemas
        self._timeout_s = timeout_s

    async def post(self, reply_address: str, answer: bytes) -> None:
        """Hand a kept answer over; returns when it was taken. Raises NotTaken or NotAllowed."""
        try:
            async with asyncio.timeout(self._timeout_s):
                status, octets = await self._send(self._hosts.check(reply_address), answer)
        except TimeoutError:
            raise NotTaken(f"no answer within {self._timeout_s:g} s") from None
        except httpx.HTTPError as error:
            raise NotTaken(f"{type(error).__name__}: {error}") from None
        self._check_taken(status, octets)

    async def _send(self, url: httpx.URL, answer: bytes) -> tuple[int, bytes]:
        address = await self._hosts.resolve(url)
        request = self._client.build_request(
            "POST",
            url.copy_with(host=str(address)),
            content=answer,
            headers=_HEADERS | {"Host": url.netloc.decode("ascii")},
            extensions={"sni_hostname": url.host},
        )
        response = await self._client.send(request, stream=True, follow_redirects=False)
        try:
            return response.status_code, await _read(response)
        finally:
            await response.aclose()

    def _check_taken(self, status: int, octets: bytes) -> None:
        """Taken is a 2xx, unless a fault or a Reply FAILED says otherwise; what else the body holds is the receiver's affair."""
        if not 200 <= status < 300:
            raise NotTaken(f"HTTP status {status}")
        try:
            reply = edge.read_response(octets, self._schemas).reply
        except PeerFault as fault:
            raise NotTaken(f"the receiver answered with a fault: {fault}") from None
        except CimError:
            return
        if reply.result == "FAILED":
            reasons = "; ".join(error.reason or error.code for error in reply.errors)
            raise NotTaken(f"the receiver answered FAILED: {reasons}")


async def _read(response: httpx.Response) -> bytes:
    octets = bytearray()
    async for chunk in response.aiter_bytes():
        octets += chunk
        if len(octets) > MAX_ANSWER_OCTETS:
            raise NotTaken(f"the answer is larger than {MAX_ANSWER_OCTETS} octets")
    return bytes(octets)
