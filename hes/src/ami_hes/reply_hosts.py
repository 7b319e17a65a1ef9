"""Where replies may go: which reply addresses are accepted with a request, and which address a delivery connects to.

A ReplyAddress comes from the network, so the HES must not be usable to reach what only the HES can reach:
only http(s), and only hosts that the operator has named: the CIS of the configuration, `hes.reply_hosts`, and what lies in
`hes.reply_networks`. A head-end system that only its own machine can ask (`hes.host` is a loopback address) may reply to that
machine as well, at any port. A host can be named with its port and its scheme; of the loopback addresses in `[cis]` only that port
counts, and a host that the configuration reaches over https is not posted to over http.
A host name is resolved here, and the connection goes to the very address that was checked. Whoever answers for a public name (one
with a dot) can't make it lead inside: what is no public address has to lie in `hes.reply_networks` or `hes.reply_inside`.
"""

import asyncio
import re
import socket
from collections.abc import Collection
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import httpx

MAX_ADDRESS = 2_000

_LABEL = "[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?|(?=.*:)[0-9A-Fa-f:.]+")

PORTS = {"http": 80, "https": 443}
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
_LEADING_TO_IPV4 = (IPv6Network("64:ff9b::/96"), IPv6Network("::/96"))
"""Networks of IPv6 whose addresses end with one of IPv4, to which a gateway leads: NAT64 (RFC 6052), IPv4-compatible (RFC 4291, 2.5.5.1)."""

_Network = IPv4Network | IPv6Network
_Address = IPv4Address | IPv6Address


class NotAllowed(Exception):
    """The reply address can't be used; the text says why."""


class NotAnAddress(NotAllowed):
    """What was given is no http(s) address at all."""


class NotTaken(Exception):
    """The reply address did not take the reply; the text says why. Later it may."""


class NoAnswer(NotTaken):
    """No server there, or nothing that could be read as an HTTP answer."""


def parse(reply_address: str) -> httpx.URL:
    """An absolute http(s) URL that can be connected to; raises NotAnAddress, and nothing else for any text.

    httpx takes ports below zero and any octet in a host, and decodes a host name as late as when it is looked at.
    """
    if len(reply_address) > MAX_ADDRESS:
        raise NotAnAddress(f"the reply address is longer than {MAX_ADDRESS} characters")
    try:
        url = httpx.URL(reply_address)
        host, name = url.host, url.raw_host.decode("ascii")
    except (httpx.InvalidURL, ValueError):
        raise NotAnAddress("the reply address is not a URL") from None
    if url.scheme not in ("http", "https") or not host:
        raise NotAnAddress("the reply address is not an http or https URL")
    if url.userinfo or "@" in _authority(reply_address):
        raise NotAnAddress("the reply address holds a user name or password")
    if url.port is not None and not 1 <= url.port <= 65535:
        raise NotAnAddress("the reply address has a port that is none of 1 to 65535")
    if _HOST.fullmatch(name) is None or len(name) > 253:
        raise NotAnAddress("the reply address has a host that is neither a name nor an IP address")
    return url


def origin_of(reply_address: str) -> str | None:
    """Scheme, host and port as they are written, in lower case; None for what is no address."""
    try:
        url = parse(reply_address)
    except NotAnAddress:
        return None
    return f"{url.scheme}://{url.netloc.decode('ascii').lower()}"


