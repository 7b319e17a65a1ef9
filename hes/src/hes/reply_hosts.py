"""Where replies may go: which reply addresses are accepted with a request, and which address a delivery connects to.

A ReplyAddress comes from the network, so the HES must not become somebody's tool to reach what only the HES can reach:
only http(s), and only hosts that the operator allows. By default these are the CIS of the configuration and the private
networks, so that one machine and a Docker network work as they are and no reply ever goes to the internet.
A host name is resolved here, and the connection goes to the very address that was checked.
"""

import asyncio
import socket
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import httpx

MAX_ADDRESS = 2_000

_Network = IPv4Network | IPv6Network
_Address = IPv4Address | IPv6Address


class NotAllowed(Exception):
    """The reply address can't be used; the text says why."""


class NotTaken(Exception):
    """The reply address did not take the reply; the text says why. Later it may."""


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
