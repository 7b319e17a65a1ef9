"""Listening sockets, and what to say when one cannot be had."""

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address, IPv6Network, ip_address

EXIT_CANNOT_LISTEN = 98
"""The exit code of a process that cannot listen where it should."""

BACKLOG = 1_000

SITE_BITS = 64
"""Of an IPv6 address: what a network gives to one customer."""


class ListenFailed(Exception):
    """There is no listening at `address`; `setting` is where it was chosen."""

    def __init__(self, address: str, setting: str, reason: str) -> None:
        super().__init__(f"{address}: {reason} ({setting})")
        self.address = address
        self.setting = setting
        self.reason = reason


class AddressInUse(ListenFailed):
    """Another program listens there."""


@contextmanager
def listening(host: str, port: int, settings: str) -> Iterator[socket.socket]:
    """A listening TCP socket, closed at the end; port 0 takes a free one. Raises ListenFailed.

    `settings` is what the names of the settings of host and port begin with, such as `hes.`.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY on what is accepted only if the protocol is named
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with naming(host, port, settings):
            listener.bind((host, port))
            listener.listen(BACKLOG)
        listener.setblocking(False)
        yield listener


@contextmanager
def naming(host: str, port: int, settings: str) -> Iterator[None]:
    """An OSError inside becomes a ListenFailed that names the address and the setting."""
    try:
        yield
    except OSError as error:
        address, reason = format_address(host, port), error.strerror or str(error)
        if error.errno == errno.EADDRINUSE:
            raise AddressInUse(address, f"{settings}port", reason) from None
        raise ListenFailed(address, f"{settings}host", reason) from None


def address_of(listener: socket.socket) -> str:
    """Host and port that a socket is bound to."""
    host, port = listener.getsockname()[:2]
    return format_address(host, port)


def format_address(host: str, port: int) -> str:
    """`host:port`; an IPv6 address is in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def counted_address(host: str) -> str:
    """What of a peer's address counts as one where connections are limited by address: of IPv6 the site."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return str(address)
    return str(address.ipv4_mapped or IPv6Network((int(address), SITE_BITS), strict=False))