@dataclass(frozen=True, slots=True)
class ReplyHosts:
    """Where replies may go: these networks, and wherever they are these hosts by name or address.

    A host is in lower case and alone (any port) or with a port: `cis.example`, `cis.example:8080`, `[2001:db8::1]:8080`; with
    `https://` in front it is posted to over https alone. `inside` are the networks, none of them public, that a host may lie in
    which is named by a name with a dot.
    """

    networks: tuple[_Network, ...]
    hosts: frozenset[str]
    inside: tuple[_Network, ...] = ()

    def check(self, reply_address: str) -> httpx.URL:
        """The URL; raises NotAllowed for what no look-up could make acceptable."""
        url = parse(reply_address)
        literal = _literal(url.host)
        named = self._names(url) or self._may_be_in_a_network(url.host)
        if not (named if literal is None else self._holds(url, [literal])):
            raise NotAllowed(self._refusal(url))
        return url

    async def resolve(self, url: httpx.URL, threads: Executor | None = None) -> _Address:
        """The address to connect to, looked up in one of these threads; raises NotAllowed, or NoAnswer if the name is not known (now)."""
        literal = _literal(url.host)
        addresses = [literal] if literal is not None else await _look_up(url.host, threads)
        if not self._holds(url, addresses):
            raise NotAllowed(self._refusal_of_address(url))
        return addresses[0]

    def _holds(self, url: httpx.URL, addresses: Collection[_Address]) -> bool:
        if any(_led_to(address).is_unspecified for address in addresses):  # which would connect to this machine
            return False
        if all(any(one in network for network in self.networks) for one in addresses):
            return True
        return self._names(url) and all(self._may_lie_at(url.host, one) for one in addresses)

    def _may_lie_at(self, host: str, address: _Address) -> bool:
        """Whether a host that is named may have this address: an address that is named itself, and else what a name may lead to."""
        led_to = _led_to(address)
        written = {address, led_to}
        if _literal(host) is not None or any(
            one in network for one in written for network in (*self.networks, *self.inside)
        ):
            return True
        if any(one.is_link_local or one.is_multicast or getattr(one, "is_site_local", False) for one in written):
            return False
        return "." not in host.rstrip(".") or led_to.is_global

    def _names(self, url: httpx.URL) -> bool:
        host = format_host(url.host.lower())
        written = (host, f"{host}:{_port(url)}")
        return not self.hosts.isdisjoint((*written, *(f"{url.scheme}://{one}" for one in written)))

    def _may_be_in_a_network(self, name: str) -> bool:
        """Whether it takes a look-up to know; loopback has one name."""
        return any(name.lower() == "localhost" or not network.is_loopback for network in self.networks)

    @staticmethod
    def _refusal(url: httpx.URL) -> str:
        where = f"{format_host(url.host)}:{_port(url)}"
        return f"replies may not go to {where}; hes.reply_hosts and hes.reply_networks say where they may"

    def _refusal_of_address(self, url: httpx.URL) -> str:
        """A host that is named, at an address that is not: which one it is stays with us."""
        if not self._names(url):
            return self._refusal(url)
        where = f"{format_host(url.host)}:{_port(url)}"
        return f"replies may not go to {where}, which has an address that is not public; hes.reply_inside names those that it may have"


def is_loopback(host: str) -> bool:
    """Whether this machine alone is meant."""
    literal = _literal(host)
    return host.lower() == "localhost" if literal is None else literal.is_loopback


def format_host(host: str) -> str:
    """An IPv6 address is written in brackets."""
    return f"[{host}]" if ":" in host else host


def _led_to(address: _Address) -> _Address:
    """Where a connection to an address ends: an address of IPv4 can be written as one of IPv6 in several ways (mapped, 6to4, NAT64)."""
    if isinstance(address, IPv4Address):
        return address
    if (found := address.ipv4_mapped or address.sixtofour) is not None:
        return found
    if not address.is_loopback and any(address in network for network in _LEADING_TO_IPV4):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _port(url: httpx.URL) -> int:
    return url.port or PORTS[url.scheme]


def _authority(address: str) -> str:
    return re.split(r"[/?#]", address.partition("://")[2], maxsplit=1)[0]


def _literal(host: str) -> _Address | None:
    with suppress(ValueError):
        return ip_address(host)
    return None


async def _look_up(host: str, threads: Executor | None) -> list[_Address]:
    look_up = partial(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM)
    try:
        found = await asyncio.get_running_loop().run_in_executor(threads, look_up)
    except (OSError, UnicodeError) as error:
        raise NoAnswer(f"the host {host} can't be found: {error}") from None
    return [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
