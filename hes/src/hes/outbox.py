"""What the HES sends to a CIS: answers as octets, and asynchronous replies posted to a ReplyAddress.

A ReplyAddress comes from the network, so the HES must not become somebody's tool to reach what only the HES can reach:
only http(s), no redirects, and only hosts that the operator allows. By default these are the CIS of the configuration and
the private networks, so that one machine and a Docker network work as they are and no reply ever goes to the internet.
A host name is resolved here, and the connection goes to the very address that was checked.
"""

import asyncio
import socket
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import httpx

from cim import edge, envelope, soap, xml
from cim.errors import CimError, PeerFault
from cim.message import ResponseMessage
from cim.schema import Schemas

MAX_ADDRESS = 2_000
MAX_ANSWER_OCTETS = 1_000_000

_HEADERS = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": '""', "Accept-Encoding": "identity"}

_Network = IPv4Network | IPv6Network
_Address = IPv4Address | IPv6Address


class NotAllowed(Exception):
    """The reply address can't be used; the text says why."""


class NotTaken(Exception):
    """The reply address did not take the reply; the text says why. Later it may."""


def format_answer(message: ResponseMessage, schemas: Schemas) -> bytes:
    """The generic ResponseMessage in SOAP, as it is kept and posted; raises CimError if it would not be valid."""
    return edge.write_response(message, envelope.REQUEST_MESSAGE, schemas)


def parse_answer(octets: bytes) -> ResponseMessage:
    """A message that `format_answer` made."""
    return envelope.parse_response(soap.unwrap(xml.parse(octets, max_octets=len(octets))))


@dataclass(frozen=True, slots=True)
class ReplyHosts:
    """Where replies may go: these networks, and these hosts by name or address wherever they are."""

    networks: tuple[_Network, ...]
    hosts: frozenset[str]

    def check(self, reply_address: str) -> httpx.URL:
        """The URL; raises NotAllowed for what no look-up could make acceptable."""
        if len(reply_address) > MAX_ADDRESS:
            raise NotAllowed(f"the reply address is longer than {MAX_ADDRESS} characters")
        try:
            url = httpx.URL(reply_address)
        except (httpx.InvalidURL, ValueError):
            raise NotAllowed("the reply address is not a URL") from None
        if url.scheme not in ("http", "https") or not url.host or (url.port or 80) > 65535:
            raise NotAllowed("the reply address is not an http or https URL")
        if url.userinfo:
            raise NotAllowed("the reply address holds a user name or password")
        literal = _literal(url.host)
        if literal is not None and not self._holds(url.host, [literal]):
            raise NotAllowed(self._refusal(url.host))
        return url

    async def resolve(self, url: httpx.URL) -> _Address:
        """The address to connect to; raises NotAllowed, or NotTaken if the name is not known (now)."""
        literal = _literal(url.host)
        addresses = [literal] if literal is not None else await _look_up(url.host)
        if not self._holds(url.host, addresses):
            raise NotAllowed(self._refusal(url.host))
        return addresses[0]

    def _holds(self, host: str, addresses: Collection[_Address]) -> bool:
        inside = all(any(address in network for network in self.networks) for address in addresses)
        return host.lower() in self.hosts or inside

    @staticmethod
    def _refusal(host: str) -> str:
        return f"replies may not go to {host}; hes.reply_hosts and hes.reply_networks say where they may"


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


def _literal(host: str) -> _Address | None:
    with suppress(ValueError):
        return ip_address(host)
    return None


async def _look_up(host: str) -> list[_Address]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotTaken(f"the host {host} can't be found: {error}") from None
    return [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


async def _read(response: httpx.Response) -> bytes:
    octets = bytearray()
    async for chunk in response.aiter_bytes():
        octets += chunk
        if len(octets) > MAX_ANSWER_OCTETS:
            raise NotTaken(f"the answer is larger than {MAX_ANSWER_OCTETS} octets")
    return bytes(octets)
